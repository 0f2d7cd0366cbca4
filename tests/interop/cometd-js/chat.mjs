// Holds a whole chat with the official CometD client: start, an agent joins, three messages each way, end.
//
// usage: node chat.mjs URL SERVICE websocket|long-polling
//
// Prints one line for each step. Ends with 0 when the server has confirmed the end of the chat and of the session,
// else with 1 and the step that did not come.

import { CometD } from "cometd";
import { adapt } from "cometd-nodejs-client";

const [url, service, transport] = process.argv.slice(2);
if (!url || !service || !["websocket", "long-polling"].includes(transport)) {
    console.error("usage: node chat.mjs URL SERVICE websocket|long-polling");
    process.exit(2);
}

adapt();
const cometd = new CometD();
for (const type of cometd.getTransportTypes()) {
    if (type !== transport) {
        cometd.unregisterTransport(type);
    }
}
cometd.configure({ url, logLevel: "warn" });

const channel = `/service/chatV2/${service}`;
let secureKey;
let lastIndex = 0;
const waiting = [];

function fail(why) {
    console.error(`failed: ${why}`);
    process.exit(1);
}

/** Resolves with the next thing that `wanted` accepts; gives up after ten seconds. */
function next(what, wanted) {
    return new Promise((resolve) => {
        const timer = setTimeout(() => fail(`${what} did not come within 10 s`), 10_000);
        waiting.push({ wanted, resolve: (value) => (clearTimeout(timer), resolve(value)) });
    });
}

function happened(thing) {
    const position = waiting.findIndex(({ wanted }) => wanted(thing));
    if (position >= 0) {
        waiting.splice(position, 1)[0].resolve(thing);
    }
}

function request(operation, members = {}) {
    return new Promise((resolve) => {
        const data = secureKey ? { operation, secureKey, ...members } : { operation, ...members };
        cometd.publish(channel, data, (reply) => {
            if (!reply.successful) {
                fail(`${operation} was not acknowledged: ${reply.error}`);
            }
            resolve();
        });
    });
}

cometd.addListener(channel, ({ data }) => {
    secureKey = data.secureKey ?? secureKey;
    if (data.statusCode !== 0) {
        fail(`status code ${data.statusCode}`);
    }
    for (const event of data.messages) {
        if (event.index > lastIndex) {
            lastIndex = event.index;
            console.log(`${event.index} ${event.type} ${event.from.type}`);
            happened(event);
        }
    }
    if (data.chatEnded) {
        console.log("ended");
        happened({ type: "chatEnded" });
    }
});

const spoken = (from) => (event) => event.type === "Message" && event.from?.type === from;

cometd.handshake(async (reply) => {
    if (!reply.successful) {
        fail(`handshake: ${reply.failure?.reason ?? reply.error}`);
    }
    console.log(`connected ${cometd.getTransport().type}`);
    const joined = next("an agent", (event) => event.type === "ParticipantJoined" && event.from.type === "Agent");
    const greeted = next("the greeting", spoken("Agent"));
    await request("requestChat", { nickname: "Ann", subject: "Invoice 1234", userData: { TimeZone: 60 } });
    await joined;
    await greeted;
    for (const message of ["I have a question.", "Where is my invoice?", "Thank you — merci \u{1F600}"]) {
        const echo = next("the echo", spoken("Client"));
        const answer = next("the answer", spoken("Agent"));
        await request("sendMessage", { message });
        await echo;
        await answer;
    }
    const ended = next("the end", (event) => event.type === "chatEnded");
    await request("disconnect");
    await ended;
    cometd.disconnect((bye) => {
        console.log(`disconnected ${bye.successful}`);
        process.exit(bye.successful ? 0 : 1);
    });
});
