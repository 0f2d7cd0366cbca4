//! The closed lists of the audit: what may stand on a tape beside tokens and numbers.

use crate::redaction::files::{FIELDS, MEDIA_TYPES};
use crate::redaction::http::{COOKIES, METHODS, PARAMETERS, SEGMENTS};

/// Names of members that no rule of redaction needs, sorted.
const NAMES: &[&str] = &[
    "GCTI_SYSTEM",
    "ack",
    "activity",
    "batch",
    "chatEnded",
    "code",
    "contentType",
    "contents",
    "enabled",
    "failure",
    "file",
    "filename",
    "hosts",
    "multiple-clients",
    "party-info",
    "size",
    "statusCode",
    "style",
    "successful",
];

/// Segments of channels, beside those of paths, sorted: with the service of Genesys' own examples, and what the suite asks for.
const CHANNEL_SEGMENTS: &[&str] =
    &["*", "**", "chatV2", "customer-support", "meta", "sentinel", "subscribe", "tapestry", "unsubscribe"];

/// Words of kept header fields and of media types, in lower case and sorted.
const FIELD_WORDS: &[&str] = &[
    "*",
    "accept",
    "accept-encoding",
    "access-control-allow-origin",
    "access-control-request-headers",
    "access-control-request-method",
    "application",
    "apr",
    "aug",
    "authorization",
    "boundary",
    "br",
    "bytes",
    "charset",
    "chunked",
    "client_max_window_bits",
    "client_no_context_takeover",
    "close",
    "connect",
    "content-encoding",
    "content-type",
    "cookie",
    "csv",
    "dec",
    "deflate",
    "delete",
    "false",
    "feb",
    "form-data",
    "form-of-the-tape",
    "fri",
    "get",
    "gmt",
    "gzip",
    "head",
    "html",
    "identity",
    "image",
    "jan",
    "javascript",
    "jetty",
    "json",
    "jul",
    "jun",
    "keep-alive",
    "lax",
    "mar",
    "max",
    "max-age",
    "may",
    "mon",
    "multipart",
    "must-revalidate",
    "no-cache",
    "no-store",
    "none",
    "nov",
    "oct",
    "octet-stream",
    "options",
    "origin",
    "permessage-deflate",
    "plain",
    "post",
    "private",
    "proxy-revalidate",
    "public",
    "put",
    "q",
    "sat",
    "sep",
    "server_max_window_bits",
    "server_no_context_takeover",
    "strict",
    "sun",
    "text",
    "thu",
    "timeout",
    "true",
    "tue",
    "upgrade",
    "utf-8",
    "websocket",
    "wed",
    "x-requested-with",
    "x-www-form-urlencoded",
    "xml",
    "zstd",
];

/// Words of our own labels, in lower case and sorted: kinds of records, classes of tokens, what recorder and suite say.
const LABEL_WORDS: &[&str] = &[
    "a",
    "aborted",
    "ack",
    "after",
    "agent",
    "al",
    "an",
    "and",
    "answer",
    "answered",
    "answertimeout",
    "array",
    "auth",
    "backoffincrement",
    "base",
    "bayeux",
    "be",
    "binary",
    "body",
    "bytes",
    "call",
    "callback",
    "cannot",
    "case",
    "changed",
    "chat",
    "chatv",
    "chatv2",
    "checkconnectid",
    "chrome",
    "cid",
    "ck",
    "class",
    "client",
    "clients",
    "clock",
    "close",
    "coding",
    "complete",
    "compressed",
    "conn",
    "connect",
    "contents",
    "ctl",
    "customnotice",
    "cut",
    "deduplicate",
    "defaulttimeout",
    "deflate",
    "disk",
    "end",
    "entry",
    "err",
    "exported",
    "exporter",
    "false",
    "fault",
    "file",
    "filedelete",
    "filedownload",
    "filegetlimits",
    "filetimeout",
    "fileupload",
    "firefox",
    "for",
    "frame",
    "frames",
    "from",
    "gap",
    "git",
    "given",
    "handshake",
    "handshakeext",
    "har",
    "has",
    "hdr",
    "here",
    "hmac",
    "holds",
    "http",
    "httptoolkit",
    "import",
    "in",
    "is",
    "it",
    "its",
    "joins",
    "k",
    "keep",
    "key",
    "keyid",
    "lacks",
    "leave",
    "leaves",
    "left",
    "legacyids",
    "length",
    "limit",
    "limitbytes",
    "limitdepth",
    "limitmessages",
    "live",
    "long",
    "lost",
    "m",
    "mail",
    "mark",
    "maxbackoff",
    "maxnetworkdelay",
    "member",
    "message",
    "messages",
    "mitmproxy",
    "mode",
    "monotonic",
    "msg",
    "name",
    "net",
    "nick",
    "none",
    "not",
    "of",
    "on",
    "one",
    "open",
    "or",
    "other",
    "out",
    "over",
    "playwright",
    "policy",
    "polling",
    "profile",
    "protocol",
    "proxy",
    "push",
    "pushurl",
    "rand",
    "read",
    "readreceipt",
    "receive",
    "redacted",
    "ref",
    "reorderwindow",
    "reply",
    "req",
    "request",
    "requestchat",
    "res",
    "reset",
    "response",
    "restoreafterhandshake",
    "retry",
    "s",
    "seed",
    "send",
    "sendmessage",
    "server",
    "service",
    "session",
    "shared",
    "shifted",
    "short",
    "sim",
    "since",
    "single",
    "size",
    "sk",
    "slow",
    "source",
    "split",
    "starttyping",
    "startutc",
    "status",
    "stoptyping",
    "stream",
    "t",
    "tape",
    "tapestry",
    "targetlimit",
    "tel",
    "texts",
    "that",
    "the",
    "there",
    "timeout",
    "timer",
    "times",
    "timestamp",
    "timesync",
    "to",
    "too",
    "tool",
    "transport",
    "transports",
    "true",
    "txt",
    "type",
    "ud",
    "uid",
    "unavailable",
    "unavailableretry",
    "units",
    "unk",
    "unknown",
    "unreachable",
    "updatedata",
    "updatenickname",
    "version",
    "was",
    "websocket",
    "where",
    "which",
    "with",
    "without",
    "wrong",
    "ws",
];

/// Attributes of cookies, in lower case and sorted.
const COOKIE_ATTRIBUTES: &[&str] =
    &["domain", "expires", "httponly", "max-age", "partitioned", "path", "priority", "samesite", "secure"];

/// What stands around the fields of a form, sorted.
const FORM_WORDS: &[&str] =
    &["Content-Disposition", "Content-Type", "file", "filename", "form-data", "name", "userData"];

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

pub(super) fn is_field_word(word: &str) -> bool {
    FIELD_WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

pub(super) fn is_label_word(word: &str) -> bool {
    LABEL_WORDS.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
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
        for list in [NAMES, CHANNEL_SEGMENTS, FIELD_WORDS, LABEL_WORDS, COOKIE_ATTRIBUTES, FORM_WORDS, PLACES] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }
}
