package tapestry.server;

import org.cometd.bayeux.server.BayeuxServer;
import org.cometd.bayeux.server.ConfigurableServerChannel;
import org.cometd.bayeux.server.ServerChannel;
import org.cometd.bayeux.server.ServerMessage;
import org.cometd.bayeux.server.ServerSession;
import tapestry.chat.ChatServer;

/** Starts the server on a port of the loopback interface, 0 for any, and serves until it is told to end. */
public final class Main {
    private static final String CHANNEL = "/service/chatV2/customer-support";

    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 1) {
            System.err.println("usage: java -jar server.jar PORT");
            System.exit(2);
        }
        Web web = Web.start(Integer.parseInt(arguments[0]));
        serveChat(web.bayeux());
        // A JVM that a signal ends gives 143 unless something halts it.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Runtime.getRuntime().halt(0)));
        System.out.println("listening on http://127.0.0.1:" + web.port() + "/genesys/cometd");
    }

    private static void serveChat(BayeuxServer bayeux) {
        ChatServer chat = new ChatServer((id, channel, data) -> {
            ServerSession session = bayeux.getSession(id);
            if (session != null) {
                Deliveries.deliver(session, channel, data);
            }
        });
        bayeux.createChannelIfAbsent(CHANNEL, new ConfigurableServerChannel.Initializer.Persistent());
        bayeux.getChannel(CHANNEL).addListener(new ServerChannel.MessageListener() {
            @Override
            public boolean onMessage(ServerSession from, ServerChannel channel, ServerMessage.Mutable message) {
                chat.handlePublish(from.getId(), channel.getId(), message.getData());
                return true;
            }
        });
    }
}
