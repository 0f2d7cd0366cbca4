//! JUnit XML: a failure is a requirement that is broken and that nobody expected to be, an error is an entry that could not
//! be judged, and what does not apply is skipped. What is wrong with the run as a whole is one test case more.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::causes::Cause;
use super::text::{block, explain};
use super::{Cut, NOTHING, Report};
use crate::conclude::CaseResult;
use crate::verdict::Kind;

/// The text of `junit.xml`.
///
/// # Errors
///
/// Never for reports of this crate: an error means that no XML can be made of a text.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut junit = Junit::new("tapestry conformance");
    junit.set_time(report.about.took);
    let mut suites: Vec<TestSuite> = Vec::new();
    let places = places(report);
    for (result, expected) in report.entries() {
        let place = places.get(&result.name());
        let group = result.case.group();
        if suites.last().is_none_or(|suite| suite.name.as_str() != group) {
            suites.push(TestSuite::new(group));
        }
        if let Some(suite) = suites.last_mut() {
            suite.add_test_case(test_case(report, result, expected, place));
        }
    }
    for mut suite in suites {
        let time: Duration = suite.test_cases.iter().filter_map(|case| case.time).sum();
        suite.set_time(time);
        junit.add_test_suite(suite);
    }
    if let Some(case) = whole(report) {
        let mut suite = TestSuite::new(WHOLE.0);
        suite.add_test_case(case);
        junit.add_test_suite(suite);
    }
    let text = junit.to_string()?;
    Ok(text)
}

/// The suite and the name of the test case that stands for the run as a whole.
const WHOLE: (&str, &str) = ("tapestry", "tapestry.run");

/// What is wrong with the run as a whole, whatever its entries came to; `None` if nothing is. That it did not get to its end
/// is an error, and what its end shows a failure.
fn whole(report: &Report) -> Option<TestCase> {
    let cut = report.cut.iter().map(|cut| match cut {
        Cut::Interrupted => ("interrupted", "the run was interrupted: entries are missing".to_owned()),
        Cut::Unreachable(says) => ("unreachable", says.clone()),
    });
    let shortfalls = report.shortfalls.iter().map(|says| ("incomplete", says.clone()));
    let nothing = (report.cut.is_none() && report.is_empty()).then(|| ("incomplete", NOTHING.to_owned()));
    let problems = report.problems().iter().map(|problem| ("expectation", problem.clone()));
    let unsteady = report
        .unsteady
        .iter()
        .map(|unsteady| ("unsteady", format!("{} is not the same each time: {}", unsteady.name, unsteady.counts())));
    let errors: Vec<(&str, String)> = cut.chain(shortfalls).chain(nothing).collect();
    let kind = if errors.is_empty() { NonSuccessKind::Failure } else { NonSuccessKind::Error };
    let wrong: Vec<(&str, String)> = errors.into_iter().chain(problems).chain(unsteady).collect();
    let (first, message) = wrong.first()?;
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(*first).set_message(message.as_str());
    status.set_description(wrong.iter().map(|(what, says)| format!("{what}: {says}\n")).collect::<String>());
    let mut case = TestCase::new(WHOLE.1, status);
    case.set_classname(WHOLE.0);
    Some(case)
}

/// What an entry has to do with what went wrong.
enum Place<'a> {
    /// It is shown for it.
    Root(Cause<'a>),
    /// The same is wrong as in another entry.
    Same(&'a CaseResult),
    /// It follows from what is wrong in another entry.
    Follows(&'a CaseResult),
}

/// The place of every entry in which something is wrong or open, by its name.
fn places(report: &Report) -> BTreeMap<String, Place<'_>> {
    let mut places = BTreeMap::new();
    for cause in report.causes() {
        let same = cause.same.iter().map(|result| (result.name(), Place::Same(cause.root)));
        let follows = cause.follows.iter().map(|result| (result.name(), Place::Follows(cause.root)));
        places.extend(same.chain(follows));
        places.insert(cause.root.name(), Place::Root(cause));
    }
    places
}

fn test_case(report: &Report, result: &CaseResult, expected: Option<&str>, place: Option<&Place<'_>>) -> TestCase {
    let why = result.reason.as_ref().map(|reason| reason.observed.as_str()).unwrap_or_default();
    let status = match (result.verdict, expected) {
        (Kind::Fail | Kind::Deviation, None) => non_success(NonSuccessKind::Failure, report, result, place),
        (Kind::Blocked | Kind::Inconclusive | Kind::Error, _) => {
            non_success(NonSuccessKind::Error, report, result, place)
        }
        (Kind::NotApplicable, _) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why);
            status
        }
        (Kind::Fail | Kind::Deviation | Kind::Pass | Kind::Observed, _) => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(result.name(), status);
    case.set_classname(result.case.group());
    case.set_time(result.took);
    match (result.verdict, expected) {
        (Kind::Observed, _) => {
            case.set_system_out(format!("observed: {why}"));
        }
        (Kind::Fail | Kind::Deviation, Some(reason)) => {
            case.set_system_out(format!("{}, expected: {reason}", result.verdict));
        }
        _ => {}
    }
    case
}

fn non_success(
    kind: NonSuccessKind,
    report: &Report,
    result: &CaseResult,
    place: Option<&Place<'_>>,
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let reason = result.reason.as_ref();
    status.set_type(
        reason.and_then(|reason| reason.requirement.clone()).unwrap_or_else(|| result.verdict.name().to_owned()),
    );
    let observed = reason.map(|reason| reason.observed.as_str()).unwrap_or_default();
    let (message, description) = match place {
        Some(Place::Root(cause)) => (observed.to_owned(), block(report, cause)),
        Some(Place::Same(root)) => (format!("as in {}: {observed}", root.name()), explain(report, result)),
        Some(Place::Follows(root)) => {
            let broken = root.reason.as_ref().and_then(|reason| reason.requirement.as_deref()).unwrap_or_default();
            let from = format!("{broken} {}", root.name());
            (format!("follows from {}: {observed}", from.trim_start()), explain(report, result))
        }
        None => (observed.to_owned(), explain(report, result)),
    };
    status.set_message(message);
    status.set_description(description);
    status
}
