package tapestry.server;

import java.net.InetSocketAddress;
import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.server.CometDServlet;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** CometD's servlet with its default settings on Jetty 9.4 to 11. */
record Web(int port, BayeuxServer bayeux) {
    static Web start(int port) throws Exception {
        Server server = new Server(new InetSocketAddress("127.0.0.1", port));
        ServletContextHandler context = new ServletContextHandler(server, "/genesys");
        ServletHolder servlet = context.addServlet(CometDServlet.class, "/cometd/*");
        servlet.setInitParameter("ws.cometdURLMapping", "/cometd/*");
        servlet.setAsyncSupported(true);
        servlet.setInitOrder(1);
        WebSockets.enable(context);
        server.start();
        BayeuxServer bayeux = (BayeuxServer) context.getServletContext().getAttribute(BayeuxServer.ATTRIBUTE);
        return new Web(((ServerConnector) server.getConnectors()[0]).getLocalPort(), bayeux);
    }
}
