//! An agent who does not do what a case asks for: whether nobody came, or one who lacks a step.

use std::time::Duration;

use conformance::cases::case;
use conformance::conclude::conclude;
use conformance::run::{Agent, Event, Run, Settings};
use conformance::verdict::{AGENT_ROOT, Kind};
use protocol::time::Time;
use protocol::wire::Transport;
use rstest::rstest;
use simulator::control;
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::pair::Pair;

use crate::drive::{SEED, SERVICE, settings};
use crate::shared::redacted;

/// What blocks a case whose agent does all but some steps.
fn blocked_by(id: &str, lacks: &[&str]) -> Option<String> {
    let case = case(id).expect("the case is there");
    let settings = Settings { agent: Agent::Asked { within: Duration::from_secs(8) }, ..settings() };
    let run = Run::new(case, Transport::WebSocket, &settings, SEED);
    let mut pair = Pair::new(run, Gms::new(gms::Settings::manual(SERVICE), SEED), Network::default(), SEED);
    let limit = Time::ZERO + case.at_most + Duration::from_secs(60);
    loop {
        let told = pair.drive_until(limit, |pair| !pair.client_events.is_empty());
        assert_eq!(told, Ok(true), "{id} does not come to its end");
        match pair.client_events.pop_front() {
            Some((_, Event::Asked(request))) if !lacks.contains(&request.step.word()) => {
                let now = pair.now();
                let _ = control::answer(&mut pair.server, now, &request.to_control());
            }
            Some((_, Event::Finished(outcome))) => {
                let result = conclude(&outcome, &redacted(pair.entries(), SEED));
                assert_eq!(result.verdict, Kind::Blocked, "{:?}", result.reason);
                return result.reason.and_then(|reason| reason.root);
            }
            Some(_) | None => {}
        }
    }
}

#[rstest]
#[case("chat.agent.answers", &["join", "say"], AGENT_ROOT)]
#[case("chat.agent.answers", &["say"], "the agent (did not greet)")]
#[case("chat.agent.types", &["type"], "the agent (did not type)")]
#[case("chat.agent.closes", &["end"], "the agent (did not leave)")]
#[case("chat.agent.hands-over", &["transfer"], "the agent (did not hand the chat over)")]
fn one_who_has_come_is_blamed_for_the_step_alone(#[case] id: &str, #[case] lacks: &[&str], #[case] root: &str) {
    assert_eq!(blocked_by(id, lacks).as_deref(), Some(root));
}
