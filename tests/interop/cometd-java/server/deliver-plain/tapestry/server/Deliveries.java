package tapestry.server;

import java.util.Map;
import org.cometd.bayeux.server.ServerSession;

/** How CometD 3 delivers to one session. */
final class Deliveries {
    private Deliveries() {
    }

    static void deliver(ServerSession session, String channel, Map<String, Object> data) {
        session.deliver(null, channel, data);
    }
}
