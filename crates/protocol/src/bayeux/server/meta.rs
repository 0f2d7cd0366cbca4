//! What the server answers, message by message: handshake, connect and disconnect, and what all replies have in common.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bayeux::advice::{Advice, Reconnect};
use crate::bayeux::channel;
use crate::bayeux::dialect::{BatchedHttp, PushedSince, Timing};
use crate::bayeux::extension::number;
use crate::bayeux::message::{ClientId, Draft, Message, MessageId};
use crate::bayeux::server::extension::{Ext, Timesync};
use crate::bayeux::server::http::container;
use crate::bayeux::server::malformed::{Fault, id_of};
use crate::bayeux::server::queue::Queue;
use crate::bayeux::server::session::{Answer, Carrier, Held, HeldExpiry, HeldOn, Session};
use crate::bayeux::server::subscription::with_subscription;
use crate::bayeux::server::work::{Via, Work};
use crate::bayeux::server::{Closed, Event, Open, Server, SessionId};
use crate::secret::Secret;

/// Advice for a session that is over (BX-DC-03).
pub(super) fn advice_to_stop() -> Advice {
    Advice { reconnect: Some(Reconnect::None), ..Advice::default() }
}

fn millis(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Why a browser is sent away to poll instead of being held (Bayeux 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowded {
    /// It has its long polls already.
    ManySessions,
    /// It shows no cookie to tell it by.
    Unknown,
}

impl Server {
    /// The beginning of a reply. An `id` is given back exactly when there was one (BX-META-04).
    pub(super) fn reply(&self, to: &Message) -> Draft {
        let draft = to.channel().map_or_else(Draft::default, Message::draft);
        draft.id(id_of(to).ok().flatten().as_ref())
    }

    /// A successful reply that says nothing more.
    pub(super) fn success(&self, to: &Message) -> Message {
        self.echo(self.reply(to).with("successful", true), to).finish()
    }

    pub(super) fn failure(&self, to: &Message, error: &str) -> Draft {
        self.echo(self.reply(to).with("error", error).with("successful", false), to)
    }

    /// Gives `subscription` back where the dialect always does.
    fn echo(&self, draft: Draft, to: &Message) -> Draft {
        if self.settings.dialect.validation.subscription_always_echoed { with_subscription(draft, to) } else { draft }
    }

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
        let id = id_of(message).ok().flatten();
        self.echo(self.unknown_session(message.channel().unwrap_or_default(), id.as_ref()), message).finish()
    }

    pub(super) fn handshake(
        &mut self,
        work: &mut Work,
        message: &Message,
        timesync: Option<Timesync>,
    ) -> Result<Message, Fault> {
        let mut ext = Ext::default();
        if let Some(answer) = timesync.and_then(|timesync| timesync.answer(self.utc_ms())) {
            ext.set("timesync", answer);
        }
        if self.settings.policy.deny_handshakes {
            let draft = self.failure(message, &self.settings.dialect.errors.handshake_denied);
            return Ok(ext.add_to(draft.with("advice", advice_to_stop().to_value())).finish());
        }
        if self.sessions.len() >= self.settings.bounds.sessions {
            return Err(Fault);
        }
        let mut queue = Queue::default();
        if self.settings.dialect.options.extensions.ack && asks_for_ack(message) {
            queue.begin_ack();
            if self.settings.dialect.options.deliver_during_handshake {
                // The first batch is closed when the response is put together.
                ext.set("ack", serde_json::json!({"enabled": true, "batch": 1}));
            } else {
                ext.set("ack", true);
            }
        }
        let client_id = ClientId::new(self.mint.base_36(26));
        self.open(work, client_id.clone(), queue);
        let dialect = &self.settings.dialect;
        let advice = self.advice(dialect.timing(work.via.carrier().name()), None);
        let mut draft = Message::draft(channel::HANDSHAKE)
            .id(id_of(message).ok().flatten().as_ref())
            .with("version", "1.0")
            .with("minimumVersion", "1.0")
            .with("supportedConnectionTypes", dialect.transports.clone())
            .with("clientId", client_id.expose())
            .with_some("advice", dialect.handshake_advice.then(|| advice.to_value()))
            .with("successful", true);
        for name in &self.settings.policy.echo_in_handshake {
            draft = draft.with_some(name, message.value(name));
        }
        Ok(ext.add_to(draft).finish())
    }

    /// Makes a session for the handshake in work.
    fn open(&mut self, work: &mut Work, client_id: ClientId, queue: Queue) {
        let carrier = work.via.carrier();
        let browser = match &work.via {
            Via::Http { browser, .. } => Some(browser.clone().unwrap_or_else(|| {
                let minted = Secret::new(self.mint.base_36(27));
                work.new_browser = Some(minted.clone());
                minted
            })),
            Via::Socket(_) => None,
        };
        self.last_session += 1;
        let id = SessionId(self.last_session);
        if let Carrier::Socket(socket) = carrier {
            self.sockets.insert(socket, Open { session: Some(id), active_at: work.now });
        }
        let timing = self.settings.dialect.timing(carrier.name());
        let grace = Duration::from_millis(timing.interval_ms.saturating_add(self.settings.dialect.max_interval_ms));
        self.by_client.insert(client_id.clone(), id);
        let session = Session {
            client_id,
            browser,
            carrier,
            connected: false,
            owes_advice: !self.settings.dialect.handshake_advice,
            timing: None,
            queue,
            lazy_due: None,
            reached: PushedSince::Handshake,
            lost_one: false,
            held: None,
            grace,
            expires: Some(work.now + grace),
            subscriptions: BTreeSet::new(),
            active_at: work.now,
        };
        self.sessions.insert(id, session);
        work.session = Some(id);
        work.opened = true;
        self.emit(Event::SessionOpened(id, work.via.transport()));
    }

    /// The server's advice; an interval that the client asked for is given back.
    fn advice(&self, timing: Timing, interval: Option<i64>) -> Advice {
        let dialect = &self.settings.dialect;
        Advice {
            reconnect: Some(Reconnect::Retry),
            interval: Some(interval.unwrap_or_else(|| millis(timing.interval_ms))),
            timeout: Some(millis(timing.timeout_ms)),
            max_interval: dialect.options.handshake_reconnect.then(|| millis(dialect.max_interval_ms)),
            ..Advice::default()
        }
    }

    /// Answers a connect or holds it. Held are all but the first of a session (BX-CN-07), unless the client asks for no
    /// hold, events wait, other messages came with it over HTTP, or the browser has its long poll already.
    pub(super) fn connect(
        &mut self,
        work: &mut Work,
        id: SessionId,
        message: &Message,
        timesync: Option<Timesync>,
    ) -> Result<Option<Message>, Fault> {
        let over_http = work.socket().is_none();
        let batched_http = self.settings.dialect.connects.batched_http;
        if over_http && work.batched && batched_http == BatchedHttp::Fails {
            return Err(Fault);
        }
        let superseding = self.supersede(work, id);
        if self.is_inactive(work, id) {
            return Ok(Some(self.end_inactive(work, id, message)));
        }
        let mut asked = message.advice();
        if self.acknowledge(id, message) {
            asked.get_or_insert_default().timeout.get_or_insert(0);
        }
        let wish = |value: Option<i64>| value.filter(|value| *value >= 0);
        let (timeout, interval) =
            asked.as_ref().map_or((None, None), |asked| (wish(asked.timeout), wish(asked.interval)));
        let Some(session) = self.sessions.get(&id) else { return Ok(None) };
        let timing = session.timing.unwrap_or_else(|| self.settings.dialect.timing(session.carrier.name()));
        let answered = over_http && work.batched && batched_http == BatchedHttp::Answered;
        // On a WebSocket what waits is sent by itself, and holds up no connect.
        let delivers_alone = !over_http && !self.by_connect_only(session);
        let may_hold = !answered && (delivers_alone || !session.queue.has_new());
        let crowded = if may_hold { self.crowded(work, id, session) } else { None };
        let due = session.owes_advice || asked.is_some();
        let mut answer = Answer {
            id: id_of(message).ok().flatten(),
            successful: true,
            advice: due.then(|| self.advice(timing, interval)),
            timesync,
        };
        if let Some(crowded) = crowded {
            self.send_to_poll(&mut answer, timing, crowded);
        }
        let waits = answer.advice.as_ref().and_then(|advice| advice.interval).or(interval);
        let waits = waits.and_then(|value| u64::try_from(value).ok()).unwrap_or(timing.interval_ms);
        let hold = timeout.and_then(|value| u64::try_from(value).ok()).unwrap_or(timing.timeout_ms);
        let max_interval = self.settings.dialect.max_interval_ms;
        let on = match &work.via {
            Via::Http { exchange, callback, .. } => {
                HeldOn::Exchange { exchange: *exchange, callback: callback.clone(), broken: false }
            }
            Via::Socket(_) => HeldOn::Socket,
        };
        let expires = self.held_expiry(work, superseding);
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(None) };
        session.grace = Duration::from_millis(waits.saturating_add(max_interval));
        session.owes_advice = crowded.is_some();
        session.lost_one = false;
        let again = std::mem::replace(&mut session.connected, true);
        if again && may_hold && crowded.is_none() && hold > 0 {
            let until = work.now + Duration::from_millis(hold);
            session.expires = None;
            if !over_http {
                session.reached = PushedSince::FirstHold;
            }
            session.held = Some(Held { on, answer, until, expires, before: Vec::new(), behind: Vec::new() });
            work.held = Some(work.replies.len());
            return Ok(None);
        }
        let (reply, closed) = self.connect_reply(id, &answer);
        work.connected = true;
        work.closed_batch = closed;
        Ok(Some(reply))
    }

    /// Whether and when a session expires under a connect that is held from here on.
    fn held_expiry(&self, work: &Work, superseding: bool) -> Option<HeldExpiry> {
        let dialect = &self.settings.dialect;
        let on_socket = work.socket().is_some();
        let superseding = dialect.connects.superseding_expires.as_ref().filter(|_| superseding);
        let batched = dialect.connects.batched_expires.as_ref().filter(|_| work.batched && on_socket);
        let by_bug = superseding.or(batched).map(|reason| HeldExpiry {
            at: work.now + Duration::from_millis(dialect.max_interval_ms),
            reason: reason.clone(),
            put_off: None,
        });
        let processing = dialect.options.max_processing_ms.filter(|most| *most > 0).map(Duration::from_millis);
        let by_silence = processing.map(|most| HeldExpiry {
            at: work.now + most,
            reason: dialect.connects.swept_reason.clone(),
            put_off: Some(most),
        });
        by_bug.into_iter().chain(by_silence).min_by_key(|expiry| expiry.at)
    }

    /// A connect reply as it is sent. In the idle case of a dialect it holds nothing but channel, id and `successful`.
    pub(super) fn connect_reply(&mut self, id: SessionId, answer: &Answer) -> (Message, Option<u64>) {
        let closed = self.sessions.get_mut(&id).and_then(|session| session.queue.close_batch());
        let mut ext = Ext::default();
        if let Some(batch) = closed {
            ext.set("ack", batch);
        }
        if let Some(sync) = answer.timesync.and_then(|timesync| timesync.answer(self.utc_ms())) {
            ext.set("timesync", sync);
        }
        let draft = Message::draft(channel::CONNECT)
            .id(answer.id.as_ref())
            .with("successful", answer.successful)
            .with_some("advice", answer.advice.as_ref().map(Advice::to_value));
        (ext.add_to(draft).finish(), closed)
    }

    /// Notes what the client has, and says whether all that waits was sent before and must be sent again at once.
    fn acknowledge(&mut self, id: SessionId, message: &Message) -> bool {
        let batch = message.ext().and_then(|ext| number(ext.get("ack")?));
        let Some(batch) = batch else { return false };
        let only_old = self.on_queue(id, |queue| {
            if queue.acks() {
                queue.acknowledge(batch);
            }
            queue.acks() && queue.has_only_old()
        });
        only_old == Some(true)
    }

    fn crowded(&self, work: &Work, id: SessionId, session: &Session) -> Option<Crowded> {
        let Via::Http { browser, has_origin, .. } = &work.via else { return None };
        if browser.is_none() && self.settings.dialect.browser.needed_to_hold {
            return (!has_origin).then_some(Crowded::Unknown);
        }
        let allowed = usize::try_from(self.settings.dialect.options.max_sessions_per_browser).ok()?;
        let browser = browser.as_ref().or(session.browser.as_ref())?;
        let others = self.sessions.iter().filter(|(other, session)| **other != id && session.polls_for(browser));
        (others.count() >= allowed).then_some(Crowded::ManySessions)
    }

    /// Turns an answer into one that makes the client poll, or stop where that is switched off.
    fn send_to_poll(&self, answer: &mut Answer, timing: Timing, crowded: Crowded) {
        let dialect = &self.settings.dialect;
        let stays = dialect.multi_session_interval_ms > 0;
        let mut advice = answer.advice.take().unwrap_or_else(|| Advice {
            timeout: dialect.multiple_clients_timeout.then(|| millis(timing.timeout_ms)),
            ..Advice::default()
        });
        advice.multiple_clients = (crowded == Crowded::ManySessions).then_some(true);
        if stays {
            advice.reconnect = Some(Reconnect::Retry);
            advice.interval = Some(millis(dialect.multi_session_interval_ms));
        } else {
            advice.reconnect = Some(Reconnect::None);
        }
        answer.successful = stays;
        answer.advice = Some(advice);
    }

    /// Lets a new connect take the session over: from the connect held before it, and from another carrier. Says whether
    /// there was one held on the same socket.
    fn supersede(&mut self, work: &Work, id: SessionId) -> bool {
        let carrier = work.via.carrier();
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let before = std::mem::replace(&mut session.carrier, carrier);
        if before != carrier {
            session.reached = PushedSince::FirstMessage;
        }
        session.owes_advice |= before.name() != carrier.name();
        let held = session.held.take().map(|held| held.on);
        let superseding = held == Some(HeldOn::Socket) && before == carrier;
        // The older connect over HTTP fails, the one on a socket is never answered.
        if let Some(HeldOn::Exchange { exchange, .. }) = held
            && work.exchange() != Some(exchange)
        {
            self.respond(exchange, container(self.settings.dialect.connects.superseded_status, ""));
        }
        if let Carrier::Socket(old) = before
            && before != carrier
            && self.settings.dialect.connects.cancels_old_socket
        {
            self.close(work.now, old, 1000, "Cancel");
        }
        superseding
    }

    fn is_inactive(&self, work: &Work, id: SessionId) -> bool {
        let activity = self.settings.dialect.options.extensions.activity;
        activity.zip(self.sessions.get(&id)).is_some_and(|(activity, session)| {
            session.active_at + Duration::from_millis(activity.max_inactivity_ms) < work.now
        })
    }

    /// Disconnects a session that did nothing, when it connects: both messages go with this request.
    fn end_inactive(&mut self, work: &mut Work, id: SessionId, message: &Message) -> Message {
        work.left_over.extend(self.remove(id, Closed::ByServer));
        work.left_over.push(self.farewell());
        self.reply(message).with("successful", true).with("advice", advice_to_stop().to_value()).finish()
    }

    /// The disconnect that the server sends by itself (BX-DC-09).
    pub(super) fn farewell(&self) -> Message {
        let successful = self.settings.dialect.disconnects.by_server_successful.then_some(true);
        Message::draft(channel::DISCONNECT).with_some("successful", successful).finish()
    }

    /// A client's disconnect: the held connect is released (BX-DC-03), and this is answered.
    pub(super) fn end(&mut self, work: &mut Work, id: SessionId, message: &Message) -> Message {
        let same_socket = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.carrier == work.via.carrier() && work.socket().is_some());
        let held = if same_socket && !self.settings.dialect.disconnects.connect_first {
            self.sessions.get_mut(&id).and_then(|session| session.held.take())
        } else {
            None
        };
        if let Some(Held { mut answer, before, behind, .. }) = held {
            answer.advice = Some(advice_to_stop());
            let (reply, _) = self.connect_reply(id, &answer);
            work.afterwards = [before, vec![reply], behind].concat();
        }
        self.leave(work.now, id, Vec::new());
        if message.ext().is_some() {
            self.emit(Event::Leaving(id, message.clone()));
        }
        work.left_over.extend(self.remove(id, Closed::Disconnected));
        self.success(message)
    }
}

/// Whether a handshake asks for the `ack` extension; anything but `true` does not.
fn asks_for_ack(message: &Message) -> bool {
    message.ext().is_some_and(|ext| ext.get("ack") == Some(&serde_json::Value::Bool(true)))
}
