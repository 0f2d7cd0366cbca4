//! The members of a HAR that are read. Everything that some exporter leaves out has a default.

use protocol::wire::Headers;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) log: Log,
}

#[derive(Deserialize)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) creator: Named,
    pub(super) entries: Vec<Value>,
    #[serde(default, rename = "_bx")]
    pub(super) extra: Option<Extra>,
}

/// A program and its version.
#[derive(Default, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) name: String,
}

/// What only this program writes: lines of the tape that the entry, or the whole file, is made of.
#[derive(Deserialize)]
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
    #[serde(default)]
    pub(super) response: Response,
    #[serde(default)]
    pub(super) timings: Timings,
    #[serde(default)]
    pub(super) connection: Option<Value>,
    #[serde(default, rename = "_resourceType")]
    pub(super) resource_type: Option<String>,
    #[serde(default, rename = "_webSocketMessages")]
    pub(super) frames: Option<Vec<Frame>>,
    #[serde(default, rename = "_bx")]
    pub(super) extra: Option<Extra>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) headers: Vec<Field>,
    #[serde(default)]
    pub(super) post_data: Option<PostData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData {
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) encoding: Option<String>,
    #[serde(default)]
    pub(super) params: Vec<Param>,
    #[serde(default, rename = "_file")]
    pub(super) file: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Param {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Response {
    /// -1 or 0 for none.
    #[serde(default)]
    pub(super) status: i64,
    #[serde(default)]
    pub(super) headers: Vec<Field>,
    #[serde(default)]
    pub(super) content: Content,
    #[serde(default, rename = "_error")]
    pub(super) error: Option<String>,
    #[serde(default, rename = "_failureText")]
    pub(super) failure: Option<String>,
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

/// One message of a WebSocket, with the members that Chrome gives it.
#[derive(Deserialize)]
pub(super) struct Frame {
    /// `send`, `receive`, or `error`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Since 1970: seconds, with Playwright milliseconds, -1 if left out.
    pub(super) time: f64,
    /// 1 for text, 2 for binary, -1 for an error.
    #[serde(default)]
    pub(super) opcode: f64,
    #[serde(default)]
    pub(super) data: String,
}
