//! What a run says about a file of expectations: the entries that it lacks, and those that are not true any more.
//!
//! Nothing is decided here. Each [`Proposal`] is for somebody who knows the target to take or to leave; a new entry needs a
//! reason and an owner, and both are his to give.

use protocol::wire::Transport;

use crate::cases::Case;
use crate::conclude::{CaseResult, Reason};
use crate::expectations::{Expectation, Expectations, is_departure};
use crate::report::kept::Kept;
use crate::verdict::Kind;

/// One change of a file of expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal<'a> {
    /// A departure that nobody expects.
    New {
        /// The case.
        case: &'static Case,
        /// The transport; `None` means that it departs over all that the case has.
        transport: Option<Transport>,
        /// What it comes to: a fail or a deviation.
        verdict: Kind,
        /// The requirement that is broken.
        requirement: &'a str,
        /// Every entry of the run that shows it.
        results: Vec<&'a CaseResult>,
    },
    /// An expectation that no entry of the run meets any more.
    Stale {
        /// Its place in the file, from 0.
        place: usize,
        /// The expectation.
        expectation: &'a Expectation,
        /// What came instead.
        results: Vec<&'a CaseResult>,
    },
    /// An expectation that is not met over every transport.
    Narrower {
        /// Its place in the file, from 0.
        place: usize,
        /// The expectation.
        expectation: &'a Expectation,
        /// The transports for which it is to be kept.
        transports: Vec<Transport>,
        /// What came over the others.
        results: Vec<&'a CaseResult>,
    },
    /// An expectation whose last day is over, and that nothing speaks against.
    Expired {
        /// Its place in the file, from 0.
        place: usize,
        /// The expectation.
        expectation: &'a Expectation,
    },
}

/// What a run proposes to change in the known departures. `today` is `YYYY-MM-DD`.
///
/// What was expected when the run was made needs no entry, even if it stands in another file. Expectations of cases that did
/// not run are left alone. What is blocked or inconclusive asks for no entry, and speaks against none.
#[must_use]
pub fn proposals<'a>(kept: &'a Kept, known: &'a Expectations, today: &str) -> Vec<Proposal<'a>> {
    let mut proposals = missing(kept, known);
    for (place, expectation) in known.entries().iter().enumerate() {
        let standing = expectation.standing(kept.results.iter().map(|(result, _)| result));
        let is_over = expectation.has_expired(today);
        let still: Vec<&CaseResult> = standing.met.iter().chain(&standing.open).copied().collect();
        match (standing.unmet.is_empty(), still.is_empty()) {
            (false, true) => proposals.push(Proposal::Stale { place, expectation, results: standing.unmet }),
            (is_met, false) => {
                if !is_met {
                    let transports = still.iter().map(|result| result.transport).collect();
                    proposals.push(Proposal::Narrower { place, expectation, transports, results: standing.unmet });
                }
                if is_over {
                    proposals.push(Proposal::Expired { place, expectation });
                }
            }
            (true, true) => {}
        }
    }
    proposals
}

/// A departure, and every entry of a run that shows it.
struct Departure<'a> {
    case: &'static Case,
    verdict: Kind,
    requirement: &'a str,
    results: Vec<&'a CaseResult>,
}

/// The departures that nobody expects, those of one case in one requirement together if they are over all its transports.
fn missing<'a>(kept: &'a Kept, known: &Expectations) -> Vec<Proposal<'a>> {
    let mut departures: Vec<Departure<'a>> = Vec::new();
    for (result, verdict, reason) in kept.results.iter().flat_map(unexpected) {
        let Some(requirement) =
            reason.requirement.as_deref().filter(|_| known.about(result, verdict, reason).is_none())
        else {
            continue;
        };
        let case = result.case;
        let same = |other: &&mut Departure<'_>| {
            other.case == case && other.verdict == verdict && other.requirement == requirement
        };
        match departures.iter_mut().find(same) {
            Some(departure) => departure.results.push(result),
            None => departures.push(Departure { case, verdict, requirement, results: vec![result] }),
        }
    }
    departures.into_iter().flat_map(new_entries).collect()
}

/// Each departure of an entry that was not expected when the run was made.
fn unexpected((result, expected): &(CaseResult, Option<String>)) -> Vec<(&CaseResult, Kind, &Reason)> {
    let first = result.reason.iter().map(|reason| (result, result.verdict, reason));
    let others = result.consequences.iter().map(|other| (result, other.kind, &other.reason));
    first.chain(others).filter(|(_, kind, _)| expected.is_none() && is_departure(*kind)).collect()
}

fn new_entries(departure: Departure<'_>) -> Vec<Proposal<'_>> {
    let Departure { case, verdict, requirement, results } = departure;
    let everywhere =
        case.transports.iter().all(|transport| results.iter().any(|result| result.transport == *transport));
    if everywhere {
        return vec![Proposal::New { case, transport: None, verdict, requirement, results }];
    }
    let one = |result: &'_ CaseResult| Some(result.transport);
    results
        .into_iter()
        .map(|result| Proposal::New { case, transport: one(result), verdict, requirement, results: vec![result] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::case;

    const CASE: &str = "bayeux.handshake.without-common-type-refused";
    const TODAY: &str = "2026-06-01";

    fn result(transport: Transport, verdict: Kind, requirement: Option<&str>) -> CaseResult {
        CaseResult::sample(case(CASE).unwrap(), transport, verdict, requirement)
    }

    fn departs(transport: Transport) -> CaseResult {
        result(transport, Kind::Deviation, Some("BX-HS-12"))
    }

    fn passes(transport: Transport) -> CaseResult {
        result(transport, Kind::Pass, None)
    }

    fn kept(results: impl IntoIterator<Item = CaseResult>) -> Kept {
        let results = results.into_iter().map(|result| (result, None)).collect();
        Kept { target: "t".to_owned(), is_complete: true, results, unsteady: Vec::new() }
    }

    fn known(until: &str) -> Expectations {
        let text = format!(
            "[[expectation]]\ncase = '{CASE}'\nverdict = 'deviation'\nwhere = 'BX-HS-12'\n\
             reason = 'why'\nowner = 'me'\nuntil = '{until}'\n"
        );
        Expectations::parse(&text).unwrap()
    }

    /// In short words what is proposed.
    fn words(kept: &Kept, known: &Expectations) -> Vec<String> {
        let word = |proposal: Proposal<'_>| match proposal {
            Proposal::New { transport: None, requirement, .. } => format!("new {requirement}"),
            Proposal::New { transport: Some(transport), requirement, .. } => format!("new {requirement} {transport}"),
            Proposal::Stale { place, .. } => format!("stale {place}"),
            Proposal::Narrower { place, transports, .. } => {
                let names: Vec<&str> = transports.iter().map(|transport| transport.name()).collect();
                format!("narrower {place} {}", names.join(" "))
            }
            Proposal::Expired { place, .. } => format!("expired {place}"),
        };
        proposals(kept, known, TODAY).into_iter().map(word).collect()
    }

    const WS: Transport = Transport::WebSocket;
    const LP: Transport = Transport::LongPolling;

    #[test]
    fn a_departure_over_every_transport_needs_one_entry() {
        let none = Expectations::default();
        assert_eq!(words(&kept([departs(WS), departs(LP)]), &none), ["new BX-HS-12"]);
    }

    #[test]
    fn a_departure_over_one_transport_names_it() {
        let none = Expectations::default();
        assert_eq!(words(&kept([departs(WS), passes(LP)]), &none), ["new BX-HS-12 websocket"]);
        assert_eq!(words(&kept([departs(LP)]), &none), ["new BX-HS-12 long-polling"]);
    }

    #[test]
    fn what_is_expected_and_met_needs_nothing() {
        assert!(words(&kept([departs(WS), departs(LP)]), &known("2026-06-01")).is_empty());
        let mut elsewhere = kept([departs(WS), departs(LP)]);
        elsewhere.results.iter_mut().for_each(|(_, expected)| *expected = Some("in another file".to_owned()));
        assert!(words(&elsewhere, &Expectations::default()).is_empty());
    }

    #[test]
    fn what_nothing_meets_is_stale_and_what_meets_in_part_is_narrower() {
        let known = known("2099-12-31");
        assert_eq!(words(&kept([passes(WS), passes(LP)]), &known), ["stale 0"]);
        assert_eq!(words(&kept([passes(WS), departs(LP)]), &known), ["narrower 0 long-polling"]);
    }

    #[test]
    fn another_departure_than_the_expected_one_needs_an_entry_of_its_own() {
        let other = |transport| result(transport, Kind::Deviation, Some("BX-HS-09"));
        assert_eq!(words(&kept([other(WS), other(LP)]), &known("2099-12-31")), ["new BX-HS-09", "stale 0"]);
    }

    #[test]
    fn what_is_met_and_over_is_to_be_renewed() {
        assert_eq!(words(&kept([departs(WS), departs(LP)]), &known("2026-05-31")), ["expired 0"]);
    }

    #[test]
    fn what_did_not_run_or_came_to_nothing_is_left_alone() {
        let known = known("2099-12-31");
        assert!(words(&kept([]), &known).is_empty());
        let open = |transport| result(transport, Kind::Inconclusive, None);
        assert!(words(&kept([open(WS), open(LP)]), &known).is_empty());
        assert_eq!(words(&kept([open(WS), passes(LP)]), &known), ["narrower 0 websocket"]);
    }
}
