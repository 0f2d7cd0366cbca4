package tapestry.server;

import java.net.InetSocketAddress;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.BayeuxServerImpl;
import org.cometd.server.http.JSONHttpTransport;
import org.cometd.server.http.JSONPHttpTransport;
import org.cometd.server.http.jakarta.CometDServlet;
import org.cometd.server.websocket.jetty.JettyWebSocketTransport;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Context;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.websocket.server.WebSocketUpgradeHandler;

/**
 * CometD's servlet with its default settings on Jetty 12.
 *
 * <p>By itself CometD finds only the WebSocket of {@code jakarta}; with the one of Jetty its transports are named.
 */
record Web(int port, BayeuxServer bayeux) {
    static Web start(int port) throws Exception {
        Server server = new Server(new InetSocketAddress("127.0.0.1", port));
        ServletContextHandler context = new ServletContextHandler("/genesys");
        server.setHandler(context);
        context.insertHandler(WebSocketUpgradeHandler.from(server, context));

        BayeuxServerImpl bayeux = new BayeuxServerImpl();
        bayeux.setOption(BayeuxServerImpl.TRANSPORTS_OPTION, String.join(",",
            JettyWebSocketTransport.class.getName(),
            JSONHttpTransport.class.getName(),
            JSONPHttpTransport.class.getName()));
        bayeux.setOption(Context.class.getName(), context.getContext());
        bayeux.setOption("ws.cometdURLMapping", "/cometd/*");
        context.setAttribute(BayeuxServer.ATTRIBUTE, bayeux);

        ServletHolder servlet = context.addServlet(CometDServlet.class, "/cometd/*");
        servlet.setAsyncSupported(true);
        servlet.setInitOrder(1);
        server.start();
        return new Web(((ServerConnector) server.getConnectors()[0]).getLocalPort(), bayeux);
    }
}
