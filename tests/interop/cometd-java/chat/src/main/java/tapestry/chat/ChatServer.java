package tapestry.chat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * GMS Chat V2 with the Chat Server behind it, as far as a client can see it.
 *
 * <p>It answers publishes with deliveries and knows CometD sessions only by their ids, so that it is the same on every
 * generation of CometD. All of it happens on one thread, which therefore also decides the order. A chat never ends for
 * want of a session.
 */
public final class ChatServer {
    private static final String WELCOME = "Welcome. An agent will be with you in a moment.";
    private static final int MESSAGE_LIMIT = 14_700;
    /** How long after a request its answer comes: not within the exchange of the request. */
    private static final long ANSWER_DELAY_MS = 5;

    /** What carries a delivery to a session, if that one still exists. */
    public interface Carrier {
        void deliver(String session, String channel, Map<String, Object> data);
    }

    private final Carrier carrier;
    private final Map<String, Room> rooms = new HashMap<>();
    private final String alias = Room.random("0123456789", 3);
    private final Agent agent = new Agent(this);
    private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread worker = new Thread(task, "chat");
        worker.setDaemon(true);
        return worker;
    });
    private int references;

    public ChatServer(Carrier carrier) {
        this.carrier = carrier;
    }

    /** Takes in a publish on the channel of a service. What is no object gets no answer. */
    public void handlePublish(String session, String channel, Object data) {
        if (data instanceof Map<?, ?> request) {
            after(0, () -> handle(session, channel, request));
        }
    }

    /** Does something later, on the one thread. */
    void after(long milliseconds, Runnable task) {
        thread.schedule(task, milliseconds, TimeUnit.MILLISECONDS);
    }

    void agentJoins(Room room, String nickname) {
        room.agent = new Participant(nickname, 3, "Agent");
        tell(room.attached, room, List.of(room.joined(room.agent)), false);
    }

    void agentSays(Room room, String text) {
        tell(room.attached, room, List.of(room.said(room.agent, text, null)), false);
    }

    /** The agent leaves and closes the chat: the client is removed. */
    void agentEnds(Room room) {
        tell(room.attached, room, List.of(room.left(room.agent)), false);
        tell(room.attached, room, List.of(room.removed(room.client)), true);
        room.ended = true;
    }

    private void handle(String session, String channel, Map<?, ?> request) {
        String operation = Json.text(request, "operation");
        if (operation == null) {
            refuse(session, channel, new Refusal(Refusal.PARAMETER, "`operation` is missing"));
            return;
        }
        switch (operation) {
            case "requestChat" -> start(session, channel, request);
            case "requestNotifications", "sendMessage", "disconnect" -> {
                Refusal refusal = incomplete(operation, request);
                if (refusal == null) {
                    handleInRoom(session, channel, operation, request);
                } else {
                    refuse(session, channel, refusal);
                }
            }
            default -> refuse(session, channel, new Refusal(Refusal.PARAMETER, "the operation is unknown"));
        }
    }

    /** What a request within a chat lacks, if anything. */
    private static Refusal incomplete(String operation, Map<?, ?> request) {
        if (operation.equals("sendMessage") && Json.text(request, "message") == null) {
            return new Refusal(Refusal.PARAMETER, "parameter `message` is missing");
        }
        if (Json.filled(request, "secureKey") == null) {
            return new Refusal(Refusal.PARAMETER, "`secureKey` is missing");
        }
        return null;
    }

    private void start(String session, String channel, Map<?, ?> request) {
        String nickname = Json.filled(request, "nickname");
        String firstName = Json.filled(request, "firstName");
        String lastName = Json.filled(request, "lastName");
        if (nickname == null && (firstName == null || lastName == null)) {
            String advice = "`nickname` is missing, and so are `firstName` and `lastName`";
            refuse(session, channel, new Refusal(Refusal.NAME, advice));
            return;
        }
        Room room = new Room(channel, nickname == null ? firstName + " " + lastName : nickname, alias);
        room.attached = session;
        rooms.put(room.secureKey, room);
        answer(session, room, room.joined(room.client), false);
        tell(room.attached, room, List.of(room.said(room.system, WELCOME, null)), false);
        agent.chatStarted(room);
    }

    private void handleInRoom(String session, String channel, String operation, Map<?, ?> request) {
        Room room = rooms.get(Json.text(request, "secureKey"));
        // A key is good for the service that issued it.
        if (room == null || !room.channel.equals(channel)) {
            refuse(session, channel, Refusal.notExecuted(++references));
            return;
        }
        if (room.ended) {
            send(session, channel, room.over(Refusal.notExecuted(++references)));
            return;
        }
        switch (operation) {
            case "requestNotifications" -> {
                room.attached = session;
                tell(session, room, room.eventsFrom(position(request.get("transcriptPosition"))), false);
            }
            case "sendMessage" -> say(session, room, request);
            default -> {
                answer(session, room, room.left(room.client), true);
                room.ended = true;
            }
        }
    }

    private void say(String session, Room room, Map<?, ?> request) {
        String message = Json.text(request, "message");
        if (message.codePointCount(0, message.length()) > MESSAGE_LIMIT) {
            String advice = "a message may have " + MESSAGE_LIMIT + " characters";
            refuse(session, room.channel, new Refusal(Refusal.TOO_LONG, advice));
            return;
        }
        answer(session, room, room.said(room.client, message, Json.text(request, "messageType")), false);
        agent.clientSaid(room, message);
    }

    /** A position comes as number or as numeric text; anything else means the start. */
    private static long position(Object value) {
        if (value instanceof Number number) {
            return number.longValue();
        }
        try {
            return value instanceof String text ? Long.parseLong(text.trim()) : 0;
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    /** Tells the session that asked, and another one if that is the one with the notifications. */
    private void answer(String session, Room room, Map<String, Object> event, boolean ended) {
        tell(session, room, List.of(event), ended);
        if (!session.equals(room.attached)) {
            tell(room.attached, room, List.of(event), ended);
        }
    }

    private void tell(String session, Room room, List<Map<String, Object>> events, boolean ended) {
        send(session, room.channel, room.success(events, ended));
    }

    private void refuse(String session, String channel, Refusal refusal) {
        send(session, channel, refusal.envelope());
    }

    private void send(String session, String channel, Map<String, Object> data) {
        after(ANSWER_DELAY_MS, () -> carrier.deliver(session, channel, data));
    }
}
