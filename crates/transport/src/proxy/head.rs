//! Heads of requests and answers: what the tape gets of them, and what is forwarded.

use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::http::{request, response};
use hyper::{Uri, Version};
use protocol::wire::{Headers, Request, Response};

use crate::endpoint::Endpoint;

/// Fields that concern one connection only (RFC 9110, 7.6.1). `Transfer-Encoding` stays: hyper frames the body by it.
const HOP_BY_HOP: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "te", "upgrade"];

/// Fields that no `Connection` field can take away, since the forwarded message would mean something else without them.
const END_TO_END: [&str; 3] = ["content-length", "host", "transfer-encoding"];

/// The header fields as they came, names in lower case.
pub(super) fn fields(map: &HeaderMap) -> Headers {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Headers(map.iter().map(field).collect())
}

/// A request without its body.
pub(super) fn request(parts: &request::Parts) -> Request {
    Request {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: fields(&parts.headers),
        body: Vec::new(),
    }
}

/// An answer without its body.
pub(super) fn response(parts: &response::Parts) -> Response {
    Response { status: parts.status.as_u16(), headers: fields(&parts.headers), body: Vec::new() }
}

/// Whether a request wants to become a WebSocket (RFC 6455, 4.1).
pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let names = |name, wanted: &str| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted));
    names(CONNECTION, "upgrade") && names(UPGRADE, "websocket")
}

/// Turns a request to us into one to the upstream.
pub(super) fn address(parts: &mut request::Parts, upstream: &Endpoint, upgrade: bool) {
    parts.version = Version::HTTP_11;
    if let Some(target) = parts.uri.path_and_query() {
        // A client that takes us for a forward proxy names an origin; there is only one here.
        parts.uri = Uri::from(target.clone());
    }
    if !upgrade {
        parts.headers = end_to_end(&parts.headers);
    }
    if let Ok(authority) = HeaderValue::from_str(&upstream.authority()) {
        parts.headers.insert(HOST, authority);
    }
}

/// The fields that are meant for the other end, in their order. The wish to close stays, since each connection here has its
/// own there.
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = tokens(headers, CONNECTION).map(str::to_ascii_lowercase).collect();
    let concerns_the_hop = |name: &str| {
        HOP_BY_HOP.contains(&name) || (named.iter().any(|named| named == name) && !END_TO_END.contains(&name))
    };
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if !concerns_the_hop(name.as_str()) {
            kept.append(name, value.clone());
        }
    }
    if named.iter().any(|token| token == "close") {
        kept.append(CONNECTION, HeaderValue::from_static("close"));
    }
    kept
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
    values.into_iter().flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[test]
    fn keeps_the_order_of_what_is_forwarded() {
        let headers = map(&[
            ("a", "1"),
            ("connection", "keep-alive, X-Hop, Host"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("cookie", "k=v"),
            ("host", "h"),
            ("transfer-encoding", "chunked"),
            ("z", "2"),
        ]);
        let kept = map(&[("a", "1"), ("cookie", "k=v"), ("host", "h"), ("transfer-encoding", "chunked"), ("z", "2")]);
        assert_eq!(fields(&end_to_end(&headers)), fields(&kept));
    }

    #[test]
    fn passes_the_wish_to_close_on() {
        assert_eq!(
            fields(&end_to_end(&map(&[("connection", "Close"), ("a", "1")]))),
            fields(&map(&[("a", "1"), ("connection", "close")]))
        );
    }

    #[test]
    fn recognises_the_request_of_a_browser() {
        assert!(asks_for_websocket(&map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")])));
        assert!(!asks_for_websocket(&map(&[("connection", "keep-alive"), ("upgrade", "websocket")])));
        assert!(!asks_for_websocket(&map(&[("connection", "upgrade"), ("upgrade", "h2c")])));
    }
}
