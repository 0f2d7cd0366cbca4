//! JUnit XML: a failure is a requirement that is broken and that nobody expected to be, an error is an entry that could not
//! be judged, and what does not apply is skipped.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::Report;
use super::text::explain;
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
    for (result, expected) in report.entries() {
        let group = result.case.group();
        if suites.last().is_none_or(|suite| suite.name.as_str() != group) {
            suites.push(TestSuite::new(group));
        }
        if let Some(suite) = suites.last_mut() {
            suite.add_test_case(test_case(report, result, expected));
        }
    }
    for mut suite in suites {
        let time: Duration = suite.test_cases.iter().filter_map(|case| case.time).sum();
        suite.set_time(time);
        junit.add_test_suite(suite);
    }
    let text = junit.to_string()?;
    Ok(text)
}

fn test_case(report: &Report, result: &CaseResult, expected: Option<&str>) -> TestCase {
    let why = result.reason.as_ref().map(|reason| reason.observed.as_str()).unwrap_or_default();
    let status = match (result.verdict, expected) {
        (Kind::Fail | Kind::Deviation, None) => non_success(NonSuccessKind::Failure, report, result),
        (Kind::Blocked | Kind::Inconclusive | Kind::Error, _) => non_success(NonSuccessKind::Error, report, result),
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

fn non_success(kind: NonSuccessKind, report: &Report, result: &CaseResult) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let reason = result.reason.as_ref();
    status.set_type(
        reason.and_then(|reason| reason.requirement.clone()).unwrap_or_else(|| result.verdict.name().to_owned()),
    );
    status.set_message(reason.map(|reason| reason.observed.clone()).unwrap_or_default());
    status.set_description(explain(report, result));
    status
}
