//! The doctor ahead of a run: the set-up is proved before the first case, and what the server does not have is not asked for.

use std::io::Write;

use ::conformance::doctor::{Diagnosis, Door, line};
use protocol::wire::Transport;

use super::live_run::Peer;
use super::select::Planned;
use crate::doctor::{self, Asked, Way};
use crate::live::Stop;

/// Why cases over WebSocket do not apply.
const NO_WEB_SOCKET: &str = "the server grants no WebSocket";

/// Examines the target and tells in one line what it is; `None` if somebody wants the program to end.
pub(super) async fn examine(peer: &Peer, declares_web_socket: bool, seed: u64, stop: &mut Stop) -> Option<Diagnosis> {
    let way = Way { route: peer.route.clone(), fields: peer.fields.clone(), service: peer.settings.service.clone() };
    let asked = Asked { thorough: false, opens_chat: false, declares_web_socket };
    let diagnosis = doctor::examine(&way, &asked, seed, stop).await?;
    let more = if diagnosis.findings.is_empty() { "" } else { " (`tapestry doctor` says more)" };
    let _ = writeln!(anstream::stderr(), "{}{more}", line(&diagnosis));
    Some(diagnosis)
}

/// Leaves out what the server does not have, unless somebody said that it has.
pub(super) fn spare(plan: &mut [Planned], diagnosis: &Diagnosis, declares_web_socket: bool) {
    if diagnosis.web_socket != Door::Closed || declares_web_socket {
        return;
    }
    for planned in plan.iter_mut().filter(|planned| planned.entry.transport == Transport::WebSocket) {
        planned.entry.not_applicable.get_or_insert(NO_WEB_SOCKET);
    }
}

#[cfg(test)]
mod tests {
    use ::conformance::run::{Agent, Settings};

    use super::super::select::Choice;
    use super::*;

    fn spared(web_socket: Door, declared: bool) -> Vec<(Transport, Option<&'static str>)> {
        let settings = Settings { base: "/".to_owned(), service: None, agent: Agent::None };
        let choice = Choice::of_cases(&["bayeux.meta.id-echoed"]);
        let mut plan = choice.plan(&settings, &[]).unwrap();
        let diagnosis = Diagnosis { web_socket, ..Diagnosis::default() };
        spare(&mut plan, &diagnosis, declared);
        plan.iter().map(|planned| (planned.entry.transport, planned.entry.not_applicable)).collect()
    }

    #[test]
    fn only_a_server_that_does_not_offer_web_socket_is_spared_it() {
        let asked = [(Transport::WebSocket, None), (Transport::LongPolling, None)];
        assert_eq!(spared(Door::Closed, false), [(Transport::WebSocket, Some(NO_WEB_SOCKET)), asked[1]]);
        for (door, declared) in [(Door::Closed, true), (Door::Blocked, false), (Door::Open, false)] {
            assert_eq!(spared(door, declared), asked);
        }
    }
}
