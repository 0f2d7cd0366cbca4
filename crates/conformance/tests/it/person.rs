//! A person who plays the agent is told of all that a chat needs at once, and may do it sooner than the case gets there.

use std::time::Duration;

use conformance::actor::{Request, Turn};
use conformance::cases::{Needs, Planned, plan};
use conformance::run::{Agent, Event, Outcome, Run, Settings};
use conformance::verdict::Kind;
use protocol::time::Time;
use protocol::wire::Transport;
use simulator::control;
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::pair::Pair;

use crate::drive::{SEED, SERVICE, settings};

/// Drives a case whose agent does at once whatever does not wait for the client to write.
fn with_somebody_eager(planned: &Planned, settings: &Settings) -> Outcome {
    let run = Run::new(planned.case, planned.transport, settings, SEED);
    let server = Gms::new(gms::Settings { agent: gms::Agent::Manual, ..gms::Settings::new(SERVICE) }, SEED);
    let mut pair = Pair::new(run, server, Network::default(), SEED);
    let (mut asked, mut done) = (0, 0);
    loop {
        let told = pair.drive_until(Time::ZERO + Duration::from_secs(600), |pair| !pair.client_events.is_empty());
        assert_eq!(told, Ok(true), "{} does not come to its end", planned.case.id);
        match pair.client_events.pop_front() {
            Some((_, Event::Finished(outcome))) => return outcome,
            Some((_, Event::Asked(request))) => {
                asked += 1;
                let now = pair.now();
                let own = (asked > done).then(|| request.clone());
                let more = request.then.iter().take_while(|turn| !turn.once_written);
                let more = more.map(|Turn { step, .. }| Request { step: step.clone(), ..request.clone() });
                for request in own.into_iter().chain(more) {
                    let answer = control::answer(&mut pair.server, now, &request.to_control());
                    assert_eq!(answer.status, 200, "{request:?}");
                    done += 1;
                }
            }
            None => panic!("{} says nothing", planned.case.id),
        }
    }
}

#[test]
fn what_is_done_sooner_than_it_is_due_counts_all_the_same() {
    let settings = Settings { agent: Agent::Asked { within: Duration::from_secs(120) }, ..settings() };
    let entries = plan(&settings, &[Transport::LongPolling]);
    let with_agent = entries.iter().filter(|planned| matches!(planned.case.needs, Needs::Agent | Needs::Asked));
    for planned in with_agent {
        let outcome = with_somebody_eager(planned, &settings);
        assert_eq!(outcome.kind(), Kind::Pass, "{outcome:#?}");
    }
}
