//! Where clients under test come in: one listener, and behind it a scenario for each path.
//!
//! `/SCENARIO/genesys/cometd` leads to one scenario. The bare path of the servlet leads through all of them in turn: who
//! comes there is in the first one that is not over, and who begins a new conversation when that is over is in the next.
//! Who goes on with a conversation that is over is turned away.

use std::collections::{BTreeMap, VecDeque};

use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Response, Socket, Wire};

use super::visit::{Event, Timer, Visit, could_begin};

/// Scenarios behind one listener. See the module's text.
#[derive(Debug)]
pub struct Door {
    base: String,
    /// Each with the first segment of its path.
    visits: Vec<(String, Visit)>,
    exchanges: BTreeMap<Exchange, usize>,
    sockets: BTreeMap<Socket, usize>,
    outputs: VecDeque<Output<(usize, Event)>>,
}

impl Door {
    /// Makes a door to scenarios, each under the name that begins its path. `base` is the path of the servlet.
    #[must_use]
    pub const fn new(base: String, visits: Vec<(String, Visit)>) -> Self {
        Self { base, visits, exchanges: BTreeMap::new(), sockets: BTreeMap::new(), outputs: VecDeque::new() }
    }

    /// The path of a scenario.
    #[must_use]
    pub fn path(&self, place: usize) -> Option<String> {
        self.visits.get(place).map(|(name, _)| format!("/{name}{}", self.base))
    }

    /// Ends a scenario of which nothing more is to be expected.
    pub fn give_up(&mut self, now: Time, place: usize, says: &str) {
        if let Some((_, visit)) = self.visits.get_mut(place) {
            visit.give_up(now, says);
            self.drain(place);
        }
    }

    /// The scenarios that are not over.
    pub fn open(&self) -> impl Iterator<Item = usize> {
        self.visits.iter().enumerate().filter(|(_, (_, visit))| !visit.is_finished()).map(|(place, _)| place)
    }

    /// Whether a client has come to a scenario.
    #[must_use]
    pub fn has_begun(&self, place: usize) -> bool {
        self.visits.get(place).is_some_and(|(_, visit)| visit.has_begun())
    }

    /// Whose scenario a new request is for; with the target as the scenario knows it.
    fn route(&self, wire: &Wire, target: &str) -> Option<(usize, String)> {
        let named = self.visits.iter().enumerate().find_map(|(place, (name, _))| {
            let rest = target.strip_prefix('/')?.strip_prefix(name.as_str())?;
            rest.starts_with('/').then(|| (place, rest.to_owned()))
        });
        named.or_else(|| {
            target.starts_with(&self.base).then_some(())?;
            let next = self.open().next();
            let last = self.visits.len().checked_sub(1)?;
            let place = match next {
                // A conversation that is over goes on: it is none of the next scenario's.
                Some(next) if next > 0 && !self.has_begun(next) && !could_begin(wire) => next - 1,
                Some(next) => next,
                None => last,
            };
            Some((place, target.to_owned()))
        })
    }

    fn enter(&mut self, now: Time, wire: Wire) {
        let place = match &wire {
            Wire::Request(exchange, request) => {
                let Some((place, target)) = self.route(&wire, &request.target) else {
                    let refusal = Response { status: 404, headers: Headers::new(), body: Vec::new() };
                    return self.outputs.push_back(Output::Wire(Wire::Response(*exchange, refusal)));
                };
                self.exchanges.insert(*exchange, place);
                let mut request = request.clone();
                request.target = target;
                return self.feed(now, place, Input::Wire(Wire::Request(*exchange, request)));
            }
            Wire::Upgrade(socket, request) => {
                let Some((place, target)) = self.route(&wire, &request.target) else {
                    let refusal = Response { status: 404, headers: Headers::new(), body: Vec::new() };
                    return self.outputs.push_back(Output::Wire(Wire::Refused(*socket, refusal)));
                };
                self.sockets.insert(*socket, place);
                let mut request = request.clone();
                request.target = target;
                return self.feed(now, place, Input::Wire(Wire::Upgrade(*socket, request)));
            }
            Wire::Broken(exchange, _) | Wire::Response(exchange, _) => self.exchanges.remove(exchange),
            Wire::Close(socket, _) | Wire::Lost(socket, _) => self.sockets.remove(socket),
            Wire::Text(socket, _)
            | Wire::Binary(socket, _)
            | Wire::Ping(socket, _)
            | Wire::Pong(socket, _)
            | Wire::Upgraded(socket, _)
            | Wire::Refused(socket, _) => self.sockets.get(socket).copied(),
        };
        if let Some(place) = place {
            self.feed(now, place, Input::Wire(wire));
        }
    }

    fn feed(&mut self, now: Time, place: usize, input: Input) {
        if let Some((_, visit)) = self.visits.get_mut(place) {
            visit.handle_input(now, input);
            self.drain(place);
        }
    }

    fn drain(&mut self, place: usize) {
        let Some((_, visit)) = self.visits.get_mut(place) else { return };
        while let Some(output) = visit.poll_output() {
            self.outputs.push_back(match output {
                Output::Wire(wire) => Output::Wire(wire),
                Output::Event(event) => Output::Event((place, event)),
            });
        }
    }
}

impl Machine for Door {
    type Timer = Timer;
    type Event = (usize, Event);

    fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Wire(wire) => self.enter(now, wire),
            Input::Timeout => {
                for place in 0..self.visits.len() {
                    let due = self.visits[place].1.deadline().is_some_and(|(at, _)| at <= now);
                    if due {
                        self.feed(now, place, Input::Timeout);
                    }
                }
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output<(usize, Event)>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.visits.iter().filter_map(|(_, visit)| visit.deadline()).min()
    }
}
