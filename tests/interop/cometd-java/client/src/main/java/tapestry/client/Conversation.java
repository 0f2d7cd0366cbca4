package tapestry.client;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSessionChannel;

/** One chat on the service's channel. */
final class Conversation {
    private final ClientSessionChannel channel;
    private final long patience;
    private final List<Map<?, ?>> come = new ArrayList<>();
    private Object secureKey;
    private long lastIndex;
    private String fault;

    Conversation(ClientSessionChannel channel, long patience) {
        this.channel = channel;
        this.patience = patience;
    }

    /** Takes in the data of a message on the service's channel. The client would swallow what this throws. */
    synchronized void receive(Map<String, Object> data) {
        try {
            read(data);
        } catch (RuntimeException e) {
            fault = "an envelope of another form: " + e;
        }
        notifyAll();
    }

    private void read(Map<String, Object> data) {
        secureKey = data.getOrDefault("secureKey", secureKey);
        if (number(data.get("statusCode")) != 0) {
            fault = "status code " + data.get("statusCode");
        }
        for (Object each : list(data.get("messages"))) {
            Map<?, ?> event = (Map<?, ?>) each;
            long index = number(event.get("index"));
            if (index > lastIndex) {
                lastIndex = index;
                System.out.println(index + " " + event.get("type") + " " + party(event));
                come.add(event);
            }
        }
        if (Boolean.TRUE.equals(data.get("chatEnded"))) {
            System.out.println("ended");
            come.add(Map.of("type", "chatEnded"));
        }
    }

    /** Holds the chat; returns when the server has said that it is over. */
    void hold() throws Exception {
        request("requestChat", Map.of("nickname", "Ann", "subject", "Invoice 1234", "userData", Map.of("TimeZone", 60)));
        take("an agent", is("ParticipantJoined", "Agent"));
        take("the greeting", is("Message", "Agent"));
        for (String message : List.of("I have a question.", "Where is my invoice?", "Thank you — merci \uD83D\uDE00")) {
            request("sendMessage", Map.of("message", message));
            if (!message.equals(take("the echo", is("Message", "Client")).get("text"))) {
                throw new IllegalStateException("the echo has other words");
            }
            take("the answer", is("Message", "Agent"));
        }
        request("disconnect", Map.of());
        take("the end", event -> event.get("type").equals("chatEnded"));
    }

    private void request(String operation, Map<String, Object> members) throws Exception {
        Map<String, Object> data = new HashMap<>(members);
        data.put("operation", operation);
        synchronized (this) {
            if (secureKey != null) {
                data.put("secureKey", secureKey);
            }
        }
        CompletableFuture<Message> reply = new CompletableFuture<>();
        channel.publish(data, reply::complete);
        try {
            Message message = reply.get(patience, TimeUnit.MILLISECONDS);
            if (!message.isSuccessful()) {
                throw new IllegalStateException(operation + " was not acknowledged: " + message);
            }
        } catch (TimeoutException e) {
            throw new IllegalStateException(operation + " was not acknowledged within " + patience + " ms", e);
        }
    }

    /** Gives the next event that is wanted; what comes before it may be wanted later. */
    private synchronized Map<?, ?> take(String what, Predicate<Map<?, ?>> wanted) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(patience);
        while (true) {
            if (fault != null) {
                throw new IllegalStateException(fault);
            }
            for (Map<?, ?> event : come) {
                if (wanted.test(event)) {
                    come.remove(event);
                    return event;
                }
            }
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            if (left <= 0) {
                throw new IllegalStateException(what + " did not come within " + patience + " ms");
            }
            wait(left);
        }
    }

    private static Predicate<Map<?, ?>> is(String type, String from) {
        return event -> event.get("type").equals(type) && from.equals(party(event));
    }

    private static Object party(Map<?, ?> event) {
        return event.get("from") instanceof Map<?, ?> from ? from.get("type") : null;
    }

    /** The client's parser for WebSocket makes arrays, the one for HTTP lists. */
    private static List<?> list(Object value) {
        return value instanceof Object[] array ? List.of(array) : (List<?>) value;
    }

    private static long number(Object value) {
        return ((Number) value).longValue();
    }
}
