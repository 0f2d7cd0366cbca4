//! Judges the tape of a case again: the same case runs in virtual time, and its peer says what the tape has.
//!
//! What a run does follows from its entries alone ([`crate::run`], [`crate::clients::visit`]), so it sends what it sent then,
//! and comes to the same verdict. The tape holds tokens: what the case sends is held against them, and what it made up itself
//! stands in their places when its peer repeats it ([`recording::originals`]). What is judged are the redacted entries of the
//! tape, as they were then.
//!
//! If the case sends something else than the tape has, nothing can be said: the tape is of another case, or was changed.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport, Wire};
use recording::originals::Originals;
use recording::tape::{Header, Located, Mark, Status, Tape};

use crate::cases::{self, Case};
use crate::clients;
use crate::clients::visit::{self, Visit};
use crate::conclude::{CaseResult, conclude};
use crate::run::{self, Agent, Outcome, Run, Settings};
use crate::testimony::{
    AGENT, ANY, ASKED, Ask, BASE, EMBEDDED, GIVEN_UP, PATIENCE, SERVICE, START_UTC, TARGET, TRANSPORT, WANTED, agent_of,
};
use crate::verdict::{Kind, Stop};

/// Why the tape of a case cannot be judged again: it was left by a version that did not say so much, or it was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header of the tape of case `{case}` has no usable `{member}`, without which the case cannot run again")]
pub struct Unfit {
    /// The case.
    pub case: String,
    /// The member of the header.
    pub member: &'static str,
}

/// What a tape says of the run that left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The case.
    pub case: &'static Case,
    /// The transport.
    pub transport: Transport,
    /// What the case knew of its peer.
    pub peer: Peer,
    /// The seed of the case.
    pub seed: u64,
    /// Whether the target was the embedded simulator.
    pub embedded: bool,
}

/// Who was under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A server.
    Server(Settings),
    /// A client.
    Client(clients::Settings),
}

impl Recorded {
    /// Reads the header of a tape; `None` if no case of the suite left it.
    ///
    /// # Errors
    ///
    /// [`Unfit`]
    pub fn read(header: &Header) -> Result<Option<Self>, Unfit> {
        let Some(case) = header.scenario.as_deref().and_then(cases::case) else { return Ok(None) };
        let missing = |member| Unfit { case: case.id.to_owned(), member };
        let env = |name: &str| header.env.get(name).map(String::as_str);
        let base = env(BASE).ok_or_else(|| missing("env.base"))?.to_owned();
        let service = env(SERVICE).map(str::to_owned);
        let peer = if case.is_of_client() {
            let wanted = env(WANTED).ok_or_else(|| missing("env.wanted"))?;
            let wanted =
                (wanted != ANY).then(|| Transport::by_name(wanted).ok_or_else(|| missing("env.wanted"))).transpose()?;
            Peer::Client(clients::Settings {
                base,
                service: service.ok_or_else(|| missing("env.service"))?,
                transport: wanted,
                patience: env(PATIENCE)
                    .and_then(|millis| millis.parse().ok())
                    .map(Duration::from_millis)
                    .ok_or_else(|| missing("env.patience"))?,
                start_utc: env(START_UTC)
                    .and_then(|millis| millis.parse().ok())
                    .ok_or_else(|| missing("env.startUtc"))?,
            })
        } else {
            let agent = env(AGENT).and_then(agent_of).ok_or_else(|| missing("env.agent"))?;
            Peer::Server(Settings { base, service, agent })
        };
        Ok(Some(Self {
            case,
            transport: env(TRANSPORT).and_then(Transport::by_name).ok_or_else(|| missing("env.transport"))?,
            peer,
            seed: header.seed.ok_or_else(|| missing("seed"))?,
            embedded: env(TARGET) == Some(EMBEDDED),
        }))
    }

    /// The chat service.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match &self.peer {
            Peer::Server(settings) => settings.service.as_deref(),
            Peer::Client(settings) => Some(&settings.service),
        }
    }

    /// Who played the agent.
    #[must_use]
    pub const fn agent(&self) -> Agent {
        match &self.peer {
            Peer::Server(settings) => settings.agent,
            Peer::Client(_) => Agent::Simulated,
        }
    }
}

/// Where the case does something else than the tape has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The line of the tape; `None` behind its last.
    pub line: Option<usize>,
    /// When.
    pub at: Time,
    /// What the one has and the other has not.
    pub says: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}, {} s: {}", self.at, self.says),
            None => write!(f, "behind the last line, {} s: {}", self.at, self.says),
        }
    }
}

/// What a tape comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// As it stands in a report.
    pub result: CaseResult,
    /// Where case and tape part, if they do.
    pub divergence: Option<Divergence>,
    /// Whether the tape ended before the case did.
    pub ends_early: bool,
}

/// Runs the case of a tape against the tape.
#[must_use]
pub fn replay(recorded: &Recorded, tape: &Tape) -> Replay {
    replay_showing(recorded, tape, &mut |_| {})
}

/// The same, and shows what the case gets and sends: its own words as they are, and its peer's as tokens.
#[must_use]
pub fn replay_showing(recorded: &Recorded, tape: &Tape, show: &mut dyn FnMut(&Entry)) -> Replay {
    let located = tape.located();
    let Recorded { case, transport, seed, .. } = recorded;
    match &recorded.peer {
        Peer::Server(settings) => Player::new(Run::new(case, *transport, settings, *seed), tape, &located, show)
            .play(recorded, tape, &located),
        Peer::Client(settings) => {
            Player::new(Visit::new(case, settings, *seed), tape, &located, show).play(recorded, tape, &located)
        }
    }
}

/// What a running case tells, as far as it matters here.
enum Told {
    /// Somebody is asked for something: the label of the mark for it, and the words in it.
    Asked(String, Vec<String>),
    Finished(Outcome),
    Nothing,
}

impl From<Ask<'_>> for Told {
    fn from(ask: Ask<'_>) -> Self {
        Self::Asked(ask.label, ask.words.into_iter().map(|(_, word)| word.to_owned()).collect())
    }
}

/// A case that can be run against its tape.
trait Rerun: Machine {
    /// The side that it plays.
    const OWN: Side;

    fn told(event: Self::Event) -> Told;

    /// Whether the case itself is over, whatever becomes of the good-bye.
    fn has_judged(&self) -> bool;

    /// Ends it where it is, since nothing more can come. What it came to so far.
    fn abandon(&mut self, now: Time, stop: Stop) -> Option<Outcome>;

    /// Gives up the peer.
    fn give_up(&mut self, now: Time, says: &str);
}

impl Rerun for Run {
    const OWN: Side = Side::Client;

    fn told(event: run::Event) -> Told {
        match event {
            run::Event::Asked(request) => Ask::of_agent(&request).into(),
            run::Event::Finished(outcome) => Told::Finished(outcome),
        }
    }

    fn has_judged(&self) -> bool {
        Self::has_judged(self)
    }

    fn abandon(&mut self, now: Time, stop: Stop) -> Option<Outcome> {
        Self::abandon(self, now, stop)
    }

    /// Servers are not given up: each step has its own patience.
    fn give_up(&mut self, _: Time, _: &str) {}
}

impl Rerun for Visit {
    const OWN: Side = Side::Server;

    fn told(event: visit::Event) -> Told {
        match event {
            visit::Event::Begun => Told::Nothing,
            visit::Event::Asks(step) => Ask::of_user(step).into(),
            visit::Event::Finished(visited) => Told::Finished(visited.outcome),
        }
    }

    fn has_judged(&self) -> bool {
        Self::has_judged(self)
    }

    fn abandon(&mut self, now: Time, stop: Stop) -> Option<Outcome> {
        Self::abandon(self, now, stop)
    }

    fn give_up(&mut self, now: Time, says: &str) {
        Self::give_up(self, now, says);
    }
}

/// Why a run against a tape ends before its end.
enum Parting {
    /// The tape has nothing more.
    EndOfTape,
    Divergence(Divergence),
}

struct Player<'a, M> {
    run: M,
    show: &'a mut dyn FnMut(&Entry),
    originals: Originals,
    /// What the tape has of the case, and what it asked for, in order.
    sent: VecDeque<&'a Located>,
    asked: VecDeque<Mark>,
    given_up: Option<Mark>,
    is_whole: bool,
    now: Time,
    outcome: Option<Outcome>,
}

impl<'a, M: Rerun> Player<'a, M> {
    fn new(run: M, tape: &Tape, located: &'a [Located], show: &'a mut dyn FnMut(&Entry)) -> Self {
        let marks = tape.marks();
        Self {
            run,
            show,
            originals: Originals::new(&marks),
            sent: located.iter().filter(|unit| unit.entry.from == M::OWN && !is_sign_of_life(unit)).collect(),
            given_up: marks.iter().find(|mark| mark.label.starts_with(GIVEN_UP)).cloned(),
            asked: marks.into_iter().filter(|mark| mark.label.starts_with(ASKED)).collect(),
            is_whole: tape.status() == Status::Complete,
            now: Time::ZERO,
            outcome: None,
        }
    }

    fn play(mut self, recorded: &Recorded, tape: &Tape, located: &[Located]) -> Replay {
        let (divergence, ends_early) = match self.run_along(tape, located) {
            Ok(()) => (self.left_over(), false),
            Err(Parting::EndOfTape) => (None, true),
            Err(Parting::Divergence(divergence)) => (Some(divergence), false),
        };
        let (case, transport) = (recorded.case, recorded.transport);
        if let Some(divergence) = divergence.as_ref().filter(|_| self.outcome.is_none() && !self.run.has_judged()) {
            let says = format!("the case does something else than the tape has, {divergence}");
            let result = CaseResult::unjudged(case, transport, Kind::Inconclusive, &says);
            return Replay { result, divergence: Some(divergence.clone()), ends_early };
        }
        let says = "the tape ends before the case".to_owned();
        let stop = Stop::Inconclusive { says, frames: Vec::new() };
        let outcome = self.outcome.take().or_else(|| self.run.abandon(self.now, stop));
        let entries: Vec<Entry> = located.iter().map(|unit| unit.entry.clone()).collect();
        let result = match outcome {
            Some(outcome) => conclude(&outcome, &entries),
            None => CaseResult::error(case, transport, "the run said nothing at its end"),
        };
        Replay { result, divergence, ends_early }
    }

    fn run_along(&mut self, tape: &Tape, located: &[Located]) -> Result<(), Parting> {
        // A case of a server sends something as soon as it begins; one of a client begins with what comes.
        self.now = located.first().map_or(Time::ZERO, |unit| unit.entry.at);
        self.feed(Input::Timeout)?;
        for unit in located.iter().filter(|unit| unit.entry.from != M::OWN) {
            self.pass_time(unit.entry.at)?;
            let wire = self.originals.restore(&unit.entry.wire);
            (self.show)(&Entry { at: self.now, from: M::OWN.peer(), wire: wire.clone() });
            self.feed(Input::Wire(wire))?;
        }
        if let Some(mark) = self.given_up.take() {
            self.pass_time(mark.at)?;
            self.run.give_up(self.now, mark.label.trim_start_matches(GIVEN_UP));
            self.drain()?;
        }
        // Silence up to the end of a recording is heard; what came after a tape was torn is not known.
        let end = tape.records().last().map_or(Time::ZERO, |record| Time::from_micros(record.t));
        self.pass_time(end)?;
        if self.outcome.is_some() { Ok(()) } else { Err(Parting::EndOfTape) }
    }

    /// Lets happen what is due until a moment.
    fn pass_time(&mut self, until: Time) -> Result<(), Parting> {
        while let Some((due, _)) = self.run.deadline().filter(|(due, _)| *due <= until && self.outcome.is_none()) {
            self.now = self.now.max(due);
            self.feed(Input::Timeout)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn feed(&mut self, input: Input) -> Result<(), Parting> {
        self.run.handle_input(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Result<(), Parting> {
        while let Some(output) = self.run.poll_output() {
            match output {
                // Whoever comes when a case is over is turned away, and that is not on the tape.
                _ if self.outcome.is_some() => {}
                Output::Wire(wire) => self.sends(&wire)?,
                Output::Event(event) => match M::told(event) {
                    Told::Asked(label, words) => self.asks(&label, &words)?,
                    Told::Finished(outcome) => self.outcome = Some(outcome),
                    Told::Nothing => {}
                },
            }
        }
        Ok(())
    }

    /// Holds what the case sends against what the tape has next.
    fn sends(&mut self, wire: &Wire) -> Result<(), Parting> {
        (self.show)(&Entry { at: self.now, from: M::OWN, wire: wire.clone() });
        let Some(unit) = self.sent.pop_front() else { return Err(self.nothing_more("the case sends more")) };
        if unit.entry.at < self.now {
            return Err(self.parts(unit.line, format!("the case sends this at {} s only", self.now)));
        }
        let learned = self.originals.learn(wire, &unit.entry.wire);
        learned.map_err(|mismatch| self.parts(unit.line, format!("in what the case sends, {mismatch}")))
    }

    fn asks(&mut self, label: &str, words: &[String]) -> Result<(), Parting> {
        let Some(mark) = self.asked.pop_front() else {
            return Err(self.nothing_more(&format!("somebody is {label}")));
        };
        if mark.label != label {
            return Err(self.parts(mark.line, format!("somebody is {label}, and {} on the tape", mark.label)));
        }
        for (token, word) in mark.tokens.iter().zip(words) {
            self.originals.know(token, word);
        }
        Ok(())
    }

    /// What the tape has and a case that came to its end did not do.
    fn left_over(&self) -> Option<Divergence> {
        let unit = self.sent.front()?;
        let says = "the case has come to its end, and the tape goes on".to_owned();
        Some(Divergence { line: Some(unit.line), at: unit.entry.at, says })
    }

    const fn parts(&self, line: usize, says: String) -> Parting {
        Parting::Divergence(Divergence { line: Some(line), at: self.now, says })
    }

    /// The case goes on where the tape does not: it was cut short, or it is another.
    fn nothing_more(&self, says: &str) -> Parting {
        if self.is_whole {
            Parting::Divergence(Divergence { line: None, at: self.now, says: says.to_owned() })
        } else {
            Parting::EndOfTape
        }
    }
}

/// Pings and pongs are the transport's own business.
const fn is_sign_of_life(unit: &Located) -> bool {
    matches!(unit.entry.wire, Wire::Ping(..) | Wire::Pong(..))
}
