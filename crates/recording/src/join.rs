//! The parts of a recording put together: the tape that it would be if it had gone into one file.
//!
//! What a part only repeats is left out, counters go on, and the last line is made anew. Everything else stays as it stands,
//! kinds and members that nobody knows here too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::json::{members, quoted, text_of};
use crate::tape::{Kind, Part, Record, Status, Tape, hash_of};

/// A recording in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The tape.
    pub bytes: Vec<u8>,
    /// How it ends: as the last part given does.
    pub status: Status,
}

/// Why tapes cannot be joined. Parts are named by their number, tapes by their place among those given, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// There is nothing to join.
    #[error("there are no parts")]
    Nothing,
    /// A tape that is whole by itself.
    #[error("it is no part of a recording, but all of one")]
    Whole {
        /// Which tape.
        tape: usize,
    },
    /// A part of something else.
    #[error("it is a part of another recording")]
    Foreign {
        /// Which tape.
        tape: usize,
    },
    /// The same part again.
    #[error("it is part {number} of the recording, which is there already")]
    Twice {
        /// Which tape.
        tape: usize,
        /// Its number.
        number: u64,
    },
    /// A part is not there.
    #[error("part {number} of the recording is missing")]
    Missing {
        /// Its number.
        number: u64,
    },
    /// A part does not end where the next one begins.
    #[error("part {number} of the recording has {found} of its {expected} records")]
    Damaged {
        /// Which tape.
        tape: usize,
        /// Its number.
        number: u64,
        /// How many records it should have without its last line.
        expected: u64,
        /// How many it has.
        found: u64,
    },
}

impl JoinError {
    /// Which of the tapes it is about, if it is about one.
    #[must_use]
    pub const fn tape(&self) -> Option<usize> {
        match self {
            Self::Nothing | Self::Missing { .. } => None,
            Self::Whole { tape } | Self::Foreign { tape } | Self::Twice { tape, .. } | Self::Damaged { tape, .. } => {
                Some(*tape)
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Nothing => "name the parts of a recording",
            Self::Whole { .. } => "leave it out: it can be read as it is",
            Self::Foreign { .. } => "`tapestry tape head` shows the id of the recording: all its parts have the same",
            Self::Twice { .. } => "name each part once",
            Self::Missing { .. } => "name all parts from the first one on",
            Self::Damaged { .. } => {
                "take the file from its origin again, or join the parts before it and judge what is there"
            }
        }
    }
}

/// Joins the parts of a recording, given in any order. Only the last one may be torn: the result is torn there, too. If the
/// recording goes on behind it, the result says so as that part does.
///
/// # Errors
///
/// [`JoinError`] if they are not all parts, from the first one on, of one recording.
pub fn join(tapes: &[Tape]) -> Result<Joined, JoinError> {
    let parts = sorted(tapes)?;
    let last = parts.len() - 1;
    let mut joining = Joining::new(tapes[parts[0].0].header_text());
    for (place, (tape, _)) in parts.iter().enumerate() {
        for record in tapes[*tape].records() {
            joining.take(record, place == last);
        }
    }
    Ok(Joined { bytes: joining.text.into_bytes(), status: tapes[parts[last].0].status() })
}

/// The tapes by the number of their part, each held against the one that follows.
fn sorted(tapes: &[Tape]) -> Result<Vec<(usize, Part)>, JoinError> {
    if tapes.is_empty() {
        return Err(JoinError::Nothing);
    }
    let mut parts = Vec::new();
    let mut numbers = BTreeSet::new();
    for (tape, read) in tapes.iter().enumerate() {
        let header = read.header();
        let part = header.part.ok_or(JoinError::Whole { tape })?;
        if header.id != tapes[0].header().id || header.key_id != tapes[0].header().key_id {
            return Err(JoinError::Foreign { tape });
        }
        if !numbers.insert(part.number) {
            return Err(JoinError::Twice { tape, number: part.number });
        }
        parts.push((tape, part));
    }
    parts.sort_by_key(|(_, part)| part.number);
    if let Some((number, _)) = (1..).zip(&parts).find(|(number, (_, part))| part.number != *number) {
        return Err(JoinError::Missing { number });
    }
    for pair in parts.windows(2) {
        let [(tape, part), (_, next)] = pair else { continue };
        let ended = tapes[*tape].records().iter().filter(|record| !matches!(record.kind, Kind::End { .. }));
        let (found, expected) = (ended.count() as u64, next.after.saturating_sub(1));
        if found != expected {
            return Err(JoinError::Damaged { tape: *tape, number: part.number, expected, found });
        }
    }
    Ok(parts)
}

/// A tape in the making.
struct Joining {
    text: String,
    counts: BTreeMap<String, u64>,
    n: u64,
    /// The counter of the last unit.
    unit: u64,
}

impl Joining {
    fn new(header: &str) -> Self {
        let members = members(header).unwrap_or_default();
        let kept: Vec<_> = members.into_iter().filter(|(name, _)| name != "part").collect();
        let text = object(kept.iter().map(|(name, raw)| (name.as_str(), raw.get().to_owned())));
        Self { text, counts: BTreeMap::new(), n: 0, unit: 0 }
    }

    fn take(&mut self, record: &Record, is_last: bool) {
        if record.since.is_some() {
            return;
        }
        if let Kind::End { status, redacted, paths, next, .. } = &record.kind {
            // The end of a part is none of the recording, unless the rest is not there.
            if is_last {
                let end = Kind::End {
                    status: *status,
                    counts: std::mem::take(&mut self.counts),
                    redacted: redacted.clone(),
                    paths: paths.clone(),
                    next: *next,
                    hash: hash_of(self.text.as_bytes()),
                };
                self.text.push_str(&end.line(self.n + 1, record.t, None));
            }
            return;
        }
        self.n += 1;
        let inner = matches!(record.kind, Kind::Msg { .. } | Kind::Body { .. });
        if !inner {
            self.unit = self.n;
        }
        let members = members(&record.text).unwrap_or_default();
        let value = |(name, raw): &(String, &RawValue)| match name.as_str() {
            "n" => self.n.to_string(),
            "u" if inner => self.unit.to_string(),
            _ => raw.get().to_owned(),
        };
        let line = object(members.iter().map(|member| (member.0.as_str(), value(member))));
        self.text.push_str(&line);
        *self.counts.entry(text_of(&members, "k").unwrap_or_default()).or_default() += 1;
    }
}

/// A line of a tape.
fn object<'a>(members: impl Iterator<Item = (&'a str, String)>) -> String {
    let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    format!("{{{}}}\n", members.join(","))
}
