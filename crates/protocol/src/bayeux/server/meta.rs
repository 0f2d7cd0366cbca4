//! What the server answers, message by message: the meta channels and publishes.

use std::time::Duration;

use serde_json::Value;

use crate::bayeux::advice::{Advice, Reconnect};
use crate::bayeux::channel;
use crate::bayeux::message::{ClientId, Draft, Message, MessageId};
use crate::bayeux::server::http::container;
use crate::bayeux::server::malformed::is_routable;
use crate::bayeux::server::session::{Carrier, Held, HeldOn, Session, connect_reply};
use crate::bayeux::server::work::{Fault, Via, Work};
use crate::bayeux::server::{Closed, Event, Server, SessionId};
use crate::secret::Secret;
use crate::wire::Transport;

/// Advice for a session that is over (BX-DC-03).
pub(super) fn advice_to_stop() -> Advice {
    Advice { reconnect: Some(Reconnect::None), ..Advice::default() }
}

fn millis(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A successful reply that says nothing more. An `id` is given back exactly when there was one (BX-META-04).
fn success(to: &Message) -> Message {
    reply(to).with("successful", true).finish()
}

fn failure(to: &Message, error: &str) -> Draft {
    reply(to).with("error", error).with("successful", false)
}

fn reply(to: &Message) -> Draft {
    Message::draft(to.channel().unwrap_or_default()).id(to.id())
}

impl Server {
    /// The reply to a message that names no session of the sender; only on connect does it carry advice.
    pub(super) fn unknown_session(&self, on: &str, id: Option<&MessageId>) -> Draft {
        let advice = Advice { reconnect: Some(Reconnect::Handshake), interval: Some(0), ..Advice::default() };
        Message::draft(on)
            .id(id)
            .with("error", self.settings.dialect.errors.unknown_session.as_str())
            .with("successful", false)
            .with_some("advice", (on == channel::CONNECT).then(|| advice.to_value()))
    }

    pub(super) fn unknown_session_of(&self, message: &Message) -> Message {
        let draft = self.unknown_session(message.channel().unwrap_or_default(), message.id());
        with_subscription(draft, message).finish()
    }

    pub(super) fn handshake(&mut self, work: &mut Work, message: &Message) -> Message {
        let client_id = ClientId::new(self.mint.base_36(26));
        let (browser, carrier) = match &work.via {
            Via::Http { browser, .. } => {
                let browser = browser.clone().unwrap_or_else(|| {
                    let minted = Secret::new(self.mint.base_36(27));
                    work.new_browser = Some(minted.clone());
                    minted
                });
                (Some(browser), Carrier::Http)
            }
            Via::Socket(socket) => (None, Carrier::Socket(*socket)),
        };
        self.last_session += 1;
        let id = SessionId(self.last_session);
        if let Carrier::Socket(socket) = carrier {
            self.sockets.insert(socket, Some(id));
        }
        let grace = self.default_grace();
        self.by_client.insert(client_id.clone(), id);
        self.sessions.insert(
            id,
            Session {
                client_id: client_id.clone(),
                browser,
                carrier,
                connected: false,
                owes_advice: !self.settings.dialect.handshake_advice,
                queue: Vec::new(),
                held: None,
                grace,
                expires: Some(work.now + grace),
            },
        );
        self.emit(Event::SessionOpened(id, work.via.transport()));
        let types: Vec<&str> = Transport::ALL.iter().map(|transport| transport.name()).collect();
        let advice = self.settings.dialect.handshake_advice.then(|| self.advice(None).to_value());
        Message::draft(channel::HANDSHAKE)
            .id(message.id())
            .with("version", "1.0")
            .with("minimumVersion", "1.0")
            .with("supportedConnectionTypes", types)
            .with("clientId", client_id.expose())
            .with_some("advice", advice)
            .with("successful", true)
            .finish()
    }

    /// The server's advice; an interval that the client asked for is given back.
    fn advice(&self, interval: Option<i64>) -> Advice {
        Advice {
            reconnect: Some(Reconnect::Retry),
            interval: Some(interval.unwrap_or_else(|| millis(self.settings.dialect.interval_ms))),
            timeout: Some(millis(self.settings.dialect.timeout_ms)),
            ..Advice::default()
        }
    }

    /// Answers a connect or holds it. Held are all but the first of a session (BX-CN-07), unless the client asks for no
    /// hold, events wait, other messages came with it over HTTP, or the browser has its long poll already.
    pub(super) fn connect(&mut self, work: &mut Work, id: SessionId, message: &Message) -> Option<Message> {
        self.supersede(work, id);
        let asked = message.advice().unwrap_or_default();
        let wish = |value: Option<i64>| value.filter(|value| *value >= 0);
        let (timeout, interval) = (wish(asked.timeout), wish(asked.interval));
        let hold = Duration::from_millis(
            timeout.and_then(|value| u64::try_from(value).ok()).unwrap_or(self.settings.dialect.timeout_ms),
        );
        let mut advice = self.advice(interval);
        let (on, may_hold, rival) = match &work.via {
            Via::Http { exchange, browser } => {
                let rival = browser.as_ref().is_some_and(|browser| {
                    self.sessions.iter().any(|(other, session)| *other != id && session.polls_for(browser))
                });
                (HeldOn::Exchange { exchange: *exchange, broken: false }, !work.batched && !rival, rival)
            }
            Via::Socket(_) => (HeldOn::Socket, true, false),
        };
        if rival {
            advice.interval = Some(millis(self.settings.dialect.multi_session_interval_ms));
            advice.multiple_clients = Some(true);
        }
        let interval = advice.interval.and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let session = self.sessions.get_mut(&id)?;
        session.grace = Duration::from_millis(interval.saturating_add(self.settings.dialect.max_interval_ms));
        let due = session.owes_advice || rival || message.member("advice").is_some();
        session.owes_advice = false;
        let advice = due.then_some(advice);
        let again = std::mem::replace(&mut session.connected, true);
        if again && may_hold && !hold.is_zero() && session.queue.is_empty() {
            session.expires = None;
            session.held = Some(Held { on, id: message.id().cloned(), until: work.now + hold, advice });
            work.held = true;
            return None;
        }
        Some(connect_reply(message.id(), advice.as_ref()))
    }

    /// Lets a new connect take the session over: from the connect held before it, and from another carrier.
    fn supersede(&mut self, work: &Work, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let carrier = work.socket().map_or(Carrier::Http, Carrier::Socket);
        let before = std::mem::replace(&mut session.carrier, carrier);
        let changed = matches!(before, Carrier::Http) != matches!(carrier, Carrier::Http);
        session.owes_advice |= changed;
        // The older connect over HTTP fails, the one on a socket is never answered.
        if let Some(Held { on: HeldOn::Exchange { exchange, .. }, .. }) = session.held.take() {
            self.respond(exchange, container(500, ""));
        }
        if let Carrier::Socket(old) = before
            && before != carrier
        {
            self.close(work.now, old, 1000, "Cancel");
        }
    }

    /// A client's disconnect: first the held connect is released, then this is answered (BX-DC-03).
    pub(super) fn end(&mut self, work: &mut Work, id: SessionId, message: &Message) -> Message {
        self.leave(work.now, id, Vec::new());
        work.left_over.extend(self.remove(id, Closed::Disconnected));
        success(message)
    }

    /// Service channels need no subscription, so that succeeds and does nothing (BX-SVC-02); there are no others to
    /// subscribe to.
    pub(super) fn subscribe(&self, message: &Message) -> Result<Message, Fault> {
        self.on_subscription(message, &self.settings.dialect.errors.subscribe_denied)
    }

    pub(super) fn unsubscribe(&self, message: &Message) -> Result<Message, Fault> {
        self.on_subscription(message, &self.settings.dialect.errors.unsubscribe_unknown)
    }

    fn on_subscription(&self, message: &Message, refusal: &str) -> Result<Message, Fault> {
        let errors = &self.settings.dialect.errors;
        let names = match message.value("subscription") {
            None | Some(Value::Null) => return Ok(failure(message, &errors.subscription_missing).finish()),
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => {
                let texts: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                texts.ok_or(Fault)?
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                return Ok(with_subscription(failure(message, &errors.subscription_invalid), message).finish());
            }
        };
        if !names.iter().all(|name| is_routable(name)) {
            return Err(Fault);
        }
        let draft = if names.iter().all(|name| channel::is_service(name)) {
            reply(message).with("successful", true)
        } else {
            failure(message, refusal)
        };
        Ok(with_subscription(draft, message).finish())
    }

    pub(super) fn publish(&mut self, id: SessionId, name: &str, message: &Message) -> Message {
        if channel::is_meta(name) {
            return failure(message, &self.settings.dialect.errors.create_denied).finish();
        }
        self.emit(Event::Published(id, message.clone()));
        success(message)
    }
}

/// Gives `subscription` back as it came.
fn with_subscription(draft: Draft, message: &Message) -> Draft {
    match message.member("subscription") {
        Some(subscription) => draft.with_raw("subscription", subscription.to_owned()),
        None => draft,
    }
}
