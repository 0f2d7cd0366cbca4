//! Servers that take no files, or take them on a condition.

use conformance::cases::{Case, cases};
use conformance::run::{Agent, Settings};
use conformance::verdict::Kind;
use protocol::bayeux::dialect::Dialect;
use protocol::wire::Transport;
use rstest::rstest;
use simulator::gms::{self, Gms};
use simulator::mutation::{FILES_OFF, Mutation, NO_FILES};

use crate::drive::{SEED, SERVICE, drive, judge, mutant, settings};
use crate::shared::redacted;

fn about_files() -> impl Iterator<Item = &'static Case> {
    cases().iter().filter(|case| case.id.starts_with("chat.file."))
}

/// Each case once with what it says, if it does not apply.
fn why_not(mutation: Mutation, transport: Transport) -> Vec<String> {
    let result = |case| judge(case, transport, mutant(&mutation, SEED), SEED);
    let mut why: Vec<String> = about_files()
        .map(result)
        .map(|result| {
            assert_eq!(result.verdict, Kind::NotApplicable, "{}: {:?}", result.name(), result.reason);
            result.reason.map(|reason| reason.observed).unwrap_or_default()
        })
        .collect();
    why.dedup();
    why
}

#[rstest]
#[case(NO_FILES, "HTTP status 404, no body")]
#[case(FILES_OFF, "HTTP status 200, statusCode 2, chatEnded false, no event, errors 249")]
fn a_server_without_file_transfer_is_asked_for_no_file(
    #[case] mutation: Mutation,
    #[case] answer: &str,
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let says = format!("the server has no file transfer: it answers `fileGetLimits` with {answer}");
    assert_eq!(why_not(mutation, transport), [says]);
}

fn with_agent_only(seed: u64) -> Gms {
    let mut settings = gms::Settings { dialect: Dialect::cometd_3_1(), ..gms::Settings::new(SERVICE) };
    settings.gms.files.need_agent = true;
    settings.gms.files.max_file_size = 1_000;
    Gms::new(settings, seed)
}

#[test]
fn files_wait_for_the_agent_where_they_must() {
    for case in about_files() {
        let result = judge(case, Transport::WebSocket, with_agent_only(SEED), SEED);
        assert!(matches!(result.verdict, Kind::Pass | Kind::Observed), "{}: {:?}", result.name(), result.reason);
    }
}

#[test]
fn files_that_need_an_agent_are_not_applicable_without_one() {
    let settings = Settings { agent: Agent::None, ..settings() };
    for case in about_files() {
        let (outcome, entries) = drive(case, Transport::WebSocket, &settings, with_agent_only(SEED), SEED);
        let result = conformance::conclude::conclude(&outcome, &redacted(&entries, SEED));
        let why = result.reason.map(|reason| reason.observed).unwrap_or_default();
        let says = "files are taken only while an agent is in the chat, and no agent is configured";
        assert_eq!((result.verdict, why.as_str()), (Kind::NotApplicable, says), "{}", case.id);
    }
}
