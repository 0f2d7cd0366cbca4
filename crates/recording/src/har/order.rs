//! What crossed the wire, in the order in which it can have done so. Times of a HAR are coarse, and durations end late.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Failure, Side, Wire};

use crate::tape::ConnLabel;

/// Something that crossed the wire, at microseconds since 1970.
pub(super) struct Happened {
    pub(super) at: i64,
    pub(super) conn: Option<ConnLabel>,
    pub(super) from: Side,
    /// The messages that `wire` carries.
    pub(super) messages: Vec<Message>,
    pub(super) wire: Wire,
}

/// Ends exchanges without an answer. One was held when the file was written, unless the client went on as if it was over: a connect is
/// over when the next one of its session begins, any other request when anything of its session does. `open` has the places of
/// their requests and the numbers of their entries. Gives the numbers of those that ended.
pub(super) fn end_what_is_over(events: &mut Vec<Happened>, open: &[(usize, usize)]) -> Vec<usize> {
    if open.is_empty() {
        return Vec::new();
    }
    let mut begun = Begun::default();
    for event in events.iter().filter(|event| event.from == Side::Client && !event.messages.is_empty()) {
        begun.note(event);
    }
    let mut over = Vec::new();
    for (place, number) in open {
        let asked = &events[*place];
        let Wire::Request(exchange, _) = asked.wire else { continue };
        let Some(at) = begun.after(asked) else { continue };
        let (from, wire) = (Side::Client, Wire::Broken(exchange, Failure::Aborted));
        let end = Happened { at, conn: asked.conn, from, messages: Vec::new(), wire };
        events.push(end);
        over.push(*number);
    }
    over
}

/// When what a client asked began.
#[derive(Default)]
struct Begun {
    all: BTreeSet<i64>,
    of_sessions: BTreeMap<String, BTreeSet<i64>>,
    connects: BTreeMap<String, BTreeSet<i64>>,
}

impl Begun {
    fn note(&mut self, event: &Happened) {
        self.all.insert(event.at);
        for message in &event.messages {
            if let Some(session) = connecting(message) {
                self.connects.entry(session).or_default().insert(event.at);
            }
            if let Some(session) = session(message) {
                self.of_sessions.entry(session).or_default().insert(event.at);
            }
        }
    }

    /// When the client next did what it does only when this is over. What carries no message is nothing to wait for.
    fn after(&self, asked: &Happened) -> Option<i64> {
        let next = |times: &BTreeSet<i64>| times.range(asked.at + 1..).next().copied();
        let of = |times: &BTreeMap<String, BTreeSet<i64>>, session: &String| times.get(session).and_then(next);
        let message = asked.messages.first()?;
        match (connecting(message), session(message)) {
            (Some(session), _) => of(&self.connects, &session),
            (None, Some(session)) => of(&self.of_sessions, &session),
            (None, None) => next(&self.all),
        }
    }
}

/// Takes back the time of a response to that of the first request that uses what it gave, a `clientId` or a `secureKey`: durations
/// in a HAR may end long after the page had the contents.
pub(super) fn put_causes_first(events: &mut [Happened]) {
    let mut began: BTreeMap<Exchange, i64> = BTreeMap::new();
    let mut used: BTreeMap<String, i64> = BTreeMap::new();
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        if let Wire::Request(exchange, _) = &event.wire {
            began.insert(*exchange, event.at);
        }
        for value in event.messages.iter().flat_map(minted) {
            match event.from {
                Side::Client => {
                    let first = used.entry(value).or_insert(event.at);
                    *first = event.at.min(*first);
                }
                Side::Server => {
                    let first = given.entry(value).or_insert(place);
                    if event.at < events[*first].at {
                        *first = place;
                    }
                }
            }
        }
    }
    for (value, place) in given {
        let Some(first) = used.get(&value) else { continue };
        if let Wire::Response(exchange, _) = &events[place].wire
            && *first < events[place].at
            && began.get(exchange).is_some_and(|began| began <= first)
        {
            events[place].at = *first;
        }
    }
}

/// Takes back the time of an answer to that of the next request that has to wait its turn: durations in a HAR may end late.
/// `turns` names what a request takes its turn in.
pub(super) fn put_in_turn<T: Ord>(events: &mut [Happened], turns: impl Fn(&Happened) -> Vec<T>) {
    let mut asked: BTreeMap<T, Vec<(i64, Exchange)>> = BTreeMap::new();
    let mut answered: BTreeMap<Exchange, usize> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        match &event.wire {
            Wire::Request(exchange, _) => {
                for turn in turns(event) {
                    asked.entry(turn).or_default().push((event.at, *exchange));
                }
            }
            Wire::Response(exchange, _) | Wire::Broken(exchange, _) => {
                answered.insert(*exchange, place);
            }
            _ => {}
        }
    }
    for requests in asked.values_mut() {
        requests.sort_by_key(|(at, _)| *at);
        for pair in requests.windows(2) {
            let [(_, before), (next, _)] = pair else { continue };
            if let Some(place) = answered.get(before) {
                events[*place].at = events[*place].at.min(*next);
            }
        }
    }
}

/// The session of a message.
fn session(message: &Message) -> Option<String> {
    message.client_id().map(|id| id.expose().to_owned())
}

/// The session of a connect.
pub(super) fn connecting(message: &Message) -> Option<String> {
    session(message).filter(|_| message.channel() == Some(channel::CONNECT))
}

/// What a server makes up and a client can only have from it.
fn minted(message: &Message) -> impl Iterator<Item = String> {
    let session = session(message);
    let key = message.value("data").and_then(|data| data["secureKey"].as_str().map(str::to_owned));
    [session, key].into_iter().flatten()
}

/// Everything by its time; what has the same time stands in the order of the file. Gives the moment of the first.
pub(super) fn in_order(mut events: Vec<Happened>) -> (String, Vec<(Option<ConnLabel>, Entry)>) {
    events.sort_by_key(|event| event.at);
    let zero = events.first().map_or(0, |event| event.at);
    let start = Timestamp::from_microsecond(zero).unwrap_or_default().to_string();
    let since = |at: i64| Time::from_micros(u64::try_from(at.saturating_sub(zero)).unwrap_or_default());
    let entry = |event: Happened| (event.conn, Entry { at: since(event.at), from: event.from, wire: event.wire });
    (start, events.into_iter().map(entry).collect())
}
