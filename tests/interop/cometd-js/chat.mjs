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

import { Conversation, fail } from "../conversation.mjs";

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
for (const type of cometd.getTransportTypes()) {
    if (type !== transport) {
        cometd.unregisterTransport(type);
    }
}
cometd.configure({ url, logLevel: "warn" });

const channel = `/service/chatV2/${service}`;
const publish = (data) =>
    new Promise((resolve) => {
        cometd.publish(channel, data, (reply) => resolve(reply.successful ? undefined : (reply.error ?? "no answer")));
    });
const conversation = new Conversation(publish);
cometd.addListener(channel, ({ data }) => conversation.receive(data));

cometd.handshake(async (reply) => {
    if (!reply.successful) {
        fail(`handshake: ${reply.failure?.reason ?? reply.error}`);
    }
    const { type } = cometd.getTransport();
    // Before generation 8 the type is a method's.
    console.log(`connected ${type ?? cometd.getTransport().getType()}`);
    await conversation.hold();
    cometd.disconnect((bye) => {
        console.log(`disconnected ${bye.successful}`);
        process.exit(bye.successful ? 0 : 1);
    });
});
