package tapestry.server;

import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.websocket.jakarta.server.config.JakartaWebSocketServletContainerInitializer;

/** Adds the WebSocket of {@code jakarta} to a context of Jetty 11, where CometD finds it. */
final class WebSockets {
    private WebSockets() {
    }

    static void enable(ServletContextHandler context) {
        JakartaWebSocketServletContainerInitializer.configure(context, null);
    }
}
