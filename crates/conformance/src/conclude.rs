//! From a run to a result: what the case judged, what the rules find in its redacted entries, and the frames that show it.
//!
//! What reaches a report comes from redacted entries alone. Of several things that are wrong the first of the worst kind is
//! the reason; what else is wrong stands under it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::message::Message;
use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport, Wire};

use crate::cases::Case;
use crate::requirements::{Binds, Catalogue, Requirement};
use crate::rules;
use crate::run::{Chats, Outcome};
use crate::verdict::{Ending, Frame, Kind, Stop};

/// How many frames a result shows.
const WITNESSES: usize = 8;

/// How many characters of a message it shows.
const SHOWN: usize = 400;

/// A frame as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Which entry of the run, from 1, pings and pongs not counted.
    pub entry: usize,
    /// Which message of its batch, from 1.
    pub message: Option<usize>,
    /// When it was sent or came.
    pub at: Time,
    /// Who sent it.
    pub from: Side,
    /// The channel of the message.
    pub channel: Option<String>,
    /// The redacted message, or what the entry was.
    pub text: String,
}

/// Why a verdict is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The requirement, if it is about one.
    pub requirement: Option<String>,
    /// The rule that found it, if no check of the case did.
    pub rule: Option<&'static str>,
    /// What blocks the case.
    pub root: Option<String>,
    /// What was to be seen.
    pub expected: Option<String>,
    /// What was seen.
    pub observed: String,
}

impl Reason {
    /// The requirement that blocks the case, if it is one.
    #[must_use]
    pub fn blocker(&self) -> Option<&'static Requirement> {
        self.root.as_ref()?.split_whitespace().next().and_then(|id| Catalogue::get().requirement(id))
    }
}

/// What else an entry shows beside its reason. Shown as one line: `fail BX-CN-11: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// What it amounts to.
    pub kind: Kind,
    /// What it is.
    pub reason: Reason,
    /// The frames that show it.
    pub evidence: Vec<Witness>,
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = &self.reason;
        let what = reason.requirement.as_deref().or(reason.root.as_deref()).unwrap_or("-");
        write!(f, "{} {what}: {}", self.kind, reason.observed)
    }
}

/// What one case came to on one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The case.
    pub case: &'static Case,
    /// The transport.
    pub transport: Transport,
    /// The verdict.
    pub verdict: Kind,
    /// Why, unless it passed.
    pub reason: Option<Reason>,
    /// What else was wrong or observed.
    pub consequences: Vec<Consequence>,
    /// Each requirement that was judged, with what it came to.
    pub clauses: BTreeMap<String, Kind>,
    /// The frames that show it.
    pub evidence: Vec<Witness>,
    /// How the conversation ended, if there was one.
    pub ending: Option<Ending>,
    /// What became of its chats.
    pub chats: Chats,
    /// How long it took.
    pub took: Duration,
}

impl CaseResult {
    /// The result of a case that does not apply.
    #[must_use]
    pub fn not_applicable(case: &'static Case, transport: Transport, why: &str) -> Self {
        Self::unjudged(case, transport, Kind::NotApplicable, why)
    }

    /// The result of a case that is not worth a try, because of what others came to.
    #[must_use]
    pub fn blocked(case: &'static Case, transport: Transport, root: &str, says: &str) -> Self {
        let mut result = Self::unjudged(case, transport, Kind::Blocked, says);
        result.reason = result.reason.map(|reason| Reason { root: Some(root.to_owned()), ..reason });
        result
    }

    /// The result of a case that could not be driven to its end, by a fault of the suite.
    #[must_use]
    pub fn error(case: &'static Case, transport: Transport, says: &str) -> Self {
        Self::unjudged(case, transport, Kind::Error, says)
    }

    /// A result for tests: a verdict, because of a requirement if one is named.
    #[cfg(test)]
    pub(crate) fn sample(case: &'static Case, transport: Transport, verdict: Kind, requirement: Option<&str>) -> Self {
        let mut result = Self::unjudged(case, transport, verdict, "x");
        result.reason =
            result.reason.zip(requirement).map(|(reason, id)| Reason { requirement: Some(id.to_owned()), ..reason });
        result
    }

    pub(crate) fn unjudged(case: &'static Case, transport: Transport, verdict: Kind, says: &str) -> Self {
        let reason = Reason { requirement: None, rule: None, root: None, expected: None, observed: says.to_owned() };
        Self {
            case,
            transport,
            verdict,
            reason: Some(reason),
            consequences: Vec::new(),
            clauses: BTreeMap::new(),
            evidence: Vec::new(),
            ending: None,
            chats: Chats::default(),
            took: Duration::ZERO,
        }
    }

    /// `bayeux.handshake.succeeds@websocket`
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.case.id, self.transport)
    }
}

/// Something that the verdict may rest on.
struct Ground {
    kind: Kind,
    /// Where it was noticed.
    at: usize,
    reason: Reason,
    frames: Vec<Frame>,
}

/// Puts a run and its redacted entries together.
#[must_use]
pub fn conclude(outcome: &Outcome, redacted: &[Entry]) -> CaseResult {
    let counted: Vec<(usize, &Entry)> = redacted
        .iter()
        .enumerate()
        .filter(|(_, entry)| !matches!(entry.wire, Wire::Ping(..) | Wire::Pong(..)))
        .collect();
    let mut clauses: BTreeMap<String, Kind> = BTreeMap::new();
    let mut note = |id: &str, kind: Kind| {
        let worst = clauses.entry(id.to_owned()).or_insert(kind);
        *worst = kind.min(*worst);
    };
    for judged in &outcome.judged {
        note(&judged.requirement().id, judged.kind());
    }
    let mut grounds = grounds_of_case(outcome);
    for ground in grounds_of_rules(outcome.case, redacted, &counted) {
        if let Some(id) = &ground.reason.requirement {
            note(id, ground.kind);
        }
        grounds.push(ground);
    }
    // Of a case that does not apply nothing counts but what is wrong.
    let applies = !matches!(outcome.stop, Some(Stop::NotApplicable { .. }));
    let held = outcome.judged.iter().map(|judged| judged.kind()).filter(|_| applies);
    let verdict = held.chain(grounds.iter().map(|ground| ground.kind)).min().unwrap_or(Kind::Error);
    grounds.sort_by_key(|ground| (ground.kind != verdict, ground.at));
    let mut grounds = grounds.into_iter();
    let first = grounds.next();
    let frames = match &first {
        Some(ground) => with_requests(&ground.frames, &counted),
        None => outcome.judged.iter().flat_map(|judged| judged.frames().iter().copied()).collect(),
    };
    CaseResult {
        case: outcome.case,
        transport: outcome.transport,
        verdict,
        reason: first.map(|ground| ground.reason),
        consequences: grounds.map(|ground| consequence(ground, &counted)).collect(),
        clauses,
        evidence: witnesses(frames, &counted),
        ending: Some(outcome.ending),
        chats: outcome.chats,
        took: outcome.took,
    }
}

/// Everything that the case did not see to hold.
fn grounds_of_case(outcome: &Outcome) -> Vec<Ground> {
    let latest = |frames: &[Frame]| frames.iter().map(|frame| frame.entry).max().unwrap_or(usize::MAX);
    let judged = outcome.judged.iter().filter_map(|judged| {
        let observed = judged.seen()?.to_owned();
        let expected = Some(judged.expected().to_owned()).filter(|expected| !expected.is_empty());
        Some(Ground {
            kind: judged.kind(),
            at: latest(judged.frames()),
            reason: Reason {
                requirement: Some(judged.requirement().id.clone()),
                rule: None,
                root: None,
                expected,
                observed,
            },
            frames: judged.frames().to_vec(),
        })
    });
    let (root, says, frames) = match &outcome.stop {
        // It stands among what was judged.
        None | Some(Stop::Broken(_)) => return judged.collect(),
        Some(Stop::Blocked { root, says, frames }) => (Some(root.clone()), says, frames.clone()),
        Some(Stop::Inconclusive { says, frames } | Stop::NotApplicable { says, frames }) => {
            (None, says, frames.clone())
        }
        Some(Stop::Error(says)) => (None, says, Vec::new()),
    };
    let kind = outcome.stop.as_ref().map_or(Kind::Error, Stop::kind);
    let reason = Reason { requirement: None, rule: None, root, expected: None, observed: says.clone() };
    judged.chain([Ground { kind, at: latest(&frames), reason, frames }]).collect()
}

/// What the rules find in what the peer under test sent. The suite breaks rules itself, on purpose.
fn grounds_of_rules(case: &Case, redacted: &[Entry], counted: &[(usize, &Entry)]) -> Vec<Ground> {
    let (judged, suite) =
        if case.is_of_client() { (Side::Client, Binds::Server) } else { (Side::Server, Binds::Client) };
    let mut by_rule: BTreeMap<&'static str, Vec<rules::Finding>> = BTreeMap::new();
    for finding in rules::judge(redacted) {
        if redacted.get(finding.entry).is_some_and(|entry| entry.from == judged) {
            by_rule.entry(finding.rule).or_default().push(finding);
        }
    }
    let grounds = by_rule.into_iter().filter_map(|(rule, findings)| {
        let mut known = Catalogue::get().of_rule(rule).peekable();
        let unknown = known.peek().is_none();
        let requirement = known.find(|requirement| requirement.binds != suite);
        let (kind, id) = match requirement {
            Some(requirement) => (requirement.kind_if_broken(), Some(requirement.id.clone())),
            None if unknown => (Kind::Error, None),
            // It binds the other side, and that is the suite.
            None => return None,
        };
        let first = findings.first()?;
        let place = |index: usize| counted.iter().position(|(original, _)| *original == index);
        let frames = findings
            .iter()
            .filter_map(|finding| Some(Frame { entry: place(finding.entry)?, message: finding.message }))
            .collect();
        let more = if findings.len() > 1 { format!(" ({} times)", findings.len()) } else { String::new() };
        let observed = match kind {
            Kind::Error => format!("rule `{rule}` is not in the catalogue"),
            _ => format!("{}{more}", first.says),
        };
        Some(Ground {
            kind,
            at: place(first.entry).unwrap_or(usize::MAX),
            reason: Reason { requirement: id, rule: Some(rule), root: None, expected: None, observed },
            frames,
        })
    });
    grounds.collect()
}

/// Frames, and ahead of each reply the request that it answers: what was sent stands beside what came back.
fn with_requests(frames: &[Frame], counted: &[(usize, &Entry)]) -> Vec<Frame> {
    let mut shown: Vec<Frame> = Vec::new();
    for frame in frames.iter().take(WITNESSES) {
        shown.extend(request_of(*frame, counted));
        shown.push(*frame);
    }
    let is_sent = |frame: &Frame| counted.get(frame.entry).is_some_and(|(_, entry)| entry.from == Side::Client);
    if !shown.iter().any(is_sent) {
        shown.extend(frames.first().and_then(|frame| said_before(*frame, counted)));
    }
    shown
}

/// The last message of the client on the channel of a message, ahead of it: what a notification follows, and a reply that
/// names no request.
fn said_before(frame: Frame, counted: &[(usize, &Entry)]) -> Option<Frame> {
    let (_, entry) = counted.get(frame.entry)?;
    let told = Batch::carried(&entry.wire).into_iter().nth(frame.message?)?;
    last_sent(frame.entry, counted, |message| message.channel() == told.channel())
}

/// The last request before a reply that has its channel and its id.
fn request_of(frame: Frame, counted: &[(usize, &Entry)]) -> Option<Frame> {
    let (_, entry) = counted.get(frame.entry).filter(|(_, entry)| entry.from == Side::Server)?;
    let reply = Batch::carried(&entry.wire).into_iter().nth(frame.message?)?;
    let id = reply.id()?;
    last_sent(frame.entry, counted, |message| message.id() == Some(id) && message.channel() == reply.channel())
}

/// The last message of the client ahead of an entry for which a condition holds.
fn last_sent(before: usize, counted: &[(usize, &Entry)], holds: impl Fn(&Message) -> bool) -> Option<Frame> {
    counted.iter().enumerate().take(before).rev().find_map(|(place, (_, entry))| {
        if entry.from != Side::Client {
            return None;
        }
        let message = Batch::carried(&entry.wire).iter().rposition(&holds)?;
        Some(Frame { entry: place, message: Some(message) })
    })
}

fn consequence(ground: Ground, counted: &[(usize, &Entry)]) -> Consequence {
    let evidence = witnesses(with_requests(&ground.frames, counted), counted);
    Consequence { kind: ground.kind, reason: ground.reason, evidence }
}

fn witnesses(mut frames: Vec<Frame>, counted: &[(usize, &Entry)]) -> Vec<Witness> {
    frames.sort();
    frames.dedup();
    frames.truncate(WITNESSES);
    frames.into_iter().filter_map(|frame| witness(frame, counted.get(frame.entry)?.1)).collect()
}

fn witness(frame: Frame, entry: &Entry) -> Option<Witness> {
    let message = frame.message.and_then(|position| Batch::carried(&entry.wire).into_iter().nth(position));
    let text = message.as_ref().map_or_else(|| head(&entry.wire), |message| message.text().to_owned());
    Some(Witness {
        entry: frame.entry.checked_add(1)?,
        message: frame.message.filter(|_| message.is_some()).map(|position| position.saturating_add(1)),
        at: entry.at,
        from: entry.from,
        channel: message.as_ref().and_then(|message| message.channel().map(str::to_owned)),
        text: cut(&text),
    })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// What an entry is, apart from its messages.
fn head(wire: &Wire) -> String {
    match wire {
        Wire::Request(_, request) => format!("{} {}", request.method, request.target),
        Wire::Response(_, response) => format!("HTTP status {}", response.status),
        Wire::Broken(_, failure) => format!("exchange broken: {failure}"),
        Wire::Upgrade(_, request) => format!("WebSocket upgrade {}", request.target),
        Wire::Upgraded(..) => "WebSocket granted".to_owned(),
        Wire::Refused(_, response) => format!("WebSocket refused with status {}", response.status),
        Wire::Text(_, text) => format!("text of {} bytes", text.len()),
        Wire::Binary(_, bytes) => format!("binary message of {} bytes", bytes.len()),
        Wire::Ping(..) => "ping".to_owned(),
        Wire::Pong(..) => "pong".to_owned(),
        Wire::Close(_, close) => format!("close {} {}", close.code, close.reason).trim_end().to_owned(),
        Wire::Lost(_, failure) => format!("socket lost: {failure}"),
    }
}
