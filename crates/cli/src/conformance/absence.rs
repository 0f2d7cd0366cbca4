//! When to stop waiting for an agent: one who did not join in two cases will not join in the next one either.
//!
//! One who joins and does not do another step costs the cases that need that step, and no others.

use std::collections::BTreeSet;

use ::conformance::conclude::CaseResult;
use ::conformance::verdict::{AGENT_ROOT, Kind};

/// How many cases must wait in vain. The same case over another transport is no other case.
const ENOUGH: usize = 2;

/// The cases that have waited in vain for the agent to join, since one has joined.
#[derive(Debug, Default)]
pub(super) struct Absence(BTreeSet<&'static str>);

impl Absence {
    /// Learns from a case that needed the agent and ran.
    pub(super) fn learn(&mut self, result: &CaseResult) {
        let root = result.reason.as_ref().and_then(|reason| reason.root.as_deref());
        match (result.verdict, root) {
            (Kind::Blocked, Some(AGENT_ROOT)) => {
                self.0.insert(result.case.id);
            }
            (Kind::Blocked, Some(root)) if root.starts_with(AGENT_ROOT) => self.0.clear(),
            (Kind::Pass | Kind::Fail | Kind::Deviation | Kind::Observed, _) => self.0.clear(),
            _ => {}
        }
    }

    /// Whether another case would only wait in vain.
    pub(super) fn is_certain(&self) -> bool {
        self.0.len() >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use ::conformance::cases::case;
    use protocol::wire::Transport;

    use super::*;

    fn blocked(id: &str, root: &str) -> CaseResult {
        CaseResult::blocked(case(id).unwrap(), Transport::WebSocket, root, "the agent did not join")
    }

    fn missed(id: &str) -> CaseResult {
        blocked(id, AGENT_ROOT)
    }

    #[test]
    fn two_cases_without_an_agent_are_enough() {
        let mut absence = Absence::default();
        absence.learn(&missed("chat.agent.answers"));
        assert!(!absence.is_certain());
        absence.learn(&CaseResult { verdict: Kind::Pass, reason: None, ..missed("chat.agent.types") });
        absence.learn(&missed("chat.agent.leaves"));
        assert!(!absence.is_certain());
        absence.learn(&missed("chat.agent.closes"));
        assert!(absence.is_certain());
    }

    #[test]
    fn one_case_over_two_transports_is_not_enough() {
        let mut absence = Absence::default();
        absence.learn(&missed("chat.agent.answers"));
        absence.learn(&CaseResult { transport: Transport::LongPolling, ..missed("chat.agent.answers") });
        assert!(!absence.is_certain());
    }

    #[test]
    fn an_agent_who_joins_and_lacks_a_step_has_come() {
        let mut absence = Absence::default();
        absence.learn(&missed("chat.agent.answers"));
        absence.learn(&blocked("chat.agent.types", "the agent (did not type)"));
        absence.learn(&missed("chat.agent.leaves"));
        assert!(!absence.is_certain());
    }

    #[test]
    fn what_blocks_a_case_otherwise_is_not_the_agents_fault() {
        let mut absence = Absence::default();
        for id in ["chat.agent.answers", "chat.agent.types", "chat.agent.leaves"] {
            absence.learn(&blocked(id, "CV-RC-01"));
        }
        assert!(!absence.is_certain());
    }
}
