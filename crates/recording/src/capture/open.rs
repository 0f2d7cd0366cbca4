//! What is open on a tape, so that the next part of the recording can tell it once more.

use std::collections::BTreeMap;

use crate::tape::{Carried, ConnLabel, Kind, Link};

/// A request with longer messages is told again without them.
const LONGEST: usize = 64 << 10;

/// Connections, exchanges without an answer and sockets, as they were told. What it holds is bounded by the number of open
/// connections, since one carries one exchange at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    conns: BTreeMap<ConnLabel, Vec<Told>>,
    /// How far the wall clock has moved in all.
    clock: Option<(u64, String, i64)>,
    order: u64,
}

/// A unit, and when it was told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    order: u64,
    pub(super) at: u64,
    /// The record of the unit, and those of what it carries.
    pub(super) kinds: Vec<Kind>,
}

impl Open {
    /// Takes the records of a unit that was told at a moment.
    pub(super) fn take(&mut self, at: u64, kinds: Vec<Kind>) {
        match kinds.first() {
            Some(Kind::ConnClose { conn, .. }) => drop(self.conns.remove(conn)),
            Some(
                Kind::HttpRes { conn, link, .. } | Kind::HttpErr { conn, link, .. } | Kind::WsErr { conn, link, .. },
            ) => {
                self.forget(*conn, *link);
            }
            Some(Kind::ConnOpen { conn, .. } | Kind::HttpReq { conn, .. } | Kind::WsOpen { conn, .. }) => {
                let conn = *conn;
                self.order += 1;
                self.conns.entry(conn).or_default().push(Told { order: self.order, at, kinds: short(kinds) });
            }
            Some(Kind::Clock { wall, step }) => {
                let before = self.clock.as_ref().map_or(0, |(.., step)| *step);
                self.clock = Some((at, wall.clone(), before + step));
            }
            _ => {}
        }
    }

    fn forget(&mut self, conn: ConnLabel, link: Link) {
        let Some(told) = self.conns.get_mut(&conn) else { return };
        told.retain(|told| link_of(told) != Some(link));
        if told.is_empty() {
            self.conns.remove(&conn);
        }
    }

    /// Everything in the order in which it was told.
    pub(super) fn in_order(&self) -> Vec<Told> {
        let mut told: Vec<Told> = self.conns.values().flatten().cloned().collect();
        told.sort_by_key(|told| told.order);
        let clock = self.clock.clone();
        told.extend(clock.map(|(at, wall, step)| Told { order: 0, at, kinds: vec![Kind::Clock { wall, step }] }));
        told
    }
}

fn link_of(told: &Told) -> Option<Link> {
    match told.kinds.first()? {
        Kind::HttpReq { link, .. } | Kind::WsOpen { link, .. } => Some(*link),
        _ => None,
    }
}

/// Without what it carries, if that is long.
fn short(mut kinds: Vec<Kind>) -> Vec<Kind> {
    let length = |kind: &Kind| match kind {
        Kind::Msg { message, .. } => message.get().len(),
        Kind::Body { content, .. } => content.len(),
        _ => 0,
    };
    if kinds.iter().map(length).sum::<usize>() > LONGEST {
        kinds.truncate(1);
        if let Some(Kind::HttpReq { carried, .. }) = kinds.first_mut() {
            *carried = Carried::Nothing;
        }
    }
    kinds
}

/// The record with the counter that its unit has on another tape.
pub(super) fn of_unit(kind: &Kind, unit: u64) -> Kind {
    let mut kind = kind.clone();
    if let Kind::Msg { unit: old, .. } | Kind::Body { unit: old, .. } = &mut kind {
        *old = unit;
    }
    kind
}
