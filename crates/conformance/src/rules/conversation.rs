//! From a stream of wire entries to a conversation: carriers are taken apart, replies find their requests, and each
//! message finds the session that it belongs to.
//!
//! A stream may begin and end anywhere. What a message belongs to is said only where the stream shows it, so that rules
//! that look at it stay silent about what happened outside.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::batch::{Batch, Limits, Malformed};
use protocol::bayeux::callbacks::Callbacks;
use protocol::bayeux::channel;
use protocol::bayeux::http::{BROWSER_COOKIE, cookie};
use protocol::bayeux::message::{ClientId, Message, MessageId};
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Request, Side, Socket, Wire};

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    Exchange(Exchange),
    Socket(Socket),
}

/// What became of a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A response with this status.
    Response(u16),
    /// It broke, or one side cut or closed it.
    Broken,
}

/// A carrier from its beginning to its end, as far as they were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// The entry of the request or upgrade.
    pub(super) begun: Option<usize>,
    pub(super) ended: Option<(usize, Time, End)>,
    /// Whose messages it carries: the session that was named last.
    session: Option<usize>,
    /// The browser that the request named.
    cookie: Option<String>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// From a client.
    Request,
    /// From a server, in answer to this request.
    Reply(usize),
    /// From a server, in answer to this request, though under another id.
    Mismatched(usize),
    /// From a server, in answer to this request, which was answered before.
    Repeated(usize),
    /// From a server: a reply whose request was not sent on this carrier.
    Unsolicited,
    /// From a server: a reply whose request may have been sent before the stream begins.
    Torn,
    /// From a server: a message of its application, or one of its own accord.
    Delivery,
}

/// A message and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its position among the entries.
    pub(super) entry: usize,
    /// Its position in the batch.
    pub(super) position: usize,
    /// How many messages its carrier's unit holds.
    pub(super) beside: usize,
    pub(super) at: Time,
    pub(super) from: Side,
    pub(super) carrier: Carrier,
    pub(super) role: Role,
    pub(super) session: Option<usize>,
    pub(super) message: Message,
}

impl Seen {
    pub(super) fn channel(&self) -> &str {
        self.message.channel().unwrap_or_default()
    }

    pub(super) fn is(&self, from: Side, channel: &str) -> bool {
        self.from == from && self.message.channel() == Some(channel)
    }

    /// Whether a server sent it to answer something.
    pub(super) const fn is_reply(&self) -> bool {
        match self.role {
            Role::Reply(_) | Role::Mismatched(_) | Role::Repeated(_) | Role::Unsolicited | Role::Torn => true,
            Role::Request | Role::Delivery => false,
        }
    }
}

/// A body or frame as a whole.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) entry: usize,
    pub(super) from: Side,
    pub(super) carrier: Carrier,
    pub(super) read: Result<Shape, Malformed>,
}

/// How the messages of a unit stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Array,
    Single,
    /// A response without a body.
    Nothing,
}

/// A session, by its `clientId`.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The reply that named it; `None` if the stream begins later.
    pub(super) named: Option<usize>,
    /// The session that the same client had before, where that is certain.
    pub(super) before: Option<usize>,
    /// Whether the server told the client to handshake again.
    told: bool,
    /// Whether the client sent a disconnect.
    left: bool,
    succeeded: bool,
    cookie: Option<String>,
}

impl Session {
    /// The browser that it was opened in, where the stream shows it.
    pub(super) fn browser(&self) -> Option<&str> {
        self.cookie.as_deref()
    }
}

/// A conversation. Positions in `seen` name messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub(super) seen: Vec<Seen>,
    pub(super) units: Vec<Unit>,
    pub(super) sessions: Vec<Session>,
    pub(super) lives: BTreeMap<Carrier, Life>,
    /// The reply of each request that has one.
    pub(super) replies: BTreeMap<usize, usize>,
    by_client: BTreeMap<String, usize>,
    /// Requests without a reply, in order.
    pending: Vec<usize>,
}

impl Conversation {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let callbacks = Callbacks::of(entries.iter().map(|entry| &entry.wire));
        let entries: Vec<Cow<'_, Entry>> = entries.iter().map(|entry| callbacks.unwrap(entry)).collect();
        let scope = Scope::of(&entries);
        let mut conversation = Self::default();
        for (number, entry) in entries.iter().enumerate() {
            conversation.take(&scope, number, entry);
        }
        conversation
    }

    /// The request that a reply answers.
    pub(super) fn request_of(&self, seen: &Seen) -> Option<&Seen> {
        match seen.role {
            Role::Reply(request) | Role::Mismatched(request) | Role::Repeated(request) => self.seen.get(request),
            Role::Request | Role::Unsolicited | Role::Torn | Role::Delivery => None,
        }
    }

    /// Whether the later of two messages was sent when the earlier one had arrived: frames of one socket do not overtake
    /// each other, and a response cannot be older than its request.
    pub(super) fn follows(&self, later: &Seen, earlier: &Seen) -> bool {
        later.carrier == earlier.carrier
            || self.lives.get(&later.carrier).and_then(|life| life.begun).is_some_and(|begun| begun > earlier.entry)
    }

    fn take(&mut self, scope: &Scope, number: usize, entry: &Entry) {
        match &entry.wire {
            Wire::Request(exchange, request) if scope.is_bayeux(request) => {
                let carrier = Carrier::Exchange(*exchange);
                let browser = cookie(&request.headers, BROWSER_COOKIE).map(str::to_owned);
                self.lives.insert(carrier, Life { begun: Some(number), cookie: browser, ..Life::default() });
                if !is_form(request) {
                    self.unit(number, entry, carrier, &request.body);
                }
            }
            Wire::Response(exchange, response) => {
                let carrier = Carrier::Exchange(*exchange);
                // Of a response whose request was not seen nobody knows where it came from.
                let torn = !self.lives.contains_key(&carrier) && !speaks(&response.body, |_| true);
                // What comes when the client has given the exchange up reaches nobody.
                let ended = self.lives.get(&carrier).and_then(|life| life.ended);
                let given_up = matches!(ended, Some((.., End::Broken)));
                if !scope.foreign.contains(exchange) && !torn && !given_up {
                    let set = response.headers.all("set-cookie").find_map(browser_of);
                    let life = self.lives.entry(carrier).or_default();
                    life.cookie = life.cookie.take().or_else(|| set.map(str::to_owned));
                    self.end(carrier, number, entry.at, End::Response(response.status));
                    if response.status == 200 {
                        self.unit(number, entry, carrier, &response.body);
                    }
                }
            }
            Wire::Broken(exchange, _) => self.end(Carrier::Exchange(*exchange), number, entry.at, End::Broken),
            Wire::Upgrade(socket, request) if scope.sockets.contains(socket) => {
                let browser = cookie(&request.headers, BROWSER_COOKIE).map(str::to_owned);
                let life = Life { begun: Some(number), cookie: browser, ..Life::default() };
                self.lives.insert(Carrier::Socket(*socket), life);
            }
            // Servers and clients keep a socket alive with empty frames; nobody takes them for messages.
            Wire::Text(socket, text) if scope.sockets.contains(socket) && !text.trim().is_empty() => {
                self.unit(number, entry, Carrier::Socket(*socket), text.as_bytes());
            }
            Wire::Close(socket, _) | Wire::Lost(socket, _) | Wire::Refused(socket, _) => {
                self.end(Carrier::Socket(*socket), number, entry.at, End::Broken);
            }
            Wire::Request(..)
            | Wire::Upgrade(..)
            | Wire::Upgraded(..)
            | Wire::Text(..)
            | Wire::Binary(..)
            | Wire::Ping(..)
            | Wire::Pong(..) => {}
        }
    }

    fn end(&mut self, carrier: Carrier, entry: usize, at: Time, end: End) {
        let life = self.lives.entry(carrier).or_default();
        life.ended.get_or_insert((entry, at, end));
    }

    fn unit(&mut self, number: usize, entry: &Entry, carrier: Carrier, body: &[u8]) {
        let read = parse(body);
        let shape = match &read {
            Ok(batch) if batch.single => Ok(Shape::Single),
            Ok(_) => Ok(Shape::Array),
            Err(Malformed::Empty) if entry.from == Side::Server => Ok(Shape::Nothing),
            Err(malformed) => Err(malformed.clone()),
        };
        self.units.push(Unit { entry: number, from: entry.from, carrier, read: shape });
        let messages = read.map(|batch| batch.messages).unwrap_or_default();
        let beside = messages.len();
        for (position, message) in messages.into_iter().enumerate() {
            let seen = Seen {
                entry: number,
                position,
                beside,
                at: entry.at,
                from: entry.from,
                carrier,
                role: Role::Delivery,
                session: None,
                message,
            };
            match entry.from {
                Side::Client => self.take_request(seen),
                Side::Server => self.take_reply(seen),
            }
        }
    }

    fn take_request(&mut self, mut seen: Seen) {
        seen.role = Role::Request;
        if seen.channel() != channel::HANDSHAKE {
            if let Some(client) = seen.message.client_id() {
                let session = self.session(client.expose());
                self.sessions[session].left |= seen.channel() == channel::DISCONNECT;
                seen.session = Some(session);
                self.lives.entry(seen.carrier).or_default().session = Some(session);
            } else {
                seen.session = self.lives.entry(seen.carrier).or_default().session;
            }
        }
        self.pending.push(self.seen.len());
        self.seen.push(seen);
    }

    fn take_reply(&mut self, mut seen: Seen) {
        let position = self.seen.len();
        seen.role = self.role(&seen);
        match seen.role {
            Role::Reply(request) | Role::Mismatched(request) => {
                self.pending.retain(|pending| *pending != request);
                self.replies.insert(request, position);
                seen.session = self.seen[request].session;
            }
            Role::Repeated(request) => seen.session = self.seen[request].session,
            Role::Unsolicited | Role::Torn | Role::Delivery | Role::Request => {
                seen.session = self.lives.get(&seen.carrier).and_then(|life| life.session);
            }
        }
        if seen.channel() == channel::HANDSHAKE && seen.message.successful() == Some(true) {
            self.name_session(&mut seen, position);
        }
        if seen.channel() == channel::CONNECT
            && let Some(session) = seen.session
        {
            let advised = seen.message.advice().and_then(|advice| advice.reconnect) == Some(Reconnect::Handshake);
            self.sessions[session].told |= advised || seen.message.error_code() == Some(402);
        }
        self.seen.push(seen);
    }

    /// Which request a server's message answers, if it answers any.
    fn role(&self, seen: &Seen) -> Role {
        let message = &seen.message;
        let refuses = message.channel().is_none() && message.successful().is_some();
        let meta = message.channel().is_some_and(channel::is_meta);
        let on_carrier = |request: &usize| self.seen[*request].carrier == seen.carrier;
        let same_channel = |request: &usize| self.seen[*request].message.channel() == message.channel();
        let same_id = |request: &usize| self.seen[*request].message.id() == message.id();
        let waiting = || self.pending.iter().copied().filter(on_carrier).filter(same_channel);
        let exact = waiting().find(same_id);
        if !meta && !refuses && !message.is_publish_reply() {
            // A reply to a publish that forgot to say whether it succeeded has nothing but its id.
            let forgot = message.data().is_none() && message.id().is_some();
            return exact.filter(|_| forgot).map_or(Role::Delivery, Role::Reply);
        }
        if let Some(request) = exact {
            return Role::Reply(request);
        }
        let answered = |request: &usize| on_carrier(request) && same_channel(request) && same_id(request);
        if message.id().is_some()
            && let Some(request) = self.replies.keys().copied().find(answered)
        {
            return Role::Repeated(request);
        }
        // Only meta messages must give the id back; a publish may be answered without (BX-PB-05).
        if (meta || message.id().is_none())
            && let Some(request) = waiting().next()
        {
            return if meta { Role::Mismatched(request) } else { Role::Reply(request) };
        }
        // A server may say goodbye of its own accord (BX-DC-09).
        if message.channel() == Some(channel::DISCONNECT) && message.id().is_none() {
            return Role::Delivery;
        }
        if refuses {
            return Role::Torn;
        }
        match self.lives.get(&seen.carrier).and_then(|life| life.begun) {
            Some(_) => Role::Unsolicited,
            None => Role::Torn,
        }
    }

    fn session(&mut self, client: &str) -> usize {
        if let Some(session) = self.by_client.get(client) {
            return *session;
        }
        self.sessions.push(Session::default());
        self.by_client.insert(client.to_owned(), self.sessions.len() - 1);
        self.sessions.len() - 1
    }

    /// A successful handshake begins a session.
    fn name_session(&mut self, seen: &mut Seen, position: usize) {
        let Some(client) = seen.message.client_id().map(|client| client.expose().to_owned()) else { return };
        let life = self.lives.entry(seen.carrier).or_default();
        let (last, browser) = (life.session, life.cookie.clone());
        let before = match seen.carrier {
            Carrier::Socket(_) => last.filter(|last| !self.sessions[*last].left),
            Carrier::Exchange(_) => self.told_before(browser.as_deref()),
        };
        if let Some(before) = before {
            self.sessions[before].succeeded = true;
        }
        self.sessions.push(Session { named: Some(position), before, cookie: browser, ..Session::default() });
        let session = self.sessions.len() - 1;
        self.by_client.insert(client, session);
        self.lives.entry(seen.carrier).or_default().session = Some(session);
        seen.session = Some(session);
        if let Role::Reply(request) | Role::Mismatched(request) = seen.role {
            self.seen[request].session = Some(session);
        }
    }

    /// The one session of a browser that was told to handshake again, if none of its others is in use: two windows share
    /// a cookie.
    fn told_before(&self, browser: Option<&str>) -> Option<usize> {
        let browser = browser?;
        let mut open =
            self.sessions.iter().enumerate().filter(|(_, session)| {
                session.cookie.as_deref() == Some(browser) && !session.left && !session.succeeded
            });
        match (open.next(), open.next()) {
            (Some((only, session)), None) if session.told => Some(only),
            _ => None,
        }
    }

    /// Whether a clientId may be that of a session: of one that is not known any may.
    pub(super) fn is_of(&self, session: Option<usize>, client: &ClientId) -> bool {
        session.is_none_or(|session| self.by_client.get(client.expose()) == Some(&session))
    }

    /// The id of a message, for a sentence.
    pub(super) fn id(message: &Message) -> String {
        message.id().map_or_else(|| "no id".to_owned(), |id: &MessageId| format!("id {id}"))
    }
}

pub(super) fn parse(body: &[u8]) -> Result<Batch, Malformed> {
    Batch::parse(body, &Limits::TAKEN)
}

/// A form holds messages too (BX-LP-02), but not as its body.
fn is_form(request: &Request) -> bool {
    request.headers.get("content-type").is_some_and(|kind| kind.contains("x-www-form-urlencoded"))
}

/// The browser that a `Set-Cookie` field names.
fn browser_of(field: &str) -> Option<&str> {
    let (name, value) = field.split(';').next()?.trim().split_once('=')?;
    (name == BROWSER_COOKIE).then_some(value)
}

/// Which carriers speak Bayeux: a recording holds whatever else the origin serves.
struct Scope {
    /// Paths of the servlet, without what CometD's clients append.
    bases: BTreeSet<String>,
    sockets: BTreeSet<Socket>,
    /// Exchanges that are something else.
    foreign: BTreeSet<Exchange>,
}

impl Scope {
    fn of(entries: &[Cow<'_, Entry>]) -> Self {
        let mut scope = Self { bases: BTreeSet::new(), sockets: BTreeSet::new(), foreign: BTreeSet::new() };
        for entry in entries {
            match &entry.wire {
                Wire::Request(_, request) if !is_sibling(path(request)) && speaks(&request.body, channel::is_meta) => {
                    scope.bases.insert(base(path(request)).to_owned());
                }
                Wire::Text(socket, text) if speaks(text.as_bytes(), |_| true) => {
                    scope.sockets.insert(*socket);
                }
                _ => {}
            }
        }
        for entry in entries {
            if let Wire::Request(exchange, request) = &entry.wire
                && !scope.is_bayeux(request)
            {
                scope.foreign.insert(*exchange);
            }
        }
        scope
    }

    fn is_bayeux(&self, request: &Request) -> bool {
        let path = path(request);
        if request.method != "POST" || is_sibling(path) {
            return false;
        }
        if self.bases.is_empty() { speaks(&request.body, |_| true) } else { self.bases.contains(base(path)) }
    }
}

fn speaks(body: &[u8], is_wanted: impl Fn(&str) -> bool) -> bool {
    parse(body).is_ok_and(|batch| batch.messages.iter().filter_map(Message::channel).any(is_wanted))
}

fn path(request: &Request) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

/// A path without the message type that CometD's clients append.
fn base(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    ["/handshake", "/connect", "/disconnect"].iter().find_map(|suffix| path.strip_suffix(suffix)).unwrap_or(path)
}

/// The REST resources beside the servlet.
fn is_sibling(path: &str) -> bool {
    path.ends_with("/chat-ntf") || path.contains("/2/chat/")
}
