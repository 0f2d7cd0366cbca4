//! What CometD 3.1 makes of bodies and frames that are no proper batch, one row per row of what was seen on the wire.

use serde_json::value::RawValue;

use crate::bayeux::batch::{Batch, Limits, Malformed};
use crate::bayeux::channel;
use crate::bayeux::message::Message;
use crate::violation::Violation;

/// What to do instead of working a batch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was said: HTTP 200 without a body, silence on a WebSocket.
    Nothing,
    /// The JSON reader failed: HTTP 400, close 1011.
    NotJson,
    /// The server's own code failed: HTTP 500, close 1011.
    Fault,
    /// Too many bytes: HTTP 500, close 1009.
    TooLarge,
}

/// Reads a body or a frame as CometD 3.1 does: what follows the first JSON value is not looked at.
pub(super) fn read(body: &[u8], limits: &Limits) -> Result<Vec<Message>, Verdict> {
    if body.len() > limits.bytes {
        return Err(Verdict::TooLarge);
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    let batch = match values.next() {
        Some(Ok(first)) => first.get().as_bytes(),
        Some(Err(_)) | None => body,
    };
    if batch == b"null" {
        return Err(Verdict::Nothing);
    }
    let messages = match Batch::parse(batch, limits) {
        Ok(batch) => batch.messages,
        Err(malformed) => return Err(judge(&malformed, batch)),
    };
    let handshakes = messages.iter().filter(|message| message.channel() == Some(channel::HANDSHAKE)).count();
    if messages.is_empty() || (handshakes > 0 && messages.len() > 1) {
        return Err(Verdict::Fault);
    }
    Ok(messages)
}

fn judge(malformed: &Malformed, batch: &[u8]) -> Verdict {
    match malformed {
        Malformed::Empty => Verdict::Nothing,
        Malformed::TooLarge { .. } => Verdict::TooLarge,
        // Bounds of ours, which CometD does not have.
        Malformed::TooDeep { .. } | Malformed::TooMany { .. } => Verdict::Fault,
        Malformed::NotUtf8 { .. } => Verdict::Fault,
        Malformed::NotAMessage { position } if is_null(batch, *position) => Verdict::Fault,
        Malformed::NotJson { .. } | Malformed::NotMessages | Malformed::NotAMessage { .. } => Verdict::NotJson,
    }
}

fn is_null(batch: &[u8], position: usize) -> bool {
    let elements: Vec<&RawValue> = serde_json::from_slice(batch).unwrap_or_default();
    elements.get(position).is_some_and(|element| element.get() == "null")
}

/// Whether an envelope makes CometD 3.1 throw: a channel that is missing or no text, a clientId that is no text, advice
/// that is no object or whose numbers are none.
pub(super) fn is_faulty(message: &Message) -> bool {
    let broken = |violation: &Violation| {
        [
            Violation::MessageChannelMissing,
            Violation::MessageChannelNotText,
            Violation::MessageClientIdNotText,
            Violation::MessageIdNotText,
            Violation::AdviceNotObject,
        ]
        .contains(violation)
    };
    let wrong_advice = message.value("advice").is_some_and(|advice| {
        ["timeout", "interval"].iter().any(|name| advice.get(name).is_some_and(|value| !value.is_number()))
    });
    message.violations().iter().any(broken) || wrong_advice
}

/// Whether CometD 3.1 can make a channel id of the name: one trailing slash is cut, segments are not empty and hold no
/// characters outside its set, and wildcards are the last segment.
pub(super) fn is_routable(name: &str) -> bool {
    let name = name.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(name);
    let Some(path) = name.strip_prefix('/') else { return false };
    let segments: Vec<&str> = path.split('/').collect();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_!~()$@ #*+.{}".contains(c);
    let inner = &segments[..segments.len() - 1];
    segments.iter().all(|segment| !segment.is_empty() && segment.chars().all(allowed))
        && !inner.iter().any(|segment| matches!(*segment, "*" | "**"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Verdict::Nothing)]
    #[case("null", Verdict::Nothing)]
    #[case("[]", Verdict::Fault)]
    #[case("[null]", Verdict::Fault)]
    #[case("[1]", Verdict::NotJson)]
    #[case("[[]]", Verdict::NotJson)]
    #[case("123", Verdict::NotJson)]
    #[case("\"x\"", Verdict::NotJson)]
    #[case(r#"[{"channel":"/a"}"#, Verdict::NotJson)]
    #[case("message=%5B%5D", Verdict::NotJson)]
    #[case(r#"[{"channel":"/meta/handshake"},{"channel":"/a"}]"#, Verdict::Fault)]
    #[case(r#"[{"channel":"/a"},{"channel":"/meta/handshake"}]"#, Verdict::Fault)]
    fn judges_as_seen_on_the_wire(#[case] body: &str, #[case] verdict: Verdict) {
        assert_eq!(read(body.as_bytes(), &Limits::default()), Err(verdict));
    }

    #[test]
    fn bounds_bytes_depth_and_count() {
        let limits = Limits { bytes: 60, depth: 3, messages: 2 };
        let judge = |body: &str| read(body.as_bytes(), &limits).unwrap_err();
        assert_eq!(judge(&" ".repeat(61)), Verdict::TooLarge);
        assert_eq!(judge(r#"[{"channel":"/a","data":[[]]}]"#), Verdict::Fault);
        assert_eq!(judge("[{},{},{}]"), Verdict::Fault);
        assert_eq!(read(b"[{\"channel\":\"/\xff\"}]", &limits), Err(Verdict::Fault));
    }

    #[rstest]
    #[case(r#"[{"channel":"/a"}]garbage"#)]
    #[case(r#"{"channel":"/a"}"#)]
    fn takes_a_bare_message_and_whatever_follows_the_array(#[case] body: &str) {
        assert_eq!(read(body.as_bytes(), &Limits::default()).unwrap().len(), 1);
    }

    #[rstest]
    #[case("/service/chatV2/x", true)]
    #[case("/a/", true)]
    #[case("/a/**", true)]
    #[case("/a b", true)]
    #[case("/a//b", false)]
    #[case("/a/*/b", false)]
    #[case("/", false)]
    #[case("foo", false)]
    #[case("/<script>", false)]
    fn routes_what_it_can_make_an_id_of(#[case] name: &str, #[case] routable: bool) {
        assert_eq!(is_routable(name), routable, "{name}");
    }

    proptest! {
        #[test]
        fn takes_any_bytes_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, &Limits::default());
        }
    }
}
