//! An entry beside its redacted form: where they agree, and what each token replaced.

use std::collections::BTreeSet;
use std::ops::Range;

use protocol::bayeux::http;
use protocol::chat::files::{Form, is_target};
use protocol::wire::{Headers, Request, Response, Wire};

use super::{Mismatch, Original, fits};
use crate::json::Node;
use crate::redaction::decoded;
use crate::token;

/// How much of a value is shown, in characters.
const SHOWN: usize = 120;

/// A token with what stands in its place.
pub(super) struct Pair {
    pub(super) token: String,
    pub(super) original: Original,
    /// Where it stands.
    pub(super) place: String,
}

/// The pairs that were found so far, and where the walk is.
pub(super) struct Walk<'a> {
    made_up: &'a BTreeSet<String>,
    pairs: Vec<Pair>,
    place: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Walks along two wire values; gives each token with what it replaced. What is made up has no length of its own.
    pub(super) fn along(said: &Wire, redacted: &Wire, made_up: &'a BTreeSet<String>) -> Result<Vec<Pair>, Mismatch> {
        let mut walk = Self { made_up, pairs: Vec::new(), place: Vec::new() };
        walk.wire(said, redacted)?;
        Ok(walk.pairs)
    }

    fn wire(&mut self, said: &Wire, redacted: &Wire) -> Result<(), Mismatch> {
        let same_link = said.exchange() == redacted.exchange() && said.socket() == redacted.socket();
        match (said, redacted) {
            (Wire::Request(_, said), Wire::Request(_, redacted))
            | (Wire::Upgrade(_, said), Wire::Upgrade(_, redacted))
                if same_link =>
            {
                self.request(said, redacted)
            }
            (Wire::Response(_, said), Wire::Response(_, redacted))
            | (Wire::Refused(_, said), Wire::Refused(_, redacted))
                if same_link =>
            {
                self.response(said, redacted)
            }
            (Wire::Upgraded(_, said), Wire::Upgraded(_, redacted)) if same_link => self.headers(said, redacted),
            (Wire::Text(_, said), Wire::Text(_, redacted)) if same_link => {
                self.body(said.as_bytes(), redacted.as_bytes())
            }
            (Wire::Binary(_, said), Wire::Binary(_, redacted))
            | (Wire::Ping(_, said), Wire::Ping(_, redacted))
            | (Wire::Pong(_, said), Wire::Pong(_, redacted))
                if same_link =>
            {
                self.bytes(said, redacted)
            }
            (Wire::Close(_, said), Wire::Close(_, redacted)) if same_link => {
                self.within("code", |walk| walk.plain(&said.code.to_string(), &redacted.code.to_string()))?;
                self.within("reason", |walk| walk.text(&said.reason, &redacted.reason))
            }
            (Wire::Broken(_, said), Wire::Broken(_, redacted)) | (Wire::Lost(_, said), Wire::Lost(_, redacted))
                if same_link =>
            {
                self.plain(&said.to_string(), &redacted.to_string())
            }
            _ => self.differ(&kind(said), &kind(redacted)),
        }
    }

    fn request(&mut self, said: &Request, redacted: &Request) -> Result<(), Mismatch> {
        self.within("method", |walk| walk.text(&said.method, &redacted.method))?;
        self.within("target", |walk| walk.target(&said.target, &redacted.target))?;
        if is_target(&redacted.target)
            && let (Ok(form), Ok(redacted_form)) =
                (Form::parse(&said.headers, &said.body), Form::parse(&redacted.headers, &redacted.body))
        {
            // The boundary is the tape's own.
            return self.form(&form, &redacted_form);
        }
        self.headers(&said.headers, &redacted.headers)?;
        self.body(&said.body, &redacted.body)
    }

    fn response(&mut self, said: &Response, redacted: &Response) -> Result<(), Mismatch> {
        self.within("status", |walk| walk.plain(&said.status.to_string(), &redacted.status.to_string()))?;
        self.headers(&said.headers, &redacted.headers)?;
        self.body(&said.body, &redacted.body)
    }

    /// Fields that the tape does not have do not matter.
    fn headers(&mut self, said: &Headers, redacted: &Headers) -> Result<(), Mismatch> {
        for (position, (name, value)) in redacted.0.iter().enumerate() {
            let earlier = redacted.0[..position].iter().filter(|(other, _)| other == name).count();
            let own = said.all(name).nth(earlier);
            self.within(name, |walk| match own {
                Some(own) => walk.text(own, value),
                None => walk.differ("missing", value),
            })?;
        }
        Ok(())
    }

    fn target(&mut self, said: &str, redacted: &str) -> Result<(), Mismatch> {
        let (path, query) = said.split_once('?').unwrap_or((said, ""));
        let (redacted_path, redacted_query) = redacted.split_once('?').unwrap_or((redacted, ""));
        self.text(path, redacted_path)?;
        let (pairs, redacted_pairs) = (query.split('&').count(), redacted_query.split('&').count());
        if pairs != redacted_pairs {
            return self.differ(&counted(pairs, "parameter"), &counted(redacted_pairs, "parameter"));
        }
        for (said, redacted) in query.split('&').zip(redacted_query.split('&')) {
            match (said.split_once('='), redacted.split_once('=')) {
                (Some((name, value)), Some((redacted_name, redacted_value))) => {
                    self.text(name, redacted_name)?;
                    let (value, redacted_value) = (decoded(value), decoded(redacted_value));
                    self.within(redacted_name, |walk| walk.body(value.as_bytes(), redacted_value.as_bytes()))?;
                }
                _ => self.text(said, redacted)?,
            }
        }
        Ok(())
    }

    fn form(&mut self, said: &Form, redacted: &Form) -> Result<(), Mismatch> {
        let (fields, redacted_fields): (Vec<_>, Vec<_>) = (said.fields().collect(), redacted.fields().collect());
        if fields.len() != redacted_fields.len() {
            return self.differ(&counted(fields.len(), "field"), &counted(redacted_fields.len(), "field"));
        }
        for ((name, value), (redacted_name, redacted_value)) in fields.into_iter().zip(redacted_fields) {
            self.text(name, redacted_name)?;
            self.within(redacted_name, |walk| walk.text(value, redacted_value))?;
        }
        match (said.file(), redacted.file()) {
            (Some(said), Some(redacted)) => {
                self.within("filename", |walk| walk.text(&said.name, &redacted.name))?;
                self.within("file", |walk| walk.bytes(&said.bytes, &redacted.bytes))
            }
            (None, None) => Ok(()),
            (Some(_), None) => self.differ("a file", "no file"),
            (None, Some(_)) => self.differ("no file", "a file"),
        }
    }

    /// A body: messages, a call of a function with messages, or one token.
    fn body(&mut self, said: &[u8], redacted: &[u8]) -> Result<(), Mismatch> {
        if let (Some(said), Some(redacted)) = (parsed(said), parsed(redacted)) {
            return self.node(&said, &redacted);
        }
        if let (Some(call), Some(redacted_call)) = (http::call(said), http::call(redacted))
            && let (Some(inner), Some(redacted_inner)) = (parsed(call.argument), parsed(redacted_call.argument))
            && let (Some(function), Some(redacted_function)) = (call.function(), redacted_call.function())
        {
            self.text(function, redacted_function)?;
            return self.node(&inner, &redacted_inner);
        }
        self.bytes(said, redacted)
    }

    /// Bytes that one token stands for.
    fn bytes(&mut self, said: &[u8], redacted: &[u8]) -> Result<(), Mismatch> {
        if said == redacted {
            return Ok(());
        }
        let token = String::from_utf8_lossy(redacted).into_owned();
        if token::whole(&token).is_none() || !fits(&token, said, self.made_up) {
            return self.differ(&String::from_utf8_lossy(said), &token);
        }
        let original = match std::str::from_utf8(said) {
            Ok(text) => Original::Text(text.to_owned()),
            Err(_) => Original::Bytes(said.to_vec()),
        };
        self.pair(token, original);
        Ok(())
    }

    fn node(&mut self, said: &Node, redacted: &Node) -> Result<(), Mismatch> {
        match (said, redacted) {
            (Node::Text(said), Node::Text(redacted)) => self.text(said, redacted),
            (Node::Opaque(said), Node::Text(redacted)) if token::whole(redacted).is_some() => {
                self.pair(redacted.clone(), Original::Json(said.clone()));
                Ok(())
            }
            (Node::Plain(said), Node::Plain(redacted)) if token::is_number_token(redacted) => {
                self.pair(redacted.clone(), Original::Json(said.clone()));
                Ok(())
            }
            (Node::List(said), Node::List(redacted)) if said.len() == redacted.len() => {
                for (position, (said, redacted)) in said.iter().zip(redacted).enumerate() {
                    self.within(&position.to_string(), |walk| walk.node(said, redacted))?;
                }
                Ok(())
            }
            (Node::Object(said), Node::Object(redacted)) if said.len() == redacted.len() => {
                for ((name, said), (redacted_name, redacted)) in said.iter().zip(redacted) {
                    self.within(redacted_name, |walk| {
                        walk.text(name, redacted_name)?;
                        walk.node(said, redacted)
                    })?;
                }
                Ok(())
            }
            (said, redacted) if said == redacted => Ok(()),
            (said, redacted) => self.differ(&said.to_string(), &redacted.to_string()),
        }
    }

    /// A text in whose redacted form tokens may stand.
    fn text(&mut self, said: &str, redacted: &str) -> Result<(), Mismatch> {
        if said == redacted {
            return Ok(());
        }
        let Some(found) = captured(said, redacted) else { return self.differ(said, redacted) };
        for (token, value) in found {
            if !fits(&token, value.as_bytes(), self.made_up) {
                return self.differ(said, redacted);
            }
            if token != value {
                self.pair(token, Original::Text(value));
            }
        }
        Ok(())
    }

    fn pair(&mut self, token: String, original: Original) {
        self.pairs.push(Pair { token, original, place: self.place.join(".") });
    }

    fn plain(&self, said: &str, redacted: &str) -> Result<(), Mismatch> {
        if said == redacted { Ok(()) } else { self.differ(said, redacted) }
    }

    fn within(&mut self, name: &str, walk: impl FnOnce(&mut Self) -> Result<(), Mismatch>) -> Result<(), Mismatch> {
        self.place.push(name.to_owned());
        walk(self)?;
        self.place.pop();
        Ok(())
    }

    fn differ(&self, said: &str, redacted: &str) -> Result<(), Mismatch> {
        Err(Mismatch { place: self.place.join("."), taped: shown(redacted), said: shown(said) })
    }
}

/// What stands in a text where its redacted form has tokens: between the same words as they do.
fn captured(said: &str, redacted: &str) -> Option<Vec<(String, String)>> {
    let tokens = tokens(redacted);
    let (first, last) = (tokens.first()?, tokens.last()?);
    let mut rest = said.strip_prefix(&redacted[..first.start])?.strip_suffix(&redacted[last.end..])?;
    let mut found = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let (value, behind) = match tokens.get(position + 1) {
            // Two tokens without anything between them cannot be told apart.
            Some(next) if next.start == token.end => return None,
            Some(next) => rest.split_once(&redacted[token.end..next.start])?,
            None => (rest, ""),
        };
        found.push((redacted[token.clone()].to_owned(), value.to_owned()));
        rest = behind;
    }
    Some(found)
}

/// Where tokens and the symbols of hosts stand in a text.
pub(super) fn tokens(text: &str) -> Vec<Range<usize>> {
    const HOST: &str = "$host.";
    let mut found: Vec<Range<usize>> = token::find(text).into_iter().map(|(range, _)| range).collect();
    for (start, _) in text.match_indices(HOST) {
        let digits = text[start + HOST.len()..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            found.push(start..start + HOST.len() + digits);
        }
    }
    found.sort_by_key(|range| range.start);
    found
}

fn parsed(body: &[u8]) -> Option<Node> {
    let node = Node::parse(std::str::from_utf8(body).ok()?)?;
    matches!(node, Node::List(_) | Node::Object(_)).then_some(node)
}

/// What a wire value is, for people.
fn kind(wire: &Wire) -> String {
    let what = match wire {
        Wire::Request(..) => "a request",
        Wire::Response(..) => "a response",
        Wire::Broken(..) => "the end of exchange",
        Wire::Upgrade(..) => "an upgrade",
        Wire::Upgraded(..) => "a granted upgrade",
        Wire::Refused(..) => "a refused upgrade",
        Wire::Text(..) => "a text frame",
        Wire::Binary(..) => "a binary frame",
        Wire::Ping(..) => "a ping",
        Wire::Pong(..) => "a pong",
        Wire::Close(..) => "a close frame",
        Wire::Lost(..) => "the loss of a socket",
    };
    match (wire.exchange(), wire.socket()) {
        (Some(exchange), _) => format!("{what} (e{})", exchange.0),
        (None, Some(socket)) => format!("{what} (s{})", socket.0),
        (None, None) => what.to_owned(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}
