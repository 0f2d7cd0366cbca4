//! Content codings (RFC 9110, 8.4.1): the copy of a body is given as its sender meant it, whatever the way was made of.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use protocol::wire::{Headers, Wire};

/// Takes the coding off a body. A coding that is unknown, or hides more than `limit` bytes, stays on.
pub(super) fn decode(wire: &mut Wire, limit: usize) {
    let (headers, body) = match wire {
        Wire::Request(_, request) | Wire::Upgrade(_, request) => (&request.headers, &mut request.body),
        Wire::Response(_, response) | Wire::Refused(_, response) => (&response.headers, &mut response.body),
        Wire::Broken(..)
        | Wire::Upgraded(..)
        | Wire::Text(..)
        | Wire::Binary(..)
        | Wire::Ping(..)
        | Wire::Pong(..)
        | Wire::Close(..)
        | Wire::Lost(..) => return,
    };
    if let Some(plain) = plain(headers, body, limit) {
        *body = plain;
    }
}

fn plain(headers: &Headers, body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let coding = headers.get("content-encoding")?;
    let mut plain = Vec::new();
    let most = limit as u64 + 1;
    match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => MultiGzDecoder::new(body).take(most).read_to_end(&mut plain),
        "deflate" => ZlibDecoder::new(body).take(most).read_to_end(&mut plain),
        _ => return None,
    }
    .ok()?;
    (plain.len() <= limit).then_some(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use pretty_assertions::assert_eq;
    use protocol::wire::{Exchange, Response};
    use rstest::rstest;

    use super::*;

    fn decoded(coding: &str, body: &[u8], limit: usize) -> Vec<u8> {
        let headers = Headers::new().with("content-encoding", coding);
        let mut wire = Wire::Response(Exchange(1), Response { status: 200, headers, body: body.to_vec() });
        decode(&mut wire, limit);
        let Wire::Response(_, response) = wire else { panic!("{wire:?}") };
        response.body
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn takes_known_codings_off() {
        assert_eq!(decoded("gzip", &gzip(b"[{}]"), 100), b"[{}]");
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"[{}]").unwrap();
        assert_eq!(decoded("Deflate", &encoder.finish().unwrap(), 100), b"[{}]");
    }

    #[rstest]
    #[case::unknown("br", b"\x0b\x01\x80[{}]\x03".to_vec(), 100)]
    #[case::broken("gzip", gzip(b"[{}]")[..12].to_vec(), 100)]
    #[case::bomb("gzip", gzip(&[0; 10_000]), 9_999)]
    fn leaves_what_it_cannot_read(#[case] coding: &str, #[case] body: Vec<u8>, #[case] limit: usize) {
        assert_eq!(decoded(coding, &body, limit), body);
    }
}
