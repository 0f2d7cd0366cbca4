//! The second pass: secrets that were seen, now or before, in all that is kept.

use super::known::Scope;
use super::policy::{self, Grammar, Place, Rule};
use super::{CHANNEL_PREFIX, Keep, Redactor, SERVICES, words};
use crate::json::Node;
use crate::token::{self, Class};

impl Redactor {
    /// Searches each text as its rule has it. Words of the closed lists stay even if they are somebody's password: replaced they
    /// would tell it.
    pub(super) fn scrub_node(&mut self, node: Node, rule: Rule) -> Node {
        match node {
            Node::Text(text) => Node::Text(self.scrub_value(text, rule)),
            Node::List(items) => Node::List(items.into_iter().map(|item| self.scrub_node(item, rule)).collect()),
            Node::Object(members) => {
                let scrubbed = members.into_iter().map(|(name, node)| {
                    let rule = self.policy.rule_within(rule, &name);
                    (self.scrub_name(name), self.scrub_node(node, rule))
                });
                Node::Object(scrubbed.collect())
            }
            Node::Plain(_) | Node::Opaque(_) => node,
        }
    }

    pub(super) fn scrub_value(&mut self, text: String, rule: Rule) -> String {
        match rule {
            // A number may happen to be somebody's alias, or even a password.
            Rule::Keep(_) if policy::is_digits(&text) => text,
            Rule::Keep(
                Grammar::Id
                | Grammar::Digits
                | Grammar::Moment
                | Grammar::Timestamp
                | Grammar::Version
                | Grammar::Endings
                | Grammar::Small
                | Grammar::Vocabulary,
            ) => self.scrub(text, Scope::Credentials),
            Rule::Keep(Grammar::Word | Grammar::Kind) => self.scrub_word(text),
            Rule::Keep(Grammar::Channel) if text.starts_with('/') => self.scrub_channel(&text),
            Rule::Keep(Grammar::Error) => self.scrub_error(text),
            Rule::Keep(Grammar::Channel | Grammar::ChatAdvice) | Rule::Hide(_) | Rule::Inside(_) => {
                self.scrub_text(text)
            }
        }
    }

    /// A text that somebody wrote, if such are kept.
    fn scrub_text(&self, text: String) -> String {
        if self.keep != Keep::Texts {
            return self.scrub(text, Scope::Secrets);
        }
        let scrubbed = self.scrub(text, Scope::Texts);
        if policy::is_vocabulary(&scrubbed) || token::whole(&scrubbed).is_some() {
            return scrubbed;
        }
        self.known.scrub_words(&scrubbed, Scope::Texts, |class, value| token::token(&self.key, class, value))
    }

    fn scrub_error(&mut self, error: String) -> String {
        let Some((code, arguments, words)) = policy::error_parts(&error) else { return self.scrub_text(error) };
        let arguments: Vec<String> = arguments
            .split(',')
            .map(|argument| match argument.starts_with('/') {
                true => self.scrub_channel(argument),
                false => self.scrub_word(argument.to_owned()),
            })
            .collect();
        format!("{code}:{}:{}", arguments.join(","), self.scrub_text(words.to_owned()))
    }

    /// The name of a member that no list has is hidden if a known secret stands in it.
    pub(super) fn scrub_name(&self, name: String) -> String {
        let by_right = self.policy.names_member(&name) || words::is_name(&name) || words::is_place(&name);
        if by_right || policy::keeps_name(Place::UserData, &name) { name } else { self.scrub_word(name) }
    }

    pub(super) fn scrub_channel(&mut self, channel: &str) -> String {
        let service = channel.strip_prefix(CHANNEL_PREFIX).map(str::to_owned);
        let segments: Vec<String> = channel
            .split('/')
            .map(|segment| {
                if words::is_segment(segment) {
                    return segment.to_owned();
                }
                if self.services.contains(segment) {
                    return self.scrub(segment.to_owned(), Scope::Credentials);
                }
                let kept = self.scrub_word(segment.to_owned());
                if service.as_deref() == Some(&kept) && self.services.len() < SERVICES {
                    self.services.insert(kept.clone());
                }
                kept
            })
            .collect();
        segments.join("/")
    }

    /// Hides a whole word in which a known secret of any class stands.
    fn scrub_word(&self, word: String) -> String {
        if policy::is_vocabulary(&word) || token::whole(&word).is_some() {
            return word;
        }
        let token = |class, value: &str| token::token(&self.key, class, value);
        let scrubbed = self.known.scrub_words(&self.scrub(word.clone(), Scope::Secrets), Scope::Secrets, token);
        if scrubbed == word || token::whole(&scrubbed).is_some() {
            return scrubbed;
        }
        token::token(&self.key, Class::Unknown, &word)
    }

    /// Searches a kept text for known secrets. These are not counted: they were, where they were learned.
    pub(super) fn scrub(&self, text: String, scope: Scope) -> String {
        if policy::is_vocabulary(&text) || token::whole(&text).is_some() {
            return text;
        }
        let key = &self.key;
        let token = |class, value: &str| token::token(key, class, value);
        self.known.scrub(&text, scope, token).unwrap_or(text)
    }
}
