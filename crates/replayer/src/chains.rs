//! Which entries of a tape belong to which client.
//!
//! A recording proxy may see several clients, one after the other or at once. A client is a chain of sessions: it goes on
//! in a new session when the server no longer knows the old one, or when its handshake came to nothing. What tells clients
//! apart is the clientId, the carrier, the browser cookie and the TCP connection, in this order.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::callbacks::{Callbacks, is_no_call};
use protocol::bayeux::channel;
use protocol::bayeux::http::{BROWSER_COOKIE, Cookies, cookie};
use protocol::bayeux::message::Message;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Side, Socket, Wire};
use recording::tape::{ConnLabel, Located, Tape};

/// Something that crossed the wire, with the messages that it carried. Callback-polling is read as what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) at: Time,
    pub(crate) from: Side,
    pub(crate) line: usize,
    pub(crate) wire: Wire,
    /// Whether it is callback-polling.
    pub(crate) is_callback: bool,
    /// The messages with their lines; `None` if it carries something else.
    pub(crate) batch: Option<Vec<(usize, Message)>>,
}

/// What one client and its server exchanged, in the order of the tape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) units: Vec<Unit>,
}

/// What holds messages together on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Carrier {
    Exchange(Exchange),
    Socket(Socket),
}

/// What tells one browser from another.
#[derive(Clone, Debug, Default)]
struct Mark {
    cookie: Option<String>,
    conn: ConnLabel,
}

/// What is known of a client so far.
#[derive(Clone, Debug, Default)]
struct Known {
    cookies: BTreeSet<String>,
    conns: BTreeSet<ConnLabel>,
    /// Where a handshake waits for its reply.
    handshake_on: Option<Carrier>,
    /// Whether its next message must be a handshake.
    must_handshake: bool,
    /// Whether it has a WebSocket or may open one without a handshake.
    by_socket: bool,
}

#[derive(Debug, Default)]
struct Attribution {
    clients: Vec<Known>,
    by_client_id: BTreeMap<String, usize>,
    by_carrier: BTreeMap<Carrier, usize>,
    /// Sockets on which no message has told yet whose they are, with their units.
    undecided: BTreeMap<Socket, (Mark, Vec<usize>)>,
    /// Units of sockets that never opened, for the client that comes to light next.
    unclaimed: Vec<usize>,
    owners: Vec<Option<usize>>,
}

/// Takes a tape apart. Also says how many units belong to no client.
pub(crate) fn chains(tape: &Tape) -> (Vec<Chain>, usize) {
    let mut attribution = Attribution::default();
    let mut units = Vec::new();
    let located = tape.located();
    let wires = located.iter().map(|located| &located.entry.wire);
    let asked = Callbacks::of(wires.filter(|wire| matches!(wire, Wire::Request(..))));
    for located in located {
        let unit = unit(&located, &asked);
        attribution.take(units.len(), &unit, located.conn);
        units.push(unit);
    }
    let mut chains = vec![Chain::default(); attribution.clients.len()];
    let mut outside = 0;
    for (unit, owner) in units.into_iter().zip(attribution.owners) {
        match owner {
            Some(owner) => chains[owner].units.push(unit),
            None => outside += 1,
        }
    }
    (chains, outside)
}

/// Reads an entry; `asked` are the exchanges in which the client asked for a call.
fn unit(located: &Located, asked: &Callbacks) -> Unit {
    let unwrapped = asked.unwrap(&located.entry);
    let is_callback = matches!(unwrapped, Cow::Owned(_));
    // An answer that is no call gives the client nothing, whatever stands in it.
    let no_call = is_callback && matches!(&located.entry.wire, Wire::Response(_, response) if is_no_call(response));
    let entry = if no_call { Cow::Borrowed(&located.entry) } else { unwrapped };
    let body = match &entry.wire {
        Wire::Request(_, request) => Some(request.body.as_slice()),
        Wire::Response(..) if no_call => None,
        Wire::Response(_, response) if response.status == 200 => Some(response.body.as_slice()),
        Wire::Text(_, text) => Some(text.as_bytes()),
        _ => None,
    };
    let batch = body.and_then(|body| Batch::parse(body, &Limits::TAKEN).ok()).map(|batch| {
        let line = |position: usize| located.inner.get(position).copied().unwrap_or(located.line);
        batch.messages.into_iter().enumerate().map(|(position, message)| (line(position), message)).collect()
    });
    let Entry { at, from, wire } = entry.into_owned();
    Unit { at, from, line: located.line, wire, is_callback, batch }
}

fn carrier(wire: &Wire) -> Option<Carrier> {
    wire.exchange().map(Carrier::Exchange).or_else(|| wire.socket().map(Carrier::Socket))
}

impl Attribution {
    fn take(&mut self, position: usize, unit: &Unit, conn: ConnLabel) {
        self.owners.push(None);
        let Some(carrier) = carrier(&unit.wire) else { return };
        let owner = match (&unit.wire, carrier) {
            (Wire::Upgrade(socket, request), _) => {
                let mark = mark(&request.headers, conn);
                self.undecided.insert(*socket, (mark, vec![position]));
                return;
            }
            (Wire::Request(_, request), _) => {
                let mark = mark(&request.headers, conn);
                self.client_of(carrier, unit, &mark)
            }
            (Wire::Text(..), Carrier::Socket(socket)) if unit.from == Side::Client => {
                let undecided = self.undecided.get(&socket).cloned().unwrap_or_default();
                let owner = self.client_of(carrier, unit, &undecided.0);
                if let Some(owner) = owner {
                    self.undecided.remove(&socket);
                    self.clients[owner].by_socket = true;
                    self.claim(owner, undecided.1);
                }
                owner
            }
            (wire, Carrier::Socket(socket)) if self.undecided.contains_key(&socket) => {
                if let Some((_, units)) = self.undecided.get_mut(&socket) {
                    units.push(position);
                }
                if matches!(wire, Wire::Refused(..) | Wire::Lost(..) | Wire::Close(..)) {
                    self.give_up(socket);
                }
                return;
            }
            _ => self.by_carrier.get(&carrier).copied(),
        };
        let Some(owner) = owner else { return };
        self.owners[position] = Some(owner);
        self.learn(owner, carrier, unit);
    }

    fn claim(&mut self, owner: usize, units: Vec<usize>) {
        for unit in units {
            self.owners[unit] = Some(owner);
        }
    }

    /// A socket ended before any message: it belongs to whoever may have wanted one.
    fn give_up(&mut self, socket: Socket) {
        let Some((mark, units)) = self.undecided.remove(&socket) else { return };
        let wants = |client: &Known| client.by_socket && client.could_be(&mark);
        match self.clients.iter().rposition(wants) {
            Some(owner) => self.claim(owner, units),
            None => self.unclaimed.extend(units),
        }
    }

    /// The client that sent this.
    fn client_of(&mut self, carrier: Carrier, unit: &Unit, mark: &Mark) -> Option<usize> {
        let messages = unit.batch.as_deref().unwrap_or_default();
        let known = messages
            .iter()
            .filter_map(|(_, message)| message.client_id())
            .find_map(|id| self.by_client_id.get(id.expose()).copied());
        let handshakes = messages.iter().any(|(_, message)| message.channel() == Some(channel::HANDSHAKE));
        let known = known.or_else(|| self.by_carrier.get(&carrier).copied());
        let owner = match known.or_else(|| self.by_cookie(mark).filter(|_| !handshakes && !messages.is_empty())) {
            Some(owner) => owner,
            None if handshakes => match self.returning(mark) {
                Some(owner) => owner,
                None => {
                    self.clients.push(Known::default());
                    self.clients.len() - 1
                }
            },
            None => return None,
        };
        self.by_carrier.insert(carrier, owner);
        let client = &mut self.clients[owner];
        client.conns.insert(mark.conn);
        client.cookies.extend(mark.cookie.clone());
        if handshakes {
            client.handshake_on = Some(carrier);
            client.must_handshake = false;
            let unclaimed = std::mem::take(&mut self.unclaimed);
            self.claim(owner, unclaimed);
        }
        Some(owner)
    }

    /// The one client that has this cookie.
    fn by_cookie(&self, mark: &Mark) -> Option<usize> {
        let cookie = mark.cookie.as_ref()?;
        let mut owners = (0..self.clients.len()).filter(|owner| self.clients[*owner].cookies.contains(cookie));
        owners.next().filter(|_| owners.next().is_none())
    }

    /// The client that has to handshake again and may be this one.
    fn returning(&self, mark: &Mark) -> Option<usize> {
        let candidates = self.clients.iter().enumerate();
        let candidates = candidates.filter(|(_, client)| client.must_handshake && client.could_be(mark));
        let likeness = |client: &Known| {
            let cookie = mark.cookie.as_ref().is_some_and(|cookie| client.cookies.contains(cookie));
            (cookie, mark.conn != ConnLabel::default() && client.conns.contains(&mark.conn))
        };
        candidates
            .max_by_key(|(position, client)| (likeness(client), std::cmp::Reverse(*position)))
            .map(|(position, _)| position)
    }

    /// Takes in what a unit says about the client that it belongs to.
    fn learn(&mut self, owner: usize, carrier: Carrier, unit: &Unit) {
        let client = &mut self.clients[owner];
        if let Wire::Response(_, protocol::wire::Response { headers, .. }) | Wire::Upgraded(_, headers) = &unit.wire {
            let mut jar = Cookies::new();
            jar.absorb(headers);
            let field = jar.header().map(|header| Headers::new().with("Cookie", &header)).unwrap_or_default();
            client.cookies.extend(cookie(&field, BROWSER_COOKIE).map(str::to_owned));
        }
        let heard = if unit.from == Side::Server { unit.batch.as_deref() } else { None };
        for (_, message) in heard.unwrap_or_default() {
            let is_handshake = message.channel() == Some(channel::HANDSHAKE);
            if is_handshake && message.successful() == Some(true) {
                client.handshake_on = None;
                client.must_handshake = false;
                if let Some(id) = message.client_id() {
                    self.by_client_id.insert(id.expose().to_owned(), owner);
                }
            } else if is_handshake
                || message.error_code() == Some(402)
                || message.advice().is_some_and(|advice| advice.reconnect == Some(Reconnect::Handshake))
            {
                client.must_handshake = true;
            }
        }
        let ends = matches!(
            unit.wire,
            Wire::Response(..) | Wire::Broken(..) | Wire::Close(..) | Wire::Lost(..) | Wire::Refused(..)
        );
        if ends && client.handshake_on == Some(carrier) {
            client.must_handshake = true;
        }
    }
}

impl Known {
    /// Whether nothing speaks against this client. Whoever has a cookie sends it.
    fn could_be(&self, mark: &Mark) -> bool {
        match &mark.cookie {
            Some(cookie) => self.cookies.is_empty() || self.cookies.contains(cookie),
            None => self.cookies.is_empty(),
        }
    }
}

fn mark(headers: &Headers, conn: ConnLabel) -> Mark {
    Mark { cookie: cookie(headers, BROWSER_COOKIE).map(str::to_owned), conn }
}
