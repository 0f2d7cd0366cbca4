// The page's own program: a chat as its query says. It tells `finish`, which its opener provides, how it went.

import { CometD } from "cometd";

// What the conversation, which runs under Node as well, calls when something does not come.
globalThis.process = { exit: (code) => finish(code === 0 ? "held" : "not held") };
const { Conversation } = await import("/conversation.mjs");

const query = new URLSearchParams(location.search);
const [url, service, transport] = ["url", "service", "transport"].map((name) => query.get(name));

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
        finish("handshake failed");
        return;
    }
    console.log(`connected ${cometd.getTransport().type}`);
    await conversation.hold();
    cometd.disconnect((bye) => {
        console.log(`disconnected ${bye.successful}`);
        finish(bye.successful ? "held" : "not held");
    });
});
