//! Many scenarios behind one listener.

use conformance::cases::case;
use conformance::clients::Settings;
use conformance::clients::door::Door;
use conformance::clients::visit::{Event, Visit};
use conformance::verdict::Kind;
use pretty_assertions::assert_eq;
use protocol::chat::client::{Client, Config};
use protocol::time::Time;
use protocol::wire::Transport;
use simulator::link::Network;
use simulator::pair::Pair;

use crate::drive::{Driven, SEED, SERVICE};

const SCENARIOS: [&str; 2] = ["client.handshake.well-formed", "client.end.leaves-after-chat-ended"];

fn door() -> Door {
    let settings = Settings::new(SERVICE);
    let visits =
        SCENARIOS.map(|id| (id.to_owned(), Visit::new(case(id).expect("the scenario is there"), &settings, SEED)));
    Door::new(settings.base, visits.into())
}

fn client(base: &str) -> Client {
    let bayeux = protocol::bayeux::client::Config::new(base, &[Transport::WebSocket, Transport::LongPolling]);
    Client::new(Config::new(bayeux, SERVICE))
}

/// Lets a client talk until one more scenario is over; gives its place and its verdict.
fn visit(pair: &mut Pair<Client, Door>) -> (usize, Kind) {
    let now = pair.now();
    pair.client.begin(now);
    let limit = now + std::time::Duration::from_secs(300);
    loop {
        assert_eq!(pair.drive_until(limit, |pair| !pair.server_events.is_empty()), Ok(true));
        if let Some((_, (place, Event::Finished(visited)))) = pair.server_events.pop_front() {
            return (place, visited.outcome.kind());
        }
    }
}

#[test]
fn a_path_leads_to_its_scenario() {
    let door = door();
    let path = door.path(1).unwrap();
    assert_eq!(path, "/client.end.leaves-after-chat-ended/genesys/cometd");
    let mut pair = Pair::new(client(&path), door, Network::default(), SEED);
    assert_eq!(visit(&mut pair), (1, Kind::Pass));
    assert_eq!(pair.server.open().collect::<Vec<_>>(), [0]);
}

#[test]
fn the_bare_path_leads_through_all_in_turn() {
    let mut pair = Pair::new(client("/genesys/cometd"), door(), Network::default(), SEED);
    assert_eq!(visit(&mut pair), (0, Kind::Pass));
    pair.drive_for(std::time::Duration::from_secs(5)).unwrap();
    // The next conversation.
    pair.client = client("/genesys/cometd");
    pair.link = simulator::link::Link::new(Network::default(), SEED + 1);
    assert_eq!(visit(&mut pair), (1, Kind::Pass));
    assert_eq!(pair.server.open().count(), 0);
}

#[test]
fn another_path_is_refused() {
    let mut pair = Pair::new(client("/elsewhere/cometd"), door(), Network::default(), SEED);
    let now = pair.now();
    pair.client.begin(now);
    pair.drive_for(std::time::Duration::from_secs(2)).unwrap();
    assert_eq!(pair.server.open().count(), 2);
    assert!(!pair.server.has_begun(0) && !pair.server.has_begun(1));
    assert!(
        pair.entries()
            .iter()
            .any(|entry| matches!(&entry.wire, protocol::wire::Wire::Refused(_, refusal) if refusal.status == 404))
    );
}

#[test]
fn a_scenario_that_nobody_comes_to_is_given_up() {
    let mut door = door();
    door.give_up(Time::ZERO, 0, "no client came");
    let output = protocol::machine::Machine::poll_output(&mut door);
    let Some(protocol::machine::Output::Event((0, Event::Finished(visited)))) = output else { panic!("{output:?}") };
    assert_eq!(visited.outcome.kind(), Kind::Inconclusive);
}
