//! From a stream of wire entries to sessions: carriers are taken apart, replies find their requests, and each message finds
//! the session that it belongs to.

use std::collections::BTreeMap;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::callbacks::Callbacks;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::wire::{Entry, Exchange, Response, Side, Socket, Wire};

use crate::json::Node;
use crate::tape::Located;

/// A message, or what stood in the place of messages.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: usize,
    pub(super) from: Side,
    pub(super) channel: String,
    pub(super) node: Node,
}

/// A request and its replies.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: Seen,
    pub(super) replies: Vec<Seen>,
}

/// What belongs to one handshake, each kind in the order in which it was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) asked: Vec<Asked>,
    pub(super) connects: Vec<Asked>,
    pub(super) deliveries: Vec<Seen>,
    /// Whether the client has sent `/meta/disconnect`. What its held connect answers then depends on the carrier.
    disconnected: bool,
}

/// Sessions in the order of their handshake requests; the first is for messages that belong to none.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    pub(super) sessions: Vec<Session>,
    /// The session of each line that holds a message.
    pub(super) session_of: BTreeMap<usize, usize>,
    /// The connects of all sessions, in order.
    pub(super) held: Vec<Held>,
}

/// A `/meta/connect`, by the lines where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) session: usize,
    pub(crate) request: usize,
    pub(crate) reply: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Carrier {
    Exchange(Exchange),
    Socket(Socket),
}

/// Where a request was put.
#[derive(Clone, Copy, Debug)]
struct Place {
    session: usize,
    connect: bool,
    position: usize,
}

#[derive(Debug)]
struct Reader {
    sessions: Vec<Session>,
    by_client: BTreeMap<String, usize>,
    by_carrier: BTreeMap<Carrier, usize>,
    pending: Vec<(Carrier, String, Option<String>, Place)>,
    session_of: BTreeMap<usize, usize>,
    held: Vec<Held>,
}

impl Conversation {
    pub(super) fn of(entries: &[Located]) -> Self {
        let mut reader = Reader {
            sessions: vec![Session::default()],
            by_client: BTreeMap::new(),
            by_carrier: BTreeMap::new(),
            pending: Vec::new(),
            session_of: BTreeMap::new(),
            held: Vec::new(),
        };
        let callbacks = Callbacks::of(entries.iter().map(|located| &located.entry.wire));
        for located in entries {
            reader.entry(located, &callbacks.unwrap(&located.entry));
        }
        Self { sessions: reader.sessions, session_of: reader.session_of, held: reader.held }
    }
}

impl Reader {
    fn entry(&mut self, located: &Located, entry: &Entry) {
        let from = entry.from;
        match &entry.wire {
            Wire::Request(exchange, request) => {
                self.carrier(located, Carrier::Exchange(*exchange), from, &request.body)
            }
            Wire::Response(exchange, response) => {
                let carrier = Carrier::Exchange(*exchange);
                if response.status == 200 {
                    self.carrier(located, carrier, from, &response.body);
                } else {
                    self.failed(located, carrier, response);
                }
            }
            Wire::Text(socket, text) => self.carrier(located, Carrier::Socket(*socket), from, text.as_bytes()),
            Wire::Binary(socket, bytes) => self.carrier(located, Carrier::Socket(*socket), from, bytes),
            // How connections come and go is the carriers' affair.
            Wire::Broken(..)
            | Wire::Upgrade(..)
            | Wire::Upgraded(..)
            | Wire::Refused(..)
            | Wire::Ping(..)
            | Wire::Pong(..)
            | Wire::Close(..)
            | Wire::Lost(..) => {}
        }
    }

    fn carrier(&mut self, located: &Located, carrier: Carrier, from: Side, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        let Ok(batch) = Batch::parse(body, &Limits::TAKEN) else {
            let text = Node::Text(String::from_utf8_lossy(body).into_owned());
            let node = Node::Object(vec![("not messages".to_owned(), text)]);
            let seen = Seen { line: located.line, from, channel: String::new(), node };
            return self.odd(carrier, seen);
        };
        for (position, message) in batch.messages.iter().enumerate() {
            let line = located.inner.get(position).copied().unwrap_or(located.line);
            let node = Node::parse(message.text()).unwrap_or_else(|| Node::Opaque(message.text().to_owned()));
            let seen = Seen { line, from, channel: message.channel().unwrap_or_default().to_owned(), node };
            match from {
                Side::Client => self.take_from_client(carrier, message, seen),
                Side::Server => self.take_from_server(carrier, message, seen),
            }
        }
    }

    /// A response with another status than 200 stands in the place of replies.
    fn failed(&mut self, located: &Located, carrier: Carrier, response: &Response) {
        let mut members = vec![("status".to_owned(), Node::Plain(response.status.to_string()))];
        if !response.body.is_empty() {
            members.push(("body".to_owned(), Node::Text(String::from_utf8_lossy(&response.body).into_owned())));
        }
        let seen = Seen { line: located.line, from: Side::Server, channel: String::new(), node: Node::Object(members) };
        self.odd(carrier, seen);
    }

    /// Puts what is no message where it answers something, or else among the deliveries.
    fn odd(&mut self, carrier: Carrier, seen: Seen) {
        let answered = self.pending.iter().position(|(on, ..)| *on == carrier && matches!(on, Carrier::Exchange(_)));
        match answered.filter(|_| seen.from == Side::Server) {
            Some(pending) => {
                let (.., place) = self.pending.remove(pending);
                self.asked(place).replies.push(seen);
            }
            None => {
                let session = self.by_carrier.get(&carrier).copied().unwrap_or_default();
                self.sessions[session].deliveries.push(seen);
            }
        }
    }

    fn take_from_client(&mut self, carrier: Carrier, message: &Message, seen: Seen) {
        let session = if seen.channel == channel::HANDSHAKE {
            self.sessions.push(Session::default());
            self.sessions.len() - 1
        } else {
            match message.client_id() {
                Some(client) => self.by_client.get(client.expose()).copied().unwrap_or_default(),
                None => self.by_carrier.get(&carrier).copied().unwrap_or_default(),
            }
        };
        if session != 0 {
            self.by_carrier.insert(carrier, session);
        }
        self.session_of.insert(seen.line, session);
        let connect = seen.channel == channel::CONNECT;
        if connect {
            self.held.push(Held { session, request: seen.line, reply: None });
        }
        self.sessions[session].disconnected |= seen.channel == channel::DISCONNECT;
        let key = (seen.channel.clone(), message.id().map(|id| id.as_str().to_owned()));
        let list = if connect { &mut self.sessions[session].connects } else { &mut self.sessions[session].asked };
        list.push(Asked { request: seen, replies: Vec::new() });
        let place = Place { session, connect, position: list.len() - 1 };
        self.pending.push((carrier, key.0, key.1, place));
    }

    fn take_from_server(&mut self, carrier: Carrier, message: &Message, seen: Seen) {
        let is_reply = message.member("successful").is_some() || channel::is_meta(&seen.channel);
        let id = message.id().map(protocol::bayeux::message::MessageId::as_str);
        let request = self.pending.iter().position(|(on, channel, asked, _)| {
            *on == carrier && *channel == seen.channel && (id.is_none() || asked.as_deref() == id)
        });
        match request.filter(|_| is_reply) {
            Some(pending) => {
                let (.., place) = self.pending.remove(pending);
                self.session_of.insert(seen.line, place.session);
                if place.connect {
                    self.answered(place, seen.line);
                }
                if let Some(client) = message.client_id().filter(|_| seen.channel == channel::HANDSHAKE) {
                    self.by_client.insert(client.expose().to_owned(), place.session);
                }
                if !(place.connect && self.sessions[place.session].disconnected) {
                    self.asked(place).replies.push(seen);
                }
            }
            None => {
                let session = self.by_carrier.get(&carrier).copied().unwrap_or_default();
                self.session_of.insert(seen.line, session);
                self.sessions[session].deliveries.push(seen);
            }
        }
    }

    fn answered(&mut self, place: Place, line: usize) {
        let request = self.sessions[place.session].connects[place.position].request.line;
        if let Some(held) = self.held.iter_mut().rev().find(|held| held.request == request) {
            held.reply = Some(line);
        }
    }

    fn asked(&mut self, place: Place) -> &mut Asked {
        let session = &mut self.sessions[place.session];
        let list = if place.connect { &mut session.connects } else { &mut session.asked };
        &mut list[place.position]
    }
}
