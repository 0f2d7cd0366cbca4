//! The network between a client machine and a server machine, in virtual time, with faults on demand.
//!
//! It keeps to what TCP can do. The frames of one direction of a WebSocket arrive in order, and none is lost without the
//! socket: to lose one is to reset it. HTTP exchanges are independent of each other. A connection that broke is noticed
//! by the client at once and by the server later, or when the client says so.
//!
//! It is a machine of its own kind: it takes what either side puts out and gives what either side is to take in.

mod fault;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Response, Side, Socket, Wire};

pub use self::fault::{Fault, Rule, Unit};

/// How the network behaves when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// How long anything takes from one side to the other.
    pub latency: Duration,
    /// At most how much longer it takes, drawn anew each time.
    pub jitter: Duration,
    /// How much later than the client the server notices that a connection broke.
    pub notice: Duration,
}

impl Default for Network {
    /// 10 ms, no jitter, and a server that notices after 100 ms.
    fn default() -> Self {
        Self { latency: Duration::from_millis(10), jitter: Duration::ZERO, notice: Duration::from_millis(100) }
    }
}

/// What holds things in order: an exchange or a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Connection {
    Http(Exchange),
    WebSocket(Socket),
}

impl Connection {
    fn of(wire: &Wire) -> Option<Self> {
        wire.exchange().map(Self::Http).or_else(|| wire.socket().map(Self::WebSocket))
    }
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing passes any more and nobody is told.
    Silent,
    /// This side has ended it; the other side is about to learn.
    EndedBy(Side),
}

#[derive(Clone, Debug)]
struct Line {
    state: State,
    /// The latest arrival at the client and at the server, which nothing may overtake.
    latest: [Time; 2],
}

#[derive(Clone, Debug)]
enum Flight {
    Wire(Side, Wire),
    /// The connection breaks.
    Break(Connection),
}

/// The virtual network. See the module's text.
#[derive(Clone, Debug)]
pub struct Link {
    network: Network,
    random: fastrand::Rng,
    rules: Vec<Rule>,
    down: bool,
    lines: BTreeMap<Connection, Line>,
    flights: BTreeMap<(Time, u64), Flight>,
    launched: u64,
    strikes: u64,
}

/// Whether its connection is of no further use to whoever sends it.
const fn ends(wire: &Wire) -> bool {
    matches!(wire, Wire::Response(..) | Wire::Broken(..) | Wire::Refused(..) | Wire::Close(..) | Wire::Lost(..))
}

const fn slot(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

impl Link {
    /// Makes a network. The seed decides jitter and the faults that strike by chance.
    #[must_use]
    pub fn new(network: Network, seed: u64) -> Self {
        Self {
            network,
            random: fastrand::Rng::with_seed(seed),
            rules: Vec::new(),
            down: false,
            lines: BTreeMap::new(),
            flights: BTreeMap::new(),
            launched: 0,
            strikes: 0,
        }
    }

    /// Adds a rule. For each unit the first rule that strikes counts.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Removes every rule and brings the network up: from here on nothing is wrong.
    pub fn heal(&mut self) {
        self.rules.clear();
        self.down = false;
    }

    /// Takes the network down or brings it up. While it is down no connection can be made; open ones break.
    pub fn set_down(&mut self, now: Time, down: bool) {
        self.down = down;
        if down {
            self.break_all(now);
        }
    }

    /// Breaks every open connection, with all that is under way on it.
    pub fn break_all(&mut self, now: Time) {
        let open: Vec<Connection> = self.lines.keys().copied().collect();
        for connection in open {
            self.break_now(now, connection);
        }
    }

    /// How often a rule has struck.
    #[must_use]
    pub const fn strikes(&self) -> u64 {
        self.strikes
    }

    /// When something arrives next.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.flights.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes in what a side put out.
    pub fn send(&mut self, now: Time, from: Side, wire: Wire) {
        let Some(connection) = Connection::of(&wire) else { return };
        if matches!(wire, Wire::Request(..) | Wire::Upgrade(..)) {
            if self.down {
                return self.fail_to_connect(now, &wire);
            }
            self.lines.insert(connection, Line { state: State::Open, latest: [now; 2] });
        }
        match self.lines.get(&connection).map(|line| line.state) {
            Some(State::Open) => {}
            // Whoever ends a silent connection is heard no more than anything else on it.
            Some(State::Silent | State::EndedBy(_)) | None => return,
        }
        let fault = self.strike(from, &wire);
        let arrival = |link: &mut Self, delay: Duration| link.arrival(now, connection, from.peer(), delay);
        match fault {
            None => {
                let at = arrival(self, Duration::ZERO);
                self.pass(at, from, connection, wire);
            }
            Some(Fault::Delay(delay)) => {
                let at = arrival(self, delay);
                self.pass(at, from, connection, wire);
            }
            Some(Fault::Duplicate { after }) => {
                let at = arrival(self, Duration::ZERO);
                self.pass(at, from, connection, wire.clone());
                self.launch(at + after, Flight::Wire(from.peer(), wire));
            }
            Some(Fault::Lose) => {
                let at = arrival(self, Duration::ZERO);
                self.launch(at, Flight::Break(connection));
            }
            Some(Fault::Break { after }) => {
                let at = arrival(self, Duration::ZERO);
                self.pass(at, from, connection, wire);
                self.launch(at + after, Flight::Break(connection));
            }
            Some(Fault::Silence) => {
                if let Some(line) = self.lines.get_mut(&connection) {
                    line.state = State::Silent;
                }
                self.forget_flights(connection);
            }
            Some(Fault::Unreachable) => self.fail_to_connect(now, &wire),
            Some(Fault::Refuse(status)) => {
                let response = Response { status, headers: Headers::new(), body: Vec::new() };
                let refusal = match &wire {
                    Wire::Upgrade(socket, _) => Wire::Refused(*socket, response),
                    _ => match wire.exchange() {
                        Some(exchange) => Wire::Response(exchange, response),
                        None => return,
                    },
                };
                self.launch(now + self.network.latency * 2, Flight::Wire(Side::Client, refusal));
            }
        }
    }

    /// Gives what has arrived by now and for whom; `None` means that nothing more has.
    pub fn take(&mut self, now: Time) -> Option<(Side, Wire)> {
        loop {
            let entry = self.flights.first_entry().filter(|entry| entry.key().0 <= now)?;
            match entry.remove() {
                Flight::Break(connection) => self.break_now(now, connection),
                Flight::Wire(to, wire) => {
                    self.on_arrival(&wire);
                    return Some((to, wire));
                }
            }
        }
    }

    /// Lets a unit pass, and notes when it ends its connection.
    fn pass(&mut self, at: Time, from: Side, connection: Connection, wire: Wire) {
        if ends(&wire) {
            if let Some(line) = self.lines.get_mut(&connection) {
                line.state = State::EndedBy(from);
            }
            // Whoever ends a connection takes nothing more from it.
            self.flights.retain(|_, flight| {
                !matches!(flight, Flight::Wire(to, wire) if *to == from && Connection::of(wire) == Some(connection))
            });
        }
        let wire = match wire {
            // The peer of whoever cuts a connection sees only that it is cut.
            Wire::Broken(exchange, _) => Wire::Broken(exchange, Failure::Reset),
            Wire::Lost(socket, _) => Wire::Lost(socket, Failure::Reset),
            other => other,
        };
        self.launch(at, Flight::Wire(from.peer(), wire));
    }

    fn on_arrival(&mut self, wire: &Wire) {
        if let Some(connection) = Connection::of(wire).filter(|_| ends(wire)) {
            self.lines.remove(&connection);
        }
    }

    /// Breaks a connection: what is under way on it is lost, the client learns at once, the server later.
    fn break_now(&mut self, now: Time, connection: Connection) {
        let Some(line) = self.lines.remove(&connection) else { return };
        self.forget_flights(connection);
        let lost = |connection| match connection {
            Connection::Http(exchange) => Wire::Broken(exchange, Failure::Reset),
            Connection::WebSocket(socket) => Wire::Lost(socket, Failure::Reset),
        };
        if line.state != State::EndedBy(Side::Client) {
            self.launch(now, Flight::Wire(Side::Client, lost(connection)));
        }
        if line.state != State::EndedBy(Side::Server) {
            self.launch(now + self.network.notice, Flight::Wire(Side::Server, lost(connection)));
        }
    }

    fn fail_to_connect(&mut self, now: Time, wire: &Wire) {
        let failed = match wire {
            Wire::Request(exchange, _) => Wire::Broken(*exchange, Failure::Unreachable),
            Wire::Upgrade(socket, _) => Wire::Lost(*socket, Failure::Unreachable),
            _ => return,
        };
        let at = now + self.network.latency;
        self.launch(at, Flight::Wire(Side::Client, failed));
    }

    fn forget_flights(&mut self, connection: Connection) {
        self.flights.retain(|_, flight| match flight {
            Flight::Wire(_, wire) => Connection::of(wire) != Some(connection),
            Flight::Break(other) => *other != connection,
        });
    }

    fn arrival(&mut self, now: Time, connection: Connection, to: Side, delay: Duration) -> Time {
        let jitter = u64::try_from(self.network.jitter.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(if jitter == 0 { 0 } else { self.random.u64(0..=jitter) });
        let at = now + self.network.latency + jitter + delay;
        match self.lines.get_mut(&connection) {
            Some(line) => {
                let latest = &mut line.latest[slot(to)];
                *latest = at.max(*latest);
                *latest
            }
            None => at,
        }
    }

    fn launch(&mut self, at: Time, flight: Flight) {
        self.launched += 1;
        self.flights.insert((at, self.launched), flight);
    }

    fn strike(&mut self, from: Side, wire: &Wire) -> Option<Fault> {
        let random = &mut self.random;
        let fault = self.rules.iter_mut().find_map(|rule| rule.strike(from, wire, random));
        self.strikes += u64::from(fault.is_some());
        fault
    }
}
