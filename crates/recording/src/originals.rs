//! What tokens stand for, as far as somebody knows it: whoever says the same again holds his words against their tokens.
//!
//! An entry and its redacted form are walked side by side, and each token is paired with what it replaced. So a tape can be
//! played to somebody who made up his words himself: what comes back to him has his words in the places of their tokens,
//! and the tokens of everybody else's.

mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use protocol::bayeux::http;
use protocol::wire::{Headers, Request, Response, Wire};

use self::walk::{Pair, Walk};
use crate::json::Node;
use crate::redaction::{decoded, percent};
use crate::tape::Mark;
use crate::token::{self, Class};

/// The label of a mark whose first token holds the values of the others.
pub(crate) const HOLDS: &str = "holds";

/// The label of a mark whose first token stands for the same as the other one, in another class.
pub(crate) const SAME: &str = "same";

/// The label of a mark about a token whose value is not of letters and digits alone, as the ids of clients should be.
pub(crate) const ODD: &str = "odd";

/// The shortest value that is searched for in others, in bytes: the shorter ones stand everywhere.
const SHORTEST: usize = 4;

/// How many values a text is said to hold.
const MOST: usize = 16;

/// What a token replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Original {
    /// A text, or a body that is one.
    Text(String),
    /// A number, or JSON that has no value of ours.
    Json(String),
    /// A body or a file.
    Bytes(Vec<u8>),
}

/// Where an entry is not the one that was redacted. It holds values of both as they are, the one of them unredacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where, such as `0.data.operation`; empty for the entry as a whole.
    pub place: String,
    /// What the redacted form has there.
    pub taped: String,
    /// What was said there.
    pub said: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, taped, said } = self;
        if place.is_empty() {
            write!(f, "it is {said}, and the tape has {taped}")
        } else {
            write!(f, "`{place}` is {said}, and the tape has {taped}")
        }
    }
}

/// How two or more tokens belong together: a mark in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What the mark says.
    pub label: &'static str,
    /// The tokens, that of the peer's value first.
    pub tokens: Vec<String>,
}

/// The values that are known. `Debug` shows how many there are.
#[derive(Clone, Default)]
pub struct Originals {
    values: BTreeMap<String, Original>,
    same: BTreeMap<String, String>,
    holds: BTreeMap<String, Vec<String>>,
    odd: BTreeSet<String>,
    /// What stands for values of the peer's that nobody knows, where their tokens would not do.
    made_up: BTreeSet<String>,
    /// The tokens that were searched for what they hold.
    searched: BTreeSet<String>,
    /// The tokens that stand for themselves.
    met: BTreeSet<String>,
}

impl fmt::Debug for Originals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Originals({} values)", self.values.len())
    }
}

impl Originals {
    /// Starts with what the marks of a tape say of its tokens.
    #[must_use]
    pub fn new(marks: &[Mark]) -> Self {
        let mut originals = Self::default();
        for mark in marks {
            match (mark.label.as_str(), mark.tokens.as_slice()) {
                (SAME, [one, other]) => drop(originals.same.insert(one.clone(), other.clone())),
                (HOLDS, [text, words @ ..]) => drop(originals.holds.insert(text.clone(), words.to_vec())),
                (ODD, [token]) => drop(originals.odd.insert(token.clone())),
                _ => {}
            }
        }
        originals
    }

    /// Learns that a token stands for a value.
    pub fn know(&mut self, token: &str, value: &str) {
        if token != value && !token.is_empty() {
            self.values.entry(token.to_owned()).or_insert_with(|| Original::Text(value.to_owned()));
        }
    }

    /// Learns from something that was said and its redacted form.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] if the one is not the redacted form of the other.
    pub fn learn(&mut self, said: &Wire, redacted: &Wire) -> Result<(), Mismatch> {
        for Pair { token, original, .. } in Walk::along(said, redacted, &self.made_up)? {
            self.values.entry(token).or_insert(original);
        }
        Ok(())
    }

    /// Notes the tokens in something that is used as it stands: they stand for themselves.
    pub fn meet(&mut self, redacted: &Wire) {
        let mut meet = |text: &str| self.meet_text(text);
        match redacted {
            Wire::Request(_, Request { target, headers, body, .. })
            | Wire::Upgrade(_, Request { target, headers, body, .. }) => {
                meet(target);
                headers.0.iter().for_each(|(_, value)| meet(value));
                meet(&String::from_utf8_lossy(body));
            }
            Wire::Response(_, Response { headers, body, .. }) | Wire::Refused(_, Response { headers, body, .. }) => {
                headers.0.iter().for_each(|(_, value)| meet(value));
                meet(&String::from_utf8_lossy(body));
            }
            Wire::Upgraded(_, headers) => headers.0.iter().for_each(|(_, value)| meet(value)),
            Wire::Text(_, text) => meet(text),
            Wire::Binary(_, bytes) | Wire::Ping(_, bytes) | Wire::Pong(_, bytes) => {
                meet(&String::from_utf8_lossy(bytes));
            }
            Wire::Close(_, close) => meet(&close.reason),
            Wire::Broken(..) | Wire::Lost(..) => {}
        }
    }

    /// The same about a text, such as the arguments of a call.
    pub fn meet_text(&mut self, text: &str) {
        self.met.extend(token::find(text).into_iter().map(|(range, _)| text[range].to_owned()));
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| token::is_number_token(digits));
        self.met.extend(numbers.map(str::to_owned));
    }

    /// Holds something that was said against its redacted form, token by token: one that was met stands for itself, one
    /// that was said before for what it stood for then, and no two of a class for the same. Only what the speaker made up
    /// himself is new.
    ///
    /// # Errors
    ///
    /// [`Mismatch`]
    pub fn hold(&mut self, said: &Wire, redacted: &Wire) -> Result<(), Mismatch> {
        for Pair { token, original, place } in Walk::along(said, redacted, &self.made_up)? {
            if !self.may_be(&token, &original) {
                let said = match &original {
                    Original::Text(own) | Original::Json(own) => walk::shown(own),
                    Original::Bytes(own) => format!("{} bytes", own.len()),
                };
                return Err(Mismatch { place, taped: walk::shown(&token), said });
            }
            self.values.entry(token).or_insert(original);
        }
        Ok(())
    }

    /// Whether a token may stand for a value, after all that was met and said.
    fn may_be(&self, token: &str, value: &Original) -> bool {
        if let Some(known) = self.values.get(token) {
            return known == value;
        }
        let text = match value {
            Original::Text(text) | Original::Json(text) => text,
            Original::Bytes(_) => "",
        };
        if self.met.contains(token) {
            return text == token;
        }
        let holds_met = token::find(text).into_iter().any(|(range, _)| self.met.contains(&text[range]));
        let class = token::whole(token);
        let is_taken = self.values.iter().any(|(other, known)| known == value && token::whole(other) == class);
        !holds_met && !is_taken
    }

    /// What the peer's entry has to do with the values that are known: which of its texts are or hold one of them, though
    /// their tokens do not say so; and which of its ids have an odd shape. Each token is looked at once.
    pub fn relate(&mut self, came: &Wire, redacted: &Wire) -> Vec<Relation> {
        let Ok(pairs) = Walk::along(came, redacted, &self.made_up) else { return Vec::new() };
        let mut relations = Vec::new();
        for Pair { token, original, .. } in pairs {
            let text = match original {
                Original::Text(text) => text,
                Original::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Original::Json(_) => continue,
            };
            let is_new = token::whole(&token).is_some() && !self.values.contains_key(&token);
            let is_odd = token::whole(&token) == Some(Class::ClientId) && !is_plain(&text);
            if is_odd && self.odd.insert(token.clone()) {
                relations.push(Relation { label: ODD, tokens: vec![token.clone()] });
            }
            if is_new && self.searched.insert(token.clone()) {
                relations.extend(self.relation(token, &text));
            }
        }
        relations
    }

    fn relation(&self, token: String, text: &str) -> Option<Relation> {
        let own = || {
            self.values.iter().filter_map(|(token, original)| match original {
                Original::Text(own) => Some((token, own.as_str())),
                Original::Json(_) | Original::Bytes(_) => None,
            })
        };
        if let Some((same, _)) = own().find(|(_, own)| *own == text) {
            return Some(Relation { label: SAME, tokens: vec![token, same.clone()] });
        }
        let held = own().filter(|(_, own)| own.len() >= SHORTEST && text.contains(own)).take(MOST);
        let held: Vec<String> = held.map(|(token, _)| token.clone()).collect();
        (!held.is_empty()).then(|| Relation { label: HOLDS, tokens: [vec![token], held].concat() })
    }

    /// A redacted entry with the values that are known in the places of their tokens.
    #[must_use]
    pub fn restore(&mut self, redacted: &Wire) -> Wire {
        match redacted {
            Wire::Request(exchange, request) => Wire::Request(*exchange, self.request(request)),
            Wire::Upgrade(socket, request) => Wire::Upgrade(*socket, self.request(request)),
            Wire::Response(exchange, response) => Wire::Response(*exchange, self.response(response)),
            Wire::Refused(socket, response) => Wire::Refused(*socket, self.response(response)),
            Wire::Upgraded(socket, headers) => Wire::Upgraded(*socket, self.headers(headers)),
            Wire::Text(socket, text) => {
                Wire::Text(*socket, String::from_utf8_lossy(&self.body(text.as_bytes())).into_owned())
            }
            other => other.clone(),
        }
    }

    fn request(&mut self, request: &Request) -> Request {
        Request {
            method: request.method.clone(),
            target: self.target(&request.target),
            headers: self.headers(&request.headers),
            body: self.body(&request.body),
        }
    }

    fn target(&mut self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return self.inside(target) };
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => {
                    let value = decoded(value);
                    let value = match Node::parse(&value) {
                        Some(node) => self.node(node).to_string(),
                        None => self.inside(&value),
                    };
                    format!("{}={}", self.inside(name), percent(&value))
                }
                None => self.inside(pair),
            })
            .collect();
        format!("{}?{}", self.inside(path), pairs.join("&"))
    }

    fn response(&mut self, response: &Response) -> Response {
        Response { status: response.status, headers: self.headers(&response.headers), body: self.body(&response.body) }
    }

    fn headers(&mut self, headers: &Headers) -> Headers {
        Headers(headers.0.iter().map(|(name, value)| (name.clone(), self.inside(value))).collect())
    }

    fn body(&mut self, body: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(body) else { return body.to_vec() };
        if let Some(node) = Node::parse(text) {
            return self.node(node).to_string().into_bytes();
        }
        if let Some(call) = http::call(body)
            && let Some(node) = std::str::from_utf8(call.argument).ok().and_then(Node::parse)
        {
            let ahead = self.inside(&String::from_utf8_lossy(call.ahead));
            let argument = self.node(node).to_string();
            return [ahead.as_bytes(), b"(", argument.as_bytes(), b")", call.behind].concat();
        }
        if token::whole(text).is_none() {
            return self.inside(text).into_bytes();
        }
        match self.values.get(text) {
            Some(Original::Text(own) | Original::Json(own)) => own.clone().into_bytes(),
            Some(Original::Bytes(own)) => own.clone(),
            None => self.filler(text),
        }
    }

    /// What stands for a body that nobody knows: so many bytes as it had, no JSON, with the words that it held.
    fn filler(&mut self, token: &str) -> Vec<u8> {
        let held = self.holds.get(token).cloned().unwrap_or_default();
        let words: Vec<String> = held.iter().map(|held| self.text_of(held)).collect();
        let mut filler = words.join(" ").into_bytes();
        filler.resize(token::size(token).unwrap_or(token.len()).max(filler.len()), b'.');
        filler
    }

    fn node(&mut self, node: Node) -> Node {
        match node {
            Node::Text(text) => self.text(&text),
            Node::Plain(plain) => match self.values.get(&plain).filter(|_| token::is_number_token(&plain)) {
                Some(Original::Json(number)) => Node::Plain(number.clone()),
                _ => Node::Plain(plain),
            },
            Node::List(items) => Node::List(items.into_iter().map(|item| self.node(item)).collect()),
            Node::Object(members) => {
                Node::Object(members.into_iter().map(|(name, node)| (self.inside(&name), self.node(node))).collect())
            }
            Node::Opaque(raw) => Node::Opaque(raw),
        }
    }

    fn text(&mut self, text: &str) -> Node {
        match self.values.get(text) {
            Some(Original::Json(raw)) => Node::Opaque(raw.clone()),
            Some(Original::Text(own)) => Node::Text(own.clone()),
            Some(Original::Bytes(own)) => Node::Text(String::from_utf8_lossy(own).into_owned()),
            None => Node::Text(self.inside(text)),
        }
    }

    /// The value of a token, or what comes nearest to it.
    fn text_of(&mut self, token: &str) -> String {
        match self.values.get(token) {
            Some(Original::Text(own) | Original::Json(own)) => return own.clone(),
            Some(Original::Bytes(own)) => return String::from_utf8_lossy(own).into_owned(),
            None => {}
        }
        if let Some(Original::Text(own)) = self.same.get(token).and_then(|same| self.values.get(same)) {
            return own.clone();
        }
        let mut held = self.holds.get(token).cloned().unwrap_or_default();
        held.retain(|held| self.values.contains_key(held));
        if !held.is_empty() {
            let held: Vec<String> = held.iter().map(|held| self.text_of(held)).collect();
            return format!("{} {token}", held.join(" "));
        }
        if token::whole(token) != Some(Class::ClientId) || self.odd.contains(token) {
            return token.to_owned();
        }
        let made_up = token.replace('_', "");
        self.made_up.insert(made_up.clone());
        made_up
    }

    /// A text with the values in the places of the tokens inside it.
    fn inside(&mut self, text: &str) -> String {
        let mut restored = String::new();
        let mut done = 0;
        for range in walk::tokens(text) {
            restored.push_str(&text[done..range.start]);
            restored.push_str(&self.text_of(&text[range.clone()]));
            done = range.end;
        }
        restored.push_str(&text[done..]);
        restored
    }
}

/// Whether a value may be an id of a client: letters and digits (Bayeux 3.5).
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a value may be the one whose length a token tells.
fn fits(token: &str, value: &[u8], made_up: &BTreeSet<String>) -> bool {
    // What holds values of the peer's had another length when it was redacted.
    let own = std::str::from_utf8(value).map_or(true, |text| {
        token::find(text).is_empty() && !made_up.iter().any(|made_up| text.contains(made_up.as_str()))
    });
    match token::size(token).filter(|_| own && token::whole(token) == Some(Class::Text)) {
        Some(size) => size == value.len(),
        None => true,
    }
}
