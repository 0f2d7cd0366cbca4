//! Whatever stands on a tape that can be read, replaying it comes to an end.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport};
use recording::tape::{Finish, Tape};
use replayer::replay;
use serde_json::{Value, json};
use simulator::link::{Fault, Rule, Unit};

use crate::runs::{Run, bytes, tape};
use crate::tamper::rewrite;

/// Chats with everything in them: a loss, a forgotten session, a silence.
static CHATS: LazyLock<Vec<Vec<Entry>>> = LazyLock::new(|| {
    let chat = |transport, seed, fault| {
        let rules = vec![Rule::once(Unit::From(Side::Server), fault).after(6)];
        let troubles: Vec<crate::runs::Trouble> = vec![(5_000, |pair| {
            let now = pair.now();
            pair.server.forget_all(now);
        })];
        Run { rules, troubles, until: 60_000, ..Run::new(transport, seed) }.tape().entries()
    };
    let chats = Transport::USUAL.into_iter().zip([1, 2]);
    chats
        .flat_map(|(transport, seed)| [Fault::Lose, Fault::Silence].map(|fault| chat(transport, seed, fault)))
        .collect()
});

/// Chats in which the first operation comes before the first connect.
static BROWSERS: LazyLock<Vec<Vec<Entry>>> = LazyLock::new(|| {
    let names = ["chrome-long-polling", "chrome-callback-polling"];
    names.map(|name| crate::fixtures::tape(name).entries()).into()
});

/// One change of a tape.
#[derive(Clone, Debug)]
enum Change {
    Remove(Index),
    Repeat(Index, Index),
    Swap(Index, Index),
    /// All times from there on, in microseconds.
    Delay(Index, u32),
    /// Turns what the server sent into what the client sent, and the other way round.
    Turn(Index),
    /// A member of a message somewhere gets another value, or is removed.
    Member(Index, Index, Index, Option<Value>),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..20).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "1",
            "5",
            "requestChat",
            "requestNotifications",
            "sendMessage",
            "disconnect",
            "startTyping",
            "/meta/handshake",
            "/meta/connect",
            "/meta/disconnect",
            "/service/chatV2/support",
            "402::Unknown client",
            "handshake",
            "none",
            "retry",
            "Client",
            "Agent",
            "Message",
            "cid_0123456789",
            "sk_0123456789",
        ])
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(
            json!([{"index": 3, "type": "Message", "text": "x", "from": {"nickname": "n", "participantId": 1, "type": "Client"}}])
        ),
        (-3_i64..3, prop::sample::select(vec!["handshake", "none", "retry", "x"]))
            .prop_map(|(interval, reconnect)| json!({"interval": interval, "timeout": 0, "reconnect": reconnect})),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<Index>;
    let change = prop_oneof![
        index().prop_map(Change::Remove),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        (index(), any::<u32>()).prop_map(|(from, by)| Change::Delay(from, by)),
        index().prop_map(Change::Turn),
        (index(), index(), index(), prop::option::of(value()))
            .prop_map(|(entry, message, member, value)| Change::Member(entry, message, member, value)),
    ];
    prop::collection::vec(change, 1..8)
}

/// The places in a value that hold something.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut enter = |name: &str, value: &Value| {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(value, &pointer, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| enter(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| enter(&at.to_string(), value)),
        _ => {}
    }
}

fn change_member(text: &str, message: &Index, member: &Index, value: Option<&Value>) -> Option<String> {
    let mut batch: Vec<Value> = serde_json::from_str(text).ok()?;
    let length = batch.len();
    let message = batch.get_mut(message.index(length.max(1)))?;
    let mut found = Vec::new();
    pointers(message, "", &mut found);
    let pointer = found.get(member.index(found.len().max(1)))?;
    match value {
        Some(value) => *message.pointer_mut(pointer)? = value.clone(),
        None => {
            let (parent, name) = pointer.rsplit_once('/')?;
            message.pointer_mut(parent)?.as_object_mut()?.remove(name);
        }
    }
    Some(Value::from(batch).to_string())
}

fn apply(entries: &mut Vec<Entry>, change: &Change) {
    let length = entries.len();
    if length == 0 {
        return;
    }
    match change {
        Change::Remove(at) => drop(entries.remove(at.index(length))),
        Change::Repeat(from, to) => {
            let entry = entries[from.index(length)].clone();
            entries.insert(to.index(length), entry);
        }
        Change::Swap(one, other) => entries.swap(one.index(length), other.index(length)),
        Change::Delay(from, by) => {
            for entry in &mut entries[from.index(length)..] {
                entry.at = Time::from_micros(entry.at.as_micros() + u64::from(*by));
            }
        }
        Change::Turn(at) => {
            let entry = &mut entries[at.index(length)];
            entry.from = entry.from.peer();
        }
        Change::Member(entry, message, member, value) => {
            let change = |text: &str| change_member(text, message, member, value.as_ref());
            rewrite(&mut entries[entry.index(length)].wire, |text| change(text).unwrap_or_default());
        }
    }
}

fn comes_to_rest(chat: &[Entry], changes: &[Change]) -> Result<(), TestCaseError> {
    let mut entries = chat.to_vec();
    for change in changes {
        apply(&mut entries, change);
    }
    let tape = tape(1, &entries, Some(Finish::Complete));
    let replay = replay(&tape);
    prop_assert!(replay.divergences.iter().all(|divergence| divergence.what.id() != "restless"));
    prop_assert_eq!(replay.text(80), replayer::replay(&tape).text(80));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_mutated_tape_is_replayed_to_its_end(chat in any::<Index>(), changes in changes()) {
        comes_to_rest(&CHATS[chat.index(CHATS.len())], &changes)?;
    }

    #[test]
    fn a_mutated_tape_of_a_browser_is_replayed_to_its_end(chat in any::<Index>(), changes in changes()) {
        comes_to_rest(&BROWSERS[chat.index(BROWSERS.len())], &changes)?;
    }

    #[test]
    fn a_tape_with_damaged_lines_is_refused_or_replayed(chat in any::<Index>(), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = bytes(1, &CHATS[chat.index(CHATS.len())], None);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(tape) = Tape::read(&bytes) {
            let _ = replay(&tape).text(80);
        }
    }
}
