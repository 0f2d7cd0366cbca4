//! When two messages of a client count as the same: what two clients of one protocol may do differently is set aside.

use std::cmp::Ordering;

use protocol::bayeux::message::Message;
use recording::compare::differing_members;
use serde_json::{Map, Value};

use crate::score::{Kind, Operation};

/// Something in which two correct clients may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liberty {
    /// This member of any message.
    Member(&'static str),
    /// This member of a message on a meta channel.
    Meta(&'static str, &'static str),
    /// This member of the `data` of this operation.
    Data(&'static str, &'static str),
    /// This member of the `data` of any operation.
    AnyData(&'static str),
    /// Something about the order, number or carrier of messages.
    Traffic(&'static str),
}

/// All that is set aside, each with the reason. Whatever is not listed here is a divergence.
pub const SET_ASIDE: &[(Liberty, &str)] = &[
    (Liberty::Member("id"), "each client counts its own messages; that replies carry the id back is checked by rules"),
    (Liberty::Member("timestamp"), "the time of day is not the client's doing"),
    (Liberty::Member("ext"), "extensions are offers, and which are loaded is a matter of set-up"),
    (Liberty::Meta("/meta/handshake", "supportedConnectionTypes"), "what a client offers depends on its carriers"),
    (Liberty::Meta("/meta/handshake", "advice"), "a client's wishes; the server's advice rules"),
    (Liberty::Meta("/meta/handshake", "minimumVersion"), "optional, and all versions in use are compatible"),
    (Liberty::Meta("/meta/connect", "connectionType"), "names the carrier"),
    (Liberty::Meta("/meta/connect", "advice"), "says only whether the server may hold this connect"),
    (Liberty::Data("requestChat", "secureKey"), "the operation needs no key and ignores one"),
    (Liberty::Data("requestNotifications", "message"), "the text being typed, which some clients repeat here"),
    (Liberty::Data("requestNotifications", "userData"), "the push settings of mobile clients"),
    (Liberty::Data("sendMessage", "messageType"), "a label of the application for its own use"),
    (Liberty::AnyData("userId"), "a credential of old servers beside `secureKey`, which alone is required"),
    (Liberty::AnyData("alias"), "likewise"),
    (Liberty::AnyData("chatId"), "likewise"),
    (Liberty::Traffic("batches and carriers"), "how messages travel together is not what they say"),
    (Liberty::Traffic("the number of connects without news"), "how often a client polls depends on time alone"),
    (
        Liberty::Traffic("operations before the first connect is answered"),
        "a session stands from the handshake on; a careful client waits for its connect, and that is noted",
    ),
    (
        Liberty::Traffic("operations and subscriptions that the chat client does not know"),
        "it cannot repeat them; noted",
    ),
    (Liberty::Traffic("requestNotifications after a loss"), "a careful client asks more often; safe, and noted"),
    (Liberty::Traffic("requestNotifications that asks for everything"), "a client without a memory has to"),
    (Liberty::Traffic("/meta/disconnect after the end of the chat"), "a tidy client leaves; noted"),
];

/// What the chat client puts into `requestChat`. Whatever else an application adds, it cannot repeat.
const REQUEST_CHAT: &[&str] =
    &["operation", "nickname", "firstName", "lastName", "subject", "emailAddress", "text", "userData"];

/// Two messages that ought to be the same, without what is set aside, and the members in which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) recorded: Value,
    pub(crate) live: Value,
    pub(crate) members: Vec<String>,
}

/// Holds a message of the client against the one on the tape.
pub(crate) fn compare(kind: Kind, recorded: &Message, live: &Message) -> Compared {
    let (mut recorded, mut live) = (essence(kind, recorded), essence(kind, live));
    if kind == Kind::Chat(Operation::RequestNotifications) && position(&recorded).is_none_or(|position| position <= 0) {
        for message in [&mut recorded, &mut live] {
            if let Some(data) = message.pointer_mut("/data").and_then(Value::as_object_mut) {
                data.remove("transcriptPosition");
            }
        }
    }
    let members = differing_members(&recorded, &live);
    Compared { recorded, live, members }
}

/// A message without what is set aside.
pub(crate) fn essence(kind: Kind, message: &Message) -> Value {
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(message.text()) else {
        return Value::from(message.text());
    };
    let channel = message.channel().unwrap_or_default();
    let operation = crate::score::operation(message).unwrap_or_default();
    for (liberty, _) in SET_ASIDE {
        match liberty {
            Liberty::Member(name) => drop(members.remove(*name)),
            Liberty::Meta(on, name) if *on == channel => drop(members.remove(*name)),
            Liberty::Data(of, name) if *of == operation => drop(data(&mut members).remove(*name)),
            Liberty::AnyData(name) if !operation.is_empty() => drop(data(&mut members).remove(*name)),
            Liberty::Meta(..) | Liberty::Data(..) | Liberty::AnyData(_) | Liberty::Traffic(_) => {}
        }
    }
    match kind {
        Kind::Chat(Operation::RequestChat) => data(&mut members).retain(|name, value| {
            let is_empty_name = name.to_lowercase().ends_with("name") && value.as_str() == Some("");
            REQUEST_CHAT.contains(&name.as_str()) && !is_empty_name
        }),
        Kind::Chat(Operation::RequestNotifications) => {
            let data = data(&mut members);
            if let Some(position) = data.get_mut("transcriptPosition") {
                // Real clients send it as a number and as text.
                if let Some(number) = position.as_str().and_then(|text| text.trim().parse::<i64>().ok()) {
                    *position = Value::from(number);
                }
            }
        }
        Kind::Handshake | Kind::Connect | Kind::Disconnect | Kind::Chat(_) | Kind::Other => {}
    }
    Value::Object(members)
}

fn data(members: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let data = members.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    data.as_object_mut().expect("it was made an object")
}

/// `transcriptPosition` of a `requestNotifications`.
fn position(message: &Value) -> Option<i64> {
    message.pointer("/data/transcriptPosition")?.as_i64()
}

/// How what the client showed relates to what the tape says it had to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// An event of the tape, by position, was not shown.
    Missing(usize),
    /// What was shown, by position, is not on the tape.
    Extra(usize),
    /// Under one index stands another event.
    Differs(usize, usize, Vec<String>),
}

/// Holds the events that were shown against the transcript, both in the order of their indexes.
pub(crate) fn compare_events(recorded: &[(u64, Value)], live: &[(u64, Value)]) -> Vec<Shown> {
    let mut differences = Vec::new();
    let (mut at, mut shown) = (0, 0);
    loop {
        match (recorded.get(at), live.get(shown)) {
            (None, None) => return differences,
            (Some(_), None) => {
                differences.push(Shown::Missing(at));
                at += 1;
            }
            (None, Some(_)) => {
                differences.push(Shown::Extra(shown));
                shown += 1;
            }
            (Some(before), Some(after)) => match before.0.cmp(&after.0) {
                Ordering::Less => {
                    differences.push(Shown::Missing(at));
                    at += 1;
                }
                Ordering::Greater => {
                    differences.push(Shown::Extra(shown));
                    shown += 1;
                }
                Ordering::Equal => {
                    if before.1 != after.1 {
                        differences.push(Shown::Differs(at, shown, differing_members(&before.1, &after.1)));
                    }
                    at += 1;
                    shown += 1;
                }
            },
        }
    }
}
