// Holds a whole chat with the Faye client: start, an agent joins, three messages each way, end.
//
// usage: node chat.mjs URL SERVICE websocket|long-polling
//
// Faye has no local listeners: it subscribes to the service's channel with the server, which a Bayeux server may answer
// with success and need not remember. It always shakes hands by long-polling and goes over to WebSocket once a socket is
// open, which may be after its first connect; so what counts is the transport at the end of the chat.
//
// Prints one line for each step. Ends with 0 when the server has confirmed the end of the chat and of the session,
// else with 1 and the step that did not come.

import faye from "faye";

import { Conversation, fail } from "../conversation.mjs";

const [url, service, transport] = process.argv.slice(2);
if (!url || !service || !["websocket", "long-polling"].includes(transport)) {
    console.error("usage: node chat.mjs URL SERVICE websocket|long-polling");
    process.exit(2);
}

const client = new faye.Client(url);
if (transport === "long-polling") {
    client.disable("websocket");
}
const channel = `/service/chatV2/${service}`;
// The connection type is asked for in every connect, and nowhere else to be seen.
let connectionType;
client.addExtension({
    outgoing(message, callback) {
        connectionType = message.connectionType ?? connectionType;
        callback(message);
    },
});

const publish = (data) => client.publish(channel, data).then(() => undefined, (error) => error.message);
const conversation = new Conversation(publish);
const late = setTimeout(() => fail("the subscription was not acknowledged within 10 s"), 10_000);
try {
    await client.subscribe(channel, (data) => conversation.receive(data));
} catch (error) {
    fail(`subscription: ${error.message}`);
}
clearTimeout(late);
console.log(`connected ${connectionType}`);
await conversation.hold();
if (connectionType !== transport) {
    fail(`the chat ended over ${connectionType}`);
}
const unheard = setTimeout(() => fail("the disconnect was not acknowledged within 10 s"), 10_000);
await client.disconnect().then(() => clearTimeout(unheard), (error) => fail(`disconnect: ${error.message}`));
console.log("disconnected true");
process.exit(0);
