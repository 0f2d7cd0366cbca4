//! Redaction of the API for files: forms in, envelopes or files out.
//!
//! A form stays a form of its own kind, field by field, so that a tape still tells what was asked with whose key. Of a file
//! nothing is kept but a token that tells its size, whatever the file is: one that happens to be JSON is no message.

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::media_type;
use protocol::chat::files::{Form, Upload};
use protocol::wire::{Headers, Request, Response};

use super::Redactor;
use super::policy::{self, Place};
use crate::token::{self, Class};

/// The boundary of every form on a tape, since that of a client is made up for one request.
pub(crate) const BOUNDARY: &str = "form-of-the-tape";

/// What the notice with the file limits says: a word of the protocol where otherwise somebody's words stand.
const LIMITS: &str = "file-client-cfg-get";

/// Fields whose names are kept; any other name may be somebody's own word.
pub(crate) const FIELDS: &[&str] = &["operation", "secureKey", "fileId", "userId", "alias", "chatId"];

/// Media types of files that are kept, sorted; any other could say something about somebody.
pub(crate) const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/msword",
    "application/octet-stream",
    "application/pdf",
    "application/zip",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "text/csv",
    "text/html",
    "text/plain",
];

impl Redactor {
    pub(super) fn file_request(&mut self, request: &Request) -> Request {
        let head = self.request_head(request);
        let Ok(form) = Form::parse(&request.headers, &request.body) else {
            return Request { body: self.unread(&request.body), ..head };
        };
        let mut kept = Form::default();
        for (name, value) in form.fields() {
            let (name, value) = self.form_field(name, value);
            kept.put(&name, &value);
        }
        if let Some(file) = form.file() {
            kept.put_file(self.form_file(file));
        }
        let is_multipart = media_type(&request.headers).is_some_and(|kind| kind.starts_with("multipart/"));
        let (said, body) = match kept.to_urlencoded().filter(|_| !is_multipart) {
            Some(urlencoded) => urlencoded,
            None => kept.to_multipart(BOUNDARY),
        };
        Request { headers: with_content_type(&head.headers, &said), body, ..head }
    }

    /// The request as it is, but for the bytes of its file.
    pub(super) fn without_file(&mut self, request: &Request) -> Request {
        let Ok(form) = Form::parse(&request.headers, &request.body) else {
            return Request { body: self.unread(&request.body), ..request.clone() };
        };
        let Some(file) = form.file() else { return request.clone() };
        let mut kept = Form::default();
        form.fields().for_each(|(name, value)| kept.put(name, value));
        kept.put_file(Upload { bytes: self.unread(&file.bytes), ..file.clone() });
        let (said, body) = kept.to_multipart(BOUNDARY);
        Request { headers: with_content_type(&request.headers, &said), body, ..request.clone() }
    }

    /// An envelope is redacted like a notification. Everything else is a file, or a page about a failure.
    pub(super) fn file_response(&mut self, response: &Response) -> Response {
        let is_envelope = self.is_envelope(response);
        let body = if is_envelope { self.envelope(&response.body) } else { self.unread(&response.body) };
        Response { status: response.status, headers: self.headers(&response.headers), body }
    }

    pub(super) fn is_envelope(&self, response: &Response) -> bool {
        let is_text = media_type(&response.headers).is_none_or(|kind| {
            kind.starts_with("text/") || kind == "application/json" || kind == "application/javascript"
        });
        let batch = Batch::parse(&response.body, &self.limits).ok().filter(|batch| batch.single && is_text);
        batch.is_some_and(|batch| batch.messages.iter().all(|told| told.member("statusCode").is_some()))
    }

    fn envelope(&mut self, body: &[u8]) -> Vec<u8> {
        let word = token::token(&self.key, Class::Text, LIMITS);
        self.carrier(body).replace(&word, LIMITS).into_bytes()
    }

    pub(super) fn unread(&mut self, body: &[u8]) -> Vec<u8> {
        if body.is_empty() { Vec::new() } else { self.opaque(body).into_bytes() }
    }

    /// A field hides its value as a member of `data` with this name would, `userData[...]` as one of `userData`.
    fn form_field(&mut self, name: &str, value: &str) -> (String, String) {
        let attached = name.strip_prefix("userData[").and_then(|name| name.strip_suffix(']'));
        let (place, own) = attached.map_or((Place::Data, name), |name| (Place::UserData, name));
        let rule = self.policy.rule(place, own);
        let value = self.text(value, rule);
        let value = self.scrub_value(value, rule);
        let known = match place {
            Place::UserData => policy::keeps_name(place, own),
            _ => FIELDS.contains(&own),
        };
        let kept = if known || token::whole(own).is_some() { own.to_owned() } else { self.hide(Class::Name, own) };
        (if attached.is_some() { format!("userData[{kept}]") } else { kept }, value)
    }

    /// The name has the token that it has as `file-name` in an event.
    fn form_file(&mut self, file: &Upload) -> Upload {
        let kind = file.media_type.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim);
        let media_type = kind.filter(|kind| MEDIA_TYPES.contains(kind)).map(str::to_owned);
        let name = self.hide(Class::UserData, &file.name);
        Upload { name, media_type, bytes: self.unread(&file.bytes) }
    }
}

/// Headers that say what a body is, where they said it before.
fn with_content_type(headers: &Headers, said: &Headers) -> Headers {
    let mut kept = Headers::new();
    for (name, value) in &headers.0 {
        let own = said.get(name).filter(|_| name.eq_ignore_ascii_case("content-type"));
        kept = kept.with(name, own.unwrap_or(value));
    }
    kept
}
