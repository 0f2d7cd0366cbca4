//! Random histories of reconnecting: what has to hold whatever happens, and what breaks without each safeguard.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use protocol::chat::client::{Ended, Event, Safeguards, Sent};
use rstest::rstest;
use simulator::history::{Action, Deed, History, Target, Trait, Transports};
use simulator::judge::Breach;
use simulator::link::Fault;
use simulator::minimise::minimise;
use simulator::run::{Guards, Run, run};
use simulator::trace;

/// How many random histories `cargo test` runs in all.
const HISTORIES: u32 = 12_000;

/// A history that breaks a property, as short as possible.
struct Counterexample {
    history: History,
    breach: Breach,
}

/// How often something happened in a search.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    fn count(&mut self, run: &Run) {
        *self.0.entry("histories").or_default() += 1;
        let seen: BTreeSet<&'static str> = run.told.iter().map(word_for).collect();
        for word in seen {
            *self.0.entry(word).or_default() += 1;
        }
    }

    fn of(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or(0)
    }
}

const fn word_for(event: &Event) -> &'static str {
    match event {
        Event::Started => "started",
        Event::StartFailed(_) => "start failed",
        Event::StartOutcomeUnknown => "start unknown",
        Event::Shown(_) => "shown",
        Event::Passing(_) => "passing",
        Event::Sent(_, Sent::Delivered) => "delivered",
        Event::Sent(_, Sent::Failed(_)) => "failed",
        Event::Sent(_, Sent::Missing) => "missing",
        Event::Sent(_, Sent::Unknown) => "unknown",
        Event::Sent(_, Sent::Unsent) => "unsent",
        Event::Sent(_, Sent::TooLong) => "too long",
        Event::Files(..) => "files",
        Event::RequestFailed(_) => "request failed",
        Event::ChatServerLost => "chat server lost",
        Event::ChatServerBack => "chat server back",
        Event::ConnectionLost => "connection lost",
        Event::Restored => "restored",
        Event::Ended(Ended::ByServer) => "ended",
        Event::Ended(Ended::Unconfirmed) => "end unconfirmed",
        Event::Ended(Ended::ConnectionClosed(_)) => "connection closed",
        Event::Violated(_) => "violated",
    }
}

/// The same random source each time.
fn random() -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32])
}

/// Runs so many random histories over these transports, each with this trait beside its own, and gives the first that breaks a property, shrunk, or what
/// happened in all of them.
fn search(
    transports: Transports,
    always: Option<Trait>,
    guards: Guards,
    histories: u32,
) -> Result<Tally, Counterexample> {
    let config = Config { cases: histories, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let tally = RefCell::new(Tally::default());
    let outcome = TestRunner::new_with_rng(config, random()).run(&any_history(transports), |mut history| {
        history.traits.extend(always);
        let run = run(&history, guards);
        tally.borrow_mut().count(&run);
        run.verdict.map_err(|breach| TestCaseError::fail(breach.to_string()))
    });
    match outcome {
        Ok(()) => Ok(tally.into_inner()),
        Err(TestError::Fail(_, mut history)) => {
            history.traits.extend(always);
            let property = run(&history, guards).verdict.unwrap_err().property;
            let breaks = |history: &History| run(history, guards).verdict.is_err_and(|it| it.property == property);
            let history = minimise(&history, breaks);
            let breach = run(&history, guards).verdict.unwrap_err();
            Err(Counterexample { history, breach })
        }
        Err(TestError::Abort(why)) => panic!("the search was cut short: {why}"),
    }
}

#[rstest]
#[case(Transports::WebSocket, HISTORIES * 5 / 12)]
#[case(Transports::LongPolling, HISTORIES * 5 / 12)]
#[case(Transports::Either, HISTORIES * 2 / 12)]
fn no_random_history_breaks_a_property(#[case] transports: Transports, #[case] histories: u32) {
    expect_none(transports, None, histories);
}

#[rstest]
#[case(Transports::CallbackPolling, None)]
#[case(Transports::WebSocket, Some(Trait::Acked))]
#[case(Transports::LongPolling, Some(Trait::Acked))]
#[case(Transports::CallbackPolling, Some(Trait::Acked))]
fn nor_over_callback_polling_nor_with_acknowledgement(#[case] transports: Transports, #[case] always: Option<Trait>) {
    expect_none(transports, always, 1_000);
}

#[expect(clippy::disallowed_types, clippy::print_stdout, reason = "the search is measured, not what it runs")]
fn expect_none(transports: Transports, always: Option<Trait>, histories: u32) {
    let began = std::time::Instant::now();
    let tally = match search(transports, always, Guards::default(), histories) {
        Ok(tally) => tally,
        Err(Counterexample { history, breach }) => panic!("{breach}\n\n{history}"),
    };
    println!(
        "{histories} histories over {transports:?} {always:?} in {:.1} s: {:?}",
        began.elapsed().as_secs_f32(),
        tally.0
    );
    assert_eq!(tally.of("histories"), histories);
    // A search in which nothing happens finds nothing.
    for (word, at_least) in [
        ("started", histories * 9 / 10),
        ("connection lost", histories / 3),
        ("restored", histories / 3),
        ("delivered", histories / 4),
        ("ended", histories / 2),
        ("passing", histories / 50),
        ("files", histories / 10),
        ("failed", histories / 100),
        ("start unknown", histories / 100),
        ("missing", histories / 1_000),
        ("unsent", histories / 1_000),
    ] {
        assert!(tally.of(word) >= at_least, "{word}: {} of {histories}", tally.of(word));
    }
}

/// The text of the history that a search without a safeguard finds, and what it breaks.
fn expect_one(transports: Transports, guards: Guards) -> String {
    match search(transports, None, guards, 5_000) {
        Ok(tally) => panic!("nothing is broken in {:?}", tally.0),
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
    session disconnected
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
    wait 30ms
    duplicate any after 1ms
    wait 10ms
    # one-connect is broken at 0.061 s: connect 5 is sent while connect 4 is outstanding
    ");
}

#[test]
fn same_seed_gives_the_same_histories_traces_and_verdicts() {
    let look = || {
        let mut runner = TestRunner::new_with_rng(Config::default(), random());
        let histories = (0..50).map(|_| any_history(Transports::Either).new_tree(&mut runner).unwrap().current());
        let texts = histories.map(|history| {
            let Run { verdict, entries, told, over_at } = run(&history, Guards::default());
            format!("{history}{}{told:?}\n{verdict:?} {over_at}\n", trace::render(&entries))
        });
        texts.collect::<String>()
    };
    assert_eq!(look(), look());
}

#[test]
fn every_history_survives_its_own_text() {
    let mut runner = TestRunner::new_with_rng(Config::default(), random());
    for _ in 0..200 {
        let history = any_history(Transports::Either).new_tree(&mut runner).unwrap().current();
        assert_eq!(history.to_string().parse(), Ok(history));
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
        3 => select(Deed::ALL.to_vec()).prop_map(Action::ClientDoes),
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

/// From an instant to longer than anybody waits for anything.
fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![1 => Just(0), 4 => 1_u64..100, 4 => 100_u64..2_000, 2 => 2_000_u64..15_000, 1 => 15_000_u64..50_000]
        .prop_map(Duration::from_millis)
}
