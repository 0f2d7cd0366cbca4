//! A replay for a person at a terminal and for a program.

use protocol::time::Time;
use recording::compare::render::{differ, marked};
use recording::tape::{Mark, Status, missing};
use serde_json::{Value, json};

use crate::replay::{Divergence, Replay, What};

impl What {
    /// A word for programs.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::NotSent => "not-sent",
            Self::Refused(_) => "refused",
            Self::Unexpected => "unexpected",
            Self::Differs => "differs",
            Self::NotShown => "not-shown",
            Self::ShownToo => "shown-too",
            Self::ShownOtherwise => "shown-otherwise",
            Self::ReplyToNothing => "reply-to-nothing",
            Self::NeverSaid => "never-said",
            Self::Restless => "restless",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::NotSent => "the client does not send what the tape has".to_owned(),
            Self::Refused(why) => format!("the client cannot do what the application did: {why}"),
            Self::Unexpected => "the client sends what the tape does not have".to_owned(),
            Self::Differs => "the client sends another message than the tape has".to_owned(),
            Self::NotShown => "the client does not show an event that was delivered".to_owned(),
            Self::ShownToo => "the client shows an event that is not next on the tape".to_owned(),
            Self::ShownOtherwise => "the client shows another event than was delivered".to_owned(),
            Self::ReplyToNothing => "the server answers what nobody sent".to_owned(),
            Self::NeverSaid => "the transcript has words of the client that it never sent".to_owned(),
            Self::Restless => "the client does not come to rest".to_owned(),
        }
    }

    /// Whether the messages are events of the transcript.
    const fn is_shown(&self) -> bool {
        matches!(self, Self::NotShown | Self::ShownToo | Self::ShownOtherwise)
    }
}

impl Divergence {
    /// Where it is, what it is, and both messages with the differing members between `>>` and `<<`.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let place = if self.recorded.is_some() { "line" } else { "after line" };
        let mut text = format!("client {}, {place} {}: {}", self.client, self.line, self.what.sentence());
        if !self.members.is_empty() {
            text.push_str(&format!(": {}", differ(&self.members)));
        }
        text.push('\n');
        let (arrow, verb) = if self.what.is_shown() { ("shows", "shows") } else { ("->", "sends") };
        let recorded_arrow = match self.what {
            What::ReplyToNothing | What::NeverSaid | What::NotShown | What::ShownToo | What::ShownOtherwise => "<-",
            _ => "->",
        };
        match &self.recorded {
            Some(value) => {
                text.push_str(&marked(&format!("  tape   {recorded_arrow} "), value, &self.members, width));
            }
            None => text.push_str("  tape   has nothing here\n"),
        }
        match (&self.live, &self.what) {
            (Some(value), _) => text.push_str(&marked(&format!("  client {arrow} "), value, &self.members, width)),
            (None, What::ReplyToNothing | What::NeverSaid | What::Restless) => {}
            (None, _) => text.push_str(&format!("  client {verb} nothing\n")),
        }
        text
    }

    fn json(&self) -> Value {
        let why = match &self.what {
            What::Refused(why) => Some(why),
            _ => None,
        };
        json!({
            "client": self.client,
            "line": self.line,
            "at": self.at.as_micros(),
            "what": self.what.id(),
            "why": why,
            "members": self.members,
            "recorded": self.recorded,
            "live": self.live,
        })
    }
}

impl Replay {
    /// Every divergence, then the notes, then one line of summary, each line at most `width` columns wide where it can be.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let mut text = String::new();
        for divergence in &self.divergences {
            text.push_str(&divergence.text(width));
        }
        for note in &self.notes {
            match note.client {
                0 => text.push_str(&format!("note: {}\n", note.text)),
                client => text.push_str(&format!("note: client {client}, line {}: {}\n", note.line, note.text)),
            }
        }
        let end = format!("to its last complete unit, which ends on line {}", self.last_line);
        text.push_str(&extent(self.status, &end));
        if let Some(missing) = missing(&self.losses) {
            text.push_str(&format!("{missing}; what diverges may come of that\n"));
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// The last line: what was replayed and what came out.
    #[must_use]
    pub fn summary(&self) -> String {
        let statistics = &self.statistics;
        let left_out = match statistics.left_out {
            0 => String::new(),
            number => format!(", {} left out", counted(number, "client")),
        };
        if statistics.messages == 0 {
            return format!("nothing to replay: the tape holds no conversation from its handshake on{left_out}");
        }
        format!(
            "replayed {} in {}: {} and {} compared in {} s of virtual time, {}{left_out}",
            counted(statistics.clients, "client"),
            counted(statistics.sessions, "session"),
            counted(statistics.messages, "message"),
            counted(statistics.events, "event"),
            Time::ZERO + statistics.time,
            counted(self.divergences.len(), "divergence"),
        )
    }

    /// The same for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let statistics = &self.statistics;
        json!({
            "status": self.status.word(),
            "next": self.status.next(),
            "missing": self.losses.iter().map(Mark::json).collect::<Vec<_>>(),
            "clients": statistics.clients,
            "leftOut": statistics.left_out,
            "sessions": statistics.sessions,
            "messages": statistics.messages,
            "events": statistics.events,
            "virtualMicros": u64::try_from(statistics.time.as_micros()).unwrap_or(u64::MAX),
            "divergences": self.divergences.iter().map(Divergence::json).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(|note| json!({"client": note.client, "line": note.line, "text": note.text})).collect::<Vec<_>>(),
            "exit": self.exit_code(),
        })
    }
}

/// How far a tape that is not whole was replayed, as a line; `end` says it of an interrupted one.
pub(crate) fn extent(status: Status, end: &str) -> String {
    match status {
        Status::Complete => String::new(),
        Status::Interrupted => format!("the tape was interrupted; replayed {end}\n"),
        Status::GoesOn { part } => {
            format!("the recording goes on in part {part}; replayed as far as this tape goes\n")
        }
        Status::Aborted => "the recording was cut short; replayed to its end\n".to_owned(),
    }
}

pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
