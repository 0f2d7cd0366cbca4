//! Actions as lines: what to do, a blank, and the rest of the line as it is.

use std::time::Duration;

/// How many actions are read from one input; more would only make a search slow.
const LIMIT: usize = 200;

/// The longest wait of one action, in milliseconds: half an hour.
const LONGEST_WAIT: u64 = 1_800_000;

/// One line: a word and the bytes behind the blank that ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) word: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// Splits bytes into lines. Empty lines and lines that begin with `#` say nothing.
pub(super) fn lines(input: &[u8]) -> impl Iterator<Item = Line<'_>> {
    input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).take(LIMIT).map(
        |line| match line.iter().position(|byte| *byte == b' ') {
            Some(blank) => Line { word: &line[..blank], rest: &line[blank + 1..] },
            None => Line { word: line, rest: b"" },
        },
    )
}

/// A number at the beginning of bytes; what is none counts as the default.
pub(super) fn number(bytes: &[u8], default: u64) -> u64 {
    let digits: &[u8] = &bytes[..bytes.iter().take_while(|byte| byte.is_ascii_digit()).count().min(18)];
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(default)
}

/// A wait in milliseconds, a second unless it says otherwise.
pub(super) fn wait(bytes: &[u8]) -> Duration {
    Duration::from_millis(number(bytes, 1_000).min(LONGEST_WAIT))
}

/// Replaces every `$name` by its value.
pub(super) fn fill(bytes: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        filled.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        match values.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
            Some((name, value)) => {
                filled.extend_from_slice(value.as_bytes());
                rest = &rest[name.len()..];
            }
            None => filled.push(b'$'),
        }
    }
    filled.extend_from_slice(rest);
    filled
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn splits_lines_at_the_first_blank() {
        let read: Vec<Line<'_>> = lines(b"# why\n\nw 12\np [{\"a\": 1}]\nx").collect();
        assert_eq!(
            read,
            [
                Line { word: b"w", rest: b"12" },
                Line { word: b"p", rest: b"[{\"a\": 1}]" },
                Line { word: b"x", rest: b"" }
            ]
        );
    }

    #[test]
    fn fills_in_what_is_known_and_keeps_what_is_not() {
        assert_eq!(fill(b"$id,$x,$", &[("id", "7")]), b"7,$x,$");
    }

    #[test]
    fn bounds_waits() {
        assert_eq!(wait(b"250"), Duration::from_millis(250));
        assert_eq!(wait(b"99999999999999999999999"), Duration::from_millis(LONGEST_WAIT));
        assert_eq!(wait(b"x"), Duration::from_secs(1));
    }
}
