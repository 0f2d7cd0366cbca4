// A chat with the official CometD client, as a client under test: what its user does comes from a pipe.
//
// usage: tapestry conformance --client --command 'exec node tests/interop/cometd-js/driven.mjs'
//
// It connects to TAPESTRY_URL over TAPESTRY_TRANSPORT and starts a chat with TAPESTRY_SERVICE. A line on stdin is said;
// `/end` ends the chat. The layer above the CometD client is meant to be right: it restores its chat after a handshake and
// after a failed connect, goes by the index of events, and leaves at the end.

import { createInterface } from "node:readline";

import { adapt } from "cometd-nodejs-client";
import { CometD } from "cometd";

import { configure } from "../cometd.mjs";

const { TAPESTRY_URL: url, TAPESTRY_SERVICE: service, TAPESTRY_TRANSPORT: transport } = process.env;
if (!url || !service || !transport) {
    console.error("usage: start it with `tapestry conformance --client --command`");
    process.exit(2);
}

adapt();
const cometd = new CometD();
configure(cometd, url, transport);
const channel = `/service/chatV2/${service}`;

let secureKey;
let lastIndex = 0;
let requested = false;
let failed = false;
let over = false;

function ask(operation, members = {}) {
    const key = secureKey === undefined ? {} : { secureKey };
    cometd.publish(channel, { operation, ...key, ...members });
}

function restore() {
    if (secureKey !== undefined && !over) {
        ask("requestNotifications", { transcriptPosition: lastIndex });
    }
}

function leave() {
    if (!over) {
        over = true;
        cometd.disconnect(() => process.exit(0));
    }
}

cometd.addListener(channel, ({ data }) => {
    secureKey = data.secureKey ?? secureKey;
    for (const event of data.messages ?? []) {
        lastIndex = Math.max(lastIndex, event.index ?? 0);
    }
    if (data.chatEnded) {
        leave();
    }
});
cometd.addListener("/meta/connect", ({ successful }) => {
    if (successful && failed) {
        restore();
    }
    failed = !successful;
});
cometd.addListener("/meta/handshake", ({ successful }) => {
    if (!successful) {
        return;
    }
    failed = false;
    // Not within the listener, after which the client would abort what it has sent.
    setTimeout(() => {
        if (requested) {
            restore();
        } else {
            requested = true;
            ask("requestChat", { nickname: "Ann" });
        }
    }, 0);
});
cometd.handshake();

createInterface({ input: process.stdin }).on("line", (line) => {
    if (line === "/end") {
        ask("disconnect");
        setTimeout(leave, 10_000);
    } else {
        ask("sendMessage", { message: line });
    }
});
