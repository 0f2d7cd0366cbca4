//! Chats: who may get their notifications, what their transcript may say, and what their client may ask.
//!
//! A chat is known by the tokens of its `secureKey` and its `chatId`. A key may change, then the `chatId` ties both
//! together.

mod client;
mod files;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use protocol::bayeux::channel;
use protocol::chat::CHANNEL_PREFIX;
use protocol::chat::notification::{Event, Notification};
use protocol::secret::Secret;
use protocol::wire::Side;

use super::Findings;
use super::conversation::{Conversation, Role, Seen};
use super::files::Half;

/// Judges every chat and says how many there were.
pub(super) fn judge(conversation: &Conversation, halves: &[Half], findings: &mut Findings) -> usize {
    let mut book = Book {
        conversation,
        chats: Vec::new(),
        by_key: BTreeMap::new(),
        by_id: BTreeMap::new(),
        sessions: BTreeMap::new(),
        uploads: Vec::new(),
        announced: BTreeSet::new(),
    };
    let mut halves = halves.iter().peekable();
    for seen in &conversation.seen {
        while let Some(half) = halves.next_if(|half| half.entry() < seen.entry) {
            book.on_half(half, findings);
        }
        let on_chat = seen.channel().starts_with(CHANNEL_PREFIX);
        match (seen.from, seen.role) {
            (Side::Server, Role::Delivery) if on_chat => {
                if let Some(data) = seen.message.data() {
                    book.on_notification(seen, &Notification::parse(data.get()), findings);
                }
            }
            (Side::Client, _) if on_chat => book.on_operation(seen, findings),
            (Side::Client, _) if seen.channel() == channel::CONNECT => book.on_connect(seen, findings),
            (Side::Server, _) if seen.channel() == channel::HANDSHAKE => book.on_session(seen),
            (Side::Server, _) if seen.channel() == channel::CONNECT => book.on_connect_reply(seen),
            (Side::Client | Side::Server, _) => {}
        }
    }
    halves.for_each(|half| book.on_half(half, findings));
    book.chats.len()
}

/// Everything known of chats at one point of the conversation.
struct Book<'a> {
    conversation: &'a Conversation,
    chats: Vec<Chat>,
    by_key: BTreeMap<Secret, usize>,
    by_id: BTreeMap<Secret, usize>,
    sessions: BTreeMap<Option<usize>, Attachment>,
    /// Uploads that succeeded, in order.
    uploads: Vec<files::Uploaded>,
    /// The files that were announced.
    announced: BTreeSet<Secret>,
}

#[derive(Clone, Debug, Default)]
struct Chat {
    channel: String,
    ids: BTreeSet<Secret>,
    /// The session in which it was seen first.
    origin: Option<usize>,
    events: BTreeMap<u64, Known>,
    /// The notification that told its end.
    ended: Option<Seen>,
    /// The last notification.
    last: Option<Seen>,
    /// The entry of the last request for its notifications.
    last_asked: Option<usize>,
}

/// What tells one event from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    kind: Option<String>,
    participant: Option<(i64, String)>,
    utc_time: Option<i64>,
    text: Option<Secret>,
}

impl Known {
    fn of(event: &Event) -> Self {
        let participant = event.from.as_ref();
        Self {
            kind: event.kind.clone(),
            participant: participant.map(|from| (from.participant_id, from.kind.as_str().to_owned())),
            utc_time: event.utc_time,
            text: event.text.as_deref().map(Secret::new),
        }
    }
}

/// What a session has to do with chats.
#[derive(Clone, Debug, Default)]
struct Attachment {
    /// How many chats it asked for.
    requested: usize,
    /// Chats that it started: seen first here.
    started: BTreeSet<usize>,
    /// Keys that it sent.
    keys: BTreeSet<Secret>,
    /// Chats whose notifications it asked for.
    asked: BTreeSet<usize>,
    /// Chats that it has, from its own start or from the session before.
    running: BTreeSet<usize>,
    /// Good connect replies since the handshake.
    connected: u32,
}

impl Book<'_> {
    /// A new session takes over the chats of the one before.
    fn on_session(&mut self, seen: &Seen) {
        let Some(session) = seen.session else { return };
        let before = self.conversation.sessions.get(session).and_then(|session| session.before);
        let inherited = self.sessions.get(&before).filter(|_| before.is_some()).map(|before| before.running.clone());
        self.sessions.entry(Some(session)).or_default().running = inherited.unwrap_or_default();
    }

    fn on_connect_reply(&mut self, seen: &Seen) {
        if seen.session.is_some() && seen.message.successful() == Some(true) {
            self.sessions.entry(seen.session).or_default().connected += 1;
        }
    }

    /// Whether the stream shows the session from its handshake on.
    fn is_whole(&self, session: Option<usize>) -> bool {
        let session = session.and_then(|session| self.conversation.sessions.get(session));
        session.is_some_and(|session| session.named.is_some())
    }

    fn has_ended(&self, chat: usize) -> bool {
        self.chats.get(chat).is_some_and(|chat| chat.ended.is_some())
    }
}
