//! Drives cases against a server machine in virtual time.

use std::time::Duration;

use conformance::cases::Case;
use conformance::run::{Agent, Event, Outcome, Run, Settings};
use protocol::machine::Machine;
use protocol::time::Time;
use protocol::wire::{Entry, Transport};
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::pair::Pair;

pub(crate) const SERVICE: &str = "customer-support";

/// The settings with which the simulator is judged.
pub(crate) fn settings() -> Settings {
    Settings { base: "/genesys/cometd".to_owned(), service: Some(SERVICE.to_owned()), agent: Agent::Simulated }
}

/// A simulator without defects.
pub(crate) fn healthy(seed: u64) -> Gms {
    Gms::new(gms::Settings::new(SERVICE), seed)
}

/// Runs a case against a server to its end; gives what it came to and what was on the wire.
pub(crate) fn drive<B: Machine>(
    case: &'static Case,
    transport: Transport,
    settings: &Settings,
    server: B,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    let run = Run::new(case, transport, settings, seed);
    let mut pair = Pair::new(run, server, Network::default(), seed);
    let limit = Time::ZERO + case.at_most + Duration::from_secs(60);
    let finished = pair.drive_until(limit, |pair| pair.client.is_finished());
    assert_eq!(finished, Ok(true), "{} over {transport} does not come to its end", case.id);
    let entries = pair.entries().to_vec();
    let event = pair.client_events.pop_front().map(|(_, event)| event);
    let Some(Event::Finished(outcome)) = event else { panic!("{} says nothing at its end", case.id) };
    (outcome, entries)
}
