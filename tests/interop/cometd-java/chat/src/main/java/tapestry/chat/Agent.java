package tapestry.chat;

/** The agent of every chat: joins after a while, greets, repeats what the client says, and closes on a word. */
final class Agent {
    private static final String NICKNAME = "Morgan";
    private static final String GREETING = "Hello, this is Morgan. How can I help?";
    private static final String CLOSES_ON = "bye";
    private static final String FAREWELL = "Goodbye.";
    private static final long JOINS_AFTER_MS = 300;
    private static final long ANSWERS_AFTER_MS = 200;
    /** How much of the client's words an answer repeats, in characters. */
    private static final int REPEATED = 200;

    private final ChatServer server;

    Agent(ChatServer server) {
        this.server = server;
    }

    void chatStarted(Room room) {
        whileRunning(room, JOINS_AFTER_MS, () -> {
            server.agentJoins(room, NICKNAME);
            server.agentSays(room, GREETING);
        });
    }

    void clientSaid(Room room, String words) {
        // What comes before the agent has joined is answered thereafter.
        long delay = room.agent == null ? JOINS_AFTER_MS + ANSWERS_AFTER_MS : ANSWERS_AFTER_MS;
        whileRunning(room, delay, () -> {
            if (words.trim().equalsIgnoreCase(CLOSES_ON)) {
                server.agentSays(room, FAREWELL);
                server.agentEnds(room);
            } else {
                int end = words.offsetByCodePoints(0, Math.min(REPEATED, words.codePointCount(0, words.length())));
                server.agentSays(room, "You wrote: " + words.substring(0, end));
            }
        });
    }

    private void whileRunning(Room room, long milliseconds, Runnable task) {
        server.after(milliseconds, () -> {
            if (!room.ended) {
                task.run();
            }
        });
    }
}
