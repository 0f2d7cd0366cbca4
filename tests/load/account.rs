//! What one end saw of a load: which numbered messages of which session, in order.

use std::collections::BTreeMap;

/// Every session by its number.
pub(crate) type Account = BTreeMap<u64, Seen>;

/// The numbers of one session, from 1, in the order in which one end saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Messages of the client.
    pub(crate) published: Vec<u64>,
    /// Replies to them.
    pub(crate) answered: Vec<u64>,
    /// Events that the server pushed behind the replies.
    pub(crate) pushed: Vec<u64>,
}

/// An event's index is the number of its session times this, plus its own number.
const SPAN: u64 = 1_000_000;

/// The index of an event, which no other event of the load has.
pub(crate) const fn index(session: u64, number: u64) -> u64 {
    session * SPAN + number
}

/// The number of an event; `None` if it belongs to another session.
pub(crate) const fn number(session: u64, index: u64) -> Option<u64> {
    if index / SPAN == session { Some(index % SPAN) } else { None }
}
