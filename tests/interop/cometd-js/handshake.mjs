// Shakes hands and disconnects with the official CometD client.
//
// usage: node handshake.mjs URL websocket|long-polling
//
// Prints one line for each step. Ends with 0 when the server has confirmed both, else with 1.

import { adapt } from "cometd-nodejs-client";
import { CometD } from "cometd";

import { configure } from "../cometd.mjs";

const [url, transport] = process.argv.slice(2);
if (!url || !["websocket", "long-polling"].includes(transport)) {
    console.error("usage: node handshake.mjs URL websocket|long-polling");
    process.exit(2);
}

adapt();
const cometd = new CometD();
configure(cometd, url, transport);
cometd.handshake((reply) => {
    console.log(`handshake ${reply.successful}`);
    if (!reply.successful) {
        process.exit(1);
    }
    // Not within the handshake's own callback, after which the client would abort what it has sent.
    setTimeout(() => {
        cometd.disconnect((bye) => {
            console.log(`disconnected ${bye.successful}`);
            process.exit(bye.successful ? 0 : 1);
        });
    });
});
