//! The contents of requests and answers, and what is missing of them. Programs leave out what they did not fetch, cut what is long,
//! and count in several ways.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::bayeux::http::callback_argument;
use protocol::chat::files::is_target;
use protocol::wire::Headers;
use serde::de::IgnoredAny;

use super::file::{Request, Response, headers};

/// What is missing of contents.
#[derive(Clone, Copy)]
pub(super) enum Lack {
    All,
    /// They are shorter than they were.
    Part,
    /// They cannot be read.
    Undecodable,
    /// The file beside the HAR that should hold them is not there.
    File,
}

impl Lack {
    /// What is said of the entry with this number; `of` is `request` or `response`.
    pub(super) fn says(self, number: usize, of: &str) -> String {
        match self {
            Self::All => format!("entry {number} lacks the contents of its {of}"),
            Self::Part => format!("entry {number} holds a part of the contents of its {of}"),
            Self::Undecodable => format!("entry {number} holds contents of its {of} that are not base64"),
            Self::File => format!("entry {number} has its contents in a file that is not there"),
        }
    }
}

/// Gives the bytes of a file that a HAR names.
pub(super) type Attached<'a> = &'a mut dyn FnMut(&str) -> Option<Vec<u8>>;

/// What was posted to a target.
///
/// # Errors
///
/// What is missing of it.
pub(super) fn posted(request: &Request, target: &str, attached: Attached<'_>) -> Result<Vec<u8>, Lack> {
    let size = request.body_size.filter(|size| *size > 0.0);
    let due = size.or_else(|| length(&headers(&request.headers)));
    let Some(post) = request.post_data.as_ref().filter(|post| !post.is_empty()) else {
        // A message is posted to a servlet, and a form to where files are, and never nothing.
        let can_be_due = !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let is_due = can_be_due && due.map_or(request.method == "POST", |due| due > 0.0);
        return if is_due { Err(Lack::All) } else { Ok(Vec::new()) };
    };
    let bytes = contents(post.text.as_deref(), post.encoding.as_deref(), post.file.as_deref(), attached)?;
    if bytes.is_empty() {
        let pairs = post.params.iter().map(|param| (param.name.as_str(), param.value.as_str()));
        return Ok(form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes());
    }
    // The parts of a form each program writes in its own way.
    if !is_target(target) && is_cut(&bytes, due) { Err(Lack::Part) } else { Ok(bytes) }
}

/// The contents of an answer. `matters` says that there must be some unless it is known that there are none.
///
/// # Errors
///
/// What is missing of them.
pub(super) fn answered(response: &Response, matters: bool, attached: Attached<'_>) -> Result<Vec<u8>, Lack> {
    let content = &response.content;
    let headers = headers(&response.headers);
    let size = content.size.filter(|size| *size >= 0.0);
    let due = size.into_iter().chain(length(&headers)).reduce(f64::max);
    let bytes = contents(content.text.as_deref(), content.encoding.as_deref(), content.file.as_deref(), attached)?;
    if bytes.is_empty() {
        // Playwright writes a size of -1 where it did not get to fetch the contents.
        let is_due = due.map_or(matters, |due| due > 0.0);
        return if is_due { Err(Lack::All) } else { Ok(bytes) };
    }
    // A text is UTF-8 in a HAR, whatever it was before.
    if is_cut(&bytes, due.filter(|_| is_utf8(&headers))) { Err(Lack::Part) } else { Ok(bytes) }
}

/// Contents as they stand in the file, or in one beside it.
fn contents(
    text: Option<&str>,
    encoding: Option<&str>,
    file: Option<&str>,
    attached: Attached<'_>,
) -> Result<Vec<u8>, Lack> {
    let text = text.unwrap_or_default();
    if text.is_empty()
        && let Some(file) = file
    {
        return attached(file).ok_or(Lack::File);
    }
    // Some say so of what is plain.
    let plain = || Some(text.as_bytes().to_vec()).filter(|bytes| is_whole(bytes));
    decoded(text, encoding).or_else(plain).ok_or(Lack::Undecodable)
}

/// How many bytes crossed by the word of a `Content-Length`, unless they were compressed.
fn length(headers: &Headers) -> Option<f64> {
    let coding = headers.get("content-encoding").unwrap_or("identity");
    let length = headers.get("content-length")?.trim().parse().ok()?;
    coding.trim().eq_ignore_ascii_case("identity").then_some(length)
}

/// Whether contents are shorter than they were. Programs count in several ways: what is whole is not cut, whatever they say.
#[expect(clippy::cast_precision_loss, reason = "no contents are so long that it matters")]
fn is_cut(bytes: &[u8], due: Option<f64>) -> bool {
    due.is_some_and(|due| (bytes.len() as f64) < due) && !is_whole(bytes)
}

fn is_utf8(headers: &Headers) -> bool {
    let kind = headers.get("content-type").unwrap_or_default().to_ascii_lowercase();
    !kind.contains("charset") || kind.contains("utf-8") || kind.contains("us-ascii")
}

/// Whether contents are JSON, or a call with it.
fn is_whole(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(callback_argument(bytes)).is_ok()
}

/// Text or, if it says so, base64, which may be broken into lines; `None` if it is not.
fn decoded(text: &str, encoding: Option<&str>) -> Option<Vec<u8>> {
    match encoding {
        Some("base64") => BASE64.decode(text.split_ascii_whitespace().collect::<String>()).ok(),
        Some(_) | None => Some(text.as_bytes().to_vec()),
    }
}
