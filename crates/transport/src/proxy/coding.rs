//! Content codings (RFC 9110, 8.4.1): the copy of a body is given as its sender meant it, whatever the way was made of.

use std::io::{self, Read};

use brotli_decompressor::Decompressor;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use protocol::wire::{Headers, Request, Response, Wire};

use super::exchange::Link;

/// The largest window of a zstd frame on the web, as a power of two (RFC 9659, 3).
const ZSTD_WINDOW: u32 = 23;

/// How many codings are taken off one body. Nobody needs more, and each costs as much as the body may hold.
const MOST: usize = 3;

/// Takes the codings off a body. If one is unknown, does not decode or hides more than `limit` bytes, the body stays as it came,
/// and what comes back says so for the tape.
pub(super) fn decode(wire: &mut Wire, limit: usize) -> Option<String> {
    let (link, half, headers, body) = match wire {
        Wire::Request(exchange, Request { headers, body, .. }) => (Link::Exchange(*exchange), "request", headers, body),
        Wire::Upgrade(socket, Request { headers, body, .. }) => (Link::Socket(*socket), "request", headers, body),
        Wire::Response(exchange, Response { headers, body, .. }) => {
            (Link::Exchange(*exchange), "answer", headers, body)
        }
        Wire::Refused(socket, Response { headers, body, .. }) => (Link::Socket(*socket), "answer", headers, body),
        Wire::Broken(..)
        | Wire::Upgraded(..)
        | Wire::Text(..)
        | Wire::Binary(..)
        | Wire::Ping(..)
        | Wire::Pong(..)
        | Wire::Close(..)
        | Wire::Lost(..) => return None,
    };
    // Without a body, as after HEAD, the field is about another answer.
    if body.is_empty() {
        return None;
    }
    match plain(headers, body, limit) {
        Ok(plain) => {
            if let Some(plain) = plain {
                *body = plain;
            }
            None
        }
        Err(coded) => Some(format!("{link} {half} cannot be read: {coded}")),
    }
}

/// Why a body stays as it came. The field itself is not repeated: it could hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Coded {
    #[error("its content coding is not known here")]
    Unknown,
    #[error("it has too many content codings")]
    TooMany,
    #[error("it does not decode as {0}")]
    Damaged(&'static str),
    #[error("as {0} it decodes to more than the size limit")]
    TooLarge(&'static str),
}

/// The body without its codings; `None` if it has none.
fn plain(headers: &Headers, body: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Coded> {
    let codings = headers.all("content-encoding").flat_map(|value| value.split(','));
    let codings = codings.map(|coding| coding.trim().to_ascii_lowercase());
    let codings: Vec<String> = codings.filter(|coding| !coding.is_empty() && coding != "identity").collect();
    if codings.len() > MOST {
        return Err(Coded::TooMany);
    }
    // The last one was put on last.
    let mut plain = None;
    for coding in codings.iter().rev() {
        plain = Some(off(coding, plain.as_deref().unwrap_or(body), limit)?);
    }
    Ok(plain)
}

fn off(coding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, Coded> {
    match coding {
        "gzip" | "x-gzip" => read("gzip", MultiGzDecoder::new(body), limit),
        "deflate" => read("deflate", ZlibDecoder::new(body), limit),
        "br" => read("br", Decompressor::new(body, 4 << 10), limit),
        "zstd" => read("zstd", zstd(body).map_err(|_| Coded::Damaged("zstd"))?, limit),
        _ => Err(Coded::Unknown),
    }
}

fn zstd(body: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(decoder)
}

fn read(coding: &'static str, decoder: impl Read, limit: usize) -> Result<Vec<u8>, Coded> {
    let mut plain = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|_| Coded::Damaged(coding))?;
    if plain.len() > limit { Err(Coded::TooLarge(coding)) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use pretty_assertions::assert_eq;
    use protocol::wire::Exchange;
    use rstest::rstest;

    use super::*;

    const MESSAGES: &[u8] = br#"[{"id":"1","channel":"/meta/connect","successful":true}]"#;

    /// The messages, and 10000 zeros.
    const BROTLI: &[u8] = b"\x1b\x37\x00\x60\x2c\x0e\x6c\x9b\x44\xf6\x0d\x97\xee\x92\xd8\x93\x47\x56\x8b\x6c\x85\xb5\xcd\x97\x98\
        \xb4\x62\xd1\xe9\x2e\xb2\xb2\x3d\xf9\x42\xd7\xd7\x92\xf4\x82\x4d\x41\xd2\xb3\xd1\x6c\x5b\x85\xd0\xf2\x1a\x40\x20\xc7\x3d\x03";
    const BROTLI_ZEROS: &[u8] = b"\x1b\x0f\x27\xf8\x27\x00\xe2\xb1\x40\x20\xd9\x03\x00";

    fn decoded(coding: &str, body: &[u8], limit: usize) -> (Vec<u8>, Option<String>) {
        let headers = Headers::new().with("content-encoding", coding);
        let mut wire = Wire::Response(Exchange(1), Response { status: 200, headers, body: body.to_vec() });
        let gap = decode(&mut wire, limit);
        let Wire::Response(_, response) = wire else { panic!("{wire:?}") };
        (response.body, gap)
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(plain, 0).unwrap()
    }

    #[rstest]
    #[case::gzip("gzip", gzip(MESSAGES))]
    #[case::deflate("Deflate", deflate(MESSAGES))]
    #[case::br("br", BROTLI.to_vec())]
    #[case::zstd("zstd", zstd(MESSAGES))]
    #[case::none("identity", MESSAGES.to_vec())]
    #[case::two("deflate, gzip", gzip(&deflate(MESSAGES)))]
    fn takes_known_codings_off(#[case] coding: &str, #[case] body: Vec<u8>) {
        assert_eq!(decoded(coding, &body, 100), (MESSAGES.to_vec(), None));
    }

    #[test]
    fn a_coding_of_nothing_is_no_fault() {
        assert_eq!(decoded("gzip", b"", 100), (Vec::new(), None));
    }

    #[test]
    fn a_request_is_decoded_too() {
        let headers = Headers::new().with("content-encoding", "br");
        let (method, target) = ("POST".to_owned(), "/".to_owned());
        let mut wire = Wire::Request(Exchange(1), Request { method, target, headers, body: b"[{}]".to_vec() });
        assert_eq!(decode(&mut wire, 100).as_deref(), Some("e1 request cannot be read: it does not decode as br"));
    }

    #[rstest]
    #[case::unknown("canary", b"[{}]".to_vec(), "its content coding is not known here")]
    #[case::many("gzip,gzip,gzip,gzip", b"[{}]".to_vec(), "it has too many content codings")]
    #[case::broken_gzip("gzip", gzip(b"[{}]")[..12].to_vec(), "it does not decode as gzip")]
    #[case::broken_br("br", BROTLI[..40].to_vec(), "it does not decode as br")]
    #[case::broken_zstd("zstd", zstd(MESSAGES)[..20].to_vec(), "it does not decode as zstd")]
    #[case::bomb_gzip("gzip", gzip(&[0; 10_000]), "as gzip it decodes to more than the size limit")]
    #[case::bomb_br("br", BROTLI_ZEROS.to_vec(), "as br it decodes to more than the size limit")]
    #[case::bomb_zstd("zstd", zstd(&[0; 10_000]), "as zstd it decodes to more than the size limit")]
    #[case::bomb_inside("deflate, gzip", gzip(&deflate(&[0; 10_000])), "as deflate it decodes to more than the size limit")]
    fn what_stays_coded_is_told(#[case] coding: &str, #[case] body: Vec<u8>, #[case] why: &str) {
        assert_eq!(decoded(coding, &body, 9_999), (body, Some(format!("e1 answer cannot be read: {why}"))));
    }
}
