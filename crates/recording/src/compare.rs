//! How two tapes differ, once what may differ is set aside.
//!
//! [`Canonical`] names ids, names and texts by first occurrence, sets times and carriers aside and orders what has no order
//! of its own. [`compare`] pairs the messages of two canonical forms and lists each pair that differs, and in which members.
//! Names of the two tapes are bound to each other as they first meet in a pair, one to one within a class; whatever breaks
//! the binding differs. So one message too many does not make all later ones differ.

mod align;
mod canonical;
mod conversation;
pub mod render;

use std::collections::BTreeMap;
use std::fmt;

use protocol::wire::Side;
use serde_json::Value;

use self::align::{align, couple};
pub use self::canonical::Canonical;
use self::canonical::{Item, Name, Names, Part, Tree};
pub(crate) use self::conversation::Held;
use crate::tape::Tape;

/// A message of one tape in a difference. Names are numbered as in the first tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The line of the tape.
    pub line: usize,
    /// Who sent it.
    pub from: Side,
    /// The canonical message.
    pub value: Value,
}

/// Two messages that differ, or one that has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The session, from 1 in the order of handshakes; 0 for messages outside of any.
    pub session: usize,
    /// The message of the first tape.
    pub before: Option<Shown>,
    /// The message of the second tape.
    pub after: Option<Shown>,
    /// JSON pointers to the members that differ; empty if a message is missing.
    pub members: Vec<String>,
}

/// The session of each line that holds a message, from 1 in the order of handshakes, with 0 for none; and all connects.
pub(crate) fn sessions(tape: &Tape) -> (BTreeMap<usize, usize>, Vec<Held>) {
    let conversation = conversation::Conversation::of(&tape.located());
    (conversation.session_of, conversation.held)
}

/// Lists where the second tape differs from the first.
#[must_use]
pub fn compare(before: &Tape, after: &Tape) -> Vec<Difference> {
    compare_canonical(&Canonical::of(before), &Canonical::of(after))
}

/// Lists where the second conversation differs from the first.
#[must_use]
pub fn compare_canonical(before: &Canonical, after: &Canonical) -> Vec<Difference> {
    let mut binding = Binding { names: before.names(), ..Binding::default() };
    let mut differences = Vec::new();
    for session in 0..before.sessions.len().max(after.sessions.len()) {
        let (a, b) = (before.sessions.get(session), after.sessions.get(session));
        let requests = (a.map_or(&[][..], |a| &a.requests), b.map_or(&[][..], |b| &b.requests));
        let deliveries = (a.map_or(&[][..], |a| &a.deliveries), b.map_or(&[][..], |b| &b.deliveries));
        for (a, b) in [requests, deliveries] {
            for (at_a, at_b) in couple(align(a, b), a, b) {
                differences.extend(binding.pair(session, at_a.map(|at| &a[at]), at_b.map(|at| &b[at])));
            }
        }
    }
    differences
}

/// JSON pointers to where two values differ.
#[must_use]
pub fn differing_members(before: &Value, after: &Value) -> Vec<String> {
    let mut members: Vec<String> =
        json_patch::diff(before, after).0.iter().map(|operation| operation.path().to_string()).collect();
    members.sort();
    members.dedup();
    members
}

/// Which name of the second tape stands for which of the first.
#[derive(Debug, Default)]
struct Binding {
    names: Names,
    to_before: BTreeMap<(&'static str, String), Name>,
    to_after: BTreeMap<(&'static str, String), String>,
    strangers: Names,
}

impl Binding {
    fn pair(&mut self, session: usize, a: Option<&Item>, b: Option<&Item>) -> Option<Difference> {
        if let (Some(a), Some(b)) = (a, b) {
            self.bind(&a.tree, &b.tree);
        }
        let before =
            a.map(|a| Shown { line: a.line, from: a.from, value: a.tree.value(&mut |name| self.names.number(name)) });
        let after =
            b.map(|b| Shown { line: b.line, from: b.from, value: b.tree.value(&mut |name| self.show_after(name)) });
        let members = match (&before, &after) {
            (Some(before), Some(after)) => differing_members(&before.value, &after.value),
            _ => Vec::new(),
        };
        let same = before.is_some() && after.is_some() && members.is_empty();
        (!same).then_some(Difference { session, before, after, members })
    }

    /// A name of the second tape as the first tape calls it; `clientId#new1` if it has no counterpart.
    fn show_after(&mut self, name: &Name) -> String {
        match self.to_before.get(&(name.noun, name.value.clone())) {
            Some(bound) => self.names.number(bound),
            None => self.strangers.number(name).replacen('#', "#new", 1),
        }
    }

    /// Binds names that stand in the same place and are both free.
    fn bind(&mut self, a: &Tree, b: &Tree) {
        match (a, b) {
            (Tree::Text(a), Tree::Text(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(b) {
                    if let (Part::Name(a), Part::Name(b)) = (a, b) {
                        self.bind_names(a, b);
                    }
                }
            }
            (Tree::List(a), Tree::List(b)) => a.iter().zip(b).for_each(|(a, b)| self.bind(a, b)),
            (Tree::Object(a), Tree::Object(b)) => {
                for (name, a) in a {
                    if let Some((_, b)) = b.iter().find(|(other, _)| other == name) {
                        self.bind(a, b);
                    }
                }
            }
            _ => {}
        }
    }

    fn bind_names(&mut self, a: &Name, b: &Name) {
        let (key_a, key_b) = ((a.noun, a.value.clone()), (b.noun, b.value.clone()));
        if a.noun == b.noun && !self.to_after.contains_key(&key_a) && !self.to_before.contains_key(&key_b) {
            self.to_after.insert(key_a, b.value.clone());
            self.to_before.insert(key_b, a.clone());
        }
    }
}

/// Where it is, and both messages with the differing members between `>>` and `<<`, each on one line.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::block(self, usize::MAX))
    }
}

/// Shows single messages as the canonical form of a tape shows them, with the same numbers for the same names.
#[derive(Clone, Debug)]
pub struct Namer(Names);

impl Namer {
    /// Numbers the names of a tape.
    #[must_use]
    pub fn of(tape: &Tape) -> Self {
        Self(Canonical::of(tape).names())
    }

    /// A message, or an event of the transcript, in canonical form. What is no JSON is shown as text.
    pub fn show(&mut self, from: Side, text: &str) -> Value {
        canonical::single(from, text).value(&mut |name| self.0.number(name))
    }
}
