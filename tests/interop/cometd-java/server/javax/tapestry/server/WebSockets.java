package tapestry.server;

import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.websocket.jsr356.server.deploy.WebSocketServerContainerInitializer;

/** Adds the WebSocket of {@code javax} to a context of Jetty 9.4, where CometD finds it. */
final class WebSockets {
    private WebSockets() {
    }

    static void enable(ServletContextHandler context) {
        WebSocketServerContainerInitializer.configure(context, null);
    }
}
