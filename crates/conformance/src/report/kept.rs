//! A `result.json` that is read back: what each entry of a run came to, and what was expected of it.
//!
//! Counts, coverage and the exit code are not taken over: they follow from the entries.

use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Side, Transport};
use serde::Deserialize;

use super::json::FORMAT;
use crate::cases::case;
use crate::conclude::{CaseResult, Consequence, Reason, Witness};
use crate::rules::rule;
use crate::run::Chats;
use crate::verdict::{Ending, Kind};

/// A run as its `result.json` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The target as it was named.
    pub target: String,
    /// Whether it ran to its end.
    pub is_complete: bool,
    /// Every entry, with the reason why its departure was expected.
    pub results: Vec<(CaseResult, Option<String>)>,
    /// The names of the entries that did not come to the same verdict each time.
    pub unsteady: Vec<String>,
}

/// Why a text is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It is no `result.json`.
    #[error("{0}")]
    Syntax(String),
    /// Another format.
    #[error("it has format {0}, and this version reads format {FORMAT}")]
    Format(u64),
    /// A word that means nothing here.
    #[error("{what} `{word}` does not exist in this version")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The word.
        word: String,
    },
}

/// Only the members that are needed; the schema has all of them.
#[derive(Deserialize)]
struct File {
    target: String,
    complete: bool,
    cases: Vec<Entry>,
    unsteady: Vec<Unsteady>,
}

#[derive(Deserialize)]
struct Versioned {
    format: u64,
}

#[derive(Deserialize)]
struct Unsteady {
    entry: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    transport: String,
    verdict: String,
    expected: Option<String>,
    judged: Vec<Judged>,
    reason: Option<Why>,
    consequences: Vec<Other>,
    evidence: Vec<Frame>,
    ending: Option<String>,
    took_ms: u64,
}

#[derive(Deserialize)]
struct Judged {
    requirement: String,
    verdict: String,
}

#[derive(Deserialize)]
struct Other {
    verdict: String,
    reason: Why,
    evidence: Vec<Frame>,
}

#[derive(Deserialize)]
struct Why {
    requirement: Option<String>,
    rule: Option<String>,
    root: Option<String>,
    expected: Option<String>,
    observed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    entry: usize,
    message: Option<usize>,
    at_ms: u64,
    from: String,
    channel: Option<String>,
    text: String,
}

impl Kept {
    /// Reads the text of a `result.json`. The chats of its entries are not in it.
    ///
    /// # Errors
    ///
    /// [`KeptError`], the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, KeptError> {
        let syntax = |error: serde_json::Error| KeptError::Syntax(error.to_string());
        let Versioned { format } = serde_json::from_str(text).map_err(syntax)?;
        if format != u64::from(FORMAT) {
            return Err(KeptError::Format(format));
        }
        let file: File = serde_json::from_str(text).map_err(syntax)?;
        let results = file.cases.into_iter().map(result).collect::<Result<_, _>>()?;
        let unsteady = file.unsteady.into_iter().map(|unsteady| unsteady.entry).collect();
        Ok(Self { target: file.target, is_complete: file.complete, results, unsteady })
    }
}

fn result(entry: Entry) -> Result<(CaseResult, Option<String>), KeptError> {
    let case = case(&entry.id).ok_or_else(|| unknown("case", &entry.id))?;
    let transport = named("transport", &entry.transport, &Transport::ALL, Transport::name)?;
    let judged = entry.judged.iter().map(|judged| Ok((judged.requirement.clone(), kind(&judged.verdict)?)));
    let result = CaseResult {
        case,
        transport,
        verdict: kind(&entry.verdict)?,
        reason: entry.reason.map(reason).transpose()?,
        consequences: entry.consequences.into_iter().map(consequence).collect::<Result<_, _>>()?,
        clauses: judged.collect::<Result<_, _>>()?,
        evidence: entry.evidence.into_iter().map(witness).collect::<Result<_, _>>()?,
        ending: entry.ending.map(|word| named("ending", &word, &Ending::ALL, Ending::name)).transpose()?,
        chats: Chats::default(),
        took: Duration::from_millis(entry.took_ms),
    };
    Ok((result, entry.expected))
}

fn consequence(other: Other) -> Result<Consequence, KeptError> {
    let evidence = other.evidence.into_iter().map(witness).collect::<Result<_, _>>()?;
    Ok(Consequence { kind: kind(&other.verdict)?, reason: reason(other.reason)?, evidence })
}

fn reason(why: Why) -> Result<Reason, KeptError> {
    let rule = why.rule.map(|id| rule(&id).map(|rule| rule.id).ok_or_else(|| unknown("rule", &id))).transpose()?;
    let Why { requirement, root, expected, observed, .. } = why;
    Ok(Reason { requirement, rule, root, expected, observed })
}

fn witness(frame: Frame) -> Result<Witness, KeptError> {
    let from = match frame.from.as_str() {
        "client" => Side::Client,
        "server" => Side::Server,
        other => return Err(unknown("side", other)),
    };
    let Frame { entry, message, at_ms, channel, text, .. } = frame;
    Ok(Witness { entry, message, at: Time::from_millis(at_ms), from, channel, text })
}

fn kind(word: &str) -> Result<Kind, KeptError> {
    named("verdict", word, &Kind::ALL, Kind::name)
}

fn named<T: Copy>(what: &'static str, word: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T, KeptError> {
    all.iter().copied().find(|one| name(*one) == word).ok_or_else(|| unknown(what, word))
}

fn unknown(what: &'static str, word: &str) -> KeptError {
    KeptError::Unknown { what, word: word.to_owned() }
}
