//! The Chat V2 client machine: one chat over one CometD connection, every transcript event shown once and in order.
//!
//! What makes it right where a naive client is wrong:
//!
//! * It asks `requestNotifications` with the index shown last after every transport loss and every re-handshake, since a
//!   server may lose an event whenever a connection breaks, and a new session gets none at all.
//! * Events are shown by index, each once. While an answer may still be under way, later events wait for it.
//! * A lost answer to `requestChat` is reported; a second chat is only started when the caller says so.
//! * The key goes to the chat that issued it and nowhere else; notifications of another chat are put aside.
//! * Operations go out one after the other, so that an answer, which carries no id, has one that it can be for.
//! * Files travel beside the messages; a lost answer is told and nothing is repeated.
//! * `chatEnded` counts whatever `statusCode` comes with it, and waiting for it has an end. Events that it overtook are
//!   waited for, and each message gets an outcome before it.

mod credentials;
mod ending;
mod files;
mod order;
mod parked;
mod request;
mod state;

use std::collections::VecDeque;
use std::time::Duration;

pub use self::credentials::OldIds;
use self::files::Jobs;
pub use self::files::{Contents, FileJob, FileOutcome};
use self::order::Order;
pub use self::parked::Parked;
use self::state::{Chat, Ending, Restore, Sending, State};
use crate::bayeux::client as bayeux;
use crate::bayeux::message::{Message, MessageId};
use crate::chat;
use crate::chat::notification::{ChatError, Event as Transcript, Notification, Status};
use crate::chat::operation::{Operation, Request, RequestChat};
use crate::machine::{Input, Machine, Output};
use crate::secret::Secret;
use crate::time::Time;
use crate::violation::Violation;
use crate::wire::{Transport, Wire};

/// Settings of a chat client.
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings of the connection below.
    pub bayeux: bayeux::Config,
    /// Name of the chat service: what follows `chat.` in the name of the GMS section.
    pub service: String,
    /// How long to wait for the application's answer to a request.
    pub answer_timeout: Duration,
    /// How long to wait for the answer to a request about files.
    pub file_timeout: Duration,
    /// How long to wait before a request that met `statusCode` 1 is repeated.
    pub unavailable_retry: Duration,
    /// How long a possible gap in the transcript stays open before the client asks for what is missing.
    pub reorder_window: Duration,
    /// `auth.encoded` of every request, for a service behind basic authentication; see [`chat::auth::encode`].
    pub auth: Option<Secret>,
    /// Whether requests name the chat by `userId`, `alias` and `chatId` too, as GMS before about 8.5.112 needs it.
    pub legacy_ids: bool,
    /// Which of the safeguards are on. All of them, but for tests that show what each is good for.
    pub safeguards: Safeguards,
}

impl Config {
    /// Usual settings for a service: answers within 10 s, files within 60 s, retries after 5 s, gaps for 500 ms.
    #[must_use]
    pub fn new(bayeux: bayeux::Config, service: impl Into<String>) -> Self {
        Self {
            bayeux,
            service: service.into(),
            answer_timeout: Duration::from_secs(10),
            file_timeout: Duration::from_secs(60),
            unavailable_retry: Duration::from_secs(5),
            reorder_window: Duration::from_millis(500),
            auth: None,
            legacy_ids: false,
            safeguards: Safeguards::default(),
        }
    }
}

/// What keeps a chat whole. Each can be switched off to see the loss, the double or the mix-up that it prevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safeguards {
    /// Show each index once.
    pub deduplicate: bool,
    /// Send `requestNotifications` after a re-handshake.
    pub restore_after_handshake: bool,
}

impl Default for Safeguards {
    fn default() -> Self {
        Self { deduplicate: true, restore_after_handshake: true }
    }
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is a chat already, or its outcome is not yet known.
    #[error("a chat was requested before")]
    AlreadyRequested,
    /// There is no chat to do it in.
    #[error("no chat is running")]
    NoChat,
}

/// Names one [`Client::send`] or another operation in the chat; counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SendId(pub u64);

/// What became of an operation: mostly of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Its echo came; of an operation that has none, an answer without events.
    Delivered,
    /// The server refused it.
    Failed(Vec<ChatError>),
    /// Its answer was lost and the transcript does not hold it. It was not repeated: that is the caller's choice.
    Missing,
    /// No answer came, because the chat ended or because the transcript cannot tell. The server may have taken it or not.
    Unknown,
    /// It was not executed: the chat ended before, or it told of typing that is past.
    Unsent,
    /// It was not sent: it is longer than the transport takes in one request.
    TooLong,
}

/// Why the chat is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server said `chatEnded`.
    ByServer,
    /// We asked for the end and it was not confirmed in time.
    Unconfirmed,
    /// The CometD session ended and will not come back.
    ConnectionClosed(bayeux::Closed),
}

/// What the application learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The chat runs.
    Started,
    /// The server refused to start it; without errors if the request is longer than the transport takes.
    StartFailed(Vec<ChatError>),
    /// The answer to `requestChat` was lost: a chat may or may not run. [`Client::start`] may be called again.
    StartOutcomeUnknown,
    /// An event of the transcript, each index once, in order.
    Shown(Transcript),
    /// An event without index, such as typing.
    Passing(Transcript),
    /// What became of an operation.
    Sent(SendId, Sent),
    /// What became of a request about files.
    Files(FileJob, FileOutcome),
    /// A request failed for good, though the chat goes on.
    RequestFailed(Vec<ChatError>),
    /// Chat Server cannot be reached (`statusCode` 1).
    ChatServerLost,
    /// Chat Server is back.
    ChatServerBack,
    /// The connection to GMS is lost; the client keeps trying.
    ConnectionLost,
    /// The connection stands again and the transcript is complete.
    Restored,
    /// The chat is over.
    Ended(Ended),
    /// The server broke a rule.
    Violated(Violation),
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The connection below has something due.
    Bayeux(bayeux::Timer),
    /// An application's answer is overdue.
    Answer,
    /// A request that met an unavailable Chat Server is due again.
    Unavailable,
    /// A gap in the transcript has stayed open long enough, or nothing more is to come of a chat that is over.
    Gap,
}

/// A Chat V2 client. See the module's text.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    channel: String,
    bayeux: bayeux::Client,
    state: State,
    sends: u64,
    jobs: Jobs,
    chat_server_lost: bool,
    connection_lost: bool,
    leaving: bool,
    outputs: VecDeque<Output<Event>>,
}

impl Client {
    /// Makes a client at rest.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            channel: chat::channel(&config.service),
            bayeux: bayeux::Client::new(config.bayeux.clone()),
            config,
            state: State::Idle,
            sends: 0,
            jobs: Jobs::default(),
            chat_server_lost: false,
            connection_lost: false,
            leaving: false,
            outputs: VecDeque::new(),
        }
    }

    /// Connects without asking for a chat yet. Does nothing if that was done before.
    pub fn connect(&mut self, now: Time) {
        let _ = self.bayeux.start(now);
        self.advance(now);
    }

    /// Starts a chat, connecting first if need be.
    ///
    /// # Errors
    ///
    /// [`Misuse::AlreadyRequested`] while there is a chat or a request for one, and after the end.
    pub fn start(&mut self, now: Time, request: RequestChat) -> Result<(), Misuse> {
        if !matches!(self.state, State::Idle) || self.leaving {
            return Err(Misuse::AlreadyRequested);
        }
        self.state = State::WantsChat { request, not_before: now };
        // The connection may stand from an earlier attempt; then there is nothing to start.
        let _ = self.bayeux.start(now);
        self.advance(now);
        Ok(())
    }

    /// Ends the chat and then leaves the CometD session.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`] unless a chat runs.
    pub fn end(&mut self, now: Time) -> Result<(), Misuse> {
        let deadline = now + self.config.answer_timeout;
        let State::Chatting(chat) = &mut self.state else { return Err(Misuse::NoChat) };
        if chat.ending.is_none() {
            chat.ending = Some(Ending { publish: None, attempts: 0, deadline });
        }
        self.advance(now);
        Ok(())
    }

    /// Leaves the CometD session without ending the chat.
    pub fn leave(&mut self, now: Time) {
        self.leaving = true;
        self.bayeux.disconnect(now);
        self.advance(now);
    }

    /// The index shown last; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        match &self.state {
            State::Chatting(chat) => chat.order.shown(),
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Over => 0,
        }
    }

    /// Whether a chat runs, everything of it known so far is shown, and nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match &self.state {
            State::Chatting(chat) => {
                chat.restore == Restore::Complete
                    && chat.order.is_empty()
                    && chat.outbox.is_empty()
                    && chat.sending.is_none()
                    && chat.ending.is_none()
                    && self.bayeux.is_connected()
            }
            State::Idle | State::Over => true,
            State::WantsChat { .. } | State::Requesting { .. } => false,
        }
    }

    /// Whether the machine is at its end: no chat, no session, nothing to come.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.bayeux.is_closed()
    }

    /// The connection below.
    #[must_use]
    pub const fn bayeux(&self) -> &bayeux::Client {
        &self.bayeux
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn put_wire(&mut self, wire: Wire) {
        self.outputs.push_back(Output::Wire(wire));
    }

    /// Asks for the transcript again as soon as may be.
    fn restore_later(&mut self, now: Time) {
        if let State::Chatting(chat) = &mut self.state
            && chat.restore == Restore::Complete
        {
            chat.restore = Restore::Due(now);
        }
    }

    fn publish(&mut self, now: Time, operation: Operation, key: Option<Secret>) -> Option<MessageId> {
        let request = Request { operation, secure_key: key };
        let data = self.accompany(request.to_value());
        let published = self.bayeux.publish(now, &self.channel, data);
        published.ok()
    }

    /// Takes what the connection has to say and sends whatever is due, until nothing moves.
    fn advance(&mut self, now: Time) {
        loop {
            let mut moved = false;
            while let Some(output) = self.bayeux.poll_output() {
                moved = true;
                match output {
                    Output::Wire(wire) => self.outputs.push_back(Output::Wire(wire)),
                    Output::Event(event) => self.on_bayeux(now, event),
                }
            }
            moved |= self.bayeux.is_connected() && self.send_next(now);
            if !moved {
                return;
            }
        }
    }

    /// Sends the next request that is due; says whether there was one. The connection stands.
    fn send_next(&mut self, now: Time) -> bool {
        let timeout = self.config.answer_timeout;
        match &mut self.state {
            State::WantsChat { request, not_before } if *not_before <= now => {
                let request = request.clone();
                let operation = Operation::RequestChat(request.clone());
                let Some(publish) = self.publish(now, operation, None) else { return false };
                self.state = State::Requesting { request, publish, deadline: now + timeout, lost: false };
                true
            }
            State::Chatting(chat) if chat.over_at.is_none() => {
                let key = chat.key.clone();
                if matches!(chat.restore, Restore::Due(at) if at <= now) {
                    let from = chat.order.shown();
                    let position = if chat.asks_for_repetition { from.saturating_sub(1) } else { from };
                    let position = i64::try_from(position).unwrap_or(i64::MAX);
                    let operation = Operation::RequestNotifications { transcript_position: Some(position) };
                    let Some(publish) = self.publish(now, operation, Some(key)) else { return false };
                    if let State::Chatting(chat) = &mut self.state {
                        let deadline = now + timeout;
                        chat.restore = Restore::Asked { publish, from, acknowledged: false, answered: false, deadline };
                    }
                    return true;
                }
                if !matches!(chat.restore, Restore::Complete) {
                    return false;
                }
                if let Some(sending) = &chat.sending {
                    return match sending.retry_at {
                        Some(at) if at <= now => self.send_operation(now),
                        Some(_) | None => false,
                    };
                }
                if !chat.outbox.is_empty() {
                    return self.send_operation(now);
                }
                match &chat.ending {
                    Some(Ending { publish: None, .. }) => self.send_end(now),
                    Some(_) | None => false,
                }
            }
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Chatting(_) | State::Over => {
                false
            }
        }
    }

    fn on_bayeux(&mut self, now: Time, event: bayeux::Event) {
        match event {
            bayeux::Event::Connected { new_session } => self.on_connected(now, new_session),
            bayeux::Event::ConnectionLost | bayeux::Event::SessionLost => self.on_connection_lost(now),
            // Chats go over service channels alone.
            bayeux::Event::HandshakeFailed
            | bayeux::Event::Subscribed(_)
            | bayeux::Event::SubscribeRefused(..)
            | bayeux::Event::Unsubscribed(..) => {}
            bayeux::Event::Delivered(message) => self.on_delivery(now, &message),
            bayeux::Event::Published(id, outcome) => self.on_published(now, &id, &outcome),
            bayeux::Event::Violated(violation) => self.emit(Event::Violated(violation)),
            bayeux::Event::Closed(why) => {
                self.abandon_jobs();
                let known = matches!(self.state, State::Over);
                if matches!(self.state, State::Requesting { .. }) {
                    self.emit(Event::StartOutcomeUnknown);
                }
                self.settle_sends();
                self.state = State::Over;
                if !known {
                    self.emit(Event::Ended(Ended::ConnectionClosed(why)));
                }
            }
        }
    }

    fn on_connected(&mut self, now: Time, new_session: bool) {
        self.connection_lost = false;
        let restores = !new_session || self.config.safeguards.restore_after_handshake;
        match &mut self.state {
            State::Chatting(chat) => {
                if restores {
                    chat.restore = Restore::Due(now);
                } else {
                    chat.restore = Restore::Complete;
                }
                if let Some(ending) = &mut chat.ending {
                    ending.publish = None;
                }
            }
            State::Requesting { lost: true, .. } if new_session => {
                // The server of the new session cannot know for whom the answer was.
                self.state = State::Idle;
                self.emit(Event::StartOutcomeUnknown);
            }
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Over => {}
        }
    }

    fn on_connection_lost(&mut self, now: Time) {
        self.drop_typing();
        match &mut self.state {
            State::Chatting(chat) => {
                // Nothing is sent until the connection stands again; then the transcript is asked for.
                chat.restore = Restore::Due(now);
                if let Some(sending) = &mut chat.sending {
                    sending.in_doubt = true;
                }
            }
            State::Requesting { lost, .. } => *lost = true,
            State::Idle | State::WantsChat { .. } | State::Over => return,
        }
        if !std::mem::replace(&mut self.connection_lost, true) {
            self.emit(Event::ConnectionLost);
        }
    }

    fn on_published(&mut self, now: Time, id: &MessageId, outcome: &bayeux::Outcome) {
        // The same again would be as long as before.
        let too_long = matches!(outcome, bayeux::Outcome::Unknown(bayeux::Loss::TooLong));
        let not_sent = too_long || matches!(outcome, bayeux::Outcome::Unknown(bayeux::Loss::NotSent));
        let refused = not_sent || matches!(outcome, bayeux::Outcome::Refused(_));
        let unknown = matches!(outcome, bayeux::Outcome::Unknown(_)) && !refused;
        let retry_at = now + self.config.unavailable_retry;
        match &mut self.state {
            State::Requesting { publish, .. } if publish == id && too_long => {
                self.state = State::Idle;
                self.emit(Event::StartFailed(Vec::new()));
            }
            State::Requesting { request, publish, lost, .. } if publish == id => {
                if refused {
                    // It was not executed: asking again starts no second chat.
                    self.state = State::WantsChat { request: request.clone(), not_before: retry_at };
                } else if unknown {
                    *lost = true;
                }
            }
            State::Chatting(chat) => {
                if let Restore::Asked { publish, acknowledged, .. } = &mut chat.restore
                    && publish == id
                {
                    if refused || unknown {
                        chat.restore = Restore::Due(retry_at);
                    } else {
                        *acknowledged = true;
                        chat.hasten_restore(now + self.config.reorder_window);
                    }
                } else if let Some(sending) = &mut chat.sending
                    && sending.publish == *id
                {
                    if request::is_typing(&sending.operation) && !refused && !unknown {
                        // Nothing that the user waits for is held up by an echo that may never come.
                        sending.deadline = now + self.config.reorder_window;
                    } else if too_long {
                        let id = sending.id;
                        chat.sending = None;
                        self.emit(Event::Sent(id, Sent::TooLong));
                    } else if refused {
                        sending.retry_at = Some(now);
                        sending.in_doubt = false;
                    } else if unknown {
                        sending.in_doubt = true;
                        chat.restore = Restore::Due(now);
                    }
                } else if let Some(ending) = &mut chat.ending
                    && ending.publish.as_ref() == Some(id)
                    && (refused || unknown)
                {
                    ending.publish = None;
                    chat.restore = Restore::Due(now);
                }
            }
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Over => {}
        }
    }

    fn on_delivery(&mut self, now: Time, message: &Message) {
        if message.channel() != Some(self.channel.as_str()) {
            return;
        }
        let Some(data) = message.data() else { return };
        let notification = Notification::parse(data.get());
        for violation in &notification.violations {
            self.emit(Event::Violated(*violation));
        }
        let ended = notification.chat_ended == Some(true);
        match notification.status {
            // The documented matrix has no end with another status than 0 or 2, but an end is an end.
            Some(Status::Unavailable) | None if ended => self.on_failed(now, &notification),
            Some(Status::Unavailable) => self.on_unavailable(now),
            Some(Status::Failed) => self.on_failed(now, &notification),
            Some(Status::Ok) => {
                if std::mem::take(&mut self.chat_server_lost) {
                    self.emit(Event::ChatServerBack);
                }
                self.on_success(now, notification);
            }
            None => {}
        }
    }

    fn on_unavailable(&mut self, now: Time) {
        let retry_at = now + self.config.unavailable_retry;
        if !std::mem::replace(&mut self.chat_server_lost, true) {
            self.emit(Event::ChatServerLost);
        }
        self.drop_typing();
        match &mut self.state {
            State::Requesting { request, lost: false, .. } => {
                self.state = State::WantsChat { request: request.clone(), not_before: retry_at };
            }
            State::Chatting(chat) => {
                if matches!(chat.restore, Restore::Asked { .. }) {
                    chat.restore = Restore::Due(retry_at);
                } else if let Some(sending) = &mut chat.sending {
                    sending.retry_at = Some(retry_at);
                }
            }
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Over => {}
        }
    }

    fn on_failed(&mut self, now: Time, notification: &Notification) {
        let errors = notification.errors.clone();
        let ended = notification.chat_ended == Some(true);
        match &mut self.state {
            State::Requesting { .. } => {
                self.state = State::Idle;
                self.emit(Event::StartFailed(errors));
            }
            State::Chatting(chat) => {
                if is_foreign(chat, notification) {
                    return;
                }
                if ended {
                    let one_order = self.bayeux.transport() == Transport::WebSocket;
                    self.on_ended(now, one_order);
                } else if matches!(chat.restore, Restore::Asked { .. }) {
                    chat.restore = Restore::Due(now + self.config.unavailable_retry);
                    self.emit(Event::RequestFailed(errors));
                } else if let Some(sending) = chat.sending.take_if(|sending| !sending.in_doubt) {
                    self.emit(Event::Sent(sending.id, Sent::Failed(errors)));
                } else {
                    self.emit(Event::RequestFailed(errors));
                }
            }
            State::Idle | State::WantsChat { .. } | State::Over => {}
        }
    }

    fn on_success(&mut self, now: Time, notification: Notification) {
        if let State::Requesting { lost, .. } = &self.state {
            let Some(key) = notification.secure_key.clone() else { return };
            // If the connection broke meanwhile, this need not be the first thing that the chat had to say.
            let restore = if *lost { Restore::Due(now) } else { Restore::Complete };
            self.state = State::Chatting(Box::new(Chat {
                key,
                chat_id: notification.chat_id.clone(),
                old_ids: OldIds::default(),
                order: Order::new(self.config.safeguards.deduplicate),
                restore,
                asks_for_repetition: false,
                outbox: VecDeque::new(),
                sending: None,
                ending: None,
                over_at: None,
            }));
            self.emit(Event::Started);
        }
        let one_order = self.bayeux.transport() == Transport::WebSocket;
        let window = self.config.reorder_window;
        let State::Chatting(chat) = &mut self.state else { return };
        if is_foreign(chat, &notification) {
            return;
        }
        if let Some(key) = &notification.secure_key {
            chat.key = key.clone();
        }
        chat.old_ids.learn(&notification);
        let next = notification.next_position.and_then(|next| u64::try_from(next).ok()).unwrap_or(0);
        let events = notification.messages.unwrap_or_default();
        let highest = events.iter().filter_map(|event| event.index).max().unwrap_or(0).max(next.saturating_sub(1));
        let mut restored = false;
        if let Restore::Asked { from, answered, .. } = &mut chat.restore {
            // The answer carries no id. It is the answer if it repeats what we have, or begins at the very beginning, or
            // says that there is nothing further.
            let repeats = events.iter().filter_map(|event| event.index).any(|index| index <= (*from).max(1));
            restored = repeats || (events.is_empty() && next > 0 && next <= *from + 1);
            *answered = true;
            chat.hasten_restore(now + window);
        }
        let answered = chat.take_answered(&events);
        let mut passing = Vec::new();
        for event in events {
            match event.index {
                Some(index) => chat.order.insert(index, event),
                None => passing.push(event),
            }
        }
        if restored {
            chat.restore = Restore::Complete;
            chat.asks_for_repetition = false;
            chat.order.complete_to(highest);
        } else if one_order && chat.restore == Restore::Complete {
            chat.order.complete();
        }
        for event in passing {
            self.emit(Event::Passing(event));
        }
        if let Some(id) = answered {
            self.emit(Event::Sent(id, Sent::Delivered));
        }
        self.show(now);
        if restored {
            self.emit(Event::Restored);
        }
        if notification.chat_ended == Some(true) {
            let complete = matches!(&self.state, State::Chatting(chat)
                if chat.order.is_empty() && highest > 0 && chat.order.shown() >= highest);
            self.on_ended(now, complete);
        }
    }

    /// Shows what can be shown.
    fn show(&mut self, now: Time) {
        let State::Chatting(chat) = &mut self.state else { return };
        if chat.restore != Restore::Complete {
            // The answer may begin before anything that waits.
            return;
        }
        let events = chat.take_events();
        chat.order.open_gap(now + self.config.reorder_window);
        let doubtful = chat.sending.take_if(|sending| sending.in_doubt && chat.order.is_empty());
        for event in events {
            self.emit(event);
        }
        if let Some(sending) = doubtful {
            if sending.retry_at.is_none() {
                let says = if request::is_recorded(&sending.operation) { Sent::Missing } else { Sent::Unknown };
                self.emit(Event::Sent(sending.id, says));
            } else if let State::Chatting(chat) = &mut self.state {
                chat.sending = Some(Sending { in_doubt: false, ..sending });
            }
        }
    }

    fn on_timeout(&mut self, now: Time) {
        match &mut self.state {
            State::Requesting { deadline, .. } if *deadline <= now => {
                self.state = State::Idle;
                self.emit(Event::StartOutcomeUnknown);
            }
            State::Chatting(chat) if chat.over_at.is_some() => {
                if chat.over_at.is_some_and(|at| at <= now) {
                    self.finish(now, Ended::ByServer);
                }
            }
            State::Chatting(chat) => {
                if let Restore::Asked { deadline, answered, acknowledged, .. } = &chat.restore
                    && *deadline <= now
                {
                    let answered = *answered && *acknowledged;
                    if answered && chat.asks_for_repetition {
                        // Whatever the server makes of a position, it had all the time there is.
                        chat.restore = Restore::Complete;
                        chat.asks_for_repetition = false;
                        chat.order.complete();
                        self.outputs.push_back(Output::Event(Event::Restored));
                    } else {
                        chat.restore = Restore::Due(now);
                        chat.asks_for_repetition |= answered;
                    }
                }
                if chat.restore == Restore::Complete && chat.order.gap().is_some_and(|at| at <= now) {
                    chat.restore = Restore::Due(now);
                }
                let mut given_up = None;
                if let Some(sending) = &mut chat.sending
                    && sending.deadline <= now
                    && !sending.in_doubt
                    && sending.retry_at.is_none()
                {
                    if request::may_be_recorded(&sending.operation) {
                        sending.in_doubt = true;
                        chat.restore = Restore::Due(now);
                    } else {
                        given_up = chat.sending.take();
                    }
                }
                let give_up = chat.ending.as_ref().is_some_and(|ending| ending.deadline <= now);
                if let Some(sending) = given_up {
                    self.emit(Event::Sent(sending.id, Sent::Unknown));
                }
                if give_up {
                    self.on_end_overdue(now);
                }
                self.show(now);
            }
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Over => {}
        }
    }

    fn own_deadline(&self) -> Option<(Time, Timer)> {
        match &self.state {
            State::WantsChat { not_before, .. } if self.bayeux.is_connected() => {
                Some((*not_before, Timer::Unavailable))
            }
            State::Requesting { deadline, .. } => Some((*deadline, Timer::Answer)),
            State::Chatting(chat) if chat.over_at.is_some() => chat.over_at.map(|at| (at, Timer::Gap)),
            State::Chatting(chat) => {
                let restore = match &chat.restore {
                    Restore::Complete => chat.order.gap().map(|at| (at, Timer::Gap)),
                    Restore::Due(at) if self.bayeux.is_connected() => Some((*at, Timer::Unavailable)),
                    Restore::Due(_) => None,
                    Restore::Asked { deadline, .. } => Some((*deadline, Timer::Answer)),
                };
                let restored = chat.restore == Restore::Complete;
                let sending = chat.sending.as_ref().filter(|_| restored).and_then(|sending| match sending.retry_at {
                    Some(at) if self.bayeux.is_connected() => Some((at, Timer::Unavailable)),
                    Some(_) => None,
                    None if sending.in_doubt => None,
                    None => Some((sending.deadline, Timer::Answer)),
                });
                let ending = chat.ending.as_ref().map(|ending| (ending.deadline, Timer::Answer));
                restore.into_iter().chain(sending).chain(ending).min()
            }
            State::Idle | State::WantsChat { .. } | State::Over => None,
        }
    }
}

fn is_foreign(chat: &Chat, notification: &Notification) -> bool {
    matches!((&chat.chat_id, &notification.chat_id), (Some(ours), Some(theirs)) if ours != theirs)
}

impl Machine for Client {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Wire(wire) => {
                if let Some(wire) = self.take_job_answer(now, wire) {
                    self.bayeux.handle_input(now, Input::Wire(wire));
                }
            }
            Input::Timeout => {
                self.bayeux.handle_input(now, Input::Timeout);
                self.advance(now);
                self.on_timeout(now);
                self.give_up_jobs(now);
            }
        }
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let below = self.bayeux.deadline().map(|(at, timer)| (at, Timer::Bayeux(timer)));
        let files = self.jobs.deadline().map(|at| (at, Timer::Answer));
        below.into_iter().chain(self.own_deadline()).chain(files).min()
    }
}
