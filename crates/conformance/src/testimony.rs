//! What is kept of a running case: its redacted entries, which are judged, and the tape from which it can be judged again.
//!
//! The tape says by which settings and with which seed the case ran, so that the same case can be run against it. What the
//! peer says in words that the case made up has other tokens than these words if it says them elsewhere or among others: a
//! mark tells so. What an agent was asked for is a mark too.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport};
use recording::capture::{Capture, Config, Source};
use recording::originals::Originals;
use recording::tape::Finish;
use recording::token::{Class, Key};

use crate::actor::{Request, Step};
use crate::cases::Case;
use crate::clients::{self, visit::Visited};
use crate::conclude::{CaseResult, conclude};
use crate::run::{Agent, Outcome, Settings};

/// What sets a tape apart from all others.
#[derive(Clone, Debug)]
pub struct Label {
    /// The version of the program.
    pub version: String,
    /// Its commit.
    pub git: String,
    /// Where the traffic comes from.
    pub source: Source,
    /// When it begins, RFC 3339.
    pub start: String,
    /// The name of the recording.
    pub id: String,
    /// The key behind its tokens.
    pub key: Key,
    /// Whether the peer is the embedded simulator, whose departures are known.
    pub embedded: bool,
}

/// Names in `env` of a case's tape.
pub(crate) const TRANSPORT: &str = "transport";
pub(crate) const SERVICE: &str = "service";
pub(crate) const BASE: &str = "base";
pub(crate) const AGENT: &str = "agent";
pub(crate) const TARGET: &str = "target";
/// The same for clients under test: the transport that they were to use, milliseconds for what their users do, and the wall
/// time at the start in milliseconds since the epoch.
pub(crate) const WANTED: &str = "wanted";
pub(crate) const PATIENCE: &str = "patience";
pub(crate) const START_UTC: &str = "startUtc";

/// The value of [`WANTED`] for whichever they liked.
pub(crate) const ANY: &str = "any";

/// What the label of a mark begins with that tells why a client was given up.
pub(crate) const GIVEN_UP: &str = "given up: ";

/// The value of [`TARGET`] for the embedded simulator.
pub(crate) const EMBEDDED: &str = "embedded simulator";

/// Looks on while a case runs.
#[derive(Debug)]
pub struct Testimony {
    case: &'static Case,
    /// The side that the case plays.
    own: Side,
    transport: Transport,
    capture: Capture,
    originals: Originals,
    redacted: Vec<Entry>,
    tape: Vec<u8>,
    outcome: Option<Outcome>,
}

impl Testimony {
    /// Begins with what is known before the run.
    #[must_use]
    pub fn new(case: &'static Case, transport: Transport, settings: &Settings, seed: u64, label: Label) -> Self {
        let mut env = vec![(BASE, settings.base.clone()), (AGENT, agent_word(settings.agent))];
        env.extend(settings.service.clone().map(|service| (SERVICE, service)));
        Self::playing(Side::Client, (case, transport), seed, env, label)
    }

    /// The same for a case about a client under test, with the transport that this used.
    #[must_use]
    pub fn of_client(
        case: &'static Case,
        transport: Transport,
        settings: &clients::Settings,
        seed: u64,
        label: Label,
    ) -> Self {
        let env = vec![
            (BASE, settings.base.clone()),
            (SERVICE, settings.service.clone()),
            (WANTED, settings.transport.map_or_else(|| ANY.to_owned(), |transport| transport.to_string())),
            (PATIENCE, settings.patience.as_millis().to_string()),
            (START_UTC, settings.start_utc.to_string()),
        ];
        Self::playing(Side::Server, (case, transport), seed, env, label)
    }

    fn playing(
        own: Side,
        (case, transport): (&'static Case, Transport),
        seed: u64,
        env: Vec<(&str, String)>,
        label: Label,
    ) -> Self {
        let mut env: BTreeMap<String, String> = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        env.insert(TRANSPORT.to_owned(), transport.to_string());
        env.extend(label.embedded.then(|| (TARGET.to_owned(), EMBEDDED.to_owned())));
        let (capture, tape) = Capture::new(Config {
            version: label.version,
            git: label.git,
            start: label.start,
            id: label.id,
            key: label.key,
            source: label.source,
            scenario: Some(case.id.to_owned()),
            seed: Some(seed),
            env,
        });
        let (originals, redacted) = (Originals::default(), Vec::new());
        Self { case, own, transport, capture, originals, redacted, tape, outcome: None }
    }

    /// Looks at an entry.
    pub fn see(&mut self, entry: &Entry) {
        let redacted = self.capture.redact(entry);
        if entry.from == self.own {
            // What it was redacted from is what it is a redacted form of.
            let _ = self.originals.learn(&entry.wire, &redacted.get().wire);
        } else {
            for relation in self.originals.relate(&entry.wire, &redacted.get().wire) {
                self.tape.extend(self.capture.mark_of(entry.at, relation.label, &relation.tokens));
            }
        }
        self.tape.extend(self.capture.redacted(None, &redacted));
        self.redacted.push(redacted.into_inner());
    }

    /// Notes what the case asks of an agent.
    pub fn ask(&mut self, at: Time, request: &Request) {
        self.note(at, &Ask::of_agent(request));
    }

    /// Takes a whole visit of a client under test: what crossed the wire, and before each entry what was broken and what its
    /// user was asked for until then; at the end why it was given up, if it was, and what the case came to.
    pub fn take(&mut self, visited: Visited, asked: &[(Time, clients::Step)], given_up: Option<(Time, &str)>) {
        let Visited { outcome, entries, faults } = visited;
        let (mut faults, mut asked) = (faults.iter().peekable(), asked.iter().peekable());
        for (number, entry) in entries.iter().enumerate() {
            while let Some(fault) = faults.next_if(|fault| fault.entries <= number) {
                self.fault(fault);
            }
            while let Some((at, step)) = asked.next_if(|(at, _)| *at <= entry.at) {
                self.note(*at, &Ask::of_user(*step));
            }
            self.see(entry);
        }
        faults.for_each(|fault| self.fault(fault));
        asked.for_each(|(at, step)| self.note(*at, &Ask::of_user(*step)));
        if let Some((at, says)) = given_up {
            self.tape.extend(self.capture.mark(at, &format!("{GIVEN_UP}{says}")));
        }
        self.learn(outcome);
    }

    fn fault(&mut self, fault: &clients::Fault) {
        self.tape.extend(self.capture.fault(fault.at, fault.kind, &fault.place, &fault.parameters));
    }

    fn note(&mut self, at: Time, ask: &Ask<'_>) {
        let mut tokens = Vec::new();
        for (class, value) in &ask.words {
            let token = self.capture.token(*class, value).into_inner();
            self.originals.know(&token, value);
            tokens.push(token);
        }
        self.tape.extend(self.capture.mark_of(at, &ask.label, &tokens));
    }

    /// Takes what the case came to.
    pub fn learn(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// What the case came to, if it has come to anything.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Judges what was seen, and gives the tape too.
    #[must_use]
    pub fn conclude(self, now: Time) -> (CaseResult, Vec<u8>) {
        self.end(now, Finish::Complete)
    }

    /// The same for a case that was cut short: its tape says so, and what it came to is no verdict about the peer.
    #[must_use]
    pub fn cut_short(self, now: Time) -> (CaseResult, Vec<u8>) {
        self.end(now, Finish::Aborted)
    }

    fn end(self, now: Time, status: Finish) -> (CaseResult, Vec<u8>) {
        let Self { case, transport, mut capture, redacted, mut tape, outcome, .. } = self;
        tape.extend(capture.finish(now, status));
        let result = match outcome {
            Some(outcome) => conclude(&outcome, &redacted),
            None => CaseResult::error(case, transport, "the run said nothing at its end"),
        };
        (result, tape)
    }
}

/// What somebody is asked for, as a mark tells it.
pub(crate) struct Ask<'a> {
    pub(crate) label: String,
    /// The words in it, and as what they come back.
    pub(crate) words: Vec<(Class, &'a str)>,
}

/// What the label of such a mark begins with.
pub(crate) const ASKED: &str = "asked to ";

impl<'a> Ask<'a> {
    pub(crate) fn of_agent(request: &'a Request) -> Self {
        let step = &request.step;
        let class = match step {
            Step::Join | Step::Transfer(_) => Class::Nickname,
            Step::Say(_) | Step::Notice(_) | Step::PushUrl(_) | Step::Type | Step::Leave | Step::End => Class::Text,
        };
        let own = step.argument().map(|(_, value)| (class, value));
        let chat = (Class::Nickname, request.chat.as_str());
        Self { label: format!("{ASKED}{}", step.word()), words: [chat].into_iter().chain(own).collect() }
    }

    pub(crate) fn of_user(step: clients::Step) -> Self {
        match step {
            clients::Step::Say(text) => Self { label: format!("{ASKED}say"), words: vec![(Class::Text, text)] },
            clients::Step::End => Self { label: format!("{ASKED}end"), words: Vec::new() },
        }
    }
}

/// Who plays the agent, as a tape says it.
fn agent_word(agent: Agent) -> String {
    match agent {
        Agent::None => "none".to_owned(),
        Agent::Scripted => "scripted".to_owned(),
        Agent::Simulated => "simulated".to_owned(),
        Agent::Asked { within } => format!("asked {}", within.as_millis()),
    }
}

/// The reverse of [`agent_word`].
pub(crate) fn agent_of(word: &str) -> Option<Agent> {
    Some(match word {
        "none" => Agent::None,
        "scripted" => Agent::Scripted,
        "simulated" => Agent::Simulated,
        _ => Agent::Asked { within: Duration::from_millis(word.strip_prefix("asked ")?.parse().ok()?) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_says_who_plays_the_agent() {
        let asked = Agent::Asked { within: Duration::from_millis(1_500) };
        for agent in [Agent::None, Agent::Scripted, Agent::Simulated, asked] {
            assert_eq!(agent_of(&agent_word(agent)), Some(agent));
        }
        assert_eq!(agent_of("somebody"), None);
    }
}
