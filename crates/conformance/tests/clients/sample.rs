//! The published sample client is convicted of every trap that shows on the wire.

use conformance::cases::case;
use conformance::clients::{Step, scenarios};
use conformance::verdict::Kind;
use protocol::bayeux::client::Config;
use protocol::time::Time;
use protocol::wire::Transport;
use rstest::rstest;
use simulator::sample::Sample;

use crate::drive::{Driven, SEED, SERVICE, judge};

impl Driven for Sample {
    fn begin(&mut self, now: Time) {
        self.start(now);
    }

    fn obey(&mut self, now: Time, step: Step) {
        match step {
            Step::Say(text) => self.say(now, text),
            Step::End => self.end(now),
        }
    }
}

fn sample(transport: Transport) -> Sample {
    Sample::new(Config::new("/genesys/cometd", &[transport]), SERVICE)
}

/// The traps that show on the wire, each with the scenario that it shows in, the requirement that it breaks, and a word of
/// what was seen.
#[rstest]
#[case::begins_a_second_chat_1("client.recovery.handshakes-again-after-402", "RC-53", "requestChat")]
#[case::misses_an_end_without_events_3("client.end.without-events", "CV-DC-53", "goes on connecting")]
#[case::misses_an_end_with_status_2_3("client.end.with-status-2", "CV-DC-53", "goes on connecting")]
#[case::asks_twice_6("client.recovery.after-402-on-publish", "RC-53", "requestChat and requestNotifications")]
#[case::ignores_events_7("client.events.beside-failed-connect", "BX-CN-15", "")]
#[case::gives_the_chat_up_9("client.request.failure-with-errors", "CV-ER-50", "nothing more is sent")]
#[case::waits_for_ever_10("client.end.answer-lost", "CV-DC-52", "goes on connecting")]
fn is_convicted(
    #[case] scenario: &str,
    #[case] requirement: &str,
    #[case] seen: &str,
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let result = judge(case(scenario).unwrap(), transport, sample(transport), SEED);
    let clause = result.clauses.get(requirement);
    assert!(matches!(clause, Some(Kind::Fail | Kind::Deviation)), "{result:#?}");
    // One trap may lead into another: then it stands beside the reason.
    let reason = result.reason.iter().map(|reason| reason.observed.clone());
    let told: Vec<String> = reason.chain(result.consequences.iter().map(ToString::to_string)).collect();
    assert!(told.iter().any(|told| told.contains(seen)), "{told:?}");
}

/// What the model does right is not held against it: every conviction stands here.
#[test]
fn every_verdict_on_the_sample() {
    let mut table = String::new();
    for case in scenarios() {
        let Some(transport) = case.transports.iter().find(|transport| **transport != Transport::CallbackPolling) else {
            continue;
        };
        let result = judge(case, *transport, sample(*transport), SEED);
        let why = result.reason.as_ref().filter(|_| matches!(result.verdict, Kind::Fail | Kind::Deviation));
        let why = why.map(|reason| format!("{}: {}", reason.requirement.as_deref().unwrap_or("-"), reason.observed));
        let line = format!("{:<47} {:<14} {}", case.id, result.verdict.name(), why.unwrap_or_default());
        table.push_str(line.trim_end());
        table.push('\n');
    }
    insta::assert_snapshot!("verdicts_on_the_sample", table);
}
