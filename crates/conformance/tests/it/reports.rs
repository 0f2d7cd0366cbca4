//! Exit codes, and how a run reads in which something is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use conformance::cases::{Planned, case, plan};
use conformance::conclude::{CaseResult, Consequence, Reason};
use conformance::expectations::{Expectations, SIMULATOR};
use conformance::report::kept::Kept;
use conformance::report::{Cut, Exit, Report, Tally, Unsteady, json, junit, text};
use conformance::run::Chats;
use conformance::verdict::Kind;
use protocol::time::Time;
use protocol::wire::Transport;
use rstest::rstest;
use serde_json::Value;
use simulator::gms::{self, Gms};
use simulator::mutation::{Memory, Mutant, Mutation};

use crate::drive::{SEED, SERVICE, judge, mutant, report, report_knowing, settings, tallied};

fn result(verdict: Kind) -> CaseResult {
    let mut result = CaseResult::error(case("chat.request.starts").expect("a case"), Transport::WebSocket, "why");
    result.verdict = verdict;
    result
}

#[rstest]
#[case(&[Kind::Pass, Kind::Observed], None, Exit::Complete, 0)]
#[case(&[Kind::Pass, Kind::NotApplicable], None, Exit::Complete, 0)]
#[case(&[], None, Exit::Incomplete, 3)]
#[case(&[Kind::NotApplicable], None, Exit::Incomplete, 3)]
#[case(&[Kind::Pass, Kind::Blocked], None, Exit::Incomplete, 3)]
#[case(&[Kind::Pass, Kind::Inconclusive], None, Exit::Incomplete, 3)]
#[case(&[Kind::Pass, Kind::Fail, Kind::Blocked], None, Exit::Unexpected, 1)]
#[case(&[Kind::Pass, Kind::Deviation], None, Exit::Unexpected, 1)]
#[case(&[Kind::Fail], Some(Cut::Unreachable("no".to_owned())), Exit::Unreachable, 4)]
#[case(&[Kind::Fail], Some(Cut::Interrupted), Exit::Interrupted, 130)]
#[case(&[Kind::Fail, Kind::Error], Some(Cut::Interrupted), Exit::Fault, 70)]
fn the_worst_decides_the_exit_code(
    #[case] kinds: &[Kind],
    #[case] cut: Option<Cut>,
    #[case] exit: Exit,
    #[case] code: u8,
) {
    let mut report = report(&settings(), kinds.iter().map(|kind| result(*kind)).collect(), SEED);
    report.cut = cut;
    assert_eq!((report.exit().0, report.exit().0.code()), (exit, code));
    assert!(report.last_line().ends_with(&format!("(exit {code})")), "{}", report.last_line());
    let counted: usize = Kind::ALL.iter().map(|kind| report.count(*kind)).sum();
    assert_eq!(counted, report.results.len());
}

#[test]
fn a_wrong_expectation_is_a_failure() {
    let result = CaseResult {
        verdict: Kind::Pass,
        reason: None::<Reason>,
        ..CaseResult::error(case("bayeux.handshake.without-common-type-refused").unwrap(), Transport::WebSocket, "why")
    };
    let report = report(&settings(), vec![result], SEED);
    assert_eq!(report.last_line(), "FAIL: 1 wrong expectation (exit 1)");
    assert_eq!(report.problems().len(), 1);
}

#[test]
fn an_expectation_that_nothing_in_a_whole_run_is_about_is_a_failure() {
    let known = Expectations::parse(SIMULATOR).unwrap().of_whole_run();
    let report = report_knowing(&known, &settings(), vec![result(Kind::Pass)], SEED);
    assert_eq!(report.last_line(), "FAIL: 4 wrong expectations (exit 1)");
}

#[test]
fn a_run_that_was_cut_short_says_nothing_of_what_is_unused() {
    let known = Expectations::parse(SIMULATOR).unwrap().of_whole_run();
    let about = faultless().about;
    let report = Report::new(about, vec![result(Kind::Pass)], Some(Cut::Interrupted), &known, "2026-01-01");
    assert_eq!(report.problems(), [""; 0]);
}

/// What a requirement breaks in an entry, found by a rule if one is named.
fn broken(kind: Kind, requirement: &str, rule: Option<&'static str>) -> Consequence {
    let requirement = Some(requirement.to_owned());
    let reason = Reason { requirement, rule, root: None, expected: None, observed: "seen".to_owned() };
    Consequence { kind, reason, evidence: Vec::new() }
}

#[rstest]
fn a_deviation_counts_though_the_entry_was_not_seen_to_its_end(
    #[values(Kind::Blocked, Kind::Inconclusive)] kind: Kind,
) {
    let mut result = result(kind);
    result.consequences.push(broken(Kind::Deviation, "BX-FLD-15", None));
    let report = report(&settings(), vec![result], SEED);
    let says = "FAIL: 1 verdict that nobody expected: chat.request.starts@websocket (exit 1)";
    assert_eq!(report.last_line(), says);
    let shown = text::render(&report);
    assert!(shown.contains("DEVIATION  chat.request.starts@websocket   BX-FLD-15"), "{shown}");
    assert!(shown.contains(&format!("also       {kind} -: why")), "{shown}");
}

#[test]
fn an_expected_deviation_leaves_an_entry_as_open_as_it_is() {
    let id = "bayeux.subscribe.to-nothing-answered";
    let mut result = CaseResult::error(case(id).expect("a case"), Transport::WebSocket, "why");
    result.verdict = Kind::Blocked;
    result.consequences.push(broken(Kind::Deviation, "BX-FLD-15", None));
    let report = report(&settings(), vec![result], SEED);
    assert_eq!(report.last_line(), "INCOMPLETE: 1 blocked, 0 inconclusive (exit 3)");
}

#[test]
fn the_coverage_has_what_rules_find_beside_the_reason() {
    let mut results = vec![result(Kind::Fail), result(Kind::Fail)];
    for result in &mut results {
        result.reason = Some(broken(Kind::Fail, "CV-SM-01", None).reason);
        result.consequences.push(broken(Kind::Deviation, "BX-FLD-15", Some("bayeux.reply.successful-missing")));
    }
    let coverage = report(&settings(), results, SEED).coverage();
    let found = coverage.iter().find(|coverage| coverage.requirement.id == "BX-FLD-15").expect("it is listed");
    assert_eq!(found.broken_rules.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(found.verdict(), Some(Kind::Deviation));
}

/// A run against a server with one mutation, of the cases of one group.
fn run_of(group: &str, mutation: &str) -> Report {
    let mutation = Mutation::by_name(mutation).expect("a mutation");
    let results = plan(&settings(), &[Transport::WebSocket])
        .into_iter()
        .filter(|planned| planned.case.group() == group)
        .map(|planned| judge(planned.case, planned.transport, mutant(mutation, SEED), SEED))
        .collect();
    report(&settings(), results, SEED)
}

#[rstest]
#[case("chat.message", "echo-doubled")]
#[case("chat.message", "time-as-text")]
#[case("chat.end", "echo-lost")]
#[case("bayeux.publish", "publish-unacknowledged")]
fn a_failure_shows_its_evidence(#[case] group: &str, #[case] mutation: &str) {
    insta::with_settings!({snapshot_suffix => format!("{group}-{mutation}")}, {
        insta::assert_snapshot!("evidence", text::render(&run_of(group, mutation)));
    });
}

#[test]
fn junit_tells_failures_from_what_could_not_run() {
    let xml = junit::render(&run_of("chat.end", "end-not-said")).unwrap();
    insta::assert_snapshot!("junit_of_a_failing_run", xml);
}

/// A run in which every entry passes and every expectation is met.
fn faultless() -> Report {
    report(&settings(), vec![result(Kind::Pass)], SEED)
}

fn stale() -> Report {
    let case = case("bayeux.handshake.without-common-type-refused").expect("a case");
    let mut passes = CaseResult::error(case, Transport::WebSocket, "why");
    (passes.verdict, passes.reason) = (Kind::Pass, None);
    report(&settings(), vec![passes], SEED)
}

fn changed(change: impl FnOnce(&mut Report)) -> Report {
    let mut report = faultless();
    change(&mut report);
    report
}

fn unsteady() -> Report {
    let verdicts = BTreeMap::from([(Kind::Pass, 2), (Kind::Fail, 1)]);
    changed(|report| report.unsteady.push(Unsteady { name: result(Kind::Pass).name(), verdicts }))
}

fn unreachable() -> Report {
    let mut report = report(&settings(), Vec::new(), SEED);
    report.cut = Some(Cut::Unreachable("cannot reach it".to_owned()));
    report
}

#[rstest]
#[case::interrupted(changed(|report| report.cut = Some(Cut::Interrupted)), "error", "the run was interrupted")]
#[case::unreachable(unreachable(), "error", "cannot reach it")]
#[case::torn(changed(|report| report.shortfalls.push("the tape ends early".to_owned())), "error", "the tape ends early")]
#[case::nothing_judged(report(&settings(), vec![result(Kind::NotApplicable)], SEED), "error", "nothing was judged")]
#[case::stale_expectation(stale(), "failure", "is stale: the case comes to pass")]
#[case::unsteady(unsteady(), "failure", "chat.request.starts@websocket is not the same each time: 2 pass, 1 fail")]
fn junit_is_red_if_the_run_itself_is_wrong(#[case] report: Report, #[case] word: &str, #[case] says: &str) {
    assert_ne!(report.exit().0, Exit::Complete);
    let xml = junit::render(&report).unwrap();
    let (_, of_run) = xml.split_once(r#"<testcase name="tapestry.run" classname="tapestry">"#).expect("it is there");
    let head = of_run.trim_start().lines().next().unwrap_or_default();
    assert!(head.starts_with(&format!("<{word} ")) && head.contains(says), "{xml}");
}

#[test]
fn junit_of_a_run_that_is_as_expected_has_nothing_but_its_entries() {
    let xml = junit::render(&faultless()).unwrap();
    assert!(xml.contains(r#"tests="1" skipped="0" failures="0" errors="0""#) && !xml.contains("tapestry.run"), "{xml}");
}

#[test]
fn the_result_says_what_follows_from_a_cause() {
    let value = json::value(&run_of("chat.end", "end-not-said"));
    let causes = value["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert_eq!(causes[0]["requirement"], "CV-DC-01");
    assert_eq!(causes[0]["entry"], "chat.end.disconnect-ends-chat@websocket");
    assert_eq!(causes[0]["follows"].as_array().map(Vec::len), Some(5), "{causes:#?}");
}

/// A server that loses what its clients say, but for the first word.
fn loses_echoes(memory: &mut Memory, mut message: Value) -> Vec<Value> {
    if let Some(events) = message.get_mut("data").and_then(|data| data.get_mut("messages")?.as_array_mut()) {
        events.retain(|event| {
            let is_echo = event["type"] == "Message" && event["from"]["type"] == "Client";
            !is_echo || !std::mem::replace(&mut memory.flag, true)
        });
    }
    vec![message]
}

#[test]
fn lost_echoes_have_one_cause() {
    let of_chats = |planned: &Planned| !planned.case.id.starts_with("bayeux");
    let run = |planned: Planned| {
        let server = Mutant::new(Gms::new(gms::Settings::new(SERVICE), SEED), Mutation::named("").told(loses_echoes));
        judge(planned.case, planned.transport, server, SEED)
    };
    let results = plan(&settings(), &[Transport::WebSocket]).into_iter().filter(of_chats).map(run).collect();
    let report = report(&settings(), results, SEED);
    assert!(report.unexpected().len() > 4, "{}", text::render(&report));
    let wrong = report.causes().into_iter().filter(|cause| matches!(cause.root.verdict, Kind::Fail | Kind::Deviation));
    let causes: Vec<_> = wrong.filter_map(|cause| Some(cause.requirement()?.id.as_str())).collect();
    assert_eq!(causes, ["CV-SM-01"], "{}", text::render(&report));
}

#[test]
fn the_result_of_a_failing_run_obeys_the_schema() {
    let schema = serde_json::from_str(include_str!("../../../../schemas/result.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for mutation in ["echo-doubled", "time-as-text", "echo-lost", "chat-ended-missing"] {
        let value = json::value(&run_of("chat.message", mutation));
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{mutation}: {errors:#?}");
    }
}

#[test]
fn a_result_is_read_back_as_it_was_written() {
    let report = run_of("chat.message", "echo-doubled");
    let kept = Kept::parse(&json::render(&report)).unwrap();
    let written = report.entries().map(|(result, expected)| {
        // Chats are told of the whole run, and moments in milliseconds.
        let mut result = CaseResult { chats: Chats::default(), ..result.clone() };
        result.took = Duration::from_millis(u64::try_from(result.took.as_millis()).unwrap());
        result.evidence.iter_mut().for_each(|witness| witness.at = Time::from_millis(witness.at.as_millis()));
        (result, expected.map(str::to_owned))
    });
    pretty_assertions::assert_eq!(kept.results, written.collect::<Vec<_>>());
    assert_eq!((kept.target, kept.is_complete), (report.about.target, true));
}

#[test]
fn what_is_not_the_same_each_time_is_named_and_makes_the_run_fail() {
    let runs = [[Kind::Pass, Kind::Pass], [Kind::Pass, Kind::Inconclusive], [Kind::Pass, Kind::Pass]];
    // A result is known by how many seconds it took: as many as there were repetitions before.
    let took = |mut result: CaseResult, seconds| {
        result.took = Duration::from_secs(seconds);
        result
    };
    let runs = runs.into_iter().zip(0..).map(|(run, number)| run.map(|kind| took(result(kind), number)).to_vec());
    let runs: Vec<Vec<CaseResult>> = runs.collect();
    let (worst, unsteady): (Vec<_>, Vec<_>) = tallied(runs.clone()).into_iter().map(Tally::close).unzip();
    let worst: Vec<u64> = worst.iter().map(|result| result.took.as_secs()).collect();
    assert_eq!(worst, [0, 1], "of each entry the repetition that went worst");
    let mut report = report(&settings(), runs[0].clone(), SEED);
    report.unsteady = unsteady.into_iter().flatten().collect();
    let says = "chat.request.starts@websocket: 2 pass, 1 inconclusive";
    assert_eq!(report.last_line(), format!("FAIL: 1 unsteady verdict, such as {says} (exit 1)"));
    assert!(text::render(&report).contains("not the same each time: chat.request.starts@websocket  2 pass, 1 incon"));
}
