package tapestry.chat;

import java.util.LinkedHashMap;
import java.util.Map;

/** Objects as CometD's own JSON parser and generator know them: maps, here with their members in order. */
final class Json {
    private Json() {
    }

    /** An object of names and values in turn. */
    static Map<String, Object> object(Object... members) {
        Map<String, Object> object = new LinkedHashMap<>();
        for (int at = 0; at < members.length; at += 2) {
            object.put((String) members[at], members[at + 1]);
        }
        return object;
    }

    /** A member that is a text, else null. */
    static String text(Map<?, ?> object, String name) {
        return object.get(name) instanceof String text ? text : null;
    }

    /** A member that is a text with at least one character, else null. */
    static String filled(Map<?, ?> object, String name) {
        String text = text(object, name);
        return text == null || text.isEmpty() ? null : text;
    }
}
