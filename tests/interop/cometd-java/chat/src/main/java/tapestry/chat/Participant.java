package tapestry.chat;

import java.util.Map;

/** Who said or did something, as it stands in the {@code from} of an event. */
record Participant(String nickname, int id, String type) {
    Map<String, Object> toMap() {
        return Json.object("nickname", nickname, "participantId", id, "type", type);
    }
}
