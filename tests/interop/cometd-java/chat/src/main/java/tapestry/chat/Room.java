package tapestry.chat;

import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One chat: its participants, its transcript, and how both read on the wire. */
final class Room {
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final String HEX = "0123456789ABCDEF";
    private static final String ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    final String channel;
    final String secureKey = random(ALPHANUMERIC + "+/", 100);
    final Participant client;
    final Participant system = new Participant("system", 2, "External");
    /** The agent who is in the chat, if any. */
    Participant agent;
    /** The CometD session that gets the notifications. */
    String attached;
    boolean ended;

    private final String userId = random(HEX, 16);
    private final String chatId = random(ALPHANUMERIC, 16);
    private final String alias;
    private final List<Map<String, Object>> transcript = new ArrayList<>();

    Room(String channel, String nickname, String alias) {
        this.channel = channel;
        this.client = new Participant(nickname, 1, "Client");
        this.alias = alias;
    }

    Map<String, Object> joined(Participant who) {
        return append("ParticipantJoined", who);
    }

    Map<String, Object> left(Participant who) {
        return append("ParticipantLeft", who);
    }

    /** Somebody else has ended the chat for this one. */
    Map<String, Object> removed(Participant who) {
        return append("ParticipantLeft", who,
            "eventAttributes", Json.object("GCTI_SYSTEM", Json.object("quit-reason-code", 4)));
    }

    /** Something was said; the client may have put a label on it. */
    Map<String, Object> said(Participant who, String text, String messageType) {
        return messageType == null
            ? append("Message", who, "text", text)
            : append("Message", who, "text", text, "messageType", messageType);
    }

    /** The events from a position on, that one included; 0 and less mean all. */
    List<Map<String, Object>> eventsFrom(long position) {
        int first = (int) Math.min(Math.max(position, 1), transcript.size() + 1L);
        return List.copyOf(transcript.subList(first - 1, transcript.size()));
    }

    /** The envelope of a success. */
    Map<String, Object> success(List<Map<String, Object>> events, boolean chatEnded) {
        return Json.object(
            "statusCode", 0,
            "chatEnded", chatEnded,
            "secureKey", secureKey,
            "userId", userId,
            "chatId", chatId,
            "alias", alias,
            "nextPosition", transcript.size() + 1,
            "messages", events);
    }

    /** The envelope of a request into a chat that has ended. */
    Map<String, Object> over(Refusal refusal) {
        return Json.object(
            "statusCode", 2,
            "chatEnded", true,
            "alias", alias,
            "chatId", chatId,
            "messages", List.of(),
            "errors", refusal.errors());
    }

    static String random(String alphabet, int length) {
        StringBuilder text = new StringBuilder();
        RANDOM.ints(length, 0, alphabet.length()).forEach(at -> text.append(alphabet.charAt(at)));
        return text.toString();
    }

    private Map<String, Object> append(String type, Participant from, Object... members) {
        Map<String, Object> event = Json.object("index", transcript.size() + 1, "type", type);
        event.putAll(Json.object(members));
        event.put("from", from.toMap());
        event.put("utcTime", System.currentTimeMillis());
        transcript.add(event);
        return event;
    }
}
