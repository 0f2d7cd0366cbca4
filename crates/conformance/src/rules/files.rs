//! Exchanges with the API for files, taken out of a stream: what was asked, and what came back.

use std::collections::BTreeMap;

use protocol::bayeux::http::{BROWSER_COOKIE, cookie, query_values};
use protocol::chat::files::{Form, is_target};
use protocol::chat::notification::Notification;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Request, Wire};
use recording::token;
use serde_json::{Map, Value, json};

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Its position among the entries.
    pub(super) entry: usize,
    pub(super) at: Time,
    pub(super) is_post: bool,
    /// Whether the URL has a `secureKey`.
    pub(super) key_in_url: bool,
    /// The browser that it names.
    pub(super) browser: Option<String>,
    /// The body, if it is a form.
    pub(super) form: Option<Form>,
    /// Whether nobody knows what the body was: a tape that holds no form of what was none.
    pub(super) unread: bool,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) entry: usize,
    pub(super) at: Time,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// To what.
    pub(super) asked: Asked,
}

/// One side of an exchange.
#[derive(Clone, Debug)]
pub(super) enum Half {
    Asked(Asked),
    Answered(Answered),
}

impl Half {
    pub(super) const fn entry(&self) -> usize {
        match self {
            Self::Asked(asked) => asked.entry,
            Self::Answered(answered) => answered.entry,
        }
    }
}

/// Both sides of every exchange whose request is in the stream, in order.
pub(super) fn halves(entries: &[Entry]) -> Vec<Half> {
    let mut open: BTreeMap<Exchange, Asked> = BTreeMap::new();
    let mut halves = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        match &entry.wire {
            Wire::Request(exchange, request) if is_target(&request.target) => {
                let asked = Asked::read(number, entry.at, request);
                halves.push(Half::Asked(asked.clone()));
                open.insert(*exchange, asked);
            }
            Wire::Response(exchange, response) => {
                if let Some(asked) = open.remove(exchange) {
                    let (status, body) = (response.status, response.body.clone());
                    halves.push(Half::Answered(Answered { entry: number, at: entry.at, status, body, asked }));
                }
            }
            Wire::Broken(exchange, _) => drop(open.remove(exchange)),
            _ => {}
        }
    }
    halves
}

impl Asked {
    fn read(entry: usize, at: Time, request: &Request) -> Self {
        let unread = std::str::from_utf8(&request.body).is_ok_and(|body| token::whole(body).is_some());
        Self {
            entry,
            at,
            is_post: request.method == "POST",
            key_in_url: query_values(&request.target, "secureKey").iter().any(|key| !key.is_empty()),
            browser: cookie(&request.headers, BROWSER_COOKIE).map(str::to_owned),
            form: Form::parse(&request.headers, &request.body).ok().filter(|_| !unread),
            unread,
        }
    }

    /// A field that is not empty.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.as_ref()?.get(name).filter(|value| !value.is_empty())
    }

    /// What is asked for. An upload may leave the word out.
    pub(super) fn operation(&self) -> &str {
        let has_file = self.form.as_ref().is_some_and(|form| form.file().is_some());
        match self.field("operation") {
            Some("fileGetsLimits") => "fileGetLimits",
            Some(operation) => operation,
            None if has_file => "fileUpload",
            None => "",
        }
    }

    /// The form as an object of its fields, as the schemas describe it.
    pub(super) fn object(&self) -> Option<Value> {
        let form = self.form.as_ref()?;
        let mut object: Map<String, Value> =
            form.fields().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        if let Some(file) = form.file() {
            let mut part = json!({"filename": file.name, "size": file.bytes.len()});
            if let Some(media_type) = &file.media_type {
                part["contentType"] = media_type.as_str().into();
            }
            object.insert("file".to_owned(), part);
        }
        Some(Value::Object(object))
    }
}

impl Answered {
    /// The body as an envelope. A file that was asked for is none, unless it tells a failure.
    pub(super) fn envelope(&self) -> Option<Notification> {
        let envelope = Notification::parse(std::str::from_utf8(&self.body).ok()?);
        let is_object = serde_json::from_slice::<Map<String, Value>>(&self.body).is_ok();
        let says_status = envelope.status.is_some() || is_object && self.asked.operation() != "fileDownload";
        says_status.then_some(envelope)
    }
}
