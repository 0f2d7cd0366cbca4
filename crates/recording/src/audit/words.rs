//! The closed lists of the audit: what may stand on a tape beside tokens and numbers.

use crate::originals;
use crate::redaction::files::{FIELDS, MEDIA_TYPES};
use crate::redaction::http::{COOKIES, METHODS, PARAMETERS};
use crate::token::{self, Class};

/// Words of our own labels, in lower case and sorted: kinds of records and of faults, failures, timers.
const LABEL_WORDS: &[&str] = &[
    "aborted",
    "after",
    "answer",
    "answered",
    "array",
    "bayeux",
    "body",
    "bytes",
    "call",
    "channel",
    "chatv2",
    "chrome",
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
    "keyid",
    "large",
    "leave",
    "live",
    "lost",
    "mark",
    "millis",
    "mitmproxy",
    "mode",
    "monotonic",
    "msg",
    "name",
    "net",
    "none",
    "open",
    "other",
    "playwright",
    "policy",
    "protocol",
    "proxy",
    "rand",
    "receive",
    "redacted",
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
    "status",
    "swallowed",
    "tape",
    "tapestry",
    "texts",
    "timeout",
    "timer",
    "times",
    "too",
    "unavailable",
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

/// Sentences by how they begin, with how each may go on. `#` stands for a number, `@` for an exchange, a WebSocket or a
/// connection, `$` for the name of a signal.
type Sentences = &'static [(&'static str, &'static [&'static str])];

/// What recorder and suite say in marks, and nothing is missing.
const REMARKS: Sentences = &[
    (
        "",
        &[
            "@ answered with status #",
            "@ refused here: no file descriptor left",
            "@ request left out: it was never whole",
            "agent leaves",
            originals::HOLDS,
            "new clients wait here: no file descriptor left",
            originals::ODD,
            originals::SAME,
        ],
    ),
    ("asked to ", &["end", "join", "leave", "notice", "push-url", "say", "transfer", "type"]),
    ("import: ", &["the file was changed since it was exported from a tape"]),
    (
        "given up: ",
        &[
            "the command did not come within # s",
            "the command ended before it came: exit status: #",
            "the command ended before it came: signal: # $",
            "the command ended before it came: signal: # $ core dumped",
        ],
    ),
];

/// What recorder and import say in marks where something that crossed the wire is not on the tape, or not as it was.
const LOSSES: Sentences = &[
    ("", &["# units lost here: no memory left for them"]),
    ("@ request left out: ", NO_ROOM),
    ("@ answer left out: ", NO_ROOM),
    ("@ answer left out: ", &["it broke off after # bytes", "its request was never whole"]),
    ("@ request cannot be read: ", CODED),
    ("@ answer cannot be read: ", CODED),
    ("@ message of the client left out: ", NO_ROOM),
    ("@ message of the server left out: ", NO_ROOM),
    ("@ frames of the client left out from here on: ", MALFORMED),
    ("@ frames of the server left out from here on: ", MALFORMED),
    (
        "import: ",
        &[
            "entry # has its contents in a file that is not there",
            "entry # holds WebSocket messages that cannot be read: #",
            "entry # holds WebSocket messages without a possible time and each is taken at that of the one before: #",
            "entry # holds WebSocket messages without data and they are left out: #",
            "entry # holds a WebSocket message of an unknown type it is left out",
            "entry # holds a part of the contents of its request",
            "entry # holds a part of the contents of its response",
            "entry # holds binary WebSocket messages that are not base64 and are taken as they stand: #",
            "entry # holds contents of its request that are not base64",
            "entry # holds contents of its request that are not base64 and are taken as they stand",
            "entry # holds contents of its response that are not base64",
            "entry # holds contents of its response that are not base64 and are taken as they stand",
            "entry # is a WebSocket without its messages which the exporter left out",
            "entry # lacks a member or has a wrong one and is left out",
            "entry # has a duration of more than a year and its answer is taken as immediate",
            "entry # lacks its answer",
            "entry # lacks the contents of its request",
            "entry # lacks the contents of its response",
        ],
    ),
];

/// Why a body or a message is left out.
const NO_ROOM: &[&str] = &["no memory left for it", "over the limit of # MiB", "over the limit of # bytes"];

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

pub(super) fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

pub(super) fn is_cookie(name: &str) -> bool {
    COOKIES.contains(&name)
}

pub(super) fn is_cookie_attribute(name: &str) -> bool {
    COOKIE_ATTRIBUTES.contains(&name.to_ascii_lowercase().as_str())
}

pub(super) fn is_label_word(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    LABEL_WORDS.binary_search(&word.as_str()).is_ok() || Class::ALL.iter().any(|class| class.prefix() == word)
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

pub(super) fn is_suite_word(word: &str) -> bool {
    SUITE_WORDS.binary_search(&word).is_ok()
}

/// Whether a mark says what the program says. Redaction may have put tokens in the place of words.
pub(super) fn is_sentence(label: &str) -> bool {
    has(REMARKS, label) || has(LOSSES, label)
}

/// Whether a mark says that something is missing on its tape.
pub(crate) fn tells_of_loss(label: &str) -> bool {
    has(LOSSES, label)
}

fn has(sentences: Sentences, label: &str) -> bool {
    let fits = |(pattern, word): (&str, &str)| match pattern {
        "#" => is_digits(word),
        "@" => is_link(word),
        "$" => {
            word.strip_prefix("SIG").is_some_and(|name| name.len() <= 6 && name.bytes().all(|b| b.is_ascii_uppercase()))
        }
        _ => pattern == word || token::whole(word).is_some(),
    };
    sentences.iter().flat_map(|(begins, ends)| ends.iter().map(move |end| (*begins, *end))).any(|(begins, end)| {
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
        let ours = [LABEL_WORDS, ENV_NAMES, ENV_WORDS];
        let wire = [COOKIE_ATTRIBUTES, FORM_WORDS];
        for list in suite.iter().chain(&ours).chain(&wire) {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
