//! Passive rules: what any conversation, whoever held it, shows to be broken.
//!
//! A rule is a pure function over the stream of redacted wire entries. It drives nothing and knows no target. A stream may
//! begin and end in mid-conversation and hold several clients and chats; what lies outside of it is never held against
//! anybody.

mod conversation;
mod envelope;
mod files;
mod replies;
mod sessions;
mod chats;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use protocol::bayeux::batch::Batch;
use protocol::violation::Violation;
use protocol::wire::Entry;

use self::conversation::{Conversation, Seen};
use crate::requirements::{Binds, Catalogue, Requirement};
use crate::verdict::Kind;

/// A rule that is broken, and where. Whoever sent the entry broke it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Index into the entries.
    pub entry: usize,
    /// Position in the entry's batch; `None` means the entry as a whole.
    pub message: Option<usize>,
    /// The rule's id.
    pub rule: &'static str,
    /// One sentence. Of the entry's values it holds ids, numbers and tokens only.
    pub says: String,
}

/// A rule as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Dotted, the id of a [`Violation`].
    pub id: &'static str,
    /// What is wrong when the rule is broken, in one sentence.
    pub says: &'static str,
    /// Who is bound.
    pub binds: Binds,
    /// What breaking it amounts to: the worst of its requirements.
    pub kind: Kind,
    /// The ids of the requirements that it judges.
    pub requirements: Vec<String>,
    /// Whether one message shows it, whatever came before and after. Another rule is broken only if nothing is missing between.
    pub by_itself: bool,
}

static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| Violation::ALL.iter().filter_map(|violation| known(*violation)).collect());

/// Every rule.
#[must_use]
pub fn rules() -> &'static [Rule] {
    &RULES
}

/// The rule of a violation, as the catalogue knows it.
fn known(violation: Violation) -> Option<Rule> {
    let judged: Vec<&Requirement> = Catalogue::get().of_rule(violation.id()).collect();
    let first = judged.first()?;
    let binds =
        if judged.iter().all(|requirement| requirement.binds == first.binds) { first.binds } else { Binds::Both };
    Some(Rule {
        id: violation.id(),
        says: violation.describe(),
        binds,
        kind: judged.iter().map(|requirement| requirement.kind_if_broken()).min()?,
        requirements: judged.iter().map(|requirement| requirement.id.clone()).collect(),
        by_itself: envelope::shows_by_itself(violation),
    })
}

/// The rule with this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// What was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is broken, in the order of the entries.
    pub findings: Vec<Finding>,
    /// How many Bayeux messages there were.
    pub messages: usize,
    /// How many sessions, by their `clientId`.
    pub sessions: usize,
    /// How many chats, by their `secureKey` or `chatId`.
    pub chats: usize,
}

/// Judges a stream of redacted entries by every rule.
#[must_use]
pub fn judge(entries: &[Entry]) -> Vec<Finding> {
    survey(entries).findings
}

/// Judges a stream of redacted entries by every rule, and counts what there was to judge.
#[must_use]
pub fn survey(entries: &[Entry]) -> Judgement {
    let conversation = Conversation::of(entries);
    let mut findings = Findings::default();
    envelope::judge(&conversation, &mut findings);
    replies::judge(&conversation, &mut findings);
    sessions::judge(&conversation, &mut findings);
    let chats = chats::judge(&conversation, &files::halves(entries), &mut findings);
    envelope::judge_shapes(&conversation, &mut findings);
    Judgement {
        findings: findings.into_list(),
        messages: conversation.seen.len(),
        sessions: conversation.sessions.len(),
        chats,
    }
}

/// The text of a message of an entry, as it stands there.
pub(crate) fn message_text(entry: &Entry, position: usize) -> Option<String> {
    Batch::carried(&entry.wire).get(position).map(|message| message.text().to_owned())
}

/// What is broken: one rule is broken by one message, or one entry, once, whatever the number of places.
#[derive(Debug, Default)]
struct Findings(BTreeMap<(usize, Option<usize>, &'static str), String>);

impl Findings {
    /// Notes that a message breaks a rule.
    fn add(&mut self, seen: &Seen, broken: Violation, says: impl Into<String>) {
        self.0.entry((seen.entry, Some(seen.position), broken.id())).or_insert_with(|| says.into());
    }

    /// Notes that an entry as a whole breaks a rule.
    fn add_entry(&mut self, entry: usize, broken: Violation, says: impl Into<String>) {
        self.0.entry((entry, None, broken.id())).or_insert_with(|| says.into());
    }

    fn has(&self, seen: &Seen, broken: Violation) -> bool {
        self.0.contains_key(&(seen.entry, Some(seen.position), broken.id()))
    }

    fn has_entry(&self, entry: usize, broken: Violation) -> bool {
        self.0.contains_key(&(entry, None, broken.id()))
    }

    fn into_list(self) -> Vec<Finding> {
        let finding = |((entry, message, rule), says)| Finding { entry, message, rule, says };
        self.0.into_iter().map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn every_violation_is_a_rule_and_every_rule_of_the_catalogue_a_violation() {
        let known: BTreeSet<&str> = Violation::ALL.iter().map(|violation| violation.id()).collect();
        assert_eq!(Catalogue::get().rules(), known);
    }
}
