//! A request in work: its messages one by one, then its replies in one piece.
//!
//! The order inside is CometD's: events before the replies to what caused them, on long-polling in one array, on a
//! WebSocket in frames of their own ahead of one for all replies. Only the reply to a handshake comes first.

use std::collections::VecDeque;

use crate::bayeux::channel;
use crate::bayeux::dialect::{BatchSession, BatchedSocket, PushedSince};
use crate::bayeux::message::Message;
use crate::bayeux::server::extension::{Ext, Timesync, copy_without};
use crate::bayeux::server::http::container;
use crate::bayeux::server::malformed::{self, Fault};
use crate::bayeux::server::session::{Carrier, Held, HeldOn, Session};
use crate::bayeux::server::{Event, Rejected, Server, SessionId};
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Socket, Transport};

/// How a request came.
#[derive(Clone, Debug)]
pub(super) enum Via {
    Http {
        exchange: Exchange,
        /// The browser cookie of the request.
        browser: Option<Secret>,
        /// Whether it has an `Origin`, as requests of pages from elsewhere have.
        has_origin: bool,
        /// The function to call, if it came by callback-polling.
        callback: Option<String>,
    },
    Socket(Socket),
}

impl Via {
    /// The transport as events name it.
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Http { callback: None, .. } => Transport::LongPolling,
            Self::Http { callback: Some(_), .. } => Transport::CallbackPolling,
            Self::Socket(_) => Transport::WebSocket,
        }
    }

    pub(super) const fn carrier(&self) -> Carrier {
        match self {
            Self::Http { callback: None, .. } => Carrier::LongPolling,
            Self::Http { callback: Some(_), .. } => Carrier::CallbackPolling,
            Self::Socket(socket) => Carrier::Socket(*socket),
        }
    }
}

/// The request that an event of its own session came up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// The handshake that opened the session.
    Handshake,
    Http,
    Socket(Socket),
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) now: Time,
    pub(super) via: Via,
    /// Whether the request held more than one message.
    pub(super) batched: bool,
    waiting: VecDeque<Message>,
    /// Whose request it is.
    pub(super) session: Option<SessionId>,
    /// Whether a message was looked at for whose request it is.
    looked: bool,
    /// Whether it opened the session.
    pub(super) opened: bool,
    /// What was queued for a session that the request ended.
    pub(super) left_over: Vec<Message>,
    pub(super) replies: Vec<Message>,
    /// What is sent on the socket behind the replies.
    pub(super) afterwards: Vec<Message>,
    /// The browser cookie to set.
    pub(super) new_browser: Option<Secret>,
    /// Whether a connect of this request is held, and behind how many replies.
    pub(super) held: Option<usize>,
    /// Whether a connect of this request is answered with it.
    pub(super) connected: bool,
    /// The batch of the `ack` extension that a reply of this request closed.
    pub(super) closed_batch: Option<u64>,
}

impl Work {
    pub(super) fn new(now: Time, via: Via, messages: Vec<Message>) -> Self {
        Self {
            now,
            via,
            batched: messages.len() > 1,
            waiting: messages.into(),
            session: None,
            looked: false,
            opened: false,
            left_over: Vec::new(),
            replies: Vec::new(),
            afterwards: Vec::new(),
            new_browser: None,
            held: None,
            connected: false,
            closed_batch: None,
        }
    }

    pub(super) const fn socket(&self) -> Option<Socket> {
        match self.via {
            Via::Socket(socket) => Some(socket),
            Via::Http { .. } => None,
        }
    }

    pub(super) const fn exchange(&self) -> Option<Exchange> {
        match self.via {
            Via::Http { exchange, .. } => Some(exchange),
            Via::Socket(_) => None,
        }
    }

    /// What of this request an event for the session comes up in; nothing if it is another's request.
    pub(super) fn within(&self, session: SessionId) -> Option<Within> {
        if self.session != Some(session) {
            return None;
        }
        Some(match self.via {
            _ if self.opened => Within::Handshake,
            Via::Http { .. } => Within::Http,
            Via::Socket(socket) => Within::Socket(socket),
        })
    }
}

impl Server {
    /// Works off the next message of the request in work, or ends it.
    pub(super) fn step(&mut self) {
        let Some(mut work) = self.work.take() else { return };
        let Some(message) = work.waiting.pop_front() else { return self.finish(work) };
        match self.process(&mut work, &message) {
            Ok(reply) => {
                work.replies.extend(reply);
                self.work = Some(work);
            }
            Err(Fault) => self.fail(&work),
        }
    }

    fn process(&mut self, work: &mut Work, message: &Message) -> Result<Option<Message>, Fault> {
        let timesync = self.timesync_of(message);
        if let Some(error) = malformed::check(message, &self.settings.dialect)? {
            return Ok(Some(self.failure(message, error).finish()));
        }
        let name = message.channel().unwrap_or_default();
        if name == channel::HANDSHAKE {
            return self.handshake(work, message, timesync).map(Some);
        }
        let Some(session) = self.sender(work, message) else {
            return Ok(Some(self.with_ext(self.unknown_session_of(message), message, false, timesync)));
        };
        if name == channel::CONNECT {
            return self.connect(work, session, message, timesync);
        }
        let mut acks = false;
        let puts_off = self.settings.dialect.disconnects.messages_put_expiry_off;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.active_at = work.now;
            acks = session.queue.acks();
            let expiry = session.held.as_mut().and_then(|held| held.expires.as_mut()).filter(|_| puts_off);
            if let Some((expiry, by)) = expiry.and_then(|expiry| expiry.put_off.map(|by| (expiry, by))) {
                expiry.at = work.now + by;
            }
        }
        let reply = match name {
            channel::DISCONNECT => self.end(work, session, message),
            channel::SUBSCRIBE => self.subscribe(session, message)?,
            channel::UNSUBSCRIBE => self.unsubscribe(session, message)?,
            _ => return self.publish(work, session, name, message).map(Some),
        };
        Ok(Some(self.with_ext(reply, message, acks, timesync)))
    }

    /// What the `timesync` extension is asked, if it is installed.
    fn timesync_of(&self, message: &Message) -> Option<Timesync> {
        self.settings.dialect.options.extensions.timesync.then(|| Timesync::parse(message, self.utc_ms())).flatten()
    }

    /// The reply to a meta message with what the extensions add. Once events are acknowledged, every one has an `ext`, if
    /// an empty one.
    fn with_ext(&self, reply: Message, to: &Message, acks: bool, timesync: Option<Timesync>) -> Message {
        let mut ext = Ext::default();
        if acks {
            ext.present();
        }
        if let Some(answer) = timesync.and_then(|timesync| timesync.answer(self.utc_ms()))
            && channel::is_meta(to.channel().unwrap_or_default())
        {
            ext.set("timesync", answer);
        }
        ext.add_to(copy_without(&reply, &["ext"])).finish()
    }

    /// The session that a message speaks for, if it is the sender's own: over HTTP the browser cookie must match (CometD
    /// #608), on a WebSocket no other live session may have used the socket.
    fn sender(&mut self, work: &mut Work, message: &Message) -> Option<SessionId> {
        let named = message.client_id().and_then(|client| self.session(client));
        let sender = match &work.via {
            Via::Http { browser, .. } => {
                let own = named.filter(|id| self.answers_to(*id, browser.as_ref()));
                let current = work.session.filter(|id| self.sessions.contains_key(id));
                match self.settings.dialect.validation.batch_session {
                    BatchSession::First => current.or(own),
                    BatchSession::Latest => own.or(current),
                    BatchSession::Named if work.looked => current.filter(|id| named == Some(*id)),
                    BatchSession::Named => own,
                }
            }
            Via::Socket(socket) => {
                let bound_only = self.settings.dialect.options.handshake_per_socket;
                let open = self.sockets.get_mut(socket)?;
                match open.session {
                    Some(bound) => named.filter(|id| *id == bound),
                    None if bound_only => None,
                    None => {
                        open.session = named;
                        named
                    }
                }
            }
        };
        work.looked = true;
        if sender.is_some() {
            work.session = sender;
        }
        if let Some(session) = sender.and_then(|id| self.sessions.get_mut(&id))
            && work.socket().is_some()
        {
            session.reached = session.reached.max(PushedSince::FirstMessage);
        }
        sender
    }

    fn answers_to(&self, id: SessionId, browser: Option<&Secret>) -> bool {
        let owner = self.sessions.get(&id).and_then(|session| session.browser.as_ref());
        !self.settings.dialect.browser.owns_sessions || (owner.is_some() && owner == browser)
    }

    fn finish(&mut self, mut work: Work) {
        let holds = work.held.is_some();
        if holds && work.socket().is_none() {
            // The exchange stays open, and whatever else it asked for is not answered.
            if let Some(id) = work.session
                && self.sessions.get(&id).is_some_and(|session| session.queue.has_new())
            {
                self.release(work.now, id, Vec::new());
            }
            return;
        }
        let mut events = std::mem::take(&mut work.left_over);
        events.extend(self.events_for(&work));
        if work.opened && self.settings.dialect.options.deliver_during_handshake && !events.is_empty() {
            work.replies = work
                .replies
                .iter()
                .map(|reply| copy_without(reply, &[]).with("x-messages", events.len()).finish())
                .collect();
        }
        match work.via.clone() {
            Via::Http { exchange, callback, .. } => {
                let replies = std::mem::take(&mut work.replies);
                let messages = if work.opened { [replies, events].concat() } else { [events, replies].concat() };
                let cookie = work.new_browser.as_ref();
                self.answer(exchange, callback.as_deref(), &messages, cookie);
            }
            Via::Socket(socket) => {
                let replies = self.replies_now(&mut work);
                if work.opened {
                    self.text(socket, &replies);
                    self.frames(socket, &events);
                } else {
                    self.frames(socket, &events);
                    self.text(socket, &replies);
                }
                self.text(socket, &work.afterwards);
            }
        }
        // What must travel with a connect waits for the one that is held, if there is one.
        if let Some(id) = work.session
            && self.sessions.get(&id).is_some_and(|session| self.by_connect_only(session) && session.queue.has_new())
        {
            self.release(work.now, id, Vec::new());
        }
    }

    /// The queued events that go out with the replies of a request.
    fn events_for(&mut self, work: &Work) -> Vec<Message> {
        let dialect = &self.settings.dialect;
        let rides = dialect.options.deliver_during_handshake;
        let along = work.socket().is_none() || dialect.events.replies_take_along || work.held.is_some();
        let puts_off = work.opened || work.connected || dialect.disconnects.messages_put_expiry_off;
        let Some(session) = work.session.and_then(|id| self.sessions.get(&id)) else { return Vec::new() };
        let due = match work.opened {
            true => rides,
            false => work.connected || (!self.by_connect_only(session) && (along || session.queue.has_new())),
        };
        let Some(session) = work.session.and_then(|id| self.sessions.get_mut(&id)) else { return Vec::new() };
        if puts_off {
            session.touch(work.now);
        }
        let closed = if work.opened && rides { session.queue.close_batch() } else { work.closed_batch };
        match work.session {
            Some(id) if due => self.export(id, closed),
            Some(_) | None => Vec::new(),
        }
    }

    /// The replies that a frame is sent with at once: where a connect of the same frame is held, the dialect says what
    /// becomes of the others.
    fn replies_now(&mut self, work: &mut Work) -> Vec<Message> {
        let mut replies = std::mem::take(&mut work.replies);
        let held = work.session.and_then(|id| self.sessions.get_mut(&id)).and_then(|session| session.held.as_mut());
        let (Some(in_front), Some(held)) = (work.held, held) else { return replies };
        match self.settings.dialect.connects.batched_socket {
            BatchedSocket::Sent => replies,
            BatchedSocket::Lost => Vec::new(),
            BatchedSocket::Withheld => {
                held.behind = replies.split_off(in_front.min(replies.len()));
                held.before = replies;
                Vec::new()
            }
        }
    }

    /// Whether events of the session travel with connect replies alone.
    pub(super) fn by_connect_only(&self, session: &Session) -> bool {
        let asked = self.settings.dialect.options.meta_connect_deliver_only;
        asked || session.queue.acks() || session.carrier == Carrier::CallbackPolling
    }

    /// Ends the whole request as CometD does when its own code throws. What was executed stays executed.
    fn fail(&mut self, work: &Work) {
        if let Some(session) = work.session.and_then(|id| self.sessions.get_mut(&id))
            && matches!(&session.held, Some(Held { on: HeldOn::Exchange { exchange, .. }, .. }) if Some(*exchange) == work.exchange())
        {
            session.held = None;
            session.touch(work.now);
        }
        self.emit(Event::Rejected(work.via.transport(), Rejected::Protocol));
        match work.via {
            Via::Http { exchange, .. } => self.respond(exchange, container(500, "Server Error")),
            Via::Socket(socket) => self.close(work.now, socket, 1011, "protocol violation"),
        }
    }
}
