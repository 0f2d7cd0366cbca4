//! Expectations: departures of a target that somebody knows of and has given a reason for.
//!
//! An expectation that is unused, has expired, or whose case passes or fails in another way is wrong itself: lists of known
//! failures rot otherwise.

use protocol::wire::Transport;
use serde::Deserialize;

use crate::cases::case;
use crate::conclude::{CaseResult, Consequence, Reason};
use crate::requirements::Catalogue;
use crate::verdict::Kind;

/// The expectations of the embedded simulator.
pub const SIMULATOR: &str = include_str!("../expectations/simulator.toml");

/// One known departure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The case.
    pub case: String,
    /// The transport; both if absent.
    pub transport: Option<String>,
    /// `fail` or `deviation`.
    pub verdict: String,
    /// The requirement that is broken.
    #[serde(rename = "where")]
    pub requirement: String,
    /// Why that is tolerated.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds, `YYYY-MM-DD`.
    pub until: String,
}

/// Why a file holds no expectations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectationError {
    /// It is no such file.
    #[error("{0}")]
    Syntax(String),
    /// A case that does not exist.
    #[error("case `{0}` does not exist")]
    Case(String),
    /// A transport that does not exist.
    #[error("transport `{0}` does not exist")]
    Transport(String),
    /// A verdict that cannot be expected.
    #[error("verdict `{0}` cannot be expected: `fail` and `deviation` can")]
    Verdict(String),
    /// A requirement that does not exist.
    #[error("requirement `{0}` does not exist")]
    Requirement(String),
    /// A day that is none.
    #[error("`{0}` is not a day of the calendar, `YYYY-MM-DD`")]
    Day(String),
    /// A member that says nothing.
    #[error("the expectation for `{case}` has an empty `{member}`")]
    Empty {
        /// The case.
        case: String,
        /// `reason` or `owner`.
        member: &'static str,
    },
    /// A transport over which the case never runs.
    #[error("case `{case}` does not run over `{transport}`")]
    NeverOver {
        /// The case.
        case: String,
        /// The transport.
        transport: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expectation: Vec<Expectation>,
}

/// The known departures of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    entries: Vec<Expectation>,
    /// Whether each has to be met, because everything runs.
    are_all_due: bool,
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ExpectationError`], the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ExpectationError> {
        let file: File = toml::from_str(text).map_err(|error| ExpectationError::Syntax(error.to_string()))?;
        for entry in &file.expectation {
            let Some(case) = case(&entry.case) else {
                return Err(ExpectationError::Case(entry.case.clone()));
            };
            if let Some(name) = &entry.transport {
                let Some(transport) = Transport::by_name(name) else {
                    return Err(ExpectationError::Transport(name.clone()));
                };
                if !case.transports.contains(&transport) {
                    let (case, transport) = (entry.case.clone(), name.clone());
                    return Err(ExpectationError::NeverOver { case, transport });
                }
            }
            for (member, text) in [("reason", &entry.reason), ("owner", &entry.owner)] {
                if text.trim().is_empty() {
                    return Err(ExpectationError::Empty { case: entry.case.clone(), member });
                }
            }
            if ![Kind::Fail.name(), Kind::Deviation.name()].contains(&entry.verdict.as_str()) {
                return Err(ExpectationError::Verdict(entry.verdict.clone()));
            }
            if Catalogue::get().requirement(&entry.requirement).is_none() {
                return Err(ExpectationError::Requirement(entry.requirement.clone()));
            }
            if !is_day(&entry.until) {
                return Err(ExpectationError::Day(entry.until.clone()));
            }
        }
        Ok(Self { entries: file.expectation, are_all_due: false })
    }

    /// Each of them, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Expectation] {
        &self.entries
    }

    /// Adds those of another file.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.entries.extend(more.entries);
        self
    }

    /// The same for a run without a choice of cases or transports: there one that is about nothing is wrong, too.
    #[must_use]
    pub fn of_whole_run(self) -> Self {
        Self { are_all_due: true, ..self }
    }

    /// The expectation that a result meets. Each covers the requirement that it names: if something else is broken too,
    /// the result meets none.
    #[must_use]
    pub fn met_by(&self, result: &CaseResult) -> Option<&Expectation> {
        let reason = result.reason.as_ref().filter(|_| is_departure(result.verdict))?;
        let met = self.about(result, result.verdict, reason)?;
        self.unknown(result).is_none().then_some(met)
    }

    /// What a result comes to besides what somebody knows of: the first departure that nobody knows of becomes the reason,
    /// and a known one stands under it. So does what kept the entry from its end: it does not excuse what was seen before.
    #[must_use]
    pub fn without_known(&self, mut result: CaseResult) -> CaseResult {
        let known = result.reason.as_ref().filter(|_| is_departure(result.verdict));
        let is_known = known.is_some_and(|reason| self.about(&result, result.verdict, reason).is_some());
        if !is_known && !is_unfinished(result.verdict) {
            return result;
        }
        let Some(place) = self.unknown(&result) else { return result };
        let first = result.consequences.remove(place);
        let evidence = std::mem::replace(&mut result.evidence, first.evidence);
        if let Some(reason) = result.reason.replace(first.reason) {
            result.consequences.insert(0, Consequence { kind: result.verdict, reason, evidence });
        }
        result.verdict = first.kind;
        result
    }

    /// Where the worst of the departures stands, beside the reason, that nobody knows of.
    fn unknown(&self, result: &CaseResult) -> Option<usize> {
        let others = result.consequences.iter().enumerate();
        let unknown = others
            .filter(|(_, other)| is_departure(other.kind) && self.about(result, other.kind, &other.reason).is_none());
        unknown.min_by_key(|(_, other)| other.kind).map(|(place, _)| place)
    }

    /// The expectation of a departure of a result.
    pub(crate) fn about(&self, result: &CaseResult, kind: Kind, reason: &Reason) -> Option<&Expectation> {
        self.entries.iter().find(|entry| entry.is_about(result) && entry.is(kind, reason))
    }

    /// What is wrong with the expectations themselves, one line each. `today` is `YYYY-MM-DD`.
    #[must_use]
    pub fn problems(&self, results: &[CaseResult], today: &str) -> Vec<String> {
        self.entries.iter().filter_map(|entry| entry.problem(results, today)).collect()
    }

    /// Which of them are about nothing that ran, one line each: none is, unless everything did.
    #[must_use]
    pub fn unused(&self, results: &[CaseResult]) -> Vec<String> {
        let due = self.entries.iter().filter(|_| self.are_all_due);
        due.filter_map(|entry| {
            Some(format!("the expectation for `{}` is unused: {}", entry.case, entry.unused(results)?))
        })
        .collect()
    }
}

impl Expectation {
    fn is_about(&self, result: &CaseResult) -> bool {
        self.case == result.case.id && self.transport.as_ref().is_none_or(|name| name == result.transport.name())
    }

    fn is(&self, kind: Kind, reason: &Reason) -> bool {
        self.verdict == kind.name() && reason.requirement.as_ref() == Some(&self.requirement)
    }

    /// Whether the departure is among what a result shows, whatever else it shows.
    fn is_met_by(&self, result: &CaseResult) -> bool {
        result.reason.as_ref().is_some_and(|reason| self.is(result.verdict, reason))
            || result.consequences.iter().any(|other| self.is(other.kind, &other.reason))
    }

    /// How the entries of a run stand to it.
    pub(crate) fn standing<'a>(&self, results: impl IntoIterator<Item = &'a CaseResult>) -> Standing<'a> {
        let mut standing = Standing::default();
        for result in results.into_iter().filter(|result| self.is_about(result)) {
            let cut_short = result.consequences.iter().any(|other| is_unfinished(other.kind));
            match result.verdict {
                Kind::NotApplicable => {}
                Kind::Blocked | Kind::Inconclusive | Kind::Error => standing.open.push(result),
                Kind::Fail | Kind::Deviation | Kind::Pass | Kind::Observed if self.is_met_by(result) => {
                    standing.met.push(result);
                }
                Kind::Fail | Kind::Deviation if cut_short => standing.open.push(result),
                Kind::Fail | Kind::Deviation | Kind::Pass | Kind::Observed => standing.unmet.push(result),
            }
        }
        standing
    }

    /// Whether its last day lies before a day.
    pub(crate) fn has_expired(&self, today: &str) -> bool {
        self.until.as_str() < today
    }

    /// Why no entry of a whole run can meet it. What the command left out, such as everything about chats if no service was
    /// named, says nothing against it; what turned out not to apply does.
    fn unused(&self, results: &[CaseResult]) -> Option<String> {
        let mut about = results.iter().filter(|result| self.is_about(result)).peekable();
        if about.peek().is_none() {
            // A client under test chooses its transport itself.
            let ran = results.iter().any(|result| result.case.id == self.case);
            return (!ran).then(|| "no case of this run has that name".to_owned());
        }
        let mut why = String::new();
        for result in about {
            if result.verdict != Kind::NotApplicable || result.ending.is_none() {
                return None;
            }
            why = result.reason.as_ref().map(|reason| reason.observed.clone()).unwrap_or_default();
        }
        Some(format!("the case does not apply, {why}"))
    }

    fn problem(&self, results: &[CaseResult], today: &str) -> Option<String> {
        let (name, standing) = (&self.case, self.standing(results));
        if standing.is_empty() {
            return None;
        }
        if self.has_expired(today) {
            return Some(format!("the expectation for `{name}` has expired on {}", self.until));
        }
        let first = standing.unmet.first()?.verdict;
        if matches!(first, Kind::Pass | Kind::Observed) && standing.met.is_empty() {
            return Some(format!("the expectation for `{name}` is stale: the case comes to {first}"));
        }
        let expected = format!("{} in {}", self.verdict, self.requirement);
        Some(format!("`{name}` was expected to come to {expected}, and came to {first} in another way"))
    }
}

pub(crate) const fn is_departure(kind: Kind) -> bool {
    matches!(kind, Kind::Fail | Kind::Deviation)
}

/// Whether an entry that comes to it was not seen to its end.
const fn is_unfinished(kind: Kind) -> bool {
    matches!(kind, Kind::Blocked | Kind::Inconclusive)
}

/// How the entries of a run stand to an expectation that is about them.
#[derive(Debug, Default)]
pub(crate) struct Standing<'a> {
    /// They come to what is expected.
    pub(crate) met: Vec<&'a CaseResult>,
    /// They come to something else.
    pub(crate) unmet: Vec<&'a CaseResult>,
    /// They come to nothing that could be held against it.
    pub(crate) open: Vec<&'a CaseResult>,
}

impl Standing<'_> {
    /// Whether none of the cases that it is about ran.
    pub(crate) const fn is_empty(&self) -> bool {
        self.met.is_empty() && self.unmet.is_empty() && self.open.is_empty()
    }
}

/// Whether a text is a day of the calendar, `YYYY-MM-DD`.
#[must_use]
pub fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, length: usize| {
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| is_number)
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    (1..=days_of(year, month)).contains(&day)
}

/// How many days a month has; none if there is no such month.
const fn days_of(year: u16, month: u16) -> u16 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {

    use rstest::rstest;

    use super::*;
    use crate::verdict::Ending;

    const CASE: &str = "bayeux.handshake.without-common-type-refused";

    const ONE: &str = "[[expectation]]\n\
        case = 'bayeux.handshake.without-common-type-refused'\n\
        verdict = 'deviation'\n\
        where = 'BX-HS-12'\n\
        reason = 'why'\n\
        owner = 'me'\n\
        until = '2099-12-31'\n";

    fn result(verdict: Kind, requirement: Option<&str>) -> CaseResult {
        CaseResult::sample(case(CASE).unwrap(), Transport::WebSocket, verdict, requirement)
    }

    #[rstest]
    #[case(Kind::Deviation, Some("BX-HS-12"), "2026-01-01", None)]
    #[case(Kind::Deviation, Some("BX-HS-12"), "2100-01-01", Some("has expired on 2099-12-31"))]
    #[case(Kind::Deviation, Some("BX-HS-09"), "2026-01-01", Some("came to deviation in another way"))]
    #[case(Kind::Fail, Some("BX-HS-12"), "2026-01-01", Some("came to fail in another way"))]
    #[case(Kind::Pass, None, "2026-01-01", Some("is stale: the case comes to pass"))]
    #[case(Kind::Inconclusive, None, "2026-01-01", None)]
    #[case(Kind::NotApplicable, None, "2026-01-01", None)]
    fn is_wrong_itself_when_it_does_not_happen(
        #[case] verdict: Kind,
        #[case] requirement: Option<&str>,
        #[case] today: &str,
        #[case] problem: Option<&str>,
    ) {
        let expectations = Expectations::parse(SIMULATOR).unwrap();
        let result = result(verdict, requirement);
        assert_eq!(
            expectations.met_by(&result).is_some(),
            problem.is_none_or(|text| text.contains("expired")) && verdict == Kind::Deviation
        );
        let problems = expectations.problems(&[result], today);
        match (problems.first(), problem) {
            (None, None) => {}
            (Some(says), Some(part)) => assert!(says.contains(part), "{says}"),
            (says, part) => panic!("{says:?} instead of {part:?}"),
        }
    }

    /// An entry that departs as expected, and in which something else is broken.
    fn two_departures(kind: Kind, requirement: &str) -> CaseResult {
        let mut known = result(Kind::Deviation, Some("BX-HS-12"));
        let other = result(kind, Some(requirement)).reason.unwrap();
        known.consequences.push(Consequence { kind, reason: other, evidence: Vec::new() });
        known
    }

    #[test]
    fn covers_the_requirement_that_it_names_and_no_other() {
        let expectations = Expectations::parse(SIMULATOR).unwrap();
        let two = two_departures(Kind::Deviation, "BX-HS-09");
        assert_eq!(expectations.met_by(&two), None);
        let shown = expectations.without_known(two);
        assert_eq!(shown.reason.unwrap().requirement.as_deref(), Some("BX-HS-09"));
        assert_eq!(shown.consequences[0].to_string(), "deviation BX-HS-12: x");
    }

    #[rstest]
    #[case(two_departures(Kind::Deviation, "BX-HS-12"))]
    #[case(two_departures(Kind::Observed, "BX-HS-09"))]
    fn is_met_if_nothing_else_is_broken(#[case] known: CaseResult) {
        let expectations = Expectations::parse(SIMULATOR).unwrap();
        assert!(expectations.met_by(&known).is_some());
        assert_eq!(expectations.without_known(known.clone()), known);
    }

    /// An entry that was not seen to its end, and in which something was broken before.
    fn cut_short(kind: Kind, requirement: &str) -> CaseResult {
        let mut open = result(kind, None);
        open.reason = result(kind, Some(requirement)).reason.map(|reason| Reason { requirement: None, ..reason });
        let broken = result(Kind::Deviation, Some(requirement)).reason.unwrap();
        open.consequences.push(Consequence { kind: Kind::Deviation, reason: broken, evidence: Vec::new() });
        open
    }

    #[rstest]
    fn what_is_broken_counts_though_the_entry_was_not_seen_to_its_end(
        #[values(Kind::Blocked, Kind::Inconclusive)] kind: Kind,
    ) {
        let expectations = Expectations::parse(SIMULATOR).unwrap();
        let shown = expectations.without_known(cut_short(kind, "BX-HS-09"));
        assert_eq!(shown.verdict, Kind::Deviation);
        assert_eq!(shown.reason.as_ref().unwrap().requirement.as_deref(), Some("BX-HS-09"));
        assert_eq!(shown.consequences[0].to_string(), format!("{kind} -: x"));
        // What was not seen to its end says nothing of what is expected of it.
        assert_eq!(expectations.problems(&[shown], "2026-01-01"), [""; 0]);
    }

    #[rstest]
    fn what_is_known_does_not_end_an_entry(#[values(Kind::Blocked, Kind::Inconclusive)] kind: Kind) {
        let expectations = Expectations::parse(SIMULATOR).unwrap();
        let known = cut_short(kind, "BX-HS-12");
        assert_eq!(expectations.met_by(&known), None);
        assert_eq!(expectations.without_known(known.clone()), known);
    }

    #[test]
    fn is_no_problem_itself_if_something_else_is_broken_too() {
        let two = two_departures(Kind::Deviation, "BX-HS-09");
        assert_eq!(Expectations::parse(SIMULATOR).unwrap().problems(&[two], "2026-01-01"), [""; 0]);
    }

    #[test]
    fn says_nothing_of_cases_that_did_not_run() {
        assert!(Expectations::parse(SIMULATOR).unwrap().problems(&[], "2100-01-01").is_empty());
    }

    #[rstest]
    #[case("case = 'no.such.case'", "case `no.such.case` does not exist")]
    #[case("transport = 'carrier-pigeon'", "transport `carrier-pigeon` does not exist")]
    #[case("verdict = 'pass'", "verdict `pass` cannot be expected: `fail` and `deviation` can")]
    #[case("where = 'BX-0'", "requirement `BX-0` does not exist")]
    #[case("until = '2026-13-01'", "`2026-13-01` is not a day of the calendar, `YYYY-MM-DD`")]
    #[case("until = '2026-02-31'", "`2026-02-31` is not a day of the calendar, `YYYY-MM-DD`")]
    #[case("reason = ' '", "the expectation for `bayeux.handshake.without-common-type-refused` has an empty `reason`")]
    #[case("owner = ''", "the expectation for `bayeux.handshake.without-common-type-refused` has an empty `owner`")]
    fn refuses_what_cannot_be(#[case] line: &str, #[case] says: &str) {
        let name = line.split(' ').next().unwrap();
        let text: String = ONE.lines().filter(|other| !other.starts_with(name)).map(|l| format!("{l}\n")).collect();
        let error = Expectations::parse(&format!("{text}{line}\n")).unwrap_err();
        assert_eq!(error.to_string(), says);
    }

    #[rstest]
    #[case("2026-02-28", true)]
    #[case("2026-02-29", false)]
    #[case("2028-02-29", true)]
    #[case("2100-02-29", false)]
    #[case("2000-02-29", true)]
    #[case("2026-04-31", false)]
    #[case("2026-12-31", true)]
    #[case("2026-12-32", false)]
    #[case("2026-01-00", false)]
    #[case("2026-00-01", false)]
    #[case("2026-1-01", false)]
    #[case("2026-01-+1", false)]
    #[case("2026-01", false)]
    fn days_are_those_of_the_calendar(#[case] text: &str, #[case] is: bool) {
        assert_eq!(is_day(text), is);
    }

    /// The result of a case that was left out by the command, or of one that tried and found that it does not apply.
    fn not_applicable(tried: bool) -> CaseResult {
        let result = CaseResult::not_applicable(case(CASE).unwrap(), Transport::WebSocket, "there is no such thing");
        CaseResult { ending: tried.then_some(Ending::Clean), ..result }
    }

    fn other() -> CaseResult {
        CaseResult::error(case("bayeux.handshake.succeeds").unwrap(), Transport::WebSocket, "x")
    }

    const NO_SUCH_CASE: &str = "no case of this run has that name";
    const DOES_NOT_APPLY: &str = "the case does not apply, there is no such thing";

    #[rstest]
    #[case(&[other()], Some(NO_SUCH_CASE))]
    #[case(&[other(), not_applicable(true)], Some(DOES_NOT_APPLY))]
    #[case(&[not_applicable(false)], None)]
    #[case(&[not_applicable(true), not_applicable(false)], None)]
    #[case(&[result(Kind::Blocked, None)], None)]
    #[case(&[result(Kind::Deviation, Some("BX-HS-12"))], None)]
    fn is_unused_if_nothing_in_a_whole_run_is_about_it(#[case] results: &[CaseResult], #[case] why: Option<&str>) {
        let expectations = Expectations::parse(ONE).unwrap();
        assert_eq!(expectations.unused(results), [""; 0], "in a part of a run it may be left out");
        let says = why.map(|why| format!("the expectation for `{CASE}` is unused: {why}"));
        assert_eq!(expectations.of_whole_run().unused(results), Vec::from_iter(says));
    }

    #[test]
    fn is_not_unused_over_a_transport_that_a_client_did_not_choose() {
        let expectations = Expectations::parse(&format!("{ONE}transport = 'long-polling'\n")).unwrap();
        assert_eq!(expectations.of_whole_run().unused(&[result(Kind::Pass, None)]), [""; 0]);
    }

    #[test]
    fn refuses_a_transport_over_which_the_case_never_runs() {
        let error = Expectations::parse(&format!("{ONE}transport = 'callback-polling'\n")).unwrap_err();
        assert!(error.to_string().ends_with("does not run over `callback-polling`"), "{error}");
    }

    #[test]
    fn refuses_unknown_keys() {
        let error = Expectations::parse(&format!("{SIMULATOR}since = 'x'\n")).unwrap_err();
        assert!(error.to_string().contains("unknown field `since`"), "{error}");
    }
}
