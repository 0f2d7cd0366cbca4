//! Publishes and events: who gets what, and by which way it goes (Bayeux 5).

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
        let (frames, without_socket) = (dialect.options.messages_per_frame > 1, dialect.events.without_socket);
        let too_early = within.is_none() && !session.connected && !dialect.events.before_connect;
        let open = socket.filter(|socket| self.sockets.contains_key(socket));
        let bounds = self.settings.bounds;
        let Some(session) = self.sessions.get_mut(&to) else { return };
        if dialect.options.extensions.activity.is_some_and(|activity| activity.server_counts) {
            session.active_at = now;
        }
        match (socket, open) {
            (Some(_), _) if too_early => session.queue.push(event, &bounds),
            (Some(_), Some(_)) if within.is_some() && frames => session.queue.push(event, &bounds),
            (Some(_), Some(open)) => self.text(open, &[event]),
            (Some(_), None) => {
                let first = !std::mem::replace(&mut session.lost_one, true);
                match without_socket {
                    WithoutSocket::Lost => {}
                    WithoutSocket::FirstLost if first => {}
                    WithoutSocket::FirstLost | WithoutSocket::Kept => session.queue.push(event, &bounds),
                }
            }
            (None, _) => {
                session.queue.push(event, &bounds);
                if within.is_none() {
                    self.release(now, to, Vec::new());
                }
            }
        }
    }

    /// Answers the held connect, if there is one, with what is queued and `before` ahead of the reply.
    pub(super) fn release(&mut self, now: Time, id: SessionId, before: Vec<Message>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(held) = session.held.take() else { return };
        session.touch(now);
        let (reply, closed) = self.connect_reply(id, &held.answer);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let mut events = session.queue.export(closed);
        events.extend(before);
        let replies = [held.before, vec![reply], held.behind].concat();
        match (held.on, session.carrier) {
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
