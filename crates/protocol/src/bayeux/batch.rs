//! What one carrier holds: a JSON array of messages, or one message alone (Bayeux 2.5).

use serde_json::value::RawValue;

use crate::bayeux::http;
use crate::bayeux::message::Message;
use crate::wire::Wire;

/// How much is taken from a peer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one body or frame.
    pub bytes: usize,
    /// Nesting of arrays and objects, the outermost array included.
    pub depth: usize,
    /// Messages in one body or frame.
    pub messages: usize,
}

impl Limits {
    /// For reading again what was taken before, such as a tape, whose tokens are longer than what they replace: only the
    /// nesting is bounded.
    pub const TAKEN: Self = Self { bytes: usize::MAX, depth: 64, messages: usize::MAX };
}

impl Default for Limits {
    /// 1 MiB, 64 levels, 1 000 messages.
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 64, messages: 1_000 }
    }
}

/// Why a body or frame is not a batch of messages. Positions are byte offsets from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has more bytes than taken.
    #[error("body of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many are taken.
        limit: usize,
    },
    /// It nests more deeply than taken.
    #[error("JSON nests deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// Where the level over the limit opens.
        at: usize,
        /// How many levels are taken.
        limit: usize,
    },
    /// It has more messages than taken.
    #[error("{messages} messages are over the limit of {limit}")]
    TooMany {
        /// How many there are.
        messages: usize,
        /// How many are taken.
        limit: usize,
    },
    /// It is not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// There is nothing but white space.
    #[error("empty body")]
    Empty,
    /// It is not JSON, or something follows the JSON.
    #[error("not JSON: {reason}")]
    NotJson {
        /// What the JSON reader says, with line and column.
        reason: String,
    },
    /// It is JSON, but neither an array nor an object.
    #[error("neither an array of messages nor a message")]
    NotMessages,
    /// An element of the array is not an object.
    #[error("element {position} is not a message")]
    NotAMessage {
        /// Its position, from 0.
        position: usize,
    },
}

/// The messages of one carrier, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whether one message stood alone, without an array around it.
    pub single: bool,
    /// The messages.
    pub messages: Vec<Message>,
}

impl Batch {
    /// Reads a body or a frame.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is over a limit or is not a batch; then nothing of it counts (BX-MSG-08).
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        if body.len() > limits.bytes {
            return Err(Malformed::TooLarge { bytes: body.len(), limit: limits.bytes });
        }
        let text = std::str::from_utf8(body).map_err(|error| Malformed::NotUtf8 { at: error.valid_up_to() })?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        check_depth(text, limits.depth)?;
        let not_json = |error: serde_json::Error| Malformed::NotJson { reason: error.to_string() };
        match text.as_bytes().first() {
            None => Err(Malformed::Empty),
            Some(b'{') => {
                let raw: Box<RawValue> = serde_json::from_str(text).map_err(not_json)?;
                let message = Message::from_raw(raw).ok_or(Malformed::NotAMessage { position: 0 })?;
                Ok(Self { single: true, messages: vec![message] })
            }
            Some(b'[') => {
                let elements: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(not_json)?;
                if elements.len() > limits.messages {
                    return Err(Malformed::TooMany { messages: elements.len(), limit: limits.messages });
                }
                let messages = elements
                    .into_iter()
                    .enumerate()
                    .map(|(position, raw)| Message::from_raw(raw).ok_or(Malformed::NotAMessage { position }))
                    .collect::<Result<_, _>>()?;
                Ok(Self { single: false, messages })
            }
            Some(_) => {
                serde_json::from_str::<&RawValue>(text).map_err(not_json)?;
                Err(Malformed::NotMessages)
            }
        }
    }

    /// The messages that something on the wire carries, whichever transport it belongs to; none if it carries no batch.
    #[must_use]
    pub fn carried(wire: &Wire) -> Vec<Message> {
        let read = |body: &[u8]| Self::parse(body, &Limits::TAKEN).map(|batch| batch.messages).unwrap_or_default();
        match wire {
            Wire::Request(_, request) if request.method == "GET" => {
                let texts = http::query_values(&request.target, http::MESSAGE_PARAMETER);
                texts.iter().flat_map(|text| read(text.as_bytes())).collect()
            }
            Wire::Response(_, response) => read(http::callback_argument(&response.body)),
            Wire::Request(..)
            | Wire::Broken(..)
            | Wire::Upgrade(..)
            | Wire::Upgraded(..)
            | Wire::Refused(..)
            | Wire::Text(..)
            | Wire::Binary(..)
            | Wire::Ping(..)
            | Wire::Pong(..)
            | Wire::Close(..)
            | Wire::Lost(..) => wire.carried().map(read).unwrap_or_default(),
        }
    }

    /// The text of an array of messages, each as it stands.
    #[must_use]
    pub fn array<'a>(messages: impl IntoIterator<Item = &'a Message>) -> String {
        let texts: Vec<&str> = messages.into_iter().map(Message::text).collect();
        format!("[{}]", texts.join(","))
    }
}

fn check_depth(text: &str, limit: usize) -> Result<(), Malformed> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return Err(Malformed::TooDeep { at, limit });
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::wire::Exchange;

    fn parse(text: &str) -> Result<Batch, Malformed> {
        Batch::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn reads_an_array_and_a_message_alone() {
        let array = parse(r#" [{"channel":"/a"},{"channel":"/b"}] "#).unwrap();
        assert_eq!((array.single, array.messages.len()), (false, 2));
        let alone = parse(r#"{"channel":"/a"}"#).unwrap();
        assert_eq!((alone.single, alone.messages.len()), (true, 1));
        assert_eq!(parse("[]").unwrap().messages.len(), 0);
    }

    #[rstest]
    #[case("", "empty body")]
    #[case("null", "neither an array of messages nor a message")]
    #[case("[1]", "element 0 is not a message")]
    #[case(r#"[{"channel":"/a"},[]]"#, "element 1 is not a message")]
    #[case(r#"[{"channel":"/a"}"#, "not JSON: EOF while parsing a list at line 1 column 17")]
    #[case(r#"[{"channel":"/a"}]x"#, "not JSON: trailing characters at line 1 column 19")]
    fn names_what_is_malformed(#[case] body: &str, #[case] says: &str) {
        assert_eq!(parse(body).unwrap_err().to_string(), says);
    }

    #[test]
    fn finds_the_messages_of_callback_polling() {
        let messages = [Message::draft("/a").finish(), Message::draft("/b").finish()];
        let request =
            http::callback_request("/cometd", &messages, "cb", &Batch::array(&messages), &http::Cookies::new());
        assert_eq!(Batch::carried(&Wire::Request(Exchange(0), request)), messages);
        let response = http::callback_response("cb", &messages);
        assert_eq!(Batch::carried(&Wire::Response(Exchange(0), response)), messages);
    }

    #[test]
    fn refuses_what_is_over_a_limit() {
        let limits = Limits { bytes: 40, depth: 3, messages: 1 };
        let parse = |text: &str| Batch::parse(text.as_bytes(), &limits).unwrap_err();
        assert_eq!(parse(&" ".repeat(41)), Malformed::TooLarge { bytes: 41, limit: 40 });
        assert_eq!(parse(r#"[{"a":[{"b":1}]}]"#), Malformed::TooDeep { at: 7, limit: 3 });
        assert_eq!(parse("[{},{}]"), Malformed::TooMany { messages: 2, limit: 1 });
        assert_eq!(Batch::parse(b"[\xff]", &limits), Err(Malformed::NotUtf8 { at: 1 }));
    }

    #[test]
    fn brackets_inside_texts_do_not_nest() {
        let body = format!(r#"[{{"channel":"{}\"{}"}}]"#, "[".repeat(100), "{".repeat(100));
        assert!(parse(&body).is_ok());
    }

    proptest! {
        #[test]
        fn takes_any_bytes_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Batch::parse(&body, &Limits::default());
        }

        #[test]
        fn takes_any_json_like_text_without_panic(body in r#"[\[\]{}",:a0\\ ]{0,60}"#) {
            let _ = parse(&body);
        }
    }
}
