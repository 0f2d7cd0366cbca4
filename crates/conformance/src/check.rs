//! Judges a tape by the passive rules and tells what was found, for a person and for a program.
//!
//! It knows neither files nor terminals: a tape comes in, texts go out.

use std::fmt::Write as _;

use protocol::time::Time;
use protocol::wire::Side;
use recording::tape::{Located, Mark, Status, Tape, missing};
use serde_json::{Value, json};

use crate::rules::{self, Finding, Rule};
use crate::verdict::Kind;

/// How much of a message is shown, in characters.
const SHOWN: usize = 240;

/// A rule that is broken, with its place on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: &'static Rule,
    /// What that amounts to: as the rule says, but inconclusive where it may come of what is missing on the tape.
    pub kind: Kind,
    /// Who broke it.
    pub side: Side,
    /// The line of the file.
    pub line: usize,
    /// When it crossed the wire.
    pub at: Time,
    /// What is wrong, in one sentence.
    pub says: String,
    /// The message as it stands on the tape; `None` if the unit as a whole is meant.
    pub message: Option<String>,
}

/// What judging a tape gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Whether the tape is whole.
    pub status: Status,
    /// How many bytes were cut off at a torn end.
    pub torn: usize,
    /// What the tape says is missing on it.
    pub losses: Vec<Mark>,
    /// How many Bayeux messages were judged.
    pub messages: usize,
    /// How many sessions they belong to.
    pub sessions: usize,
    /// How many chats.
    pub chats: usize,
    /// What is broken, in the order of the tape.
    pub breaches: Vec<Breach>,
}

/// Judges a tape by every rule. Where the tape says that something is missing, only what a message shows by itself is held against
/// anybody.
#[must_use]
pub fn check(tape: &Tape) -> CheckReport {
    let losses = tape.losses();
    let located = tape.located();
    let entries: Vec<_> = located.iter().map(|located| located.entry.clone()).collect();
    let judgement = rules::survey(&entries);
    CheckReport {
        status: tape.status(),
        torn: tape.torn(),
        messages: judgement.messages,
        sessions: judgement.sessions,
        chats: judgement.chats,
        breaches: judgement.findings.into_iter().filter_map(|it| breach(&located, it, losses.is_empty())).collect(),
        losses,
    }
}

fn breach(located: &[Located], finding: Finding, is_whole: bool) -> Option<Breach> {
    let unit = located.get(finding.entry)?;
    let line = finding.message.and_then(|message| unit.inner.get(message)).copied().unwrap_or(unit.line);
    let message = finding.message.and_then(|message| rules::message_text(&unit.entry, message));
    let rule = rules::rule(finding.rule)?;
    let kind = match rule.kind {
        Kind::Fail | Kind::Deviation if !is_whole && !rule.by_itself => Kind::Inconclusive,
        kind => kind,
    };
    Some(Breach { rule, kind, side: unit.entry.from, line, at: unit.entry.at, says: finding.says, message })
}

impl CheckReport {
    /// How many breaches amount to this.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.breaches.iter().filter(|breach| breach.kind == kind).count()
    }

    /// The exit code for this tape: 1 for a broken requirement, 3 if nothing is surely wrong but something is missing, else 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.count(Kind::Fail) + self.count(Kind::Deviation) > 0 {
            1
        } else if self.messages == 0 || self.status != Status::Complete || !self.losses.is_empty() {
            3
        } else {
            0
        }
    }

    /// One block for each breach, then what was judged and how the tape ends. `name` is what the reader calls the tape.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let mut text = String::new();
        for breach in &self.breaches {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{}: {} ({})\n  {name} line {}, {} s, {} {}",
                breach.kind.name(),
                breach.rule.id,
                breach.rule.requirements.join(", "),
                breach.line,
                breach.at,
                breach.side.arrow(),
                side(breach.side),
            );
            let _ = writeln!(text, "  {}", breach.says);
            if let Some(message) = &breach.message {
                let _ = writeln!(text, "  {}", shortened(message));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{name}: {}", self.summary());
        text
    }

    /// What was judged, what came of it and how the tape ends, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let end = match self.status {
            Status::Complete => "the tape is complete".to_owned(),
            Status::GoesOn { part } => format!("the recording goes on in part {part}, which was not judged"),
            Status::Aborted => "the recording was cut short".to_owned(),
            Status::Interrupted if self.torn > 0 => {
                format!("the tape is interrupted, {} of its end cut off", counted(self.torn, "byte"))
            }
            Status::Interrupted => "the tape is interrupted".to_owned(),
        };
        let end = match (missing(&self.losses), self.status) {
            (None, _) => end,
            (Some(missing), Status::Complete) => missing,
            (Some(missing), _) => format!("{end}; {missing}"),
        };
        if self.messages == 0 {
            return format!("nothing to judge: no Bayeux message; {end}");
        }
        let doubtful = match self.count(Kind::Inconclusive) {
            0 => String::new(),
            count => format!(", {count} inconclusive"),
        };
        format!(
            "{} of {} and {} judged by {}: {} fail, {} deviation, {} observed{doubtful}; {end}",
            counted(self.messages, "message"),
            counted(self.sessions, "session"),
            counted(self.chats, "chat"),
            counted(rules::rules().len(), "rule"),
            self.count(Kind::Fail),
            self.count(Kind::Deviation),
            self.count(Kind::Observed),
        )
    }

    /// The same for a program.
    #[must_use]
    pub fn json(&self, name: &str) -> Value {
        let breaches: Vec<Value> = self
            .breaches
            .iter()
            .map(|breach| {
                json!({
                    "rule": breach.rule.id,
                    "verdict": breach.kind.name(),
                    "requirements": breach.rule.requirements,
                    "side": side(breach.side),
                    "line": breach.line,
                    "t": breach.at.as_micros(),
                    "says": breach.says,
                    "message": breach.message.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
                })
            })
            .collect();
        let missing: Vec<Value> = self.losses.iter().map(Mark::json).collect();
        json!({
            "tape": name,
            "status": self.status.word(),
            "next": self.status.next(),
            "torn": self.torn,
            "missing": missing,
            "messages": self.messages,
            "sessions": self.sessions,
            "chats": self.chats,
            "rules": rules::rules().len(),
            "counts": {
                "fail": self.count(Kind::Fail),
                "deviation": self.count(Kind::Deviation),
                "observed": self.count(Kind::Observed),
                "inconclusive": self.count(Kind::Inconclusive),
            },
            "findings": breaches,
            "exit": self.exit_code(),
        })
    }
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn shortened(message: &str) -> String {
    let mut shown: String = message.chars().take(SHOWN).collect();
    if shown.len() < message.len() {
        shown.push_str(" ...");
    }
    shown
}
