//! Drives scenarios against client machines in virtual time.

use std::time::Duration;

use conformance::cases::Case;
use conformance::clients::visit::{Event, Visit, Visited};
use conformance::clients::{Settings, Step};
use conformance::conclude::{CaseResult, conclude};
use conformance::run::Outcome;
use conformance::testimony::Testimony;
use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config};
use protocol::chat::operation::RequestChat;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Transport};
use simulator::link::Network;
use simulator::pair::Pair;

use crate::shared::{label, redacted};

pub(crate) const SERVICE: &str = "customer-support";

pub(crate) const SEED: u64 = 11;

/// A client machine with a user.
pub(crate) trait Driven: Machine {
    /// The user starts a chat.
    fn begin(&mut self, now: Time);

    /// The user does something.
    fn obey(&mut self, now: Time, step: Step);
}

impl Driven for Client {
    fn begin(&mut self, now: Time) {
        self.start(now, request()).expect("a fresh client can start");
    }

    fn obey(&mut self, now: Time, step: Step) {
        // A client without a chat can do neither; then the scenario says so.
        match step {
            Step::Say(text) => drop(self.send(now, text)),
            Step::End => drop(self.end(now)),
        }
    }
}

pub(crate) fn request() -> RequestChat {
    RequestChat { nickname: Some("Ann".to_owned()), ..RequestChat::default() }
}

/// The settings of a client over one transport.
pub(crate) fn config(transport: Transport) -> Config {
    Config::new(bayeux::Config::new("/genesys/cometd", &[transport]), SERVICE)
}

/// A client that does nothing, or no more than its wire values say.
pub(crate) struct Fixed {
    pub(crate) says: fn(&Input) -> Vec<protocol::wire::Wire>,
    pub(crate) outputs: Vec<protocol::wire::Wire>,
}

impl Machine for Fixed {
    type Timer = ();
    type Event = ();

    fn handle_input(&mut self, _: Time, input: Input) {
        self.outputs.extend((self.says)(&input));
    }

    fn poll_output(&mut self) -> Option<Output<()>> {
        (!self.outputs.is_empty()).then(|| Output::Wire(self.outputs.remove(0)))
    }

    fn deadline(&self) -> Option<(Time, ())> {
        None
    }
}

impl Driven for Fixed {
    fn begin(&mut self, _: Time) {}

    fn obey(&mut self, _: Time, _: Step) {}
}

/// Runs a scenario against a client to its end; gives what it came to and what was on the wire.
pub(crate) fn drive<C: Driven>(
    case: &'static Case,
    transport: Transport,
    client: C,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    drive_over(Network::default(), case, transport, client, seed)
}

/// The same over a certain network.
pub(crate) fn drive_over<C: Driven>(
    network: Network,
    case: &'static Case,
    transport: Transport,
    client: C,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    let Visited { outcome, entries, .. } = drive_noting(network, case, transport, client, seed, &mut Notes::default());
    (outcome, entries)
}

/// What is told of a scenario beside its end.
#[derive(Default)]
struct Notes {
    /// What the client's user was asked for.
    asked: Vec<(Time, Step)>,
    /// Why the client was given up.
    given_up: Option<(Time, &'static str)>,
    /// When it came to its end.
    end: Time,
}

/// The same, with what is told.
fn drive_noting<C: Driven>(
    network: Network,
    case: &'static Case,
    transport: Transport,
    client: C,
    seed: u64,
    notes: &mut Notes,
) -> Visited {
    let settings = Settings { transport: Some(transport), ..Settings::new(SERVICE) };
    let mut pair = Pair::new(client, Visit::new(case, &settings, seed), network, seed).without_entries();
    pair.client.begin(Time::ZERO);
    let limit = Time::ZERO + case.at_most + Duration::from_secs(120);
    loop {
        let told = pair.drive_until(limit, |pair| !pair.server_events.is_empty());
        match (told, pair.server_events.pop_front()) {
            (Ok(_), Some((_, Event::Begun))) => {}
            (Ok(_), Some((_, Event::Asks(step)))) => {
                let now = pair.now();
                pair.client.obey(now, step);
                notes.asked.push((now, step));
            }
            (Ok(_), Some((_, Event::Finished(visited)))) => {
                notes.end = pair.now();
                return *visited;
            }
            // Whoever drives a visit gives up a client that does not come.
            (Ok(_), None) => {
                let now = pair.now();
                let says = "no client came: point one at the URL of the scenario";
                notes.given_up = Some((now, says));
                pair.server.give_up(now, says);
            }
            (Err(livelock), _) => panic!("{}: {livelock}", case.id),
        }
    }
}

/// Runs a scenario and judges it as `tapestry conformance --client` does, and gives its tape too.
pub(crate) fn testify<C: Driven>(
    case: &'static Case,
    transport: Transport,
    client: C,
    seed: u64,
) -> (CaseResult, Vec<u8>) {
    let mut notes = Notes::default();
    let visited = drive_noting(Network::default(), case, transport, client, seed, &mut notes);
    let Notes { asked, given_up, end } = notes;
    let settings = Settings { transport: Some(transport), ..Settings::new(SERVICE) };
    let mut testimony = Testimony::of_client(case, visited.outcome.transport, &settings, seed, label(seed, false));
    testimony.take(visited, &asked, given_up);
    testimony.conclude(end)
}

/// Runs a scenario and judges it.
pub(crate) fn judge<C: Driven>(case: &'static Case, transport: Transport, client: C, seed: u64) -> CaseResult {
    let (outcome, entries) = drive(case, transport, client, seed);
    conclude(&outcome, &redacted(&entries, seed))
}
