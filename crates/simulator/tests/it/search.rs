//! Random histories of reconnecting: what has to hold whatever happens, and what breaks without each safeguard.

use std::cell::Cell;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use protocol::chat::client::Safeguards;
use simulator::history::{Action, History, Target, Trait, Transports};
use simulator::judge::Breach;
use simulator::link::Fault;
use simulator::minimise::minimise;
use simulator::run::{Guards, run};

/// A history that breaks a property, as short as possible.
struct Counterexample {
    history: History,
    breach: Breach,
}

/// Runs so many random histories over these transports, the same ones each time, and gives the first that breaks a
/// property, shrunk, or how many were run.
fn search(transports: Transports, guards: Guards, histories: u32) -> Result<u32, Counterexample> {
    let config = Config { cases: histories, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let ran = Cell::new(0);
    let outcome = runner.run(&any_history(transports), |history| {
        ran.set(ran.get() + 1);
        run(&history, guards).verdict.map_err(|breach| TestCaseError::fail(breach.to_string()))
    });
    match outcome {
        Ok(()) => Ok(ran.get()),
        Err(TestError::Fail(_, history)) => {
            let breach = run(&history, guards).verdict.unwrap_err();
            let breaks =
                |history: &History| run(history, guards).verdict.is_err_and(|other| other.property == breach.property);
            let history = minimise(&history, breaks);
            let breach = run(&history, guards).verdict.unwrap_err();
            Err(Counterexample { history, breach })
        }
        Err(TestError::Abort(why)) => panic!("the search was cut short: {why}"),
    }
}

fn any_history(transports: Transports) -> impl Strategy<Value = History> {
    let traits =
        prop::collection::btree_set(select(vec![Trait::Gapped, Trait::Exclusive, Trait::Split, Trait::AtOnce]), 0..=2);
    let jitter = prop_oneof![3 => Just(0_u64), 1 => 1_u64..200];
    let beginning = prop_oneof![
        1 => Just(vec![Action::ClientStarts]),
        2 => Just(vec![Action::ClientStarts, Action::Wait(Duration::from_millis(200)), Action::AgentJoins]),
    ];
    let actions = prop::collection::vec(any_action(), 2..24);
    let setting = (any::<u16>(), jitter, traits);
    (setting, beginning, actions).prop_map(move |((seed, jitter, traits), beginning, actions)| History {
        seed: seed.into(),
        jitter: Duration::from_millis(jitter),
        traits: traits.into_iter().collect(),
        ..History::new(transports, [beginning, actions].concat())
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let word = || select(vec!["yes", "no", "maybe"]).prop_map(str::to_owned);
    prop_oneof![
        8 => any_time().prop_map(Action::Wait),
        1 => Just(Action::ClientStarts),
        4 => word().prop_map(Action::ClientSays),
        1 => select(vec![Action::ClientEnds, Action::ClientLeaves, Action::SessionDisconnected, Action::AgentCloses]),
        2 => select(vec![Action::AgentJoins, Action::AgentLeaves]),
        4 => word().prop_map(Action::AgentSays),
        2 => select(vec![Action::SessionForgotten, Action::ServerRestarts]),
        1 => Just(Action::ConnectionsBreak),
        2 => select(vec![Action::NetworkDown, Action::NetworkUp]),
        8 => (select(Target::ALL.to_vec()), any_fault()).prop_map(|(target, fault)| Action::Strike(target, fault)),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => any_time().prop_map(Fault::Delay),
        2 => Just(Fault::Lose),
        1 => any_time().prop_map(|after| Fault::Break { after }),
        1 => Just(Fault::Silence),
        2 => any_time().prop_map(|after| Fault::Duplicate { after }),
        1 => Just(Fault::Unreachable),
        1 => select(vec![502_u16, 503, 404]).prop_map(Fault::Refuse),
    ]
}

/// The text of the history that a search without a safeguard finds, and what it breaks.
fn expect_one(transports: Transports, guards: Guards) -> String {
    match search(transports, guards, 5_000) {
        Ok(ran) => panic!("{ran} histories and nothing is broken"),
        Err(Counterexample { history, breach }) => format!("{history}# {breach}"),
    }
}

#[test]
fn without_deduplication_events_are_shown_twice() {
    let chat = Safeguards { deduplicate: false, ..Safeguards::default() };
    assert_snapshot!(expect_one(Transports::LongPolling, Guards { chat, ..Guards::default() }), @"
    transport long-polling
    seed 1
    client starts
    wait 55ms
    session forgotten
    # nothing-twice is broken at 0.150 s: event 1 is shown twice
    ");
}

#[test]
fn without_restoring_after_a_handshake_the_chat_is_not_attached_again() {
    let chat = Safeguards { restore_after_handshake: false, ..Safeguards::default() };
    assert_snapshot!(expect_one(Transports::WebSocket, Guards { chat, ..Guards::default() }), @"
    transport websocket
    seed 1
    client starts
    wait 75ms
    session forgotten
    # converges is broken at 125.075 s: the chat is over and the client does not know
    ");
}

#[test]
fn without_the_check_of_ids_two_connects_are_outstanding() {
    let guards = Guards { check_connect_id: false, ..Guards::default() };
    assert_snapshot!(expect_one(Transports::WebSocket, guards), @"
    transport websocket
    seed 1
    client starts
    duplicate connect after 1ms
    wait 40ms
    # one-connect is broken at 0.061 s: connect 5 is sent while connect 4 is outstanding
    ");
}

/// From an instant to longer than anybody waits for anything.
fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => 1_u64..100, 4 => 100_u64..2_000, 2 => 2_000_u64..15_000, 1 => 15_000_u64..50_000]
        .prop_map(Duration::from_millis)
}

#[test]
fn no_history_over_web_socket_breaks_a_property() {
    expect_none(Transports::WebSocket, 5_000);
}

#[test]
fn no_history_over_long_polling_breaks_a_property() {
    expect_none(Transports::LongPolling, 5_000);
}

#[test]
fn no_history_with_a_choice_of_transports_breaks_a_property() {
    expect_none(Transports::Either, 2_000);
}

fn expect_none(transports: Transports, histories: u32) {
    match search(transports, Guards::default(), histories) {
        Ok(ran) => assert_eq!(ran, histories),
        Err(Counterexample { history, breach }) => panic!("{breach}\n\n{history}"),
    }
}
