//! When to stop waiting for an agent: one who did not come twice will not come for the next case either.

use ::conformance::conclude::CaseResult;
use ::conformance::verdict::{AGENT_ROOT, Kind};

/// How many cases in a row must wait in vain.
const ENOUGH: u32 = 2;

/// How many cases in a row have waited for the agent in vain.
#[derive(Debug, Default)]
pub(super) struct Absence(u32);

impl Absence {
    /// Learns from a case that needed the agent and ran.
    pub(super) fn learn(&mut self, result: &CaseResult) {
        let root = result.reason.as_ref().and_then(|reason| reason.root.as_deref());
        match (result.verdict, root) {
            (Kind::Blocked, Some(AGENT_ROOT)) => self.0 += 1,
            (Kind::Pass | Kind::Fail | Kind::Deviation | Kind::Observed, _) => self.0 = 0,
            _ => {}
        }
    }

    /// Whether another case would only wait in vain.
    pub(super) const fn is_certain(&self) -> bool {
        self.0 >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use ::conformance::cases::case;
    use protocol::wire::Transport;

    use super::*;

    fn missed() -> CaseResult {
        let case = case("chat.agent.answers").unwrap();
        CaseResult::blocked(case, Transport::WebSocket, AGENT_ROOT, "the agent did not join")
    }

    #[test]
    fn two_misses_in_a_row_are_enough() {
        let mut absence = Absence::default();
        absence.learn(&missed());
        assert!(!absence.is_certain());
        absence.learn(&CaseResult { verdict: Kind::Pass, reason: None, ..missed() });
        absence.learn(&missed());
        assert!(!absence.is_certain());
        absence.learn(&missed());
        assert!(absence.is_certain());
    }

    #[test]
    fn what_blocks_a_case_otherwise_is_not_the_agents_fault() {
        let mut absence = Absence::default();
        let other = CaseResult::blocked(missed().case, Transport::WebSocket, "CV-RC-01", "no chat");
        for _ in 0..3 {
            absence.learn(&other);
        }
        assert!(!absence.is_certain());
    }
}
