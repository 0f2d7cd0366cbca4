// What every program with the official CometD client does, under Node and in a page alike.

import { Conversation } from "./conversation.mjs";

/** Points the client at a server, over one transport alone. */
export function configure(cometd, url, transport) {
    for (const type of cometd.getTransportTypes()) {
        if (type !== transport) {
            cometd.unregisterTransport(type);
        }
    }
    cometd.configure({ url, logLevel: "warn" });
}

/**
 * Shakes hands, holds a whole chat and disconnects. Resolves with `refused`, the reason why the handshake failed, or with
 * `disconnected`, whether the server confirmed the end of the session.
 */
export function chat(cometd, service) {
    const channel = `/service/chatV2/${service}`;
    const publish = (data) =>
        new Promise((resolve) => {
            cometd.publish(channel, data, (reply) => resolve(reply.successful ? undefined : (reply.error ?? "no answer")));
        });
    const conversation = new Conversation(publish);
    cometd.addListener(channel, ({ data }) => conversation.receive(data));
    return new Promise((resolve) => {
        cometd.handshake(async (reply) => {
            if (!reply.successful) {
                // A browser gives an empty reason for what it has kept from the server.
                resolve({ refused: reply.failure?.reason || reply.error || "no reason given" });
                return;
            }
            const { type } = cometd.getTransport();
            // Before generation 8 the type is a method's.
            console.log(`connected ${type ?? cometd.getTransport().getType()}`);
            await conversation.hold();
            cometd.disconnect((bye) => {
                console.log(`disconnected ${bye.successful}`);
                resolve({ disconnected: bye.successful });
            });
        });
    });
}
