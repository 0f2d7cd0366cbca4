//! What CometD makes of bodies and frames that are no proper batch, and of envelopes that are no proper message, one row
//! per row of what was seen on the wire.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::bayeux::batch::{Batch, Limits, Malformed};
use crate::bayeux::channel;
use crate::bayeux::dialect::{Dialect, Empty, MalformedInput, MessageIds, Validation};
use crate::bayeux::message::{Message, MessageId};
use crate::violation::Violation;

/// What to do instead of working a batch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was said: HTTP 200 without a body, silence on a WebSocket.
    Nothing,
    /// An array without messages that is given back over HTTP, and ignored on a WebSocket.
    EmptyArray,
    /// The JSON reader failed: this HTTP status, close 1011.
    NotJson(u16),
    /// The server's own code failed: HTTP 500, close 1011.
    Fault,
    /// Too many bytes: HTTP 500, close 1009.
    TooLarge,
}

/// How a body or frame is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    not_json_status: u16,
    empty: Empty,
    null: Empty,
    empty_array_echoed: bool,
    trailing_ignored: bool,
}

impl Habits {
    /// Of a body that is read as it comes in.
    pub(super) const fn of_body(input: &MalformedInput) -> Self {
        Self {
            not_json_status: input.not_json_status,
            empty: input.empty,
            null: input.null,
            empty_array_echoed: input.empty_array_echoed,
            trailing_ignored: input.trailing_ignored,
        }
    }

    /// Of a parameter, which is read when it is whole: no generation reports what is no JSON by 500 then.
    pub(super) const fn of_parameter(input: &MalformedInput) -> Self {
        Self { not_json_status: 400, trailing_ignored: true, ..Self::of_body(input) }
    }

    /// Of a frame, where all generations are alike but for the empty array.
    pub(super) const fn of_frame(input: &MalformedInput) -> Self {
        Self { empty: Empty::Nothing, null: Empty::Nothing, ..Self::of_parameter(input) }
    }

    const fn nothing(empty: Empty) -> Verdict {
        match empty {
            Empty::Nothing => Verdict::Nothing,
            Empty::Fails => Verdict::Fault,
        }
    }

    const fn judge(self, malformed: &Malformed) -> Verdict {
        match malformed {
            Malformed::Empty => Self::nothing(self.empty),
            Malformed::TooLarge { .. } => Verdict::TooLarge,
            // Bounds of ours, which CometD does not have.
            Malformed::TooDeep { .. } | Malformed::TooMany { .. } => Verdict::Fault,
            Malformed::NotUtf8 { .. } => Verdict::Fault,
            Malformed::NotJson { .. } | Malformed::NotMessages | Malformed::NotAMessage { .. } => {
                Verdict::NotJson(self.not_json_status)
            }
        }
    }
}

/// Reads a body, a parameter or a frame.
pub(super) fn read(body: &[u8], limits: &Limits, habits: Habits) -> Result<Vec<Message>, Verdict> {
    if body.len() > limits.bytes {
        return Err(Verdict::TooLarge);
    }
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>();
    let batch = match values.next() {
        Some(Ok(first)) if habits.trailing_ignored => first.get().as_bytes(),
        Some(_) | None => body,
    };
    if batch.trim_ascii() == b"null" {
        return Err(Habits::nothing(habits.null));
    }
    let messages = match Batch::parse(batch, limits) {
        Ok(batch) => batch.messages,
        Err(Malformed::NotAMessage { position }) if is_null(batch, position) => return Err(Verdict::Fault),
        Err(malformed) => return Err(habits.judge(&malformed)),
    };
    check_batch(messages, habits)
}

/// Reads the parameters of a form or a query as one batch (BX-LP-03). Without any the server fails.
pub(super) fn read_parameters(values: &[String], limits: &Limits, habits: Habits) -> Result<Vec<Message>, Verdict> {
    let mut messages = Vec::new();
    for value in values {
        let more = read(value.as_bytes(), limits, Habits { empty_array_echoed: true, ..habits });
        messages.extend(match more {
            Err(Verdict::EmptyArray) => Vec::new(),
            more => more?,
        });
    }
    if values.is_empty() || messages.len() > limits.messages {
        return Err(Verdict::Fault);
    }
    check_batch(messages, habits)
}

fn check_batch(messages: Vec<Message>, habits: Habits) -> Result<Vec<Message>, Verdict> {
    let handshakes = messages.iter().filter(|message| message.channel() == Some(channel::HANDSHAKE)).count();
    match messages.len() {
        0 if habits.empty_array_echoed => Err(Verdict::EmptyArray),
        0 => Err(Verdict::Fault),
        1 => Ok(messages),
        // A handshake among others makes every generation throw (BX-HS-05).
        _ if handshakes > 0 => Err(Verdict::Fault),
        _ => Ok(messages),
    }
}

fn is_null(batch: &[u8], position: usize) -> bool {
    let elements: Vec<&RawValue> = serde_json::from_slice(batch).unwrap_or_default();
    elements.get(position).is_some_and(|element| element.get() == "null")
}

/// A message that makes CometD throw, which fails the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault;

/// Looks at an envelope before anything is done with the message; gives the text of the error to answer with, if any.
pub(super) fn check<'a>(message: &Message, dialect: &'a Dialect) -> Result<Option<&'a str>, Fault> {
    if is_faulty(message) {
        return Err(Fault);
    }
    let answer = |error: &'a Option<String>| error.as_deref().map(Some).ok_or(Fault);
    let errors = &dialect.errors;
    let Some(name) = message.channel() else { return answer(&errors.channel_missing) };
    if !dialect.options.validate_fields {
        return Ok(None);
    }
    if !has_channel_characters(name) || (dialect.validation.first_slash && !has_first_slash(name)) {
        return answer(&errors.channel_invalid);
    }
    match id_of(message) {
        Ok(id) if id.as_ref().is_none_or(|id| is_id(id.as_str(), dialect.validation.message_ids)) => Ok(None),
        Ok(_) | Err(NoText) => answer(&errors.message_id_invalid),
    }
}

/// Whether an envelope makes every generation throw: a channel or clientId that is no text, advice that is no object or
/// whose numbers are none.
fn is_faulty(message: &Message) -> bool {
    let wrong_channel = message.channel().is_none() && message.value("channel").is_some_and(|value| !value.is_null());
    let wrong_advice = message.value("advice").is_some_and(|advice| {
        ["timeout", "interval"].iter().any(|name| advice.get(name).is_some_and(|value| !value.is_number()))
    });
    let broken = [Violation::MessageClientIdNotText, Violation::AdviceNotObject];
    wrong_channel || wrong_advice || message.violations().iter().any(|violation| broken.contains(violation))
}

/// An id that has no text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoText;

/// The id as CometD gives it back: whatever it is, as text (BX-META-04).
pub(super) fn id_of(message: &Message) -> Result<Option<MessageId>, NoText> {
    match message.value("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => Ok(Some(MessageId::new(id))),
        Some(Value::Number(id)) => Ok(Some(MessageId::new(id.to_string()))),
        Some(Value::Bool(id)) => Ok(Some(MessageId::new(id.to_string()))),
        Some(Value::Array(_) | Value::Object(_)) => Err(NoText),
    }
}

fn is_id(id: &str, ids: MessageIds) -> bool {
    match ids {
        MessageIds::AsChannels => has_channel_characters(id),
        MessageIds::Alphanumeric => !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()),
    }
}

/// Whether a name has only characters that CometD lets pass in channels; they are more than those of Bayeux 2.1.
pub(super) fn has_channel_characters(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "/-_!~()$@ #*+.{}".contains(c))
}

/// Whether a name begins with a slash that something follows.
pub(super) fn has_first_slash(name: &str) -> bool {
    name.len() > 1 && name.starts_with('/')
}

/// The longest channel name that the server keeps. A bound of ours.
const LONGEST_NAME: usize = 1_024;

/// Makes the key of a channel from its name: one trailing slash is cut, segments are not empty, and wildcards are the
/// last segment.
pub(super) fn channel_key(name: &str, validation: &Validation) -> Result<String, Fault> {
    let name = name.trim();
    let key = name.strip_suffix('/').unwrap_or(name);
    let path = key.strip_prefix('/').ok_or(Fault)?;
    let segments: Vec<&str> = path.split('/').collect();
    let (_, inner) = segments.split_last().ok_or(Fault)?;
    let wild = inner.iter().any(|segment| matches!(*segment, "*" | "**"));
    if key.len() > LONGEST_NAME
        || segments.iter().any(|segment| segment.trim().is_empty())
        || (wild && !validation.inner_wildcards)
    {
        return Err(Fault);
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn of_body(name: &str) -> Habits {
        Habits::of_body(&Dialect::by_name(name).unwrap().malformed)
    }

    fn judge(name: &str, body: &str) -> Option<Verdict> {
        read(body.as_bytes(), &Limits::default(), of_body(name)).err()
    }

    const NOTHING: Option<Verdict> = Some(Verdict::Nothing);
    const FAULT: Option<Verdict> = Some(Verdict::Fault);
    const ECHO: Option<Verdict> = Some(Verdict::EmptyArray);
    const S400: Option<Verdict> = Some(Verdict::NotJson(400));
    const S500: Option<Verdict> = Some(Verdict::NotJson(500));

    /// The rows of what was seen over HTTP, columns 2.9.1, 3.0.10, 3.1.14, 4.0.9, 5.0.17.
    #[rstest]
    #[case("[{\"channel\":\"/a\"}", [S400, S400, S400, S400, S500])]
    #[case("", [FAULT, NOTHING, NOTHING, NOTHING, FAULT])]
    #[case("[]", [ECHO, ECHO, FAULT, FAULT, FAULT])]
    #[case("null", [FAULT, NOTHING, NOTHING, NOTHING, NOTHING])]
    #[case("123", [S400, S400, S400, S400, S500])]
    #[case("\"x\"", [S400, S400, S400, S400, S500])]
    #[case("[1]", [S400, S400, S400, S400, S500])]
    #[case("[[]]", [S400, S400, S400, S400, S500])]
    #[case("[null]", [FAULT; 5])]
    #[case("{\"channel\":\"/a\"}", [None; 5])]
    #[case("[{\"channel\":\"/a\"}]garbage", [None, None, None, None, S500])]
    #[case("message=%5B%5D", [S400, S400, S400, S400, S500])]
    #[case("[{\"channel\":\"/meta/handshake\"},{\"channel\":\"/a\"}]", [FAULT; 5])]
    #[case("[{\"channel\":\"/a\"},{\"channel\":\"/meta/handshake\"}]", [FAULT; 5])]
    fn judges_bodies_as_seen_on_the_wire(#[case] body: &str, #[case] verdicts: [Option<Verdict>; 5]) {
        let names = ["cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.4", "cometd-5.0"];
        assert_eq!(names.map(|name| judge(name, body)), verdicts);
    }

    #[rstest]
    #[case("", NOTHING)]
    #[case("null", NOTHING)]
    #[case("[{\"channel\":\"/a\"}]garbage", None)]
    #[case("[]", FAULT)]
    #[case("[1]", S400)]
    fn judges_frames_alike_in_all_generations(#[case] frame: &str, #[case] verdict: Option<Verdict>) {
        for name in ["cometd-3.1", "cometd-4.0.4", "cometd-5.0"] {
            let habits = Habits::of_frame(&Dialect::by_name(name).unwrap().malformed);
            assert_eq!(read(frame.as_bytes(), &Limits::default(), habits).err(), verdict, "{name}");
        }
    }

    #[test]
    fn bounds_bytes_depth_and_count() {
        let limits = Limits { bytes: 60, depth: 3, messages: 2 };
        let judge = |body: &str| read(body.as_bytes(), &limits, of_body("cometd-3.1")).unwrap_err();
        assert_eq!(judge(&" ".repeat(61)), Verdict::TooLarge);
        assert_eq!(judge(r#"[{"channel":"/a","data":[[]]}]"#), Verdict::Fault);
        assert_eq!(judge("[{},{},{}]"), Verdict::Fault);
        assert_eq!(read(b"[{\"channel\":\"/\xff\"}]", &limits, of_body("cometd-3.1")), Err(Verdict::Fault));
    }

    #[rstest]
    #[case(&["{\"channel\":\"/a\"}"], Ok(1))]
    #[case(&["[{\"channel\":\"/a\"},{\"channel\":\"/b\"}]"], Ok(2))]
    #[case(&["{\"channel\":\"/a\"}", "[{\"channel\":\"/b\"}]"], Ok(2))]
    #[case(&["[]", "{\"channel\":\"/a\"}"], Ok(1))]
    #[case(&[], Err(Verdict::Fault))]
    #[case(&["[1]"], Err(Verdict::NotJson(400)))]
    #[case(&["{\"channel\":\"/meta/handshake\"}", "{\"channel\":\"/a\"}"], Err(Verdict::Fault))]
    fn joins_the_parameters_of_a_form(#[case] values: &[&str], #[case] read: Result<usize, Verdict>) {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let habits = Habits::of_parameter(&Dialect::cometd_3_1().malformed);
        assert_eq!(read_parameters(&values, &Limits::default(), habits).map(|messages| messages.len()), read);
    }

    #[rstest]
    #[case("/service/chatV2/x", Some("/service/chatV2/x"))]
    #[case("/a/", Some("/a"))]
    #[case("/a/**", Some("/a/**"))]
    #[case("/a b", Some("/a b"))]
    #[case("/a/***", Some("/a/***"))]
    #[case("/a//b", None)]
    #[case("/a/*/b", None)]
    #[case("/", None)]
    #[case("", None)]
    #[case("foo", None)]
    fn makes_keys_of_names(#[case] name: &str, #[case] key: Option<&str>) {
        assert_eq!(channel_key(name, &Dialect::cometd_3_1().validation).ok().as_deref(), key, "{name}");
    }

    #[test]
    fn an_inner_wildcard_is_an_ordinary_segment_in_2_9() {
        let validation = Dialect::by_name("cometd-2.9").unwrap().validation;
        assert_eq!(channel_key("/a/*/b", &validation).as_deref(), Ok("/a/*/b"));
    }

    /// What an envelope leads to, columns 3.1.14, 4.0.3, 4.0.9, 5.0.17; `!` stands for a request that fails.
    #[rstest]
    #[case(r#"{"channel":"/a"}"#, ["", "", "", ""])]
    #[case("{}", ["!", "400::channel_missing", "400::channel_missing", "400::channel_missing"])]
    #[case(r#"{"channel":null}"#, ["!", "400::channel_missing", "400::channel_missing", "400::channel_missing"])]
    #[case(r#"{"channel":5}"#, ["!", "!", "!", "!"])]
    #[case(r#"{"channel":"/a<b"}"#, ["!", "405::invalid_channel", "405::invalid_channel", "405::channel_invalid"])]
    #[case(r#"{"channel":"foo"}"#, ["", "", "", "405::channel_invalid"])]
    #[case(r#"{"channel":"/"}"#, ["", "", "", "405::channel_invalid"])]
    #[case(r#"{"channel":"/a","id":"a-b"}"#, ["", "", "", "405::message_id_invalid"])]
    #[case(r#"{"channel":"/a","id":""}"#, ["", "", "", "405::message_id_invalid"])]
    #[case(r#"{"channel":"/a","id":"<"}"#, ["!", "405::invalid_id", "405::invalid_id", "405::message_id_invalid"])]
    #[case(r#"{"channel":"/a","id":[]}"#, ["!", "405::invalid_id", "405::invalid_id", "405::message_id_invalid"])]
    #[case(r#"{"channel":"/a","id":true}"#, ["", "", "", ""])]
    #[case(r#"{"channel":"/a","clientId":5}"#, ["!", "!", "!", "!"])]
    #[case(r#"{"channel":"/a","advice":5}"#, ["!", "!", "!", "!"])]
    #[case(r#"{"channel":"/a","advice":{"timeout":"0"}}"#, ["!", "!", "!", "!"])]
    fn checks_envelopes(#[case] text: &str, #[case] answers: [&str; 4]) {
        let message = Message::parse(text).unwrap();
        let seen = ["cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0"].map(|name| {
            match check(&message, &Dialect::by_name(name).unwrap()) {
                Err(Fault) => "!".to_owned(),
                Ok(error) => error.unwrap_or_default().to_owned(),
            }
        });
        assert_eq!(seen, answers);
    }

    proptest! {
        #[test]
        fn takes_any_bytes_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in Dialect::names() {
                let _ = read(&body, &Limits::default(), of_body(name));
            }
        }

        #[test]
        fn takes_any_name_without_panic(name in ".{0,40}") {
            for dialect in Dialect::names() {
                let _ = channel_key(&name, &Dialect::by_name(dialect).unwrap().validation);
            }
        }
    }
}
