// Holds a whole chat with the official CometD client: start, an agent joins, three messages each way, end.
//
// usage: node chat.mjs URL SERVICE websocket|long-polling [PACKAGE]
//
// PACKAGE is one of the dependencies: `cometd` by default, or another generation of it, such as `cometd-3.1`.
// There is no callback-polling: it needs the script elements of a browser.
//
// Prints one line for each step. Ends with 0 when the server has confirmed the end of the chat and of the session,
// else with 1 and the step that did not come.

import { adapt } from "cometd-nodejs-client";

import { chat, configure } from "../cometd.mjs";
import { fail } from "../conversation.mjs";

const [url, service, transport, library = "cometd"] = process.argv.slice(2);
if (!url || !service || !["websocket", "long-polling"].includes(transport)) {
    console.error("usage: node chat.mjs URL SERVICE websocket|long-polling [PACKAGE]");
    process.exit(2);
}

adapt();
const module = await import(library);
// Generations before 8 are no ES modules: all that they have is their default export.
const { CometD } = module.default ?? module;
const cometd = new CometD();
configure(cometd, url, transport);
const { refused, disconnected } = await chat(cometd, service);
if (refused) {
    fail(`handshake: ${refused}`);
}
process.exit(disconnected ? 0 : 1);
