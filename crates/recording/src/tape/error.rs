//! Why a file is not a tape, or not one that can be trusted.

/// What is wrong with a file. The text names line and fault, [`ReadError::hint`] says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is nothing in the file.
    #[error("the file is empty")]
    Empty,
    /// The first line is not a tape's header.
    #[error("line 1: not a tape: {found}")]
    NotATape {
        /// What it looks like instead.
        found: &'static str,
    },
    /// The file ends within its first line.
    #[error("line 1: the header is cut off, nothing was recorded")]
    HeaderTorn,
    /// The header lacks a member or has a wrong one.
    #[error("line 1: the header's `{member}` is missing or wrong")]
    Header {
        /// Which member.
        member: &'static str,
    },
    /// A later format.
    #[error("line 1: the tape has format version {found}, this program reads 1.x")]
    NewerVersion {
        /// The version in the header.
        found: String,
    },
    /// A complete line that is no record.
    #[error("line {line}: {what}")]
    Garbage {
        /// The line.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A record lacks a member or has a wrong one.
    #[error("line {line}: `{kind}` record: `{member}` is missing or wrong")]
    Member {
        /// The line.
        line: usize,
        /// The kind of the record.
        kind: String,
        /// Which member.
        member: &'static str,
    },
    /// Lines were removed, repeated or reordered.
    #[error("line {line}: counter `n` is {found} where {expected} must follow")]
    Counter {
        /// The line.
        line: usize,
        /// What must stand there.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// Time runs backwards.
    #[error("line {line}: time `t` is {found}, before the {previous} of the line above")]
    Time {
        /// The line.
        line: usize,
        /// The time of the line before.
        previous: u64,
        /// The time of this line.
        found: u64,
    },
    /// A unit announces more messages than follow.
    #[error("line {line}: the unit of line {unit} has {found} of the {expected} messages that it announces")]
    MessageCount {
        /// Where something else stands.
        line: usize,
        /// The line of the unit.
        unit: usize,
        /// How many it announces.
        expected: usize,
        /// How many follow.
        found: usize,
    },
    /// The bytes are not those that were written.
    #[error("line {line}: the hash in the `end` record does not match the bytes before it")]
    Hash {
        /// The line of the `end` record.
        line: usize,
    },
    /// The counts of the last line are wrong although its hash is right.
    #[error("line {line}: the counts in the `end` record do not match the lines before it")]
    Counts {
        /// The line of the `end` record.
        line: usize,
    },
    /// Something follows the last record.
    #[error("line {line}: a line follows the `end` record")]
    AfterEnd {
        /// The line.
        line: usize,
    },
}

impl ReadError {
    /// The line of the file, from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        match self {
            Self::Empty
            | Self::NotATape { .. }
            | Self::HeaderTorn
            | Self::Header { .. }
            | Self::NewerVersion { .. } => 1,
            Self::Garbage { line, .. }
            | Self::Member { line, .. }
            | Self::Counter { line, .. }
            | Self::Time { line, .. }
            | Self::MessageCount { line, .. }
            | Self::Hash { line }
            | Self::Counts { line }
            | Self::AfterEnd { line } => *line,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::HeaderTorn => "record again: nothing can be recovered from this file",
            Self::NotATape { .. } => {
                "give a file that `tapestry record` wrote; its first line begins with {\"k\":\"hdr\""
            }
            Self::NewerVersion { .. } => "read it with the version of tapestry that wrote it, or a later one",
            Self::Header { .. } => "the header was edited; take the file from its origin again",
            Self::Garbage { .. }
            | Self::Member { .. }
            | Self::Counter { .. }
            | Self::Time { .. }
            | Self::MessageCount { .. } => {
                "the file was edited or damaged; take it from its origin again, or cut it off before this line"
            }
            Self::Hash { .. } | Self::Counts { .. } => {
                "the file was changed after it was recorded; take it from its origin again, or remove the `end` line to \
                 read it as interrupted"
            }
            Self::AfterEnd { .. } => "a file holds one tape: split it behind the `end` record",
        }
    }
}
