//! A running client-side case as a machine on the server's side.
//!
//! The case is a straight-line async function that this machine polls itself, as [`crate::run`] does on the client's side.
//! It begins with the first thing that the client sends. When it is over, the visit ends the chat, gives the client the
//! time to leave, and turns it away.
//!
//! A late timeout counts as if it had come at its deadline, before whatever else came meanwhile.

use std::collections::VecDeque;
use std::fmt;
use std::task::Poll;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::server::Deed;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Transport, Wire};
use serde_json::json;

use super::guest::{Guest, Shared};
use super::house::{House, Treatment};
use super::{Fault, Settings, Step};
use crate::cases::{Case, Script};
use crate::run::{Chats, Outcome};
use crate::stage::{self, Stage};
use crate::verdict::{Ending, Stop, Verdict};

/// How long a client has to leave when its chat is over.
const LEAVE: Duration = Duration::from_secs(3);

/// How often a visit may go on at one moment.
const TURNS_AT_ONCE: u32 = 10_000;

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The servers have something due.
    Server,
    /// What the case waits for is overdue, or its pause is over.
    Expectation,
    /// The visit has taken as long as it may.
    Limit,
}

/// What the visit tells whoever drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client has come.
    Begun,
    /// The client's user is to do something.
    Asks(Step),
    /// The case has come to its end.
    Finished(Box<Visited>),
}

/// What there is to say of a visit at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// What the case came to.
    pub outcome: Outcome,
    /// What crossed the wire, as seen from here; not redacted.
    pub entries: Vec<Entry>,
    /// What was broken on purpose, in order.
    pub faults: Vec<Fault>,
}

/// A running client-side case. See the module's text.
pub struct Visit {
    case: &'static Case,
    shared: Shared,
    guest: Guest,
    patience: Duration,
    stage: Stage<()>,
    began: Time,
    limit: Time,
    events: VecDeque<Event>,
}

/// Shows which case it is and what it is doing.
impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("case", &self.case.id).field("stage", &self.stage.word()).finish_non_exhaustive()
    }
}

impl Visit {
    /// Makes a visit that begins with the first thing that a client sends. The same seed gives the same ids and keys.
    #[must_use]
    pub fn new(case: &'static Case, settings: &Settings, seed: u64) -> Self {
        let shared = Shared::new(House::new(settings, seed));
        Self {
            case,
            guest: Guest::new(shared.clone(), case),
            shared,
            patience: settings.patience,
            stage: Stage::Waiting,
            began: Time::ZERO,
            limit: Time::ZERO,
            events: VecDeque::new(),
        }
    }

    /// The case.
    #[must_use]
    pub const fn case(&self) -> &'static Case {
        self.case
    }

    /// Whether a client has come.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Waiting)
    }

    /// Whether the visit has come to its end.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Whether the case itself is over, whatever becomes of the good-bye.
    pub(crate) const fn has_judged(&self) -> bool {
        matches!(self.stage, Stage::Leaving(..) | Stage::Done)
    }

    /// Ends the visit where it is, since nothing more can come: a verdict that has fallen stands. What it came to so far.
    pub(crate) fn abandon(&mut self, now: Time, stop: Stop) -> Option<Outcome> {
        self.shared.with(|house| house.now = house.now.max(now));
        let verdict = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Leaving(_, verdict) => verdict,
            Stage::Waiting | Stage::Judging(_) => Err(stop),
            Stage::Done => return None,
        };
        self.stop(verdict);
        self.events.drain(..).find_map(|event| match event {
            Event::Finished(visited) => Some(visited.outcome),
            Event::Begun | Event::Asks(_) => None,
        })
    }

    /// Ends the visit: there is nothing more to be expected of the client. What it did until now is judged.
    pub fn give_up(&mut self, now: Time, says: &str) {
        self.catch_up(now);
        self.shared.with(|house| house.now = house.now.max(now));
        match self.stage {
            Stage::Done => {}
            Stage::Waiting => {
                self.began = now;
                self.stop(Err(Stop::Inconclusive { says: says.to_owned(), frames: Vec::new() }));
            }
            Stage::Judging(_) => {
                let stop = self.guest.inconclusive(says);
                self.stop(Err(stop));
            }
            Stage::Leaving(..) => self.finish(),
        }
    }

    fn begin(&mut self, now: Time) {
        self.began = now;
        // The client's user takes part twice at the most.
        self.limit = now + self.case.at_most + self.patience + self.patience;
        self.events.push_back(Event::Begun);
        let guest = self.guest.clone();
        self.stage = Stage::Judging(match self.case.run {
            Script::OfClient(run) => run(guest),
            Script::OfServer(_) => Box::pin(async { Err(Stop::Error("the case is about servers".to_owned())) }),
        });
    }

    /// Goes on as far as possible at a moment.
    fn advance(&mut self, now: Time) {
        self.shared.with(|house| house.now = house.now.max(now));
        while self.turn(now) {}
        while let Some(step) = self.shared.with(|house| house.asked.pop_front()) {
            self.events.push_back(Event::Asks(step));
        }
    }

    /// Polls what is running; says whether something else is to run at once.
    fn turn(&mut self, now: Time) -> bool {
        self.shared.with(|house| house.wake = None);
        let late = now >= self.limit;
        match &mut self.stage {
            Stage::Waiting | Stage::Done => false,
            Stage::Judging(running) => {
                let verdict = match stage::poll(running) {
                    Poll::Ready(verdict) => verdict.unwrap_or_else(|| Err(stage::panicked())),
                    Poll::Pending if late => Err(self.guest.inconclusive("the scenario took too long")),
                    Poll::Pending => return false,
                };
                self.limit = now + LEAVE + LEAVE;
                self.stage = Stage::Leaving(Box::pin(see_off(self.guest.clone())), verdict);
                true
            }
            Stage::Leaving(running, _) => {
                let polled = stage::poll(running);
                if late || polled.is_ready() {
                    self.finish();
                }
                false
            }
        }
    }

    fn stop(&mut self, verdict: Verdict) {
        self.stage = Stage::Leaving(Box::pin(async {}), verdict);
        self.finish();
    }

    fn finish(&mut self) {
        let Stage::Leaving(_, verdict) = std::mem::replace(&mut self.stage, Stage::Done) else { return };
        let case = self.case;
        let (judged, ending, faults, entries, transport, took) = self.shared.with(|house| {
            // That the end cuts what is still open is nothing that was broken.
            let faults = std::mem::take(&mut house.faults);
            let left = house.heard.iter().any(|heard| heard.is(channel::DISCONNECT));
            let ending = match (house.granted().is_some(), left) {
                (false, _) => Ending::NoSession,
                (true, true) => Ending::Left,
                (true, false) => Ending::Stayed,
            };
            house.close(1000, "the scenario is over");
            let used = house.heard.iter().find(|heard| heard.is(channel::HANDSHAKE)).map(|heard| heard.transport);
            let transport = used.or(house.settings.transport).unwrap_or(Transport::WebSocket);
            let took = house.now - self.began;
            (std::mem::take(&mut house.ledger), ending, faults, house.entries.clone(), transport, took)
        });
        let (judged, stop) = stage::settle(judged, verdict);
        // The chats are the client's, and end with the scenario.
        let outcome = Outcome { case, transport, judged, stop, ending, chats: Chats::default(), took };
        self.events.push_back(Event::Finished(Box::new(Visited { outcome, entries, faults })));
        self.shared.with(turn_away);
    }

    /// Does what was due before a moment, each thing at its own time.
    fn catch_up(&mut self, now: Time) {
        for _ in 0..TURNS_AT_ONCE {
            let Some((due, _)) = self.deadline().filter(|(at, _)| *at <= now) else { return };
            self.shared.with(|house| {
                house.now = house.now.max(due);
                house.tick();
            });
            let due = self.shared.with(|house| house.now);
            self.advance(due);
        }
        self.stop(Err(Stop::Error("the case goes on without time passing".to_owned())));
    }
}

impl Machine for Visit {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.catch_up(now);
        let Input::Wire(wire) = input else { return };
        self.shared.with(|house| house.now = house.now.max(now));
        if matches!(self.stage, Stage::Waiting) {
            self.begin(now);
            // What it sets up is there before anything is heard.
            self.advance(now);
        }
        self.shared.with(|house| house.receive(wire));
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(wire) = self.shared.with(|house| house.outputs.pop_front()) {
            return Some(Output::Wire(wire));
        }
        self.events.pop_front().map(Output::Event)
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let (wake, due) = self.shared.with(|house| (house.wake, house.due()));
        let due = due.map(|at| (at, Timer::Server));
        match self.stage {
            Stage::Waiting | Stage::Done => None,
            Stage::Judging(_) | Stage::Leaving(..) => {
                let wake = wake.map(|at| (at, Timer::Expectation));
                wake.into_iter().chain(due).chain([(self.limit, Timer::Limit)]).min()
            }
        }
    }
}

/// Ends the chat as an agent does, and gives the client the time to leave.
async fn see_off(guest: Guest) {
    guest.with(|house| {
        house.behave();
        house.chat_server(true);
        house.join();
        house.agent(Deed::End);
    });
    let is_gone = |house: &House| {
        (!house.is_connected() || house.heard.last().is_some_and(|heard| heard.is(channel::DISCONNECT))).then_some(())
    };
    let _ = guest.wait(LEAVE, is_gone).await;
    guest.pause(Duration::from_millis(200)).await;
}

/// From here on whoever comes is told not to come again.
fn turn_away(house: &mut House) {
    house.behave();
    house.treat_messages(|message| {
        let mut refusal = json!({
            "channel": message.channel(),
            "successful": false,
            "error": "402::Unknown client",
            "advice": {"reconnect": "none", "interval": 0},
        });
        if let Some(id) = message.id() {
            refusal["id"] = id.as_str().into();
        }
        Treatment::Answer(vec![refusal])
    });
}

/// Whether something could begin a conversation: a request with a handshake, or a socket.
pub(crate) fn could_begin(wire: &Wire) -> bool {
    match wire {
        Wire::Upgrade(..) => true,
        Wire::Request(..) => {
            let is_handshake = |message: &Message| message.channel() == Some(channel::HANDSHAKE);
            protocol::bayeux::batch::Batch::carried(wire).iter().any(is_handshake)
        }
        _ => false,
    }
}
