//! When to give up a transport: a server that accepts connections and never answers would cost every case its whole patience.

use std::collections::BTreeMap;
use std::time::Duration;

use ::conformance::conclude::CaseResult;
use ::conformance::verdict::{Ending, Kind};
use protocol::time::Time;
use protocol::wire::Transport;

/// How many cases in a row must find silence before the others are spared.
const ENOUGH: u32 = 3;

/// How long a server must have said nothing that has answered before: it may only be restarting.
const LONG: Duration = Duration::from_secs(20);

/// What was heard over each transport so far.
#[derive(Debug, Default)]
pub(super) struct Silence(BTreeMap<&'static str, Heard>);

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// How many cases in a row have waited in vain.
    silent: u32,
    /// When the last case was over that had an answer, if any had.
    last: Option<Time>,
}

impl Silence {
    /// Learns from a case that ran and is over.
    pub(super) fn learn(&mut self, result: &CaseResult, now: Time) {
        let heard = self.0.entry(result.transport.name()).or_default();
        // Of a session that was there before the silence the good-bye is not answered.
        let is_silent = match result.ending {
            Some(Ending::NoSession) => true,
            Some(Ending::Unanswered) => heard.last.is_some(),
            _ => false,
        };
        if is_silent && result.verdict == Kind::Inconclusive {
            heard.silent += 1;
        } else {
            *heard = Heard { silent: 0, last: Some(now) };
        }
    }

    /// Whether another case over this transport would only wait in vain.
    pub(super) fn is_certain(&self, transport: Transport, now: Time) -> bool {
        let heard = self.0.get(transport.name()).copied().unwrap_or_default();
        heard.silent >= ENOUGH && heard.last.is_none_or(|last| now >= last + LONG)
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

    const fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn three_silent_cases_are_enough_for_their_transport() {
        let mut silence = Silence::default();
        for certain in [false, false, true] {
            silence.learn(&silent(Transport::WebSocket), at(8));
            assert_eq!(silence.is_certain(Transport::WebSocket, at(8)), certain);
        }
        assert!(!silence.is_certain(Transport::LongPolling, at(8)));
    }

    #[test]
    fn a_transport_that_has_answered_is_given_up_when_it_has_been_silent_for_long() {
        let mut silence = Silence::default();
        silence.learn(&result(Kind::Pass, Ending::Clean, Transport::WebSocket), at(5));
        silence.learn(&result(Kind::Inconclusive, Ending::Unanswered, Transport::WebSocket), at(15));
        for _ in 0..5 {
            silence.learn(&silent(Transport::WebSocket), at(16));
        }
        assert!(!silence.is_certain(Transport::WebSocket, at(24)));
        assert!(silence.is_certain(Transport::WebSocket, at(25)));
        silence.learn(&result(Kind::Fail, Ending::Clean, Transport::WebSocket), at(26));
        assert!(!silence.is_certain(Transport::WebSocket, at(60)), "it was restarting");
    }

    #[test]
    fn what_is_inconclusive_on_a_session_that_ends_in_order_is_no_silence() {
        let mut silence = Silence::default();
        for _ in 0..5 {
            silence.learn(&result(Kind::Inconclusive, Ending::Clean, Transport::WebSocket), at(5));
        }
        assert!(!silence.is_certain(Transport::WebSocket, at(60)));
    }
}
