//! The members of a HAR that are read. Everything that some exporter leaves out, or writes `null` for, has a default.

use protocol::wire::Headers;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) log: Log,
}

#[derive(Deserialize)]
pub(super) struct Log {
    #[serde(default, deserialize_with = "if_right")]
    pub(super) creator: Named,
    pub(super) entries: Vec<Value>,
    #[serde(default, rename = "_bx", deserialize_with = "own")]
    pub(super) extra: Option<Extra>,
}

/// A program and its version.
#[derive(Default, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) name: String,
}

/// What only this program writes: lines of the tape that the entry, or the whole file, is made of.
#[derive(Default, Deserialize)]
pub(super) struct Extra {
    #[serde(default)]
    pub(super) header: String,
    #[serde(default)]
    pub(super) lines: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    pub(super) started_date_time: String,
    /// Milliseconds.
    #[serde(default)]
    pub(super) time: Option<f64>,
    pub(super) request: Request,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) response: Response,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) timings: Timings,
    /// By HAR 1.2 the connection, by its number or its port; browsers write the port of the server.
    #[serde(default)]
    pub(super) connection: Option<Value>,
    /// Where Chrome has the number of the connection.
    #[serde(default, rename = "_connectionId")]
    pub(super) connection_id: Option<Value>,
    #[serde(default, rename = "serverIPAddress", deserialize_with = "if_right")]
    pub(super) server_address: String,
    #[serde(default, rename = "_resourceType")]
    pub(super) resource_type: Option<String>,
    #[serde(default, rename = "_webSocketMessages")]
    pub(super) frames: Option<Frames>,
    #[serde(default, rename = "_bx", deserialize_with = "own")]
    pub(super) extra: Option<Extra>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) http_version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) headers: Vec<Field>,
    #[serde(default)]
    pub(super) post_data: Option<PostData>,
    /// Bytes of the body, -1 or 0 for none or unknown.
    #[serde(default, deserialize_with = "if_right")]
    pub(super) body_size: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData {
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) encoding: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) params: Vec<Param>,
    #[serde(default, rename = "_file")]
    pub(super) file: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Param {
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Response {
    /// -1 or 0 for none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) headers: Vec<Field>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) content: Content,
    #[serde(default, rename = "_error")]
    pub(super) error: Option<String>,
    #[serde(default, rename = "_failureText")]
    pub(super) failure: Option<String>,
}

impl PostData {
    /// Whether it says nothing of what was posted.
    pub(super) fn is_empty(&self) -> bool {
        self.text.as_deref().unwrap_or_default().is_empty() && self.file.is_none() && self.params.is_empty()
    }
}

#[derive(Default, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) size: Option<f64>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) encoding: Option<String>,
    #[serde(default, rename = "_file")]
    pub(super) file: Option<String>,
}

/// Milliseconds; what does not apply is -1 or absent.
#[derive(Default, Deserialize)]
pub(super) struct Timings {
    #[serde(default)]
    pub(super) blocked: Option<f64>,
    #[serde(default)]
    pub(super) dns: Option<f64>,
    #[serde(default)]
    pub(super) connect: Option<f64>,
    #[serde(default)]
    pub(super) send: Option<f64>,
    #[serde(default)]
    pub(super) wait: Option<f64>,
    #[serde(default)]
    pub(super) receive: Option<f64>,
}
impl Timings {
    /// How long it took until the response began, in milliseconds.
    pub(super) fn until_response(&self) -> f64 {
        let parts = [self.blocked, self.dns, self.connect, self.send, self.wait];
        parts.into_iter().flatten().filter(|part| *part > 0.0).sum()
    }

    /// How long it took until the response was complete, in milliseconds.
    pub(super) fn whole(&self) -> f64 {
        self.until_response() + self.receive.unwrap_or_default().max(0.0)
    }
}

/// A header field: an object, or a pair as one exporter has it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Field {
    Object { name: String, value: String },
    Pair(String, String),
}

/// Header fields without those that HTTP/2 has in place of a request line.
pub(super) fn headers(fields: &[Field]) -> Headers {
    let field = |field: &Field| match field {
        Field::Object { name, value } | Field::Pair(name, value) => (name.clone(), value.clone()),
    };
    Headers(fields.iter().map(field).filter(|(name, _)| !name.starts_with(':')).collect())
}

/// The messages of a WebSocket that could be read, and how many could not.
#[derive(Default)]
pub(super) struct Frames {
    pub(super) read: Vec<Frame>,
    pub(super) unreadable: usize,
    /// How many say that something was sent or received, and not what.
    pub(super) without_data: usize,
}

impl Frames {
    fn of(values: impl Iterator<Item = Option<Value>>) -> Self {
        let mut frames = Self::default();
        for value in values {
            let has_data = value.as_ref().is_some_and(|value| value["data"].is_string());
            match value.and_then(|value| serde_json::from_value::<Frame>(value).ok()) {
                Some(frame) if frame.is_message() && !has_data => frames.without_data += 1,
                Some(frame) => frames.read.push(frame),
                None => frames.unreadable += 1,
            }
        }
        frames
    }

    /// Those of a file beside the HAR, one in a line.
    pub(super) fn of_lines(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        Self::of(lines.map(|line| serde_json::from_slice(line).ok()))
    }

    /// Those that are no errors.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Frame> {
        self.read.iter().filter(|frame| frame.kind != "error")
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Vec::deserialize(deserializer)?.into_iter().map(Some)))
    }
}

/// One message of a WebSocket, with the members that Chrome gives it.
#[derive(Deserialize)]
pub(super) struct Frame {
    /// `send`, `receive`, or `error`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Since 1970: seconds, with Playwright milliseconds, -1 if left out.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) time: f64,
    /// 1 for text, 2 for binary, -1 for an error.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) opcode: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) data: String,
}

impl Frame {
    /// Whether something was sent or received.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "send" | "receive")
    }
}

/// A member that is `null` counts as one that is left out.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// So does a member that tells nothing of the traffic and is of the wrong type.
fn if_right<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Our own members, when somebody spoilt them, are those of no tape.
fn own<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Extra>, D::Error> {
    if_right(deserializer).map(Some)
}
