//! What the client makes of what comes: replies, events, losses.

use std::time::Duration;

use serde_json::Value;

use crate::bayeux::advice::Reconnect;
use crate::bayeux::channel;
use crate::bayeux::client::carrier::Arrival;
use crate::bayeux::client::extension::Ack;
use crate::bayeux::client::{Client, Closed, Event, Kind, LONGEST, Loss, Outcome, Pending, Session, State, version};
use crate::bayeux::message::{Message, MessageId};
use crate::time::Time;
use crate::wire::{Failure, Transport};

impl Client {
    pub(super) fn on_arrival(&mut self, now: Time, arrival: Arrival) {
        match arrival {
            Arrival::Messages(messages) => {
                for message in messages {
                    self.on_message(now, message);
                }
                self.connect_first(now);
            }
            Arrival::Lost(ids, loss) => {
                for id in ids {
                    self.on_lost(now, &id, &loss);
                }
            }
            // Between two connects nothing waits on the socket, and yet events may be lost with it.
            Arrival::SocketGone if self.is_connected() => self.on_connect_lost(now),
            Arrival::SocketGone => {}
            Arrival::Refused(ids) => self.on_refused(now, &ids),
        }
    }

    fn on_refused(&mut self, now: Time, ids: &[MessageId]) {
        let handshaking = matches!(self.state, State::AwaitingHandshake);
        let fallback = self.config.transports.iter().find(|transport| **transport != Transport::WebSocket).copied();
        if let Some(fallback) = fallback.filter(|_| handshaking && !self.carrier.ever_open()) {
            for id in ids {
                self.pending.remove(id);
            }
            self.carrier.switch(fallback);
            self.handshake(now);
            return;
        }
        for id in ids {
            self.on_lost(now, id, &Loss::NotSent);
        }
    }

    pub(super) fn on_lost(&mut self, now: Time, id: &MessageId, loss: &Loss) {
        let Some(pending) = self.pending.remove(id) else { return };
        match pending.kind {
            Kind::Handshake => {
                self.failures = self.failures.saturating_add(1);
                self.emit(Event::HandshakeFailed);
                let backoff = self.backoff();
                self.handshake_later(now, backoff);
            }
            Kind::Connect => {
                if let State::Polling(session) = &mut self.state {
                    session.patient = session.at_once && *loss == Loss::Connection(Failure::TimedOut);
                }
                self.on_connect_lost(now);
            }
            Kind::Publish | Kind::Subscribe | Kind::Unsubscribe => self.tell_loss(id.clone(), pending, loss.clone()),
            Kind::Disconnect => self.leave_if_done(true),
        }
    }

    fn on_connect_lost(&mut self, now: Time) {
        let State::Polling(session) = &mut self.state else {
            self.leave_if_done(false);
            return;
        };
        session.at_once = true;
        let was_connected = std::mem::replace(&mut session.connected, false);
        let away = now.since(*session.lost_at.get_or_insert(now));
        self.failures = self.failures.saturating_add(1);
        if was_connected {
            self.emit(Event::ConnectionLost);
        }
        let backoff = self.backoff();
        if self.kept_for().is_some_and(|kept| away + backoff > kept) {
            self.lose_session(now);
        } else {
            self.connect_later(now, backoff);
        }
    }

    /// For how long the server keeps a session that does not connect, if it told (BX-ADV-16).
    fn kept_for(&self) -> Option<Duration> {
        let max_interval = self.advice.max_interval.and_then(|millis| u64::try_from(millis).ok())?;
        let interval = self.interval().unwrap_or_default();
        (max_interval > 0).then(|| self.advised_timeout() + interval + Duration::from_millis(max_interval).min(LONGEST))
    }

    fn on_message(&mut self, now: Time, message: Message) {
        for violation in message.violations() {
            self.emit(Event::Violated(*violation));
        }
        let is_meta = message.channel().is_some_and(channel::is_meta);
        if is_meta && self.config.extensions.timesync {
            let utc_ms = self.utc_ms(now);
            self.timesync.on_answer(&message, utc_ms);
        }
        match message.channel() {
            Some(channel::HANDSHAKE) => self.on_handshake_reply(now, &message),
            Some(channel::CONNECT) => self.on_connect_reply(now, &message),
            Some(channel::DISCONNECT) => self.on_disconnect_message(&message),
            Some(channel::SUBSCRIBE) => self.on_subscribe_reply(now, &message),
            Some(channel::UNSUBSCRIBE) => self.on_unsubscribe_reply(now, &message),
            Some(_) if is_meta => {}
            Some(_) if message.is_publish_reply() => self.on_publish_reply(now, &message),
            Some(_) if message.data().is_some() => self.on_event(message),
            Some(_) | None => {}
        }
    }

    fn on_event(&mut self, event: Message) {
        let is_new = self.ack.as_mut().is_none_or(|ack| ack.is_new(&event));
        if is_new && matches!(self.state, State::Polling(_) | State::Leaving { .. }) {
            self.emit(Event::Delivered(event));
        }
    }

    /// Connects right after the handshake, once whatever came with its reply was taken.
    fn connect_first(&mut self, now: Time) {
        let State::Polling(session) = &self.state else { return };
        if session.fresh && session.connect_at == Some(now) {
            self.send_subscribes(now);
            self.connect(now);
        }
    }

    /// Takes the message that a reply answers, if it is one of this kind that is still waited for, and the reply's advice
    /// with it.
    fn answered(&mut self, reply: &Message, kind: Kind) -> Option<(MessageId, Pending)> {
        let id = reply.id()?;
        self.pending.get(id).filter(|pending| pending.kind == kind)?;
        let pending = self.pending.remove(id)?;
        self.take_advice(reply);
        Some((id.clone(), pending))
    }

    /// The newest advice replaces every earlier one (BX-ADV-02).
    fn take_advice(&mut self, reply: &Message) {
        if reply.advice().is_some() {
            self.advised = reply.member("advice").map(|advice| advice.get().to_owned());
            self.read_advice();
        }
    }

    fn on_handshake_reply(&mut self, now: Time, reply: &Message) {
        if self.answered(reply, Kind::Handshake).is_none() {
            return;
        }
        match (reply.successful(), reply.client_id()) {
            (Some(true), Some(_))
                if reply.value("version").as_ref().and_then(Value::as_str).is_some_and(version::is_too_low) =>
            {
                self.close(Closed::NoCommonVersion, "Disconnect");
            }
            (Some(true), Some(client_id)) => {
                let offered = reply.value("supportedConnectionTypes");
                let offered = offered.as_ref().and_then(Value::as_array);
                let is_offered = |transport: &Transport| {
                    offered.is_none_or(|types| types.iter().any(|name| name.as_str() == Some(transport.name())))
                };
                let current = self.carrier.transport();
                let chosen = std::iter::once(&current).chain(&self.config.transports).find(|t| is_offered(t)).copied();
                let Some(chosen) = chosen else {
                    self.close(Closed::NoCommonTransport, "Disconnect");
                    return;
                };
                if chosen != current {
                    self.carrier.close("Disconnect", &mut self.wires);
                    self.carrier.switch(chosen);
                    self.read_advice();
                }
                if self.config.extensions.ack {
                    self.ack = Ack::negotiated(reply);
                }
                // What else came with the reply is taken before the first connect is sent.
                self.state = State::Polling(Session::new(now, client_id.clone(), true));
            }
            _ => {
                self.emit(Event::HandshakeFailed);
                match self.advice.reconnect {
                    Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
                    Some(Reconnect::Retry | Reconnect::Handshake) | None => {
                        self.failures = self.failures.saturating_add(1);
                        let backoff = self.backoff();
                        self.handshake_later(now, backoff);
                    }
                }
            }
        }
    }

    fn on_connect_reply(&mut self, now: Time, reply: &Message) {
        if self.config.check_connect_id {
            if self.answered(reply, Kind::Connect).is_none() {
                return;
            }
        } else {
            self.pending.retain(|_, pending| pending.kind != Kind::Connect);
            self.take_advice(reply);
        }
        let State::Polling(session) = &mut self.state else {
            self.leave_if_done(false);
            return;
        };
        if reply.successful() == Some(true) {
            if let Some(ack) = &mut self.ack {
                ack.on_connect_reply(reply);
            }
            match self.advice.reconnect {
                Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
                Some(Reconnect::Handshake) => self.lose_session(now),
                Some(Reconnect::Retry) | None => {
                    session.at_once = false;
                    session.lost_at = None;
                    session.patient = false;
                    let new_session = std::mem::replace(&mut session.fresh, false);
                    let was_connected = std::mem::replace(&mut session.connected, true);
                    if !new_session {
                        // A session has to outlive its first connect before the server counts as well again: one that
                        // dies at once after each handshake must not make a hot loop.
                        self.failures = 0;
                    }
                    self.connect_later(now, Duration::ZERO);
                    if !was_connected {
                        self.emit(Event::Connected { new_session });
                        self.send_subscribes(now);
                    }
                }
            }
            return;
        }
        let unknown_session = reply.error_code() == Some(402);
        // Without advice of its own a failure means to retry, whatever was advised before.
        let own = reply.advice().and_then(|_| self.advice.reconnect.clone());
        match own {
            Some(Reconnect::Handshake) => self.lose_session(now),
            Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
            None if unknown_session => self.lose_session(now),
            Some(Reconnect::Retry) | None => self.on_connect_lost(now),
        }
    }

    fn on_publish_reply(&mut self, now: Time, reply: &Message) {
        let Some((id, _)) = self.answered(reply, Kind::Publish) else { return };
        if reply.successful() == Some(true) {
            self.emit(Event::Published(id, Outcome::Acknowledged));
            return;
        }
        let code = reply.error_code();
        self.emit(Event::Published(id, Outcome::Refused(code)));
        self.lose_session_if_unknown(now, code);
    }

    /// Only connect replies carry the advice to handshake (CometD); waiting for the held connect to fail would lose up to
    /// its whole timeout.
    fn lose_session_if_unknown(&mut self, now: Time, code: Option<u16>) {
        if code == Some(402) {
            self.lose_session(now);
        }
    }

    fn on_subscribe_reply(&mut self, now: Time, reply: &Message) {
        let Some((_, pending)) = self.answered(reply, Kind::Subscribe) else { return };
        let (channel, code) = (pending.subscription, reply.error_code());
        if reply.successful() == Some(true) {
            if self.subscriptions.grant(&channel) {
                self.emit(Event::Subscribed(channel));
            }
        } else if code == Some(402) {
            // The session is what was refused; the next one subscribes again.
            self.lose_session(now);
        } else if self.subscriptions.refuse(&channel) {
            self.emit(Event::SubscribeRefused(channel, code));
        }
    }

    fn on_unsubscribe_reply(&mut self, now: Time, reply: &Message) {
        let Some((_, pending)) = self.answered(reply, Kind::Unsubscribe) else { return };
        if reply.successful() == Some(true) {
            self.emit(Event::Unsubscribed(pending.subscription, Outcome::Acknowledged));
            return;
        }
        let code = reply.error_code();
        self.emit(Event::Unsubscribed(pending.subscription, Outcome::Refused(code)));
        self.lose_session_if_unknown(now, code);
    }

    fn on_disconnect_message(&mut self, message: &Message) {
        if self.answered(message, Kind::Disconnect).is_some() {
            self.leave_if_done(true);
        } else if message.id().is_none() && matches!(self.state, State::Polling(_)) {
            self.close(Closed::ByServer, "Disconnect");
        }
    }

    /// Closes once both the disconnect and the held connect are answered. A disconnect that cannot be answered any more
    /// counts as answered.
    fn leave_if_done(&mut self, disconnect_answered: bool) {
        let State::Leaving { .. } = self.state else { return };
        let waiting = |kind: Kind| self.pending.values().any(|pending| pending.kind == kind);
        let disconnect_answered = disconnect_answered || !waiting(Kind::Disconnect);
        if disconnect_answered && !waiting(Kind::Connect) {
            self.close(Closed::Disconnected, "Disconnect");
        }
    }
}
