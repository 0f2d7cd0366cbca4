package tapestry.chat;

import java.util.List;
import java.util.Map;

/** Why a request fails: a code of GMS and words for a person. */
record Refusal(int code, String advice) {
    /** A parameter, the key or the operation is missing or unknown. */
    static final int PARAMETER = 100;
    /** The request for a chat names nobody. */
    static final int NAME = 161;
    /** A message has too many characters. */
    static final int TOO_LONG = 204;
    /** The key is wrong, or its chat has ended. */
    static final int NOT_EXECUTED = 249;

    static Refusal notExecuted(int reference) {
        return new Refusal(NOT_EXECUTED, "The request could not be executed. referenceId[" + reference + "]");
    }

    /** The envelope of a request that failed and touched no chat. */
    Map<String, Object> envelope() {
        return Json.object("statusCode", 2, "chatEnded", false, "messages", List.of(), "errors", errors());
    }

    List<Map<String, Object>> errors() {
        return List.of(Json.object("code", code, "advice", advice));
    }
}
