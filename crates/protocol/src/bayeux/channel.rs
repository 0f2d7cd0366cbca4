//! Channel names (Bayeux 2.2).

/// `/meta/handshake`
pub const HANDSHAKE: &str = "/meta/handshake";
/// `/meta/connect`
pub const CONNECT: &str = "/meta/connect";
/// `/meta/disconnect`
pub const DISCONNECT: &str = "/meta/disconnect";
/// `/meta/subscribe`
pub const SUBSCRIBE: &str = "/meta/subscribe";
/// `/meta/unsubscribe`
pub const UNSUBSCRIBE: &str = "/meta/unsubscribe";

/// Whether the protocol reserves the channel to itself (Bayeux 2.2.2).
#[must_use]
pub fn is_meta(channel: &str) -> bool {
    channel.starts_with("/meta/")
}

/// Whether messages on the channel go between one client and the server only (Bayeux 2.2.3).
#[must_use]
pub fn is_service(channel: &str) -> bool {
    channel.starts_with("/service/")
}

/// Whether the name obeys the grammar: non-empty segments of letters, digits and `-_!~()$@`, wildcards only as the whole
/// last segment (BX-CH-01, BX-CH-02, BX-CH-07).
#[must_use]
pub fn is_valid(channel: &str) -> bool {
    let Some(path) = channel.strip_prefix('/') else { return false };
    let segments: Vec<&str> = path.split('/').collect();
    let plain = |segment: &str| {
        !segment.is_empty() && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_!~()$@".contains(c))
    };
    let (last, init) = segments.split_last().expect("split yields at least one segment");
    init.iter().all(|segment| plain(segment)) && (plain(last) || *last == "*" || *last == "**")
}

/// Whether the name is a pattern (Bayeux 2.2.1).
#[must_use]
pub fn is_pattern(channel: &str) -> bool {
    channel.ends_with("/*") || channel.ends_with("/**")
}

/// The patterns that match a channel, the widest last: of `/a/b` they are `/a/*`, `/a/**` and `/**` (BX-CH-05, BX-CH-06).
#[must_use]
pub fn patterns_of(channel: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut rest = channel;
    while let Some((parent, _)) = rest.rsplit_once('/') {
        if patterns.is_empty() {
            patterns.push(format!("{parent}/*"));
        }
        patterns.push(format!("{parent}/**"));
        rest = parent;
    }
    patterns
}

/// Whether a name or pattern stands for a channel.
#[must_use]
pub fn matches(pattern: &str, channel: &str) -> bool {
    pattern == channel || patterns_of(channel).iter().any(|known| known == pattern)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/a", true)]
    #[case("/service/chatV2/customer-support", true)]
    #[case("/a/**", true)]
    #[case("/a/*/b", false)]
    #[case("/a/", false)]
    #[case("/a//b", false)]
    #[case("a", false)]
    #[case("/", false)]
    #[case("/a b", false)]
    #[case("/a*", false)]
    fn obeys_the_grammar(#[case] name: &str, #[case] valid: bool) {
        assert_eq!(is_valid(name), valid, "{name}");
    }

    #[test]
    fn services_is_an_ordinary_channel() {
        assert!(is_service("/service/x") && !is_service("/services/x"));
    }

    #[rstest]
    #[case("/foo/*", "/foo/a", true)]
    #[case("/foo/*", "/foo", false)]
    #[case("/foo/*", "/foo/a/b", false)]
    #[case("/foo/*", "/foobar", false)]
    #[case("/foo/**", "/foo/a", true)]
    #[case("/foo/**", "/foo/a/b", true)]
    #[case("/foo/**", "/foo", false)]
    #[case("/foo/**", "/foobar", false)]
    #[case("/**", "/x/y", true)]
    #[case("/*", "/x", true)]
    #[case("/*", "/x/y", false)]
    #[case("/foo", "/foo", true)]
    #[case("/Foo", "/foo", false)]
    fn matches_as_patterns_do(#[case] pattern: &str, #[case] channel: &str, #[case] hit: bool) {
        assert_eq!(matches(pattern, channel), hit, "{pattern} {channel}");
    }
}
