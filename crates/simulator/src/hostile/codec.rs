//! Bytes as whatever a carrier holds: a batch, a form, a callback's query, the `data` of a request or a notification.

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::message::Message;
use protocol::bayeux::{channel, http};
use protocol::chat::notification::Notification;
use protocol::chat::operation::Request;

use super::Fault;

/// Reads bytes in every way in which the wire's bytes are read.
///
/// # Errors
///
/// [`Fault::NotLossless`] if messages or a request change by being written and read again.
pub fn codec(input: &[u8]) -> Result<(), Fault> {
    if let Ok(batch) = Batch::parse(input, &Limits::default()) {
        let written = Batch::array(&batch.messages);
        let again = Batch::parse(written.as_bytes(), &Limits { bytes: usize::MAX, ..Limits::default() });
        // An object alone stands in an array when it is written, so it may be one level deeper.
        let deeper = batch.single && again.is_err();
        if !deeper && again.is_ok_and(|again| again.messages != batch.messages) {
            return Err(Fault::NotLossless(written));
        }
        batch.messages.iter().try_for_each(message)?;
    }
    for value in http::form_values(input, http::MESSAGE_PARAMETER) {
        let _ = Batch::parse(value.as_bytes(), &Limits::default());
    }
    let text = String::from_utf8_lossy(input);
    let _ = (http::query_values(&text, "jsonp"), http::is_callback(&text, 64));
    let _ = Batch::parse(http::callback_argument(input), &Limits::default());
    names(&text);
    data(&text)
}

fn message(message: &Message) -> Result<(), Fault> {
    let _ = (message.error_code(), message.advice(), message.ext(), message.is_publish_reply(), message.violations());
    for name in message.names() {
        if message.member(name).is_none() {
            return Err(Fault::NotLossless(message.text().to_owned()));
        }
    }
    if let Some(name) = message.channel() {
        names(name);
    }
    message.data().map_or(Ok(()), |raw| data(raw.get()))
}

fn names(name: &str) {
    let _ = (channel::is_valid(name), channel::is_pattern(name), channel::is_meta(name), channel::is_service(name));
    if name.len() < 1_000 {
        for pattern in channel::patterns_of(name) {
            let _ = channel::matches(&pattern, name);
        }
    }
}

/// The `data` of a message, as either side reads it.
fn data(text: &str) -> Result<(), Fault> {
    let notification = Notification::parse(text);
    let _ = notification.events().len();
    if let Ok(request) = Request::parse(text) {
        let written = request.to_value().to_string();
        if Request::parse(&written).is_ok_and(|again| again != request) {
            return Err(Fault::NotLossless(written));
        }
    }
    Ok(())
}
