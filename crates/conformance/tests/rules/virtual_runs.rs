//! Correct machines break no rule, whatever the network does to them.

use std::collections::BTreeMap;
use std::time::Duration;

use conformance::rules::{Judgement, judge, survey};
use pretty_assertions::assert_eq;
use protocol::bayeux;
use protocol::chat::client::{self, Client};
use protocol::chat::operation::RequestChat;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Side, Socket, Transport, Wire};
use recording::redaction::Redactor;
use recording::token::Key;
use rstest::rstest;
use serde_json::{Value, json};
use simulator::gms::{Gms, Settings};
use simulator::link::{Fault, Network, Rule, Unit};
use simulator::pair::Pair;

/// Runs per transport.
const SEEDS: u64 = 250;

type ChatPair = Pair<Client, Gms>;

fn pair(seed: u64, transport: Transport) -> ChatPair {
    let mut random = fastrand_like(seed);
    let mut settings = Settings::new("customer-support");
    settings.dialect.timeout_ms = [30_000, 5_000, 1_000][(random() % 3) as usize];
    settings.dialect.interval_ms = [0, 0, 500, 2_000][(random() % 4) as usize];
    settings.dialect.handshake_advice = random().is_multiple_of(2);
    settings.gms.answer_delay_ms = [0, 5, 300][(random() % 3) as usize];
    settings.gms.split_answers = random().is_multiple_of(3);
    settings.gms.position_inclusive = !random().is_multiple_of(3);
    settings.gms.index_gaps = random().is_multiple_of(2);
    settings.gms.unknown_key_ends = random().is_multiple_of(2);
    let transports = match transport {
        Transport::WebSocket => vec![Transport::WebSocket, Transport::LongPolling],
        Transport::LongPolling | Transport::CallbackPolling => vec![transport],
    };
    let config = client::Config::new(bayeux::client::Config::new("/genesys/cometd", &transports), "customer-support");
    let network =
        Network { jitter: Duration::from_millis(random() % 40), latency: latency(seed), ..Network::default() };
    let mut pair = Pair::new(Client::new(config), Gms::new(settings, seed), network, seed);
    for rule in faults(&mut random) {
        pair.link.add(rule);
    }
    pair
}

/// How long everything takes at least.
fn latency(seed: u64) -> Duration {
    Duration::from_millis([10, 100][(seed % 2) as usize])
}

/// Up to three faults that a network of TCP connections can have.
fn faults(random: &mut impl FnMut() -> u64) -> Vec<Rule> {
    let mut rules = Vec::new();
    for _ in 0..random() % 4 {
        let on = match random() % 6 {
            0 => Unit::Any,
            1 => Unit::From(Side::Client),
            2 => Unit::From(Side::Server),
            3 => Unit::Operation("sendMessage".to_owned()),
            4 => Unit::Channel(Side::Client, "/meta/connect".to_owned()),
            _ => Unit::Channel(Side::Server, "/meta/connect".to_owned()),
        };
        let fault = match random() % 6 {
            0 => Fault::Delay(Duration::from_millis(random() % 3_000)),
            1 => Fault::Lose,
            2 => Fault::Break { after: Duration::from_millis(random() % 2_000) },
            3 => Fault::Silence,
            4 => Fault::Unreachable,
            _ => Fault::Refuse(503),
        };
        let rule = Rule::sometimes((5 + random() % 40) as u8, on, fault).after((random() % 6) as u32);
        rules.push(Rule { times: 6, ..rule });
    }
    rules
}

/// SplitMix64: a choice for each call.
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A whole chat: four messages, sessions forgotten in between, then the end by one side or the other.
fn hold_chat(pair: &mut ChatPair, seed: u64) {
    let mut random = fastrand_like(seed ^ 0xc4a7);
    let request = RequestChat { nickname: Some("Ann Lee".to_owned()), ..RequestChat::default() };
    pair.client.start(Time::ZERO, request).expect("a new client");
    for word in ["hello there", "again", "and again"] {
        let _ = pair.drive_for(Duration::from_millis(500 + random() % 8_000));
        let _ = pair.client.send(pair.now(), word);
        if random().is_multiple_of(3) {
            pair.server.forget_all(pair.now());
        }
        if random().is_multiple_of(6) {
            pair.link.break_all(pair.now());
        }
    }
    let _ = pair.drive_for(Duration::from_secs(random() % 40));
    pair.link.heal();
    match random() % 3 {
        0 => drop(pair.client.send(pair.now(), "bye")),
        1 => drop(pair.client.end(pair.now())),
        _ => pair.client.leave(pair.now()),
    }
    pair.drive_for(Duration::from_secs(120)).expect("the machines come to rest");
}

fn redacted(entries: &[Entry], seed: u64) -> Vec<Entry> {
    let mut redactor = Redactor::new(Key::from_bytes([seed as u8; 32]));
    entries.iter().map(|entry| redactor.entry(entry).into_inner()).collect()
}

fn run(seed: u64, transport: Transport) -> Vec<Entry> {
    let mut pair = pair(seed, transport);
    hold_chat(&mut pair, seed);
    redacted(pair.entries(), seed)
}

/// What keeps an order: an answer stays behind its request; the two directions of a socket know nothing of each other.
type Line = (Option<Exchange>, Option<(Socket, Side)>);

/// As a recorder between the two sees it: what the client sends later, what it gets earlier, and each exchange and socket in
/// its order. Requests on two connections overtake each other, and responses too.
fn seen_halfway(entries: &[Entry], seed: u64) -> Vec<Entry> {
    let mut random = fastrand_like(seed ^ 0x4a1f);
    let mut away = || random() % u64::try_from(latency(seed).as_micros()).unwrap_or(u64::MAX);
    let mut latest: BTreeMap<Line, u64> = BTreeMap::new();
    let mut shifted: Vec<Entry> = entries
        .iter()
        .map(|entry| {
            let micros = entry.at.as_micros();
            let at = match entry.from {
                Side::Client => micros + away(),
                Side::Server => micros.saturating_sub(away()),
            };
            let direction = entry.wire.socket().map(|socket| (socket, entry.from));
            let latest = latest.entry((entry.wire.exchange(), direction)).or_default();
            *latest = at.max(*latest);
            Entry { at: Time::from_micros(*latest), ..entry.clone() }
        })
        .collect();
    shifted.sort_by_key(|entry| entry.at);
    shifted
}

#[rstest]
fn correct_machines_break_no_rule(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut total = Judgement::default();
    for seed in 0..SEEDS {
        let entries = run(seed, transport);
        let judgement = survey(&entries);
        assert_eq!(judgement.findings, [], "seed {seed} over {transport}");
        let halfway = survey(&seen_halfway(&entries, seed));
        assert_eq!(halfway.findings, [], "seed {seed} over {transport}, seen halfway");
        total.messages += judgement.messages;
        total.sessions += judgement.sessions;
        total.chats += judgement.chats;
    }
    // The runs were real ones: chats were held, and sessions lost.
    assert!(total.messages as u64 > SEEDS * 20, "{total:?}");
    assert!(total.chats as u64 > SEEDS * 9 / 10, "{total:?}");
    assert!(total.sessions as u64 > SEEDS * 3 / 2, "{total:?}");
}

/// Several clients and chats through one recorder: carriers get numbers of their own.
fn interleaved(streams: &[Vec<Entry>]) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for (number, stream) in streams.iter().enumerate() {
        let offset = 10_000 * number as u64;
        all.extend(stream.iter().map(|entry| Entry { wire: renumbered(&entry.wire, offset), ..entry.clone() }));
    }
    all.sort_by_key(|entry| entry.at);
    all
}

fn renumbered(wire: &Wire, offset: u64) -> Wire {
    let (e, s) = (|e: &Exchange| Exchange(e.0 + offset), |s: &Socket| Socket(s.0 + offset));
    match wire.clone() {
        Wire::Request(exchange, request) => Wire::Request(e(&exchange), request),
        Wire::Response(exchange, response) => Wire::Response(e(&exchange), response),
        Wire::Broken(exchange, failure) => Wire::Broken(e(&exchange), failure),
        Wire::Upgrade(socket, request) => Wire::Upgrade(s(&socket), request),
        Wire::Upgraded(socket, headers) => Wire::Upgraded(s(&socket), headers),
        Wire::Refused(socket, response) => Wire::Refused(s(&socket), response),
        Wire::Text(socket, text) => Wire::Text(s(&socket), text),
        Wire::Binary(socket, bytes) => Wire::Binary(s(&socket), bytes),
        Wire::Ping(socket, bytes) => Wire::Ping(s(&socket), bytes),
        Wire::Pong(socket, bytes) => Wire::Pong(s(&socket), bytes),
        Wire::Close(socket, close) => Wire::Close(s(&socket), close),
        Wire::Lost(socket, failure) => Wire::Lost(s(&socket), failure),
    }
}

#[test]
fn several_clients_through_one_recorder_are_told_apart() {
    for seed in 0..50 {
        let streams: Vec<Vec<Entry>> =
            (0..4).map(|client| run(1_000 + seed * 4 + client, Transport::USUAL[(client % 2) as usize])).collect();
        let judgement = survey(&interleaved(&streams));
        assert_eq!(judgement.findings, [], "seed {seed}");
        let apart: usize = streams.iter().map(|stream| survey(stream).chats).sum();
        assert_eq!(judgement.chats, apart, "seed {seed}");
    }
}

/// A recorder may be started and killed at any moment.
#[test]
fn a_part_of_a_conversation_is_not_blamed_for_what_is_missing() {
    for seed in 0..60 {
        let entries = run(seed, Transport::USUAL[(seed % 2) as usize]);
        let mut random = fastrand_like(seed);
        for _ in 0..12 {
            let from = random() as usize % entries.len();
            let to = from + random() as usize % (entries.len() - from);
            assert_eq!(survey(&entries[from..to]).findings, [], "seed {seed}, entries {from} to {to}");
        }
    }
}

/// Whatever a peer sends, judging comes to an end and tells nothing of what was sent.
#[test]
fn any_damage_is_judged_without_panic() {
    let entries = run(7, Transport::WebSocket);
    let mut random = fastrand_like(99);
    let mut found = 0;
    for _ in 0..500 {
        let mut damaged = entries.clone();
        for _ in 0..1 + random() % 3 {
            let number = random() as usize % damaged.len();
            match random() % 4 {
                0 => drop(damaged.remove(number)),
                1 => damaged.insert(number, damaged[random() as usize % damaged.len()].clone()),
                _ => {
                    if let Wire::Text(socket, text) = &damaged[number].wire {
                        damaged[number].wire = Wire::Text(*socket, damage(text, &mut random));
                    }
                }
            }
        }
        for finding in judge(&redacted(&damaged, 7)) {
            found += 1;
            assert!(!finding.says.contains("s3cret"), "{finding:?}");
        }
    }
    assert!(found > 250, "{found}");
}

/// Puts something else in the place of one value.
fn damage(text: &str, random: &mut impl FnMut() -> u64) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap_or_default();
    let mut place = String::new();
    for _ in 0..random() % 6 {
        let choice = random() as usize;
        let next = match value.pointer(&place) {
            Some(Value::Array(items)) if !items.is_empty() => (choice % items.len()).to_string(),
            Some(Value::Object(members)) if !members.is_empty() => {
                members.keys().nth(choice % members.len()).cloned().unwrap_or_default()
            }
            _ => break,
        };
        place.push_str(&format!("/{next}"));
    }
    let Some(place) = value.pointer_mut(&place) else { return text.to_owned() };
    *place =
        [json!(null), json!(5), json!(-1.5), json!("s3cret words"), json!([]), json!({}), json!(true), json!([[7]])]
            [random() as usize % 8]
            .clone();
    value.to_string()
}
