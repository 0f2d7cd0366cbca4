package tapestry.server;

import java.util.Map;
import org.cometd.bayeux.Promise;
import org.cometd.bayeux.server.ServerSession;

/** How CometD delivers to one session since version 4. */
final class Deliveries {
    private Deliveries() {
    }

    static void deliver(ServerSession session, String channel, Map<String, Object> data) {
        session.deliver(null, channel, data, Promise.noop());
    }
}
