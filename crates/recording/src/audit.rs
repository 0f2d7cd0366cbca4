//! The audit: proof that a tape holds no free text, by showing that it holds nothing but words of closed lists, tokens and
//! numbers.
//!
//! It does not search for secrets. Whatever is not known to be harmless is a finding, so it is stricter than redaction, which
//! keeps new words of the protocol. A finding tells where a text stands, what it may be and how long it is, never the text.

pub(crate) mod words;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::http::{self, Call, MESSAGE_PARAMETER};
use std::collections::BTreeMap;
use std::fmt;

use crate::json::{Node, members};
use crate::redaction::policy::{self, Field, Grammar, Place, Policy, Rule};
use crate::redaction::{Keep, decoded, words as kept};
use crate::tape::{Kind, ReadError, Record, Status, Tape};
use crate::token::{self, Class};

/// Something on a tape that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line of the file, from 1.
    pub line: usize,
    /// Where in the line, such as `m.data.nickname`. Names that may be secret themselves are left out.
    pub place: String,
    /// What it may be.
    pub guess: &'static str,
    /// How long it is, in characters.
    pub characters: usize,
}

impl Finding {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self.guess.as_bytes() {
            b"a word" | b"a name of a member" => {
                "if it says nothing about anybody, allow it with `--allow WORD`; else take the file out and record again"
            }
            b"everything" => "record again without `--no-redact`; such a tape is for your own eyes",
            b"a comment" | b"a torn end" => "take these bytes out: `tapestry tape cat` prints the tape without them",
            _ => "take the file out of what is shared and record again with this version",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, place, guess, characters } = self;
        let plural = if *characters == 1 { "" } else { "s" };
        write!(f, "line {line}: `{place}` may hold {guess} ({characters} character{plural})")
    }
}

/// What an audit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// How many texts were looked at.
    pub texts: usize,
    /// How many of them were kept on purpose, as the header says.
    pub kept: usize,
}

/// Audits the bytes of a tape. `allowed` are words that the caller knows to be harmless, such as the names of cases.
///
/// # Errors
///
/// [`ReadError`] if it is no tape.
pub fn audit(bytes: &[u8], allowed: &[String]) -> Result<Audit, ReadError> {
    let tape = Tape::read(bytes)?;
    let mut auditor = Auditor {
        policy: Policy::standard(),
        allowed,
        service: tape.header().env.get("service").cloned(),
        keep: tape.header().keep,
        line: 1,
        path: Vec::new(),
        audit: Audit::default(),
    };
    if auditor.keep == Keep::Everything {
        auditor.path = vec!["redact.mode".to_owned()];
        auditor.find("everything", "none");
        return Ok(auditor.audit);
    }
    auditor.header(tape.header_text());
    for record in tape.records() {
        auditor.line = record.line;
        auditor.record(record);
    }
    auditor.rest(bytes, &tape);
    auditor.audit.findings.sort_by_key(|finding| finding.line);
    Ok(auditor.audit)
}

struct Auditor<'a> {
    policy: std::sync::Arc<Policy>,
    allowed: &'a [String],
    /// The service that the header names: a segment of channels.
    service: Option<String>,
    keep: Keep,
    line: usize,
    path: Vec<String>,
    audit: Audit,
}

impl Auditor<'_> {
    fn find(&mut self, guess: &'static str, text: &str) {
        let place = self.path.join(".");
        self.audit.findings.push(Finding { line: self.line, place, guess, characters: text.chars().count() });
    }

    /// Comments and what is torn are no records, but they are in the file.
    fn rest(&mut self, bytes: &[u8], tape: &Tape) {
        let whole = bytes.len() - tape.torn();
        for (at, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.starts_with(b"#") {
                self.line = at + 1;
                self.path = vec!["#".to_owned()];
                self.find("a comment", &String::from_utf8_lossy(line));
            }
        }
        if tape.status() == Status::Interrupted && tape.torn() > 0 {
            self.line = bytes[..whole].iter().filter(|byte| **byte == b'\n').count() + 1;
            self.path = vec!["end of file".to_owned()];
            self.find("a torn end", &String::from_utf8_lossy(&bytes[whole..]));
        }
    }

    fn header(&mut self, text: &str) {
        for (name, raw) in members(text).unwrap_or_default() {
            let Some(node) = Node::parse(raw.get()) else { continue };
            match name.as_str() {
                "seed" if matches!(node, Node::Plain(_)) => {}
                // The names of cases are our own, and the caller knows them.
                "scenario" if node.text().is_some_and(|name| self.is_allowed(name)) => self.audit.texts += 1,
                "start" => self.at("start", |a| a.each_text(&node, Self::wall_time)),
                "id" => {
                    self.at("id", |a| {
                        a.each_text(&node, |a, text| a.check(is_hex(text, &[32]), "a key or an id", text))
                    });
                }
                "k" | "v" | "clock" | "source" | "scenario" => self.at(&name, |a| a.label_node(&node)),
                "part" if is_part(&node) => {}
                "tool" | "redact" => self.at(&name, |a| a.label_members(&node)),
                "env" => self.at("env", |a| a.env(&node)),
                _ => self.at_member(Place::Unknown, &name, |a| a.node(&node, Rule::Inside(Place::Unknown))),
            }
        }
    }

    fn record(&mut self, record: &Record) {
        for (name, raw) in members(&record.text).unwrap_or_default() {
            let Some(node) = Node::parse(raw.get()) else { continue };
            self.record_member(&record.kind, &name, &node);
        }
    }

    fn record_member(&mut self, kind: &Kind, name: &str, node: &Node) {
        match (kind, name) {
            (
                _,
                "n" | "t" | "since" | "u" | "j" | "msgs" | "status" | "opcode" | "code" | "bytes" | "due" | "step"
                | "value" | "tls" | "next" | "synthetic",
            ) if matches!(node, Node::Plain(_)) => {}
            (_, "c" | "x") => {
                self.at(name, |a| a.each_text(node, |a, text| a.check(words::is_link(text), "a word", text)))
            }
            (Kind::HttpReq { .. }, "method") => {
                self.at(name, |a| a.each_text(node, |a, text| a.check(words::is_method(text), "a word", text)));
            }
            (Kind::HttpReq { .. }, "url") => self.at(name, |a| a.each_text(node, Self::target)),
            (_, "headers") => self.at(name, |a| a.headers(node)),
            (Kind::ConnOpen { .. }, "peer") => {
                self.at(name, |a| a.each_text(node, |a, text| a.check(is_host(text), "a host", text)));
            }
            (Kind::Msg { .. }, "m") => self.at(name, |a| a.node(node, Rule::Inside(Place::Message))),
            (Kind::Call { .. }, "args") => self.at(name, |a| a.node(node, Rule::Inside(Place::Data))),
            (Kind::Body { .. }, "text") => {
                // A form keeps its fields, each with a token.
                self.at(name, |a| a.each_text(node, Self::body));
            }
            (Kind::Body { .. }, "mime") => self.at(name, |a| a.each_text(node, Self::field_value)),
            (Kind::Mark { .. }, "tokens") => self.at(name, |a| a.each_text(node, Self::hidden)),
            (Kind::WsCtl { .. }, "payload" | "reason") => self.at(name, |a| a.each_text(node, Self::hidden)),
            (Kind::End { .. }, "hash") => {
                self.at(name, |a| a.each_text(node, |a, text| a.check(is_hash(text), "a key or an id", text)));
            }
            (Kind::End { .. }, "counts" | "redacted") | (Kind::Redacted { .. }, "counts") => {
                self.at(name, |a| a.label_members(node));
            }
            (Kind::End { .. } | Kind::Redacted { .. }, "paths") => {
                self.at(name, |a| a.each_text(node, Self::member_path))
            }
            (Kind::Unknown, name) if name != "k" => {
                self.at_member(Place::Unknown, name, |a| a.node(node, Rule::Inside(Place::Unknown)));
            }
            (
                _,
                "k" | "proto" | "by" | "type" | "batch" | "body" | "status" | "op" | "name" | "use" | "kind" | "where",
            ) => {
                self.at(name, |a| a.label_node(node));
            }
            (Kind::Mark { .. }, "label") => self.at(name, |a| a.each_text(node, Self::sentence)),
            (_, "wall") => self.at(name, |a| a.each_text(node, Self::wall_time)),
            (_, "error" | "params") => self.at(name, |a| a.label_members(node)),
            _ => self.at_member(Place::Unknown, name, |a| a.node(node, Rule::Inside(Place::Unknown))),
        }
    }

    fn at(&mut self, name: &str, work: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        work(self);
        self.path.pop();
    }

    /// Goes to a member whose name may be a secret itself.
    fn at_member(&mut self, place: Place, name: &str, work: impl FnOnce(&mut Self)) {
        let known = match place {
            Place::UserData => policy::keeps_name(place, name),
            _ => self.policy.names_member(name) || kept::is_name(name) || policy::keeps_name(Place::UserData, name),
        };
        if known || token::whole(name).is_some() || self.is_allowed(name) {
            self.at(name, work);
        } else {
            self.path.push("?".to_owned());
            self.find("a name of a member", name);
            work(self);
            self.path.pop();
        }
    }

    fn is_allowed(&self, text: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == text)
    }

    /// A text that is harmless wherever it stands.
    fn is_closed(&self, text: &str) -> bool {
        text.is_empty()
            || policy::is_vocabulary(text)
            || words::is_word(text)
            || token::whole(text).is_some()
            || is_host(text)
            || policy::is_short_number(text)
            || self.is_allowed(text)
    }

    fn check(&mut self, is_harmless: bool, guess: &'static str, text: &str) {
        self.audit.texts += 1;
        if !is_harmless && !self.is_closed(text) {
            self.find(guess, text);
        }
    }

    /// A text at a place where only closed words are.
    fn hidden(&mut self, text: &str) {
        self.check(false, guess(text), text);
    }

    fn each_text(&mut self, node: &Node, look: impl Fn(&mut Self, &str) + Copy) {
        match node {
            Node::Text(text) => look(self, text),
            Node::List(items) => items.iter().for_each(|item| self.each_text(item, look)),
            Node::Object(_) | Node::Opaque(_) => self.node(node, Rule::Inside(Place::Unknown)),
            Node::Plain(_) => {}
        }
    }

    fn node(&mut self, node: &Node, rule: Rule) {
        match node {
            Node::Plain(plain) => self.plain(plain, node.is_number(), rule),
            Node::Text(text) => self.text(text, rule),
            Node::List(items) => items.iter().for_each(|item| self.node(item, rule)),
            Node::Object(members) => {
                for (name, node) in members {
                    let (place, rule) = (rule.place(), self.policy.rule_within(rule, name));
                    self.at_member(place, name, |a| a.node(node, rule));
                }
            }
            Node::Opaque(raw) => self.hidden(raw),
        }
    }

    fn plain(&mut self, plain: &str, is_number: bool, rule: Rule) {
        let digits = plain.bytes().filter(u8::is_ascii_digit).count();
        let guess = match rule {
            Rule::Inside(_) if digits <= policy::SHORT_NUMBER => return,
            Rule::Hide(class) => class_guess(class),
            Rule::Inside(_) => "a telephone number or an id",
            Rule::Keep(grammar) if policy::obeys_as_number(grammar, plain) => return,
            Rule::Keep(Grammar::Small) => class_guess(Class::UserData),
            Rule::Keep(_) => "a key or an id",
        };
        self.audit.texts += 1;
        if is_number && !token::is_number_token(plain) && !self.is_allowed(plain) {
            self.find(guess, plain);
        }
    }

    fn text(&mut self, text: &str, rule: Rule) {
        match rule {
            Rule::Hide(Class::Text) | Rule::Inside(Place::Data) | Rule::Keep(Grammar::ChatAdvice)
                if self.keep == Keep::Texts =>
            {
                self.words(text);
            }
            Rule::Hide(class) => self.check(false, class_guess(class), text),
            Rule::Keep(Grammar::Small) => self.check(false, class_guess(Class::UserData), text),
            Rule::Inside(_) | Rule::Keep(Grammar::Vocabulary) => self.hidden(text),
            Rule::Keep(Grammar::Word | Grammar::Kind) => {
                let known = policy::is_vocabulary_in_any_case(text) || words::is_suite_word(text);
                self.check(known, guess(text), text);
            }
            Rule::Keep(Grammar::Id) => {
                let known = policy::is_message_id(text) || token::is_number_token(text);
                self.check(known, "a key or an id", text);
            }
            Rule::Keep(
                grammar
                @ (Grammar::Digits | Grammar::Moment | Grammar::Endings | Grammar::Version | Grammar::Timestamp),
            ) => {
                self.check(policy::obeys(grammar, text) || token::is_number_token(text), guess(text), text);
            }
            Rule::Keep(Grammar::Channel) => self.channel(text),
            Rule::Keep(Grammar::Error) => self.error(text),
            Rule::Keep(Grammar::ChatAdvice) => self.chat_advice(text),
        }
    }

    fn channel(&mut self, channel: &str) {
        if !channel.starts_with('/') {
            return self.hidden(channel);
        }
        let service = self.service.clone();
        let is_known = |segment: &str| {
            let is_service = service.as_deref() == Some(segment) || words::is_suite_service(segment);
            is_service || kept::is_segment(segment) || words::is_suite_segment(channel, segment)
        };
        let digits = channel.split('/').filter(|segment| !is_known(segment)).map(policy::loose_digits).sum();
        for segment in channel.split('/') {
            let known = is_known(segment);
            if !known && policy::is_number_in_channel(segment, digits) && !self.is_allowed(segment) {
                // It may be a word with a number, such as the name of a service, and that can be allowed.
                let what = if guess(segment) == "a key or an id" { "a word" } else { guess(segment) };
                self.audit.texts += 1;
                self.find(what, segment);
                continue;
            }
            // What no channel may hold stands between words; an address is one word.
            let is_between = |c: char| (' '..='~').contains(&c) && !policy::is_of_channel(c);
            for word in segment.split(|c| !known && !segment.contains('@') && is_between(c)) {
                self.check(known, guess(word), word);
            }
        }
    }

    fn error(&mut self, error: &str) {
        let parts = error.split_once(':').and_then(|(code, rest)| Some((code, rest.split_once(':')?)));
        let Some((code, (arguments, text))) = parts.filter(|_| !self.is_closed(error)) else {
            return self.words(error);
        };
        self.check(code.len() == 3, "a word", code);
        for argument in arguments.split(',') {
            if argument.starts_with('/') { self.channel(argument) } else { self.hidden(argument) }
        }
        self.words(text.trim_start_matches(' '));
    }

    /// What a server says, which may be kept on purpose.
    fn words(&mut self, text: &str) {
        if self.keep == Keep::Texts {
            self.audit.texts += 1;
            self.audit.kept += 1;
        } else {
            self.hidden(text);
        }
    }

    /// Tokens, with `referenceId[...]` between them.
    fn chat_advice(&mut self, advice: &str) {
        for part in advice.split([' ', '[', ']']).filter(|part| *part != "referenceId") {
            self.hidden(part);
        }
    }

    fn target(&mut self, target: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        for segment in path.split('/') {
            self.check(kept::is_segment(segment), guess(segment), segment);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.check(words::is_parameter(name), "a name of a member", name);
            if name != MESSAGE_PARAMETER || !self.messages(decoded(value).as_bytes()) {
                self.hidden(value);
            }
        }
    }

    /// The messages of callback-polling; says whether the text holds any.
    fn messages(&mut self, text: &[u8]) -> bool {
        let Ok(batch) = Batch::parse(text, &Limits::default()) else { return false };
        for message in &batch.messages {
            if let Some(node) = Node::parse(message.text()) {
                self.node(&node, Rule::Inside(Place::Message));
            }
        }
        true
    }

    /// A call of callback-polling: its function and its messages. Says whether it is one.
    fn call(&mut self, text: &str) -> bool {
        let Some(call) = http::call(text.as_bytes()).filter(|call| self.messages(call.argument)) else { return false };
        let (ahead, behind) = (String::from_utf8_lossy(call.ahead), String::from_utf8_lossy(call.behind));
        self.hidden(ahead.strip_prefix(Call::COMMENT).unwrap_or(&ahead));
        if !matches!(&*behind, "" | ";") {
            self.hidden(&behind);
        }
        true
    }

    /// One token, or a form of tokens.
    fn body(&mut self, text: &str) {
        if token::whole(text).is_some() || text.is_empty() {
            return self.hidden(text);
        }
        if self.call(text) {
            return;
        }
        let boundary = format!("--{}", crate::redaction::BOUNDARY);
        if text.starts_with(&boundary) {
            for word in text
                .split(|c: char| c.is_whitespace() || "\";:".contains(c))
                .filter(|word| !word.starts_with(&boundary))
            {
                self.form_word(word.trim_end_matches('='));
            }
        } else {
            for pair in text.split('&') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                for word in name.split("%5B").map(|part| part.trim_end_matches("%5D")) {
                    self.form_word(word);
                }
                self.form_word(&value.replace("%7E", "~").replace("%3D", "="));
            }
        }
    }

    fn form_word(&mut self, word: &str) {
        let inner = word.strip_prefix("userData[").and_then(|word| word.strip_suffix(']')).unwrap_or(word);
        let known =
            words::is_form_word(inner) || policy::keeps_name(Place::UserData, inner) || words::is_media_type(inner);
        self.check(known, guess(inner), inner);
    }

    fn headers(&mut self, node: &Node) {
        let Node::List(fields) = node else { return self.node(node, Rule::Inside(Place::Unknown)) };
        for field in fields {
            let (Some(name), Some(value)) =
                (field.get("name").and_then(Node::text), field.get("value").and_then(Node::text))
            else {
                self.node(field, Rule::Inside(Place::Unknown));
                continue;
            };
            let lower = name.to_ascii_lowercase();
            let Some(treated) = self.policy.field(&lower) else {
                self.find("a name of a member", name);
                self.hidden(value);
                continue;
            };
            self.at(&lower, |a| match treated {
                Field::Keep | Field::Date | Field::Subprotocol => a.field_value(value),
                Field::Host => a.origin(value),
                Field::Cookie | Field::SetCookie => a.cookie(value),
                Field::Credentials => {
                    for word in value.split(' ') {
                        a.check(policy::is_scheme(word), "credentials", word);
                    }
                }
            });
        }
    }

    /// Words of media types, lists and parameters.
    fn field_value(&mut self, value: &str) {
        if self.is_closed(value) {
            self.audit.texts += 1;
            return;
        }
        for word in value.split(kept::FIELD_SEPARATORS) {
            self.check(kept::is_field_word(word) || policy::is_scheme(word), guess(word), word);
        }
    }

    fn origin(&mut self, value: &str) {
        let behind = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://")).unwrap_or(value);
        if matches!(value, "*" | "null") { self.audit.texts += 1 } else { self.target(behind) }
    }

    fn cookie(&mut self, value: &str) {
        for part in value.split(';').map(str::trim) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let is_attribute = words::is_cookie_attribute(name);
            self.check(is_attribute || words::is_cookie(name), "a name of a member", name);
            match name.to_ascii_lowercase().as_str() {
                "path" | "domain" => self.target(value),
                // Older servers write `24-Nov-2026`.
                "expires" => self.field_value(&value.replace('-', " ")),
                _ if is_attribute => self.field_value(value),
                _ => self.check(false, "a cookie", value),
            }
        }
    }

    /// Labels of our own making: words of the format, names of timers and faults.
    fn label(&mut self, label: &str) {
        if self.is_closed(label) {
            self.audit.texts += 1;
            return;
        }
        for word in label.split(|c: char| " ._:/+-".contains(c)) {
            self.check(words::is_label_word(word) || words::is_link(word), guess(word), word);
        }
    }

    fn label_node(&mut self, node: &Node) {
        self.each_text(node, Self::label);
    }

    fn label_members(&mut self, node: &Node) {
        let Node::Object(members) = node else { return self.label_node(node) };
        for (name, node) in members {
            let findings = self.audit.findings.len();
            self.label(name);
            let place = if self.audit.findings.len() > findings { "?" } else { name };
            self.at(place, |a| match (name.as_str(), node.text()) {
                // Whoever builds from an archive has no commit.
                ("git", Some("unknown")) => a.audit.texts += 1,
                ("git", Some(commit)) => a.check(is_hex(commit, &[7, 12, 40]), "a key or an id", commit),
                ("keyId", Some(key)) => a.check(is_key_id(key), "a key or an id", key),
                ("channel", Some(channel)) => a.channel(channel),
                _ => a.label_node(node),
            });
        }
    }

    /// How a client, a case or a recording was set up.
    fn env(&mut self, node: &Node) {
        let Node::Object(members) = node else { return self.label_node(node) };
        for (name, node) in members {
            let is_known = words::is_env_name(name);
            if !is_known {
                self.find("a name of a member", name);
            }
            self.at(if is_known { name } else { "?" }, |a| match (name.as_str(), node.text()) {
                ("service", Some(_)) => {}
                ("base", Some(path)) => a.target(path),
                (_, Some(words)) => {
                    for word in words.split(' ') {
                        // Durations in microseconds, moments in milliseconds.
                        a.check(is_moment(word) || words::is_env_word(word), guess(word), word);
                    }
                }
                (_, None) => a.label_node(node),
            });
        }
    }

    /// What a mark says is known as a whole, so that known words make no text of somebody else's.
    fn sentence(&mut self, label: &str) {
        let known = words::is_sentence(label);
        self.check(known, guess(label), label);
    }

    fn wall_time(&mut self, time: &str) {
        self.check(is_wall_time(time), guess(time), time);
    }

    /// `data.mood`: names that redaction has kept or replaced.
    fn member_path(&mut self, path: &str) {
        for name in path.split('.') {
            let known = self.policy.names_member(name) || kept::is_name(name) || kept::is_place(name);
            self.check(known || policy::keeps_name(Place::UserData, name), "a name of a member", name);
        }
    }
}

/// What a text may be, by its looks.
fn guess(text: &str) -> &'static str {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if policy::looks_like_mail(text) {
        "an e-mail address"
    } else if policy::looks_like_phone(text) {
        "a telephone number"
    } else if text.contains("://") || (text.contains('.') && !text.contains(' ')) {
        "a host or an address"
    } else if text.contains(' ') {
        "a text"
    } else if digits >= 4 {
        "a key or an id"
    } else {
        "a word"
    }
}

const fn class_guess(class: Class) -> &'static str {
    match class {
        Class::SecureKey => "a `secureKey`",
        Class::ClientId => "a `clientId`",
        Class::Cookie => "a cookie",
        Class::Auth => "credentials",
        Class::UserId => "a `userId`",
        Class::ChatId => "a `chatId`",
        Class::Alias => "an `alias`",
        Class::Nickname => "a name of a person",
        Class::Mail => "an e-mail address",
        Class::Phone => "a telephone number",
        Class::Text => "what somebody wrote",
        Class::UserData => "attached data",
        Class::Push => "a device for push notifications",
        Class::File => "an id of a file",
        Class::Reference => "a reference",
        Class::MessageId | Class::OddMessageId => "an id of a message",
        Class::Name | Class::Unknown => "a text that nobody knows",
    }
}

fn is_moment(text: &str) -> bool {
    (1..=13).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_host(text: &str) -> bool {
    text.strip_prefix("$host.").is_some_and(policy::is_short_number)
}

/// The number of a part and the counter behind which it begins.
fn is_part(node: &Node) -> bool {
    let Node::Object(members) = node else { return false };
    members.iter().all(|(name, node)| ["number", "after"].contains(&name.as_str()) && node.is_number())
}

/// The name of a key, as the header has it.
fn is_key_id(text: &str) -> bool {
    text.strip_prefix("k_")
        .is_some_and(|name| name.len() == 10 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix("blake3:").is_some_and(|hex| is_hex(hex, &[64]))
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// `2026-11-23T09:00:00.123Z`
fn is_wall_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let fraction = shape.strip_prefix("0000-00-00T00:00:00").and_then(|rest| rest.strip_suffix('Z'));
    fraction.is_some_and(|fraction| fraction.is_empty() || ".000000000".starts_with(fraction))
}

/// How many findings there are of each kind, for a summary.
#[must_use]
pub fn by_guess(findings: &[Finding]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.guess).or_default() += 1;
    }
    counts
}
