//! The closed lists of redaction: words that stay where no rule needs them. The audit takes the same.

use super::http::SEGMENTS;
use super::policy::Policy;

/// Names of members that no rule of redaction needs, sorted.
const NAMES: &[&str] = &[
    "ack",
    "activity",
    "anything",
    "b",
    "batch",
    "c",
    "chatEnded",
    "code",
    "connectionId",
    "contentType",
    "contents",
    "deep",
    "enabled",
    "failure",
    "file",
    "filename",
    "hosts",
    "json-comment-filtered",
    "list",
    "monitored",
    "multiple-clients",
    "nested",
    "party-info",
    "size",
    "statusCode",
    "style",
    "successful",
    "tapestry",
    "x-tapestry",
];

/// Segments of channels, beside those of paths, sorted: with the service of Genesys' own examples, and what the suite asks for.
const CHANNEL_SEGMENTS: &[&str] =
    &["*", "**", "chatV2", "customer-support", "meta", "sentinel", "subscribe", "tapestry", "unsubscribe"];

/// Words of kept header fields and of media types, in lower case and sorted. Redaction keeps these and no others.
const FIELD_WORDS: &[&str] = &[
    "*",
    "accept-language",
    "access-control-request-headers",
    "access-control-request-method",
    "apache",
    "apache-coyote",
    "api+json",
    "apng",
    "application",
    "apr",
    "aug",
    "avif",
    "awselb",
    "b3",
    "bayeux",
    "boundary",
    "br",
    "bytes",
    "charset",
    "chatv2",
    "chunked",
    "client_max_window_bits",
    "client_no_context_takeover",
    "close",
    "cloudflare",
    "cometd",
    "compress",
    "connect",
    "csv",
    "date",
    "debian",
    "dec",
    "deflate",
    "delete",
    "envoy",
    "etag",
    "false",
    "feb",
    "form-data",
    "form-of-the-tape",
    "fri",
    "get",
    "gif",
    "gmt",
    "gzip",
    "haproxy",
    "head",
    "high",
    "html",
    "identity",
    "if-none-match",
    "image",
    "immutable",
    "iso-8859-1",
    "jan",
    "javascript",
    "jetty",
    "jpeg",
    "json",
    "jul",
    "jun",
    "last-modified",
    "lax",
    "low",
    "mar",
    "max",
    "max-age",
    "max-stale",
    "may",
    "medium",
    "microsoft-iis",
    "min-fresh",
    "mon",
    "multipart",
    "must-revalidate",
    "nginx",
    "no-cache",
    "no-store",
    "no-transform",
    "none",
    "nov",
    "oct",
    "octet-stream",
    "only-if-cached",
    "openresty",
    "openssl",
    "options",
    "patch",
    "permessage-deflate",
    "plain",
    "png",
    "post",
    "private",
    "problem+json",
    "proxy-revalidate",
    "public",
    "put",
    "q",
    "range",
    "s-maxage",
    "sat",
    "sep",
    "server_max_window_bits",
    "server_no_context_takeover",
    "signed-exchange",
    "stale-if-error",
    "stale-while-revalidate",
    "strict",
    "sun",
    "svg+xml",
    "te",
    "text",
    "thu",
    "timeout",
    "trace",
    "trailers",
    "true",
    "tue",
    "ubuntu",
    "unix",
    "us-ascii",
    "user-agent",
    "utc",
    "utf-16",
    "utf-8",
    "utf8",
    "v",
    "varnish",
    "webp",
    "websocket",
    "wed",
    "win64",
    "x-csrf-token",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-requested-with",
    "x-webkit-deflate-frame",
    "x-www-form-urlencoded",
    "x-xsrf-token",
    "xhtml+xml",
    "xml",
    "zstd",
];

/// What stands between the words of header fields.
pub(crate) const FIELD_SEPARATORS: [char; 9] = [' ', ',', ';', '=', '/', '(', ')', '"', ':'];

/// Places that redaction names besides members, sorted.
const PLACES: &[&str] = &["args", "headers", "label", "method", "reason", "url"];

pub(crate) fn is_name(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

pub(crate) fn is_segment(segment: &str) -> bool {
    SEGMENTS.contains(&segment) || CHANNEL_SEGMENTS.contains(&segment)
}

/// Whether a word may stand in a kept header field: one of the list, a name of a kept field, a short number or a version.
pub(crate) fn is_field_word(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    FIELD_WORDS.binary_search(&lower.as_str()).is_ok()
        || Policy::standard().field(&lower).is_some()
        || is_field_number(word)
        || is_version(word)
}

/// A size, a number of seconds: shorter than a telephone number with its area.
fn is_field_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `9.4`, `0.8`, `9.4.41.v20210629`
fn is_version(word: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_day = |part: &str| {
        part.strip_prefix("v20").is_some_and(|day| day.len() == 6 && day.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (numbers, day) = match word.rsplit_once('.') {
        Some((numbers, day)) if is_day(day) => (numbers, true),
        _ => (word, is_day(word)),
    };
    // Four numbers may be an address.
    let most = if day { 4 } else { 3 };
    (day && numbers == word) || (numbers.split('.').count() <= most && numbers.split('.').all(is_number))
}

pub(crate) fn is_place(name: &str) -> bool {
    PLACES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        for list in [NAMES, CHANNEL_SEGMENTS, FIELD_WORDS, PLACES] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn no_list_holds_what_is_known_without_it() {
        let policy = Policy::standard();
        let dead: Vec<&&str> = FIELD_WORDS
            .iter()
            .filter(|word| policy.field(word).is_some() || is_field_number(word) || is_version(word))
            .chain(NAMES.iter().filter(|name| policy.names_member(name)))
            .collect();
        assert_eq!(dead, Vec::<&&str>::new());
    }
}
