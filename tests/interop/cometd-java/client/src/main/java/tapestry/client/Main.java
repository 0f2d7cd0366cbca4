package tapestry.client;

import jakarta.websocket.ContainerProvider;
import java.util.Map;
import java.util.concurrent.Executors;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.eclipse.jetty.client.HttpClient;

/**
 * Holds a whole chat with CometD's Java client: start, an agent joins, three messages each way, end.
 *
 * <p>Prints one line for each step. Ends with 0 when the server has confirmed the end of the chat and of the session, else
 * with 1 and the step that did not come.
 */
public final class Main {
    private static final long PATIENCE_MS = 10_000;

    private Main() {
    }

    public static void main(String[] arguments) {
        if (arguments.length != 3 || !arguments[2].matches("websocket|long-polling")) {
            System.err.println("usage: java -jar client.jar URL SERVICE websocket|long-polling");
            System.exit(2);
        }
        try {
            hold(arguments[0], arguments[1], arguments[2]);
            // The transports keep threads that would keep the program.
            System.exit(0);
        } catch (Exception e) {
            System.err.println("failed: " + e);
            System.exit(1);
        }
    }

    private static void hold(String url, String service, String transport) throws Exception {
        BayeuxClient client = new BayeuxClient(url, transport(transport));
        ClientSessionChannel channel = client.getChannel("/service/chatV2/" + service);
        Conversation conversation = new Conversation(channel, PATIENCE_MS);
        channel.addListener((ClientSessionChannel.MessageListener) (from, message) -> receive(conversation, message));
        client.handshake();
        if (!client.waitFor(PATIENCE_MS, BayeuxClient.State.CONNECTED)) {
            throw new IllegalStateException("no connection within 10 s");
        }
        System.out.println("connected " + client.getTransport().getName());
        conversation.hold();
        boolean disconnected = client.disconnect(PATIENCE_MS);
        System.out.println("disconnected " + disconnected);
        if (!disconnected) {
            throw new IllegalStateException("the disconnect was not confirmed");
        }
    }

    /** The answer to a publish comes on the same channel and has no data. */
    private static void receive(Conversation conversation, Message message) {
        Map<String, Object> data = message.getDataAsMap();
        if (data != null) {
            conversation.receive(data);
        }
    }

    private static ClientTransport transport(String name) throws Exception {
        if (name.equals("websocket")) {
            return new WebSocketTransport(
                null, Executors.newSingleThreadScheduledExecutor(), ContainerProvider.getWebSocketContainer());
        }
        HttpClient http = new HttpClient();
        http.start();
        return new JettyHttpClientTransport(null, http);
    }
}
