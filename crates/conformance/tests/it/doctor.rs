//! The doctor in virtual time: no alarm at servers that are right, and what the simulator can be set up wrong with.

use std::time::Duration;

use conformance::doctor::finding::Level;
use conformance::doctor::{Diagnosis, Doctor, Door, Event, Setup};
use protocol::bayeux::dialect::Dialect;
use protocol::time::Time;
use protocol::wire::{Entry, Wire};
use rstest::rstest;
use simulator::gms::{Gms, Settings};
use simulator::link::Network;
use simulator::pair::Pair;
use simulator::scenario;

use crate::drive::{SEED, SERVICE};

/// Scenarios in which something is wrong with the set-up, and how it is found.
const WRONG: [(&str, &str); 3] = [
    ("balancer-scattered", "balancer.not-sticky"),
    ("notification-mode-off", "chat.no-answer"),
    ("notification-mode-refused", "bayeux.handshake-refused"),
];

fn setup(thorough: bool, service: &str, opens_chat: bool) -> Setup {
    Setup {
        base: "/genesys/cometd".to_owned(),
        host: "gms.example".to_owned(),
        origin: "http://gms.example".to_owned(),
        secure: false,
        service: Some(service.to_owned()),
        thorough,
        opens_chat,
        start_utc: 0,
    }
}

fn examine(settings: Settings, thorough: bool, service: &str) -> (Diagnosis, Vec<Entry>) {
    let doctor = Doctor::new(setup(thorough, service, false), Diagnosis::default(), SEED);
    let mut pair = Pair::new(doctor, Gms::new(settings, SEED), Network::default(), SEED);
    let finished = pair.drive_until(Time::ZERO + Duration::from_secs(20), |pair| pair.client.is_finished());
    assert_eq!(finished, Ok(true), "the examination does not come to its end");
    let Some((_, Event::Finished(diagnosis))) = pair.client_events.pop_front() else { panic!("it says nothing") };
    (diagnosis, pair.entries().to_vec())
}

fn ids(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|finding| finding.kind.id).collect()
}

#[test]
fn no_generation_of_cometd_raises_an_alarm() {
    for name in Dialect::names() {
        let dialect = Dialect::by_name(name).unwrap();
        let offers = dialect.offers("websocket");
        for thorough in [true, false] {
            let settings = Settings { dialect: dialect.clone(), ..Settings::new(SERVICE) };
            let (diagnosis, _) = examine(settings, thorough, SERVICE);
            let expected: &[&str] = if offers { &[] } else { &["websocket.not-offered"] };
            assert_eq!(ids(&diagnosis), expected, "{name}");
            let door = if offers { Door::Open } else { Door::Closed };
            assert_eq!((diagnosis.web_socket, diagnosis.long_polling), (door, Door::Open), "{name}");
            assert!(diagnosis.facts.iter().any(|fact| fact.topic == "dialect" && fact.says.starts_with("CometD")));
        }
    }
}

#[test]
fn a_scenario_raises_an_alarm_only_if_its_set_up_is_wrong() {
    for scenario in scenario::ALL {
        let settings = scenario.setup().unwrap().apply(Settings::new(SERVICE));
        let (diagnosis, _) = examine(settings, true, SERVICE);
        let found: Vec<&str> = diagnosis
            .findings
            .iter()
            .filter(|finding| finding.kind.level != Level::Note)
            .map(|finding| finding.kind.id)
            .collect();
        let wrong = WRONG.iter().find(|(name, _)| *name == scenario.name).map(|(_, id)| *id);
        assert_eq!(found, wrong.into_iter().collect::<Vec<_>>(), "{}", scenario.name);
    }
}

#[rstest]
#[case("unknown-service", "chat.no-answer")]
#[case("unknown-service-fails", "chat.unknown-service")]
fn a_service_that_does_not_exist_is_told(#[case] name: &str, #[case] id: &str) {
    let scenario = scenario::Scenario::by_name(name).unwrap();
    let settings = scenario.setup().unwrap().apply(Settings::new(SERVICE));
    assert_eq!(ids(&examine(settings, true, "no-such-service").0), [id]);
}

#[test]
fn what_is_opened_is_ended_and_no_chat_is_asked_for() {
    let (_, entries) = examine(Settings::new(SERVICE), true, SERVICE);
    let sent = |word: &str| {
        let has = |entry: &&Entry| {
            let carried = entry.wire.carried().unwrap_or_default();
            entry.from == protocol::wire::Side::Client && String::from_utf8_lossy(carried).contains(word)
        };
        entries.iter().filter(has).count()
    };
    assert_eq!(sent("\"/meta/handshake\""), sent("\"/meta/disconnect\""));
    assert_eq!(sent("requestChat"), 0);
    let upgrades = entries.iter().filter(|entry| matches!(entry.wire, Wire::Upgraded(..))).count();
    let closes = entries.iter().filter(|entry| matches!(entry.wire, Wire::Close(..))).count();
    assert!(upgrades >= 2 && closes >= upgrades, "{upgrades} sockets, {closes} closes");
}

#[test]
fn the_same_seed_asks_the_same() {
    let run = || examine(Settings::new(SERVICE), true, SERVICE);
    assert_eq!(run(), run());
}

/// An examination that opens a chat, over a network with this latency.
fn opening(thorough: bool, latency: Duration) -> Pair<Doctor, Gms> {
    let doctor = Doctor::new(setup(thorough, SERVICE, true), Diagnosis::default(), SEED);
    Pair::new(doctor, Gms::new(Settings::new(SERVICE), SEED), Network { latency, ..Network::default() }, SEED)
}

/// Lets an examination come to its end; gives what it found, and whether it said that it opens a chat.
fn finish(pair: &mut Pair<Doctor, Gms>) -> (Diagnosis, bool) {
    let limit = pair.now() + Duration::from_secs(25);
    assert_eq!(pair.drive_until(limit, |pair| pair.client.is_finished()), Ok(true), "it does not come to its end");
    // What is under way arrives.
    pair.drive_for(Duration::from_secs(2)).expect("no livelock");
    let (mut found, mut opens) = (None, false);
    for (_, event) in pair.client_events.drain(..) {
        match event {
            Event::OpensChat => opens = true,
            Event::Finished(diagnosis) => found = Some(diagnosis),
        }
    }
    (found.expect("it says what it found"), opens)
}

fn runs_a_chat(pair: &Pair<Doctor, Gms>) -> bool {
    pair.server.chats().running_chats().count() > 0
}

#[test]
fn whenever_it_is_cut_short_no_chat_is_left_open() {
    let mut with_chat = 0;
    for at in (0..600).step_by(5) {
        let mut pair = opening(false, Duration::from_millis(10));
        pair.drive_until(Time::ZERO + Duration::from_millis(at), |_| false).unwrap();
        with_chat += usize::from(runs_a_chat(&pair));
        let now = pair.now();
        pair.client.cut_short(now);
        let (diagnosis, _) = finish(&mut pair);
        assert!(!runs_a_chat(&pair), "cut at {at} ms: {diagnosis:?}");
        assert!(!ids(&diagnosis).contains(&"chat.left-open"), "cut at {at} ms");
    }
    assert!(with_chat > 3, "it was cut short in {with_chat} chats");
}

#[test]
fn cut_short_while_a_connect_is_held_it_leaves_every_session() {
    let mut pair = opening(true, Duration::from_millis(10));
    pair.drive_for(Duration::from_secs(2)).unwrap();
    assert!(pair.server.bayeux().sessions().count() > 1 && !pair.client.is_finished(), "nothing is held");
    let now = pair.now();
    pair.client.cut_short(now);
    finish(&mut pair);
    assert_eq!(pair.server.bayeux().sessions().count(), 0);
}

#[test]
fn a_chat_is_ended_too_when_the_time_for_the_examination_is_over() {
    let mut late = 0;
    for latency in (250..700).step_by(10) {
        let mut pair = opening(false, Duration::from_millis(latency));
        let (diagnosis, opens) = finish(&mut pair);
        assert!(!runs_a_chat(&pair), "{latency} ms: {diagnosis:?}");
        late += usize::from(opens && ids(&diagnosis).contains(&"target.slow"));
    }
    assert!(late > 0, "the limit never struck while there was a chat");
}

#[test]
fn a_chat_whose_end_is_not_told_is_named() {
    let mut pair = opening(false, Duration::from_millis(10));
    let begun = pair.drive_until(Time::ZERO + Duration::from_secs(5), |pair| runs_a_chat(pair));
    assert_eq!(begun, Ok(true));
    let now = pair.now();
    pair.link.set_down(now, true);
    let (diagnosis, _) = finish(&mut pair);
    assert!(ids(&diagnosis).contains(&"chat.left-open"), "{diagnosis:?}");
}
