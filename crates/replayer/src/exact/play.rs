//! Runs the client of a tape once more, and holds each thing that it puts on the wire against the tape.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::chat::client::{Client, Config};
use protocol::chat::files::is_target;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Headers, Side, Transport, Wire};
use recording::originals::Originals;
use recording::redaction::Redactor;
use recording::tape::{Carried, Kind, Located, Record, Status, Tape};
use recording::token::Key;

use super::call::Call;
use super::report::{shown, waits};
use super::setup::{self, Unfit};
use super::taped::timer;

/// How late a timer may be given to a client on a busy machine.
const LATE: Duration = Duration::from_secs(1);

/// How the client departs from the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It puts nothing on the wire, and the tape has something.
    NotSent,
    /// It puts something on the wire, and the tape has something else next, or nothing.
    Unexpected,
    /// Both put something on the wire, not with as many messages in it.
    Batched,
    /// Both put something on the wire, not the same: what is different.
    Differs(String),
    /// It waits for another moment, or for something else.
    Timer,
}

/// The first place where the client departs from the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The line of the tape; `None` behind its last.
    pub line: Option<usize>,
    /// When.
    pub at: Time,
    /// How.
    pub what: What,
    /// What the tape has.
    pub tape: String,
    /// What the client does.
    pub client: String,
}

/// How much was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls of the application.
    pub calls: usize,
    /// Timers that ran out.
    pub timers: usize,
    /// What came from the server: responses, frames, losses.
    pub received: usize,
    /// What the client put on the wire, as the tape has it.
    pub sent: usize,
    /// How long it took, in virtual time.
    pub time: Duration,
}

/// What came out of an exact replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Where the client departs from the tape, if it does. Nothing behind it is judged.
    pub departure: Option<Departure>,
    /// Why something cannot be judged, the departure if there is one.
    pub doubt: Option<String>,
    /// Whether the limit on the length of targets was not applied, since with tokens in their places messages are longer.
    pub is_unlimited: bool,
    /// How much was replayed.
    pub statistics: Statistics,
    /// Whether the tape is whole.
    pub status: Status,
}

impl Replay {
    /// The exit code of the command: 1 for a departure, 3 if nothing is wrong but not all could be judged, else 0.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (&self.departure, &self.doubt, self.status) {
            (Some(_), None, _) => 1,
            (None, None, Status::Complete) if self.statistics.sent > 0 => 0,
            (_, _, Status::Complete | Status::GoesOn { .. } | Status::Aborted | Status::Interrupted) => 3,
        }
    }
}

/// Runs the client of a tape once more in virtual time; `None` if our client did not leave the tape.
///
/// # Errors
///
/// [`Unfit`]
pub fn replay(tape: &Tape) -> Result<Option<Replay>, Unfit> {
    let Some(config) = setup::read(tape.header())? else { return Ok(None) };
    let located = tape.located();
    let steps = steps(tape, &located);
    let attempt = |config: Config| Player::new(config, tape).play(&steps);
    let first = attempt(config.clone());
    // Without tokens other messages might have fitted into a request.
    let is_tight = first.departure.is_some() && config.bayeux.transports.contains(&Transport::CallbackPolling);
    if !is_tight {
        return Ok(Some(first));
    }
    let mut unlimited = config;
    unlimited.bayeux.target_limit = usize::MAX;
    let second = Replay { is_unlimited: true, ..attempt(unlimited) };
    let is_better = second.departure.is_none() || second.statistics.sent > first.statistics.sent;
    Ok(Some(if is_better { second } else { first }))
}

/// One record of the tape that matters here.
struct Step<'a> {
    line: usize,
    at: Time,
    /// Whether what came or was sent was too long to be redacted message by message.
    is_too_long: bool,
    deed: Deed<'a>,
}

enum Deed<'a> {
    Call {
        name: &'a str,
        arguments: &'a str,
    },
    Timer {
        name: &'a str,
        due: Option<Time>,
    },
    Comes(&'a Located),
    Sends(&'a Located),
    /// A random number that no client of this version takes.
    Drawn(&'a str),
}

fn steps<'a>(tape: &'a Tape, located: &'a [Located]) -> Vec<Step<'a>> {
    let units: BTreeMap<usize, &Located> = located.iter().map(|unit| (unit.line, unit)).collect();
    let step = |record: &'a Record| {
        let deed = match (&record.kind, units.get(&record.line)) {
            (Kind::Call { operation, arguments }, _) => Deed::Call { name: operation, arguments: arguments.get() },
            (Kind::Timer { name, due }, _) => Deed::Timer { name, due: due.map(Time::from_micros) },
            (Kind::Rand { purpose, .. }, _) => Deed::Drawn(purpose),
            (_, Some(unit)) if unit.entry.from == Side::Server => Deed::Comes(unit),
            // Pongs are the transport's own business.
            (Kind::WsCtl { .. }, Some(unit)) if matches!(unit.entry.wire, Wire::Ping(..) | Wire::Pong(..)) => {
                return None;
            }
            (_, Some(unit)) => Deed::Sends(unit),
            _ => return None,
        };
        let (at, is_too_long) = (Time::from_micros(record.t), is_too_long(&record.kind));
        Some(Step { line: record.line, at, is_too_long, deed })
    };
    tape.records().iter().filter_map(step).collect()
}

/// Whether a unit may have carried messages that became one token together, as they were too many bytes for the redactor.
fn is_too_long(kind: &Kind) -> bool {
    match kind {
        // A form is redacted field by field, whatever the size of the file in it.
        Kind::HttpReq { url, .. } if is_target(url) => false,
        Kind::HttpReq { carried, bytes, .. }
        | Kind::HttpRes { carried, bytes, .. }
        | Kind::WsMsg { carried, bytes, opcode: 1, .. } => {
            let limit = Limits::default().bytes as u64;
            *carried == Carried::Body && bytes.is_some_and(|bytes| bytes > limit)
        }
        _ => false,
    }
}

struct Player<'a> {
    client: Client,
    originals: Originals,
    redactor: Redactor,
    tape: &'a Tape,
    queue: VecDeque<Wire>,
    now: Time,
    statistics: Statistics,
    /// Why something cannot be judged.
    doubt: Option<String>,
    /// Why a departure from here on says nothing.
    unsure: Option<String>,
}

impl<'a> Player<'a> {
    fn new(config: Config, tape: &'a Tape) -> Self {
        Self {
            client: Client::new(config),
            originals: Originals::default(),
            // What the client makes up gets a token of some kind; those on the tape stay as they are.
            redactor: Redactor::keeping(Key::from_bytes([0; 32]), tape.header().keep),
            tape,
            queue: VecDeque::new(),
            now: Time::ZERO,
            statistics: Statistics::default(),
            doubt: None,
            unsure: None,
        }
    }

    fn play(mut self, steps: &[Step<'_>]) -> Replay {
        let departure = steps.iter().try_for_each(|step| self.take(step)).and_then(|()| self.come_to_end()).err();
        let departure = departure.map(|departure| *departure);
        let unsure = self.unsure.take().filter(|_| departure.is_some());
        let doubt = self.doubt.take().or(unsure);
        let doubt = doubt.or_else(|| departure.as_ref().and_then(|departure| self.doubt_about(departure)));
        let statistics = Statistics { time: self.now.since(Time::ZERO), ..self.statistics };
        Replay { departure, doubt, is_unlimited: false, statistics, status: self.tape.status() }
    }

    fn take(&mut self, step: &Step<'_>) -> Result<(), Box<Departure>> {
        if let Deed::Sends(unit) = step.deed {
            return self.sends(step, unit);
        }
        self.has_nothing_to_say(Some(step.line))?;
        self.is_not_overdue(Some(step.line), step.at)?;
        self.now = self.now.max(step.at);
        match &step.deed {
            Deed::Call { name, arguments } => match Call::read(name, arguments) {
                Some(call) => {
                    self.originals.meet_text(arguments);
                    self.statistics.calls += 1;
                    // The client on the tape said no to the same calls.
                    let _ = call.make(&mut self.client, self.now);
                }
                None => self
                    .doubts(|| format!("line {} has the call `{name}`, which this version does not know", step.line)),
            },
            Deed::Timer { name, due } => {
                let (own, own_due) = timer(self.client.deadline());
                if (own, own_due) != (name, *due) {
                    let (tape, client) = (waits(name, *due), waits(own, own_due));
                    return Err(self.departs(Some(step.line), What::Timer, tape, client));
                }
                self.statistics.timers += 1;
                self.client.handle_input(self.now, Input::Timeout);
            }
            Deed::Comes(unit) => {
                if step.is_too_long {
                    self.unsure.get_or_insert_with(|| too_long(step.line));
                }
                self.originals.meet(&unit.entry.wire);
                self.statistics.received += 1;
                self.client.handle_input(self.now, Input::Wire(unit.entry.wire.clone()));
            }
            Deed::Drawn(purpose) => {
                self.doubts(|| {
                    format!("line {} has a random number for {purpose}, and this version takes none", step.line)
                });
            }
            Deed::Sends(..) => {}
        }
        while let Some(output) = self.client.poll_output() {
            if let Output::Wire(wire) = output {
                self.queue.push_back(wire);
            }
        }
        Ok(())
    }

    /// Holds what the client put on the wire next against the tape.
    fn sends(&mut self, step: &Step<'_>, unit: &Located) -> Result<(), Box<Departure>> {
        let (line, taped) = (Some(step.line), &unit.entry.wire);
        let Some(wire) = self.queue.pop_front() else {
            return Err(self.departs(line, What::NotSent, shown(taped), "nothing".to_owned()));
        };
        if step.at != self.now {
            let says = format!("sent at {} s, and on the tape at {} s", self.now, step.at);
            return Err(self.departs(line, What::Differs(says), shown(taped), shown(&wire)));
        }
        if step.is_too_long {
            self.doubts(|| too_long(step.line));
            return Ok(());
        }
        let own = self.redactor.entry(&Entry { at: self.now, from: Side::Client, wire }).into_inner().wire;
        if Batch::carried(&own).len() != Batch::carried(taped).len() {
            return Err(self.departs(line, What::Batched, shown(taped), shown(&own)));
        }
        let held = same_fields(&own, taped)
            .and_then(|()| self.originals.hold(&own, taped).map_err(|mismatch| mismatch.to_string()));
        if let Err(says) = held {
            return Err(self.departs(line, What::Differs(says), shown(taped), shown(&own)));
        }
        self.originals.meet(taped);
        self.statistics.sent += 1;
        Ok(())
    }

    /// At the end of a whole tape the client has said everything, and missed no moment of its own.
    fn come_to_end(&mut self) -> Result<(), Box<Departure>> {
        let end = self.tape.records().last().map_or(Time::ZERO, |record| Time::from_micros(record.t));
        if self.tape.status() == Status::Complete {
            self.has_nothing_to_say(None)?;
            self.is_not_overdue(None, end)?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn has_nothing_to_say(&self, line: Option<usize>) -> Result<(), Box<Departure>> {
        match self.queue.front() {
            Some(wire) => {
                Err(self.departs(line, What::Unexpected, "something else or nothing".to_owned(), shown(wire)))
            }
            None => Ok(()),
        }
    }

    fn is_not_overdue(&self, line: Option<usize>, at: Time) -> Result<(), Box<Departure>> {
        match self.client.deadline() {
            Some((due, _)) if due + LATE < at => {
                let (own, due) = timer(self.client.deadline());
                Err(self.departs(line, What::Timer, format!("no timer until {at} s"), waits(own, due)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn departs(&self, line: Option<usize>, what: What, tape: String, client: String) -> Box<Departure> {
        Box::new(Departure { line, at: self.now, what, tape, client })
    }

    fn doubts(&mut self, why: impl FnOnce() -> String) {
        self.doubt.get_or_insert_with(why);
    }

    /// Whether a departure may come from the length of tokens alone: over callback-polling it decides which messages travel
    /// together, and whether one travels at all.
    fn doubt_about(&self, departure: &Departure) -> Option<String> {
        let is_about_length = match departure.what {
            What::NotSent | What::Unexpected | What::Batched => true,
            What::Differs(_) | What::Timer => false,
        };
        let is_tight = self.client.bayeux().transport() == Transport::CallbackPolling && is_about_length;
        is_tight.then(|| {
            "over callback-polling the length of messages decides how they travel, and tokens have other lengths"
                .to_owned()
        })
    }
}

fn too_long(line: usize) -> String {
    format!("line {line} holds more than was redacted message by message")
}

/// Whether two units have the same header fields, in order; their values are held against each other elsewhere.
fn same_fields(own: &Wire, taped: &Wire) -> Result<(), String> {
    let names = |wire: &Wire| -> Vec<String> {
        match wire {
            Wire::Request(_, request) | Wire::Upgrade(_, request) => names(&request.headers),
            _ => Vec::new(),
        }
    };
    let (own, taped) = (names(own), names(taped));
    if own == taped {
        return Ok(());
    }
    Err(format!("it has the header fields `{}`, and the tape has `{}`", own.join(", "), taped.join(", ")))
}

fn names(headers: &Headers) -> Vec<String> {
    headers.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect()
}
