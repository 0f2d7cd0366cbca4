//! Publishes and events: who gets what, and by which way it goes (Bayeux 5).

use std::time::Duration;

use crate::bayeux::channel;
use crate::bayeux::dialect::WithoutSocket;
use crate::bayeux::message::Message;
use crate::bayeux::server::extension::copy_without;
use crate::bayeux::server::malformed::{Fault, channel_key};
use crate::bayeux::server::session::{Carrier, HeldOn};
use crate::bayeux::server::settings::lists;
use crate::bayeux::server::work::{Within, Work};
use crate::bayeux::server::{Event, Server, SessionId, meta};
use crate::time::Time;

impl Server {
    /// Answers a publish, tells the layer above of it, and on a broadcast channel sends it to whoever subscribed.
    pub(super) fn publish(
        &mut self,
        work: &Work,
        id: SessionId,
        name: &str,
        message: &Message,
    ) -> Result<Message, Fault> {
        let errors = &self.settings.dialect.errors;
        let policy = &self.settings.policy;
        if channel::is_meta(name) {
            return Ok(self.failure(message, &errors.create_denied).finish());
        }
        let key = channel_key(name, &self.settings.dialect.validation)?;
        if !self.channels.exist(&key, self.now) && lists(&policy.deny_create, &key) {
            return Ok(self.failure(message, &errors.create_denied).finish());
        }
        if lists(&policy.deny_publish, &key) {
            return Ok(self.failure(message, &errors.publish_denied).finish());
        }
        if channel::is_pattern(&key) && !self.settings.dialect.validation.publish_to_patterns {
            return Err(Fault);
        }
        if lists(&policy.veto, &key) {
            return Ok(match &errors.message_deleted {
                Some(error) => self.failure(message, error).finish(),
                None => self.success(message),
            });
        }
        self.channels.create(&key, self.now, self.settings.bounds.channels)?;
        self.emit(Event::Published(id, message.clone()));
        if !channel::is_service(&key) {
            self.broadcast(work, id, &key, message);
        }
        Ok(self.success(message))
    }

    /// Sends a publish to each subscriber once, with every member that the publisher gave it but the clientId (BX-FLD-07).
    fn broadcast(&mut self, work: &Work, publisher: SessionId, key: &str, message: &Message) {
        let dialect = &self.settings.dialect;
        let hidden: &[&str] = if dialect.events.keep_id { &["clientId"] } else { &["clientId", "id"] };
        let event = copy_without(message, hidden).finish();
        let to_publisher = dialect.options.broadcast_to_publisher;
        for subscriber in self.channels.subscribers(key) {
            if subscriber != publisher || to_publisher {
                self.carry(work.now, subscriber, event.clone(), work.within(subscriber));
            }
        }
    }

    /// Brings an event on its way. On a WebSocket it goes out at once; on long-polling it goes back with the request of
    /// its own session that it came up in, else with the held connect, else it waits for the next request.
    pub(super) fn carry(&mut self, now: Time, to: SessionId, event: Message, within: Option<Within>) {
        let dialect = &self.settings.dialect;
        let Some(session) = self.sessions.get(&to) else { return };
        let socket = match (within, session.carrier) {
            (Some(Within::Handshake), _) => None,
            (Some(Within::Socket(socket)), _) | (_, Carrier::Socket(socket)) => Some(socket),
            (Some(Within::Http) | None, Carrier::LongPolling | Carrier::CallbackPolling) => None,
        };
        let socket = socket.filter(|_| !self.by_connect_only(session));
        let (frames, without_socket) = (dialect.options.messages_per_frame != 1, dialect.events.without_socket);
        let too_early = within.is_none() && session.reached < dialect.events.pushed_since;
        let open = socket.filter(|socket| self.sockets.contains_key(socket));
        let max_lazy = Duration::from_millis(dialect.options.max_lazy_ms);
        let lazy = !max_lazy.is_zero() && lists(&self.settings.lazy, event.channel().unwrap_or_default());
        let counts = dialect.options.extensions.activity.is_some_and(|activity| activity.server_counts);
        let Some(session) = self.sessions.get_mut(&to) else { return };
        if counts {
            session.active_at = now;
        }
        // A request over HTTP takes along what comes up in it, so that nothing has to be timed.
        if lazy && within != Some(Within::Http) {
            session.lazy_due.get_or_insert(now + max_lazy);
        }
        match (socket, open) {
            (Some(_), _) if too_early => self.keep(to, event, lazy),
            (Some(_), Some(_)) if lazy || (within.is_some() && frames) => self.keep(to, event, lazy),
            (Some(_), Some(open)) => {
                let waiting = self.export(to, None);
                self.frames(open, &[waiting, vec![event]].concat());
            }
            (Some(_), None) => {
                let first = !std::mem::replace(&mut session.lost_one, true);
                match without_socket {
                    WithoutSocket::Lost => {}
                    WithoutSocket::FirstLost if first => {}
                    WithoutSocket::FirstLost | WithoutSocket::Kept => self.keep(to, event, lazy),
                }
            }
            (None, _) => {
                self.keep(to, event, lazy);
                if within.is_none() && !lazy {
                    self.release(now, to, Vec::new());
                }
            }
        }
    }

    /// Lets an event wait, and tells the layer above if as many wait as the operator set.
    fn keep(&mut self, to: SessionId, event: Message, lazy: bool) {
        let Some(session) = self.sessions.get(&to) else { return };
        let most = usize::try_from(self.settings.dialect.options.max_queue).ok().filter(|most| *most > 0);
        let maxed = most.is_some_and(|most| session.queue.len() >= most);
        let mut bounds = self.settings.bounds;
        let others = self.waiting_bytes - session.queue.bytes();
        bounds.queue_bytes = bounds.queue_bytes.min(bounds.all_queues_bytes.saturating_sub(others));
        self.on_queue(to, |queue| queue.push(event, lazy, &bounds));
        if maxed {
            self.emit(Event::QueueMaxed(to));
        }
    }

    /// Lazy events have waited long enough. If nothing can carry them, they wait for the next response after all.
    pub(super) fn send_lazy(&mut self, now: Time, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.lazy_due = None;
        let Some(session) = self.sessions.get(&id).filter(|session| session.queue.has_unsent()) else { return };
        let pushes = session.reached >= self.settings.dialect.events.pushed_since;
        match session.carrier {
            Carrier::Socket(socket) if !self.by_connect_only(session) => {
                if pushes && self.sockets.contains_key(&socket) {
                    let events = self.export(id, None);
                    self.frames(socket, &events);
                }
            }
            Carrier::Socket(_) | Carrier::LongPolling | Carrier::CallbackPolling => self.release(now, id, Vec::new()),
        }
    }

    /// Answers the held connect, if there is one, with what is queued and `before` ahead of the reply.
    pub(super) fn release(&mut self, now: Time, id: SessionId, before: Vec<Message>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(held) = session.held.take() else { return };
        session.touch(now);
        let carrier = session.carrier;
        let (reply, closed) = self.connect_reply(id, &held.answer);
        let mut events = self.export(id, closed);
        events.extend(before);
        let replies = [held.before, vec![reply], held.behind].concat();
        match (held.on, carrier) {
            (HeldOn::Exchange { exchange, callback, .. }, _) => {
                self.answer(exchange, callback.as_deref(), &[events, replies].concat(), None);
            }
            (HeldOn::Socket, Carrier::Socket(socket)) => {
                self.frames(socket, &events);
                self.text(socket, &replies);
            }
            (HeldOn::Socket, Carrier::LongPolling | Carrier::CallbackPolling) => {}
        }
    }

    /// Releases the held connect of a session that ends (BX-DC-03).
    pub(super) fn leave(&mut self, now: Time, id: SessionId, before: Vec<Message>) {
        if let Some(held) = self.sessions.get_mut(&id).and_then(|session| session.held.as_mut()) {
            held.answer.advice = Some(meta::advice_to_stop());
        }
        self.release(now, id, before);
    }
}
