//! What a client recorded, the same client does again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pretty_assertions::assert_eq;
use protocol::bayeux::channel;
use protocol::chat::server::GmsSettings;
use protocol::wire::{Entry, Side, Transport, Wire};
use recording::compare::{compare, render};
use recording::tape::{Finish, Status, Tape};
use replayer::{Replay, replay};
use rstest::rstest;
use simulator::link::{Fault, Rule, Unit};

use crate::runs::{Run, Trouble, bytes, tape};

#[track_caller]
fn same(replay: &Replay) {
    assert_eq!(replay.divergences, [], "{}", replay.text(160));
}

fn fixture(name: &str) -> Tape {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tape/ok").join(name);
    Tape::read(&fs::read(path).expect("a fixture")).expect("a tape")
}

#[rstest]
#[case("chat-long-polling.tape.jsonl")]
#[case("chat-websocket.tape.jsonl")]
fn a_written_chat_replays(#[case] name: &str) {
    let replay = replay(&fixture(name));
    same(&replay);
    assert_eq!(replay.exit_code(), 0, "{}", replay.text(160));
    assert_eq!((replay.statistics.messages, replay.statistics.events), (5, 5), "{}", replay.text(160));
}

#[rstest]
fn a_chat_replays(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    for seed in 0..60 {
        let replay = replay(&Run::new(transport, seed).tape());
        same(&replay);
        assert_eq!(replay.notes, [], "seed {seed}");
        assert_eq!(replay.exit_code(), 0, "seed {seed}: {}", replay.text(160));
    }
}

fn faults(seed: u64) -> Vec<Rule> {
    let skip = u32::try_from(seed / 12 % 12).expect("it is small");
    let channel = |side, name: &str| Unit::Channel(side, name.to_owned());
    let service = "/service/chatV2/support";
    let rule = match seed % 12 {
        0 => Rule::once(Unit::From(Side::Server), Fault::Lose),
        1 => Rule::once(Unit::From(Side::Client), Fault::Lose),
        2 => Rule::once(Unit::From(Side::Client), Fault::Break { after: Duration::ZERO }),
        3 => Rule::once(channel(Side::Server, service), Fault::Lose),
        4 => Rule::once(channel(Side::Client, service), Fault::Lose),
        5 => Rule::once(Unit::From(Side::Server), Fault::Silence),
        6 => Rule::once(Unit::From(Side::Server), Fault::Delay(Duration::from_millis(700))),
        7 => Rule::once(channel(Side::Client, channel::CONNECT), Fault::Silence),
        8 => Rule::once(Unit::From(Side::Client), Fault::Refuse(503)),
        9 => Rule::once(Unit::From(Side::Client), Fault::Unreachable),
        10 => Rule::once(channel(Side::Server, channel::CONNECT), Fault::Lose),
        _ => Rule::sometimes(10, Unit::Any, Fault::Lose),
    };
    vec![rule.after(skip)]
}

#[rstest]
fn a_chat_with_faults_replays(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    for seed in 0..600 {
        let rules = faults(seed);
        let replay = replay(&Run { rules, until: 60_000, ..Run::new(transport, seed) }.tape());
        assert!(replay.divergences.is_empty(), "seed {seed}\n{}", replay.text(160));
    }
}

#[test]
fn a_refused_socket_falls_back_to_long_polling() {
    for seed in 0..20 {
        let rules = vec![Rule::once(Unit::Upgrade, Fault::Refuse(403))];
        let transports = Transport::USUAL.to_vec();
        let replay = replay(&Run { transports, rules, ..Run::new(Transport::WebSocket, seed) }.tape());
        same(&replay);
        assert_eq!(replay.exit_code(), 0, "{}", replay.text(160));
    }
}

#[rstest]
fn a_session_that_the_server_forgets_replays(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
    #[values(1_000, 2_100, 5_000, 7_900)] at: u64,
) {
    for seed in 0..20 {
        let troubles: Vec<Trouble> = vec![(at, |pair| {
            let now = pair.now();
            pair.server.forget_all(now);
        })];
        let tape = Run { troubles, until: 60_000, ..Run::new(transport, seed) }.tape();
        let replay = replay(&tape);
        same(&replay);
        assert_eq!(replay.statistics.sessions, 2, "seed {seed}: {}", replay.text(160));
        assert_eq!(replay.statistics.clients, 1);
    }
}

#[rstest]
fn an_outage_and_long_holds_replay(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    for seed in 0..40 {
        let troubles: Vec<Trouble> = vec![
            (95_000, |pair| {
                let now = pair.now();
                pair.link.set_down(now, true);
            }),
            (95_000 + seed * 300, |pair| {
                let now = pair.now();
                pair.link.set_down(now, false);
            }),
        ];
        let says = vec![(1_000, "first".to_owned()), (70_000, "second".to_owned()), (130_000, "third".to_owned())];
        let run = Run { troubles, says, ends: Some(140_000), until: 150_000, ..Run::new(transport, seed) };
        let replay = replay(&run.tape());
        same(&replay);
        assert_eq!(replay.exit_code(), 0, "{}", replay.text(160));
        assert!(replay.statistics.time > Duration::from_secs(139));
    }
}

#[rstest]
fn leaving_without_an_end_replays(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    let run = Run { ends: None, leaves: Some(7_000), ..Run::new(transport, 5) };
    let replay = replay(&run.tape());
    same(&replay);
    assert_eq!(replay.exit_code(), 0, "{}", replay.text(160));
}

#[rstest]
fn answers_of_every_kind_replay(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
    #[values(0, 40)] answer_delay_ms: u64,
    #[values(false, true)] split_answers: bool,
    #[values(false, true)] position_inclusive: bool,
) {
    for seed in 0..30 {
        let mut run = Run::new(transport, seed);
        run.settings.gms = GmsSettings { answer_delay_ms, split_answers, position_inclusive, ..run.settings.gms };
        run.rules = vec![Rule::once(Unit::From(Side::Server), Fault::Lose).after(u32::try_from(seed).unwrap())];
        run.until = 60_000;
        same(&replay(&run.tape()));
    }
}

#[test]
fn a_long_chat_replays() {
    for transport in Transport::USUAL {
        let says = (1..=1_500).map(|number| (number * 500, format!("message {number}"))).collect();
        let run = Run { says, ends: Some(800_000), until: 801_000, ..Run::new(transport, 8) };
        let replay = replay(&run.tape());
        same(&replay);
        assert_eq!(replay.statistics.events, 4 + 2 * 1_500 + 1);
    }
}

#[test]
fn two_runs_of_a_scenario_compare_equal() {
    let run = |transport, seed| {
        let says = (1..=3).map(|number| (number * 2_000, format!("message {number}"))).collect();
        Run { says, ..Run::new(transport, seed) }.tape()
    };
    let first = run(Transport::WebSocket, 1);
    for transport in Transport::USUAL {
        for seed in 2..30 {
            let differences = compare(&first, &run(transport, seed));
            assert_eq!(render::text(&differences, 160), "", "{transport}, seed {seed}");
        }
    }
}

#[test]
fn replaying_twice_gives_the_same_bytes() {
    for transport in Transport::USUAL {
        for seed in 0..60 {
            let tape = Run { rules: faults(seed), until: 60_000, ..Run::new(transport, seed) }.tape();
            let (one, two) = (replay(&tape), replay(&tape));
            assert_eq!(one.text(100), two.text(100));
            assert_eq!(one.json().to_string(), two.json().to_string());
        }
    }
}

#[test]
fn a_tape_replays_wherever_it_was_interrupted() {
    for transport in Transport::USUAL {
        let entries = Run { rules: faults(4), until: 60_000, ..Run::new(transport, 4) }.entries();
        for length in 0..entries.len() {
            let replay = replay(&tape(4, &entries[..length], None));
            same(&replay);
            assert_eq!(replay.exit_code(), 3);
            assert!(replay.text(160).contains("the tape was interrupted"), "{}", replay.text(160));
        }
    }
}

#[test]
fn a_torn_tape_replays_to_its_last_complete_unit() {
    let whole = bytes(6, &Run::new(Transport::WebSocket, 6).entries(), Some(Finish::Complete));
    for cut in (whole.len() / 3..whole.len() - 1).step_by(97) {
        let tape = Tape::read(&whole[..cut]).unwrap();
        assert_eq!(tape.status(), Status::Interrupted);
        let replay = replay(&tape);
        same(&replay);
        assert_eq!(replay.exit_code(), 3);
    }
}

/// Several clients through one recorder, each with its own carriers, the second `later` by so many milliseconds.
fn together(transport: Transport, later: u64) -> Tape {
    let mut entries: Vec<Entry> = Vec::new();
    for number in 0..3_u64 {
        entries.extend(Run::new(transport, 10 + number).entries().into_iter().map(|mut entry| {
            entry.at = entry.at + Duration::from_millis(later * number);
            match &mut entry.wire {
                Wire::Request(exchange, _) | Wire::Response(exchange, _) | Wire::Broken(exchange, _) => {
                    exchange.0 += 1_000 * number;
                }
                Wire::Upgrade(socket, _)
                | Wire::Upgraded(socket, _)
                | Wire::Refused(socket, _)
                | Wire::Text(socket, _)
                | Wire::Binary(socket, _)
                | Wire::Ping(socket, _)
                | Wire::Pong(socket, _)
                | Wire::Close(socket, _)
                | Wire::Lost(socket, _) => socket.0 += 1_000 * number,
            }
            entry
        }));
    }
    entries.sort_by_key(|entry| entry.at);
    tape(10, &entries, Some(Finish::Complete))
}

#[rstest]
fn several_clients_of_one_tape_replay_each_by_itself(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
    #[values(0, 7, 900, 20_000)] later: u64,
) {
    let replay = replay(&together(transport, later));
    same(&replay);
    assert_eq!((replay.statistics.clients, replay.statistics.sessions), (3, 3));
    assert_eq!(replay.notes, []);
}

#[test]
fn a_tape_without_a_conversation_has_nothing_to_replay() {
    let replay = replay(&fixture("every-kind.tape.jsonl"));
    assert_eq!(replay.exit_code(), 3);
    insta::assert_snapshot!(replay.text(100));
}

#[test]
fn a_chat_of_another_page_cannot_be_replayed() {
    let entries = Run::new(Transport::WebSocket, 3).tape().entries();
    let resumed: Vec<Entry> = entries
        .into_iter()
        .map(|mut entry| {
            if let Wire::Text(_, text) = &mut entry.wire {
                *text = text.replace("\"requestChat\"", "\"requestNotifications\"");
            }
            entry
        })
        .collect();
    let replay = replay(&tape(3, &resumed, Some(Finish::Complete)));
    assert_eq!(replay.exit_code(), 3);
    insta::assert_snapshot!(replay.text(100));
}
