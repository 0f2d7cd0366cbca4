//! The closed lists of the audit: what may stand on a tape beside tokens and numbers.

use crate::redaction::files::{FIELDS, MEDIA_TYPES};
use crate::redaction::http::{COOKIES, METHODS, PARAMETERS, SEGMENTS};
use crate::redaction::policy::Policy;

/// Names of members that no rule of redaction needs, sorted.
const NAMES: &[&str] = &[
    "GCTI_SYSTEM",
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
    "accept",
    "accept-encoding",
    "accept-language",
    "access-control-allow-origin",
    "access-control-request-headers",
    "access-control-request-method",
    "apache",
    "apache-coyote",
    "api+json",
    "apng",
    "application",
    "apr",
    "aug",
    "authorization",
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
    "content-encoding",
    "content-type",
    "cookie",
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
    "keep-alive",
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
    "origin",
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
    "upgrade",
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

/// Words of our own labels, in lower case and sorted: kinds of records and of faults, classes of tokens and failures, timers.
const LABEL_WORDS: &[&str] = &[
    "aborted",
    "after",
    "al",
    "answer",
    "answered",
    "array",
    "auth",
    "bayeux",
    "body",
    "bytes",
    "call",
    "channel",
    "chat",
    "chatv2",
    "chrome",
    "cid",
    "ck",
    "class",
    "client",
    "clock",
    "close",
    "closed",
    "code",
    "complete",
    "conn",
    "connect",
    "ctl",
    "cut",
    "delayed",
    "dropped",
    "end",
    "err",
    "fault",
    "file",
    "firefox",
    "forgotten",
    "gap",
    "git",
    "handshake",
    "har",
    "hdr",
    "hmac",
    "http",
    "httptoolkit",
    "keep",
    "key",
    "keyid",
    "large",
    "leave",
    "live",
    "lost",
    "mail",
    "mark",
    "millis",
    "mitmproxy",
    "mode",
    "monotonic",
    "msg",
    "name",
    "net",
    "nick",
    "none",
    "open",
    "other",
    "playwright",
    "policy",
    "protocol",
    "proxy",
    "push",
    "rand",
    "receive",
    "redacted",
    "ref",
    "refused",
    "replaced",
    "reply",
    "req",
    "res",
    "reset",
    "retry",
    "seed",
    "send",
    "server",
    "session",
    "shifted",
    "short",
    "sim",
    "single",
    "sk",
    "status",
    "swallowed",
    "tape",
    "tapestry",
    "tel",
    "texts",
    "timeout",
    "timer",
    "times",
    "too",
    "txt",
    "ud",
    "uid",
    "unavailable",
    "unk",
    "unknown",
    "unreachable",
    "version",
    "ws",
];

/// Names in `env` that say how a client, a case or a recording was set up, sorted.
const ENV_NAMES: &[&str] = &[
    "ack",
    "agent",
    "answerTimeout",
    "auth",
    "backoffIncrement",
    "base",
    "checkConnectId",
    "client",
    "deduplicate",
    "defaultTimeout",
    "fileTimeout",
    "handshakeExt",
    "legacyIds",
    "limitBytes",
    "limitDepth",
    "limitMessages",
    "maxBackoff",
    "maxNetworkDelay",
    "patience",
    "reorderWindow",
    "restoreAfterHandshake",
    "service",
    "split",
    "startUtc",
    "target",
    "targetLimit",
    "timestamp",
    "timesync",
    "transport",
    "transports",
    "unavailableRetry",
    "wanted",
];

/// What these say beside numbers and the vocabulary, sorted.
const ENV_WORDS: &[&str] =
    &["any", "asked", "chat", "embedded", "given", "scripted", "session", "simulated", "simulator", "tapestry"];

/// What recorder, suite and import say in marks, by how it begins. `#` stands for a number, `@` for an exchange, a WebSocket or a
/// connection, `$` for the name of a signal.
const SENTENCES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "@ answered with status #",
            "@ refused here: no file descriptor left",
            "# units lost here: the disk was too slow",
            "agent leaves",
            "holds",
            "new clients wait here: no file descriptor left",
            "odd",
            "same",
        ],
    ),
    ("@ request left out: ", LEFT_OUT),
    ("@ answer left out: ", LEFT_OUT),
    ("@ request cannot be read: ", CODED),
    ("@ answer cannot be read: ", CODED),
    ("@ message of the client left out: ", TOO_LARGE),
    ("@ message of the server left out: ", TOO_LARGE),
    ("@ frames of the client left out from here on: ", MALFORMED),
    ("@ frames of the server left out from here on: ", MALFORMED),
    ("asked to ", &["end", "join", "leave", "notice", "push-url", "say", "transfer", "type"]),
    (
        "given up: ",
        &[
            "the command did not come within # s",
            "the command ended before it came: exit status: #",
            "the command ended before it came: signal: # $",
            "the command ended before it came: signal: # $ core dumped",
        ],
    ),
    (
        "import: ",
        &[
            "entry # has its contents in a file that is not there",
            "entry # holds WebSocket messages that cannot be read: #",
            "entry # holds WebSocket messages without a possible time and each is taken at that of the one before: #",
            "entry # holds WebSocket messages without data and they are left out: #",
            "entry # holds a WebSocket message of an unknown type it is left out",
            "entry # holds a part of the contents of its response",
            "entry # holds binary WebSocket messages that are not base64 and are taken as they stand: #",
            "entry # holds contents of its request that are not base64 and are taken as they stand",
            "entry # holds contents of its response that are not base64 and are taken as they stand",
            "entry # is a WebSocket without its messages which the exporter left out",
            "entry # lacks a member or has a wrong one and is left out",
            "entry # has a duration of more than a year and its answer is taken as immediate",
            "entry # lacks the contents of its request",
            "entry # lacks the contents of its response",
            "the file was changed since it was exported from a tape",
        ],
    ),
];

/// Why a body is left out.
const LEFT_OUT: &[&str] = &[
    "it broke off after # bytes",
    "it was never whole",
    "its request was never whole",
    "no memory left for it",
    "over the limit of # MiB",
    "over the limit of # bytes",
];

/// Why a message is left out.
const TOO_LARGE: &[&str] = &["over the limit of # MiB", "over the limit of # bytes"];

/// Why a body stays as it came.
const CODED: &[&str] = &[
    "as br it decodes to more than the size limit",
    "as deflate it decodes to more than the size limit",
    "as gzip it decodes to more than the size limit",
    "as zstd it decodes to more than the size limit",
    "it does not decode as br",
    "it does not decode as deflate",
    "it does not decode as gzip",
    "it does not decode as zstd",
    "it has too many content codings",
    "its content coding is not known here",
];

/// Why frames cannot be read. On older tapes that is so behind a message over the limit, too.
const MALFORMED: &[&str] = &[
    "a close frame of one byte",
    "a continuation without a beginning",
    "a control frame that is fragmented or too long",
    "a frame with a reserved bit",
    "a frame with a reserved opcode",
    "a frame with an impossible length",
    "a frame with the wrong masking",
    "a message inside a fragmented message",
    "a message over the size limit",
    "a message over the size limit of # MiB",
    "a message over the size limit of # bytes",
    "a message that does not inflate",
    "a message that inflates out of proportion",
    "a text that is not UTF-8",
    "an unknown extension",
    "no memory left for a message",
];

/// Segments of the channels that the suite makes up, all of which have the segment `tapestry`; sorted.
const SUITE_SEGMENTS: &[&str] = &[
    "<b>",
    "NAME",
    "a",
    "alone",
    "b",
    "c",
    "elsewhere",
    "foreign",
    "good",
    "id",
    "late",
    "long",
    "name",
    "nobody",
    "one",
    "overlap",
    "own",
    "private",
    "room",
    "services",
    "three",
    "torn",
    "two",
    "unknown",
];

/// What the suite says where words of the protocol stand, to see what becomes of it; sorted.
const SUITE_WORDS: &[&str] =
    &["Robot", "SomethingNew", "carrier-pigeon", "elsewhere", "refresh", "send", "tapestryNoSuchOperation"];

/// Attributes of cookies, in lower case and sorted.
const COOKIE_ATTRIBUTES: &[&str] =
    &["domain", "expires", "httponly", "max-age", "partitioned", "path", "priority", "samesite", "secure"];

/// What stands around the fields of a form, sorted.
const FORM_WORDS: &[&str] = &[
    "Content-Disposition",
    "Content-Type",
    "file",
    "filename",
    "form-data",
    "name",
    "tapestryNoSuchOperation",
    "userData",
];

/// Places that redaction names besides members, sorted.
const PLACES: &[&str] = &["args", "headers", "label", "method", "reason", "url"];

pub(super) fn is_name(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

pub(super) fn is_segment(segment: &str) -> bool {
    SEGMENTS.contains(&segment) || CHANNEL_SEGMENTS.contains(&segment)
}

pub(super) fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

pub(super) fn is_cookie(name: &str) -> bool {
    COOKIES.contains(&name)
}

pub(super) fn is_cookie_attribute(name: &str) -> bool {
    COOKIE_ATTRIBUTES.contains(&name.to_ascii_lowercase().as_str())
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
    (day && numbers == word) || (numbers.split('.').count() <= 4 && numbers.split('.').all(is_number))
}

pub(super) fn is_label_word(word: &str) -> bool {
    LABEL_WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

pub(super) fn is_env_name(name: &str) -> bool {
    ENV_NAMES.binary_search(&name).is_ok()
}

pub(super) fn is_env_word(word: &str) -> bool {
    ENV_WORDS.binary_search(&word).is_ok()
}

/// Whether a channel is one that the suite made up, and which of its segments are known then.
pub(super) fn is_suite_segment(channel: &str, segment: &str) -> bool {
    channel.split('/').any(|segment| segment == "tapestry") && SUITE_SEGMENTS.binary_search(&segment).is_ok()
}

/// The service that the suite asks for where there must be none, and the one that is not that of a client under test.
pub(super) fn is_suite_service(segment: &str) -> bool {
    segment == "tapestry-elsewhere" || segment.strip_prefix("tapestry-no-such-").is_some_and(is_digits)
}

/// The ids of messages that the simulator says with a fault planted.
pub(super) fn is_planted_id(id: &str) -> bool {
    matches!(id, "smuggled" | "x1") || id.strip_prefix("notification-").is_some_and(is_digits)
}

pub(super) fn is_suite_word(word: &str) -> bool {
    SUITE_WORDS.binary_search(&word).is_ok()
}

/// Whether a mark says what the program says. `is_closed` tells about a word that redaction has put into it.
pub(super) fn is_sentence(label: &str, is_closed: impl Fn(&str) -> bool) -> bool {
    let fits = |(pattern, word): (&str, &str)| match pattern {
        "#" => is_digits(word),
        "@" => is_link(word),
        "$" => {
            word.strip_prefix("SIG").is_some_and(|name| name.len() <= 6 && name.bytes().all(|b| b.is_ascii_uppercase()))
        }
        _ => pattern == word || is_closed(word),
    };
    SENTENCES.iter().flat_map(|(begins, ends)| ends.iter().map(move |end| (*begins, *end))).any(|(begins, end)| {
        let pattern = begins.split_terminator(' ').chain(end.split(' '));
        pattern.clone().count() == label.split(' ').count() && pattern.zip(label.split(' ')).all(fits)
    })
}

fn is_digits(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `h1`, `e2`, `s3`
pub(super) fn is_link(text: &str) -> bool {
    text.strip_prefix(['h', 'e', 's']).is_some_and(is_digits)
}

pub(super) fn is_form_word(word: &str) -> bool {
    FIELDS.contains(&word) || FORM_WORDS.contains(&word)
}

pub(super) fn is_media_type(kind: &str) -> bool {
    MEDIA_TYPES.contains(&kind)
}

pub(super) fn is_method(method: &str) -> bool {
    METHODS.contains(&method)
}

pub(super) fn is_place(name: &str) -> bool {
    PLACES.contains(&name)
}

/// A word that is harmless wherever it stands: a channel of Bayeux, or the notice with the limits of files.
pub(super) fn is_word(text: &str) -> bool {
    matches!(text, "/meta/handshake" | "/meta/connect" | "/meta/disconnect" | "/meta/subscribe" | "/meta/unsubscribe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        let suite = [SUITE_SEGMENTS, SUITE_WORDS];
        let ours = [NAMES, LABEL_WORDS, ENV_NAMES, ENV_WORDS, PLACES];
        let wire = [CHANNEL_SEGMENTS, FIELD_WORDS, COOKIE_ATTRIBUTES, FORM_WORDS];
        for list in suite.iter().chain(&ours).chain(&wire) {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
