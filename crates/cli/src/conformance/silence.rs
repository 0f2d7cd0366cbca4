//! When to give up a transport: a server that accepts connections and never answers would cost every case its whole patience.

use std::collections::BTreeMap;

use ::conformance::conclude::CaseResult;
use ::conformance::verdict::{Ending, Kind};
use protocol::wire::Transport;

/// How many cases must find silence, and none a session, before the others are spared.
const ENOUGH: u32 = 3;

/// What was heard over each transport so far.
#[derive(Debug, Default)]
pub(super) struct Silence(BTreeMap<&'static str, Heard>);

#[derive(Clone, Copy, Debug)]
enum Heard {
    /// So many cases waited in vain, and none had an answer.
    Nothing(u32),
    /// The server has answered a case.
    Something,
}

impl Silence {
    /// Learns from a case that ran.
    pub(super) fn learn(&mut self, result: &CaseResult) {
        let heard = self.0.entry(result.transport.name()).or_insert(Heard::Nothing(0));
        let silent = result.verdict == Kind::Inconclusive && result.ending == Some(Ending::NoSession);
        *heard = match *heard {
            Heard::Nothing(cases) if silent => Heard::Nothing(cases + 1),
            Heard::Nothing(_) | Heard::Something => Heard::Something,
        };
    }

    /// Whether another case over this transport would only wait in vain.
    pub(super) fn is_certain(&self, transport: Transport) -> bool {
        matches!(self.0.get(transport.name()), Some(Heard::Nothing(cases)) if *cases >= ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use ::conformance::cases::case;

    use super::*;

    fn result(verdict: Kind, ending: Ending, transport: Transport) -> CaseResult {
        let case = case("bayeux.handshake.succeeds").unwrap();
        CaseResult { verdict, ending: Some(ending), ..CaseResult::error(case, transport, "x") }
    }

    fn silent(transport: Transport) -> CaseResult {
        result(Kind::Inconclusive, Ending::NoSession, transport)
    }

    #[test]
    fn three_silent_cases_are_enough_for_their_transport() {
        let mut silence = Silence::default();
        for certain in [false, false, true] {
            silence.learn(&silent(Transport::WebSocket));
            assert_eq!(silence.is_certain(Transport::WebSocket), certain);
        }
        assert!(!silence.is_certain(Transport::LongPolling));
    }

    #[test]
    fn a_transport_that_has_answered_once_is_never_given_up() {
        let mut silence = Silence::default();
        silence.learn(&silent(Transport::WebSocket));
        silence.learn(&result(Kind::Pass, Ending::Clean, Transport::WebSocket));
        for _ in 0..5 {
            silence.learn(&silent(Transport::WebSocket));
        }
        assert!(!silence.is_certain(Transport::WebSocket));
    }
}
