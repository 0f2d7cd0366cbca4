//! Between the HTTP library's types and the wire vocabulary.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use protocol::wire::{Failure, Headers, Response};

/// The fields that belong to a connection and not to a message.
const CONNECTION_FIELDS: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "sec-websocket-accept",
    "transfer-encoding",
    "upgrade",
    "sec-websocket-extensions",
];

/// Header fields as the wire vocabulary has them. Octets outside ASCII are read as Latin-1, so that none is lost.
pub(crate) fn headers(map: &HeaderMap) -> Headers {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    Headers(map.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

/// A method as a log may show it: whoever makes one up could say anything with it.
pub(crate) fn shown_method(method: &str) -> &str {
    const USUAL: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if USUAL.contains(&method) { method } else { "(unusual method)" }
}

/// Whether a field belongs to a connection and not to a message.
pub(crate) fn is_of_connection(name: &str) -> bool {
    CONNECTION_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Adds the fields of a message to what the connection needs. Fields that no HTTP message can hold are left out.
pub(crate) fn add_headers(map: &mut HeaderMap, headers: &Headers) {
    for (name, value) in &headers.0 {
        if is_of_connection(name) {
            continue;
        }
        let latin: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let value = latin.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), value) {
            map.append(name, value);
        }
    }
}

/// A whole response for the HTTP library.
pub(crate) fn response(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut built = hyper::Response::new(Full::new(Bytes::from(response.body)));
    *built.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    add_headers(built.headers_mut(), &response.headers);
    built
}

/// What became of reading a body.
pub(crate) enum Read {
    /// It is whole.
    Whole(Vec<u8>),
    /// It has more bytes than taken; these are the first `limit + 1`.
    Over(Vec<u8>),
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read<B>(mut body: B, limit: usize) -> Result<Read, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Failure::Reset) };
        let Some(data) = frame.data_ref() else { continue };
        let room = limit + 1 - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if bytes.len() > limit {
            return Ok(Read::Over(bytes.to_vec()));
        }
    }
    Ok(Read::Whole(bytes.to_vec()))
}
