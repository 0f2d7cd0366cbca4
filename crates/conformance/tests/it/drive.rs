//! Drives cases against a server machine in virtual time.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use conformance::actor::Request;
use conformance::cases::{Case, Planned, plan};
use conformance::conclude::{CaseResult, conclude};
use conformance::expectations::{Expectations, SIMULATOR};
use conformance::report::{About, Again, Report, Tally, json};
use conformance::run::{Agent, Event, Outcome, Run, Settings};
use conformance::testimony::Testimony;
use protocol::bayeux::dialect::Dialect;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Transport};
use simulator::control;
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::mutation::{Mutant, Mutation};
use simulator::pair::Pair;

use crate::shared::{again, label, redacted, uneven};

pub(crate) const SERVICE: &str = "customer-support";

pub(crate) const SEED: u64 = 7;

/// The settings with which the simulator is judged.
pub(crate) fn settings() -> Settings {
    Settings { base: "/genesys/cometd".to_owned(), service: Some(SERVICE.to_owned()), agent: Agent::Simulated }
}

/// A simulator without defects, with the `ack` extension, so that every case applies, and with small files.
pub(crate) fn healthy(seed: u64) -> Gms {
    speaking(Dialect::cometd_3_1(), seed)
}

/// The same in another dialect.
pub(crate) fn speaking(dialect: Dialect, seed: u64) -> Gms {
    Gms::new(settings_of(dialect), seed)
}

/// The same with a mutation.
pub(crate) fn mutant(mutation: &Mutation, seed: u64) -> Mutant {
    Mutant::planted(*mutation, settings_of(Dialect::cometd_3_1()), seed)
}

fn settings_of(mut dialect: Dialect) -> gms::Settings {
    dialect.options.extensions.ack = true;
    let mut settings = gms::Settings { dialect, ..gms::Settings::new(SERVICE) };
    // To go beyond the usual size would only take time.
    settings.gms.files.max_file_size = 1_000;
    settings
}

/// A run, or what wraps one.
pub(crate) trait Finishing: Machine<Event = Event> {
    fn is_finished(&self) -> bool;
}

impl Finishing for Run {
    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }
}

/// Runs a case against a server to its end; gives what it came to and what was on the wire.
pub(crate) fn drive<B: Machine + 'static>(
    case: &'static Case,
    transport: Transport,
    settings: &Settings,
    server: B,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    drive_run(case, Run::new(case, transport, settings, seed), server, seed)
}

/// The same with a run that may be wrapped.
pub(crate) fn drive_run<A: Finishing, B: Machine + 'static>(
    case: &'static Case,
    run: A,
    server: B,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    drive_over(Network::default(), case, run, server, seed)
}

/// The same over a certain network.
pub(crate) fn drive_over<A: Finishing, B: Machine + 'static>(
    network: Network,
    case: &'static Case,
    run: A,
    server: B,
    seed: u64,
) -> (Outcome, Vec<Entry>) {
    let (outcome, pair) = drive_pair(network, case, run, server, seed, &mut Vec::new());
    (outcome, pair.entries().to_vec())
}

/// The same, with what the case asks of an agent, and the pair as it is at the end.
fn drive_pair<A: Finishing, B: Machine + 'static>(
    network: Network,
    case: &'static Case,
    run: A,
    server: B,
    seed: u64,
    asked: &mut Vec<(Time, Request)>,
) -> (Outcome, Pair<A, B>) {
    let mut pair = Pair::new(run, server, network, seed);
    let limit = Time::ZERO + case.at_most + Duration::from_secs(60);
    loop {
        let finished = pair.drive_until(limit, |pair| pair.client.is_finished() || !pair.client_events.is_empty());
        assert_eq!(finished, Ok(true), "{} does not come to its end", case.id);
        match pair.client_events.pop_front() {
            Some((_, Event::Asked(request))) => {
                let now = pair.now();
                act(&mut pair.server, now, &request);
                asked.push((now, request));
            }
            Some((_, Event::Finished(outcome))) => return (outcome, pair),
            None => panic!("{} says nothing at its end", case.id),
        }
    }
}

/// Lets the agent of a simulator do what it is asked; other servers have none.
fn act<B: 'static>(server: &mut B, now: Time, request: &Request) {
    let server: &mut dyn Any = server;
    let asked = request.to_control();
    if let Some(gms) = server.downcast_mut::<Gms>() {
        let _ = control::answer(gms, now, &asked);
    } else if let Some(mutant) = server.downcast_mut::<Mutant>() {
        let _ = mutant.control(now, &asked);
    } else if let Some(Lasting { server, ahead }) = server.downcast_mut::<Lasting>() {
        let _ = server.control(now + *ahead, &asked);
    }
}

/// A server with a mutation that outlives a run: its clock goes on, and that of the next run begins anew.
pub(crate) struct Lasting {
    server: Mutant,
    ahead: Duration,
}

impl Lasting {
    pub(crate) const fn new(server: Mutant) -> Self {
        Self { server, ahead: Duration::ZERO }
    }

    /// Runs a case to its end, and a little longer, so that nothing of it is under way any more.
    pub(crate) fn drive(self, case: &'static Case, transport: Transport, seed: u64) -> (Outcome, Vec<Entry>, Self) {
        let run = Run::new(case, transport, &settings(), seed);
        let (outcome, mut pair) = drive_pair(Network::default(), case, run, self, seed, &mut Vec::new());
        pair.drive_for(Duration::from_secs(5)).expect("a finished run comes to rest");
        let (entries, ran) = (pair.entries().to_vec(), pair.now().since(Time::ZERO));
        let Self { server, ahead } = pair.server;
        (outcome, entries, Self { server, ahead: ahead + ran })
    }
}

impl Machine for Lasting {
    type Timer = ();
    type Event = gms::Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.server.handle_input(now + self.ahead, input);
    }

    fn poll_output(&mut self) -> Option<Output<gms::Event>> {
        self.server.poll_output()
    }

    fn deadline(&self) -> Option<(Time, ())> {
        let (at, timer) = self.server.deadline()?;
        Some((Time::ZERO + at.since(Time::ZERO + self.ahead), timer))
    }
}

/// Runs a case and judges it as `tapestry conformance` does, and gives its tape too.
pub(crate) fn testify<B: Machine + 'static>(
    case: &'static Case,
    transport: Transport,
    settings: &Settings,
    server: B,
    seed: u64,
) -> (CaseResult, Vec<u8>) {
    let mut asked = Vec::new();
    let run = Run::new(case, transport, settings, seed);
    let (outcome, pair) = drive_pair(Network::default(), case, run, server, seed, &mut asked);
    let mut testimony = Testimony::new(case, transport, settings, seed, label(seed, true));
    let mut asked = asked.iter().peekable();
    for entry in pair.entries() {
        while let Some((at, request)) = asked.next_if(|(at, _)| *at <= entry.at) {
            testimony.ask(*at, request);
        }
        testimony.see(entry);
    }
    asked.for_each(|(at, request)| testimony.ask(*at, request));
    let end = Time::ZERO + outcome.took;
    testimony.learn(outcome);
    testimony.conclude(end)
}

/// How an entry in `result.json` is another one offline, if it is.
pub(crate) fn difference(then: &CaseResult, tape: &[u8]) -> Option<String> {
    let entry = |result: &CaseResult| {
        let report = report(&settings(), vec![result.clone()], SEED);
        json::value(&report)["cases"][0].to_string()
    };
    let offline = again(tape);
    let (then, now) = (entry(then), entry(&offline.result));
    let same = then == now && offline.divergence.is_none() && !offline.ends_early;
    let (name, divergence) = (offline.result.name(), offline.divergence);
    (!same).then(|| format!("{name}\n  then {then}\n  now  {now}\n  {divergence:?}\n"))
}

/// Runs a case and judges it.
pub(crate) fn judge<B: Machine + 'static>(
    case: &'static Case,
    transport: Transport,
    server: B,
    seed: u64,
) -> CaseResult {
    let (outcome, entries) = drive(case, transport, &settings(), server, seed);
    conclude(&outcome, &redacted(&entries, seed))
}

/// Runs every case, each against a server of its own.
pub(crate) fn run_all<B: Machine + 'static>(
    settings: &Settings,
    seed: u64,
    mut server: impl FnMut() -> B,
) -> Vec<CaseResult> {
    let entries = plan(settings, &Transport::ALL);
    let result = |planned: &Planned| match planned.not_applicable {
        Some(why) => CaseResult::not_applicable(planned.case, planned.transport, why),
        None => {
            let (outcome, entries) = drive(planned.case, planned.transport, settings, server(), seed);
            conclude(&outcome, &redacted(&entries, seed))
        }
    };
    entries.iter().map(result).collect()
}

/// Runs every case over every transport that a dialect offers.
pub(crate) fn run_dialect(name: &str, network: Network, seed: u64) -> Vec<CaseResult> {
    let dialect = Dialect::by_name(name).expect("a dialect");
    let offered: Vec<Transport> =
        Transport::ALL.into_iter().filter(|transport| dialect.offers(transport.name())).collect();
    let result = |entry: &Planned| {
        let run = Run::new(entry.case, entry.transport, &settings(), seed);
        let server = speaking(dialect.clone(), seed);
        let (outcome, entries) = drive_over(network, entry.case, run, server, seed);
        conclude(&outcome, &redacted(&entries, seed))
    };
    plan(&settings(), &offered).iter().map(result).collect()
}

/// What the entries of a plan came to in several runs.
pub(crate) fn tallied(runs: Vec<Vec<CaseResult>>) -> Vec<Tally> {
    let mut tallies = BTreeMap::new();
    for (place, result) in runs.into_iter().flat_map(|run| run.into_iter().enumerate()) {
        Tally::enter(&mut tallies, place, result);
    }
    tallies.into_values().collect()
}

/// Asserts that every entry comes to the same verdict with every seed, on networks that are not equally even.
pub(crate) fn assert_steady(dialect: &str, seeds: impl Iterator<Item = u64>) {
    let runs: Vec<Vec<CaseResult>> = seeds.map(|seed| run_dialect(dialect, uneven(seed), seed)).collect();
    let unsteady = tallied(runs).into_iter().filter_map(|tally| tally.close().1);
    let unsteady: Vec<String> = unsteady.map(|entry| format!("{}: {}", entry.name, entry.counts())).collect();
    assert!(unsteady.is_empty(), "{dialect}: {unsteady:#?}");
}

/// A report as `tapestry conformance` makes it.
pub(crate) fn report(settings: &Settings, results: Vec<CaseResult>, seed: u64) -> Report {
    report_knowing(&Expectations::parse(SIMULATOR).expect("expectations"), settings, results, seed)
}

/// The same with other known departures.
pub(crate) fn report_knowing(known: &Expectations, settings: &Settings, results: Vec<CaseResult>, seed: u64) -> Report {
    let about = About {
        version: "0.0.0".to_owned(),
        target: "embedded simulator".to_owned(),
        service: settings.service.clone(),
        agent: settings.agent,
        agent_name: None,
        seed,
        started: None,
        took: results.iter().map(|result| result.took).sum(),
        again: Again::Run { command: "tapestry conformance".to_owned(), tapes: None },
    };
    Report::new(about, results, None, known, "2026-01-01")
}
