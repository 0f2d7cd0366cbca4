//! The second net: secrets that were seen once are searched for in every text that is kept.
//!
//! Each secret of at least six characters is searched for as it is, percent-encoded and in base 64 at each of the three
//! offsets, without regard to the case of ASCII letters.

use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::token::{self, Class};

/// Shorter values would be found in innocent words.
const SHORTEST: usize = 6;

/// How many secrets wait in a plain list before the automaton is built again, beyond a sixteenth of all.
const WAITING: usize = 32;

/// How many secrets are remembered; a tape with more of them relies on the tables alone.
const MOST: usize = 100_000;

/// Secrets that were seen, and how to find them. `Debug` tells only how many.
#[derive(Clone, Default)]
pub(super) struct Known {
    values: BTreeMap<String, Class>,
    built: Option<AhoCorasick>,
    /// What each pattern of the automaton stands for.
    meaning: Vec<(String, Class)>,
    waiting: Vec<(Vec<String>, String, Class)>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} values)", self.values.len())
    }
}

impl Known {
    /// Remembers a secret.
    pub(super) fn learn(&mut self, class: Class, value: &str) {
        if token::whole(value).is_some() || self.values.len() >= MOST || self.values.contains_key(value) {
            return;
        }
        self.values.insert(value.to_owned(), class);
        if value.len() < SHORTEST {
            return;
        }
        self.waiting.push((encodings(value), value.to_owned(), class));
        if self.waiting.len() > WAITING + self.values.len() / 16 {
            self.build();
        }
    }

    /// The class of a value that was seen as a secret before.
    pub(super) fn class(&self, value: &str) -> Option<Class> {
        self.values.get(value).copied()
    }

    /// Replaces every known secret inside a text; `None` if there is none. With `credentials_only`, personal values stay.
    pub(super) fn scrub(
        &self,
        text: &str,
        credentials_only: bool,
        token: impl Fn(Class, &str) -> String,
    ) -> Option<String> {
        if text.len() < SHORTEST {
            return None;
        }
        let mut scrubbed: Option<String> = None;
        let wanted = |class: Class| !credentials_only || class.is_credential();
        if let Some(built) = &self.built {
            let mut out = String::new();
            let mut done = 0;
            for found in built.find_iter(text) {
                let (value, class) = &self.meaning[found.pattern().as_usize()];
                if wanted(*class) && text.is_char_boundary(found.start()) && text.is_char_boundary(found.end()) {
                    out.push_str(&text[done..found.start()]);
                    out.push_str(&token(*class, value));
                    done = found.end();
                }
            }
            if done > 0 {
                out.push_str(&text[done..]);
                scrubbed = Some(out);
            }
        }
        for (patterns, value, class) in &self.waiting {
            if !wanted(*class) {
                continue;
            }
            for pattern in patterns {
                let mut from = 0;
                while let Some(start) = position(scrubbed.as_deref().unwrap_or(text), pattern, from) {
                    let current = scrubbed.as_deref().unwrap_or(text);
                    let token = token(*class, value);
                    from = start + token.len();
                    scrubbed = Some(format!("{}{token}{}", &current[..start], &current[start + pattern.len()..]));
                }
            }
        }
        scrubbed
    }

    fn build(&mut self) {
        self.waiting.clear();
        let (mut patterns, mut meaning) = (Vec::new(), Vec::new());
        for (value, class) in self.values.iter().filter(|(value, _)| value.len() >= SHORTEST) {
            for pattern in encodings(value) {
                patterns.push(pattern);
                meaning.push((value.clone(), *class));
            }
        }
        let built = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .expect("a hundred thousand short patterns are within the automaton's limits");
        self.built = Some(built);
        self.meaning = meaning;
    }
}

/// Where a pattern in lower case begins in a text, at or behind a byte.
fn position(text: &str, pattern: &str, from: usize) -> Option<usize> {
    text[from..].to_ascii_lowercase().find(pattern).map(|at| from + at)
}

/// How a secret may look inside another text, in lower case.
fn encodings(value: &str) -> Vec<String> {
    let mut encodings = vec![value.to_ascii_lowercase(), percent(value).to_ascii_lowercase()];
    for offset in 0..3 {
        let core = base64_core(value.as_bytes(), offset);
        if core.len() >= SHORTEST {
            encodings.push(core.replace('+', "-").replace('/', "_").to_ascii_lowercase());
            encodings.push(core.to_ascii_lowercase());
        }
    }
    encodings.sort();
    encodings.dedup();
    encodings
}

fn percent(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The base-64 digits that depend on the value alone when `offset` unknown bytes stand before it.
fn base64_core(value: &[u8], offset: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first = (offset * 8).div_ceil(6);
    let last = (offset + value.len()) * 8 / 6;
    let bit = |at: usize| if at >= offset * 8 { value[at / 8 - offset] >> (7 - at % 8) & 1 } else { 0 };
    (first..last)
        .map(|digit| {
            let index = (0..6).fold(0, |sum, place| sum << 1 | usize::from(bit(digit * 6 + place)));
            char::from(DIGITS[index])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn scrub(known: &Known, text: &str) -> Option<String> {
        known.scrub(text, false, |class, _| format!("<{}>", class.prefix()))
    }

    fn known() -> Known {
        let mut known = Known::default();
        known.learn(Class::SecureKey, "K3y+/=seven");
        known.learn(Class::Nickname, "Ann Smith");
        known.learn(Class::Nickname, "Ann");
        known
    }

    #[test]
    fn finds_secrets_as_they_are_and_encoded() {
        for build in [false, true] {
            let mut known = known();
            if build {
                known.build();
            }
            assert_eq!(scrub(&known, "/a/k3Y+/=SEVEN/b").as_deref(), Some("/a/<sk>/b"));
            assert_eq!(scrub(&known, "?k=K3y%2B%2F%3Dseven&n=ANN%20smith").as_deref(), Some("?k=<sk>&n=<nick>"));
            assert_eq!(scrub(&known, "Ann is short"), None);
        }
    }

    #[test]
    fn finds_base_64_at_each_offset() {
        // printf 'xxK3y+/=sevenyy' and shorter, through base64.
        for text in ["SzN5Ky89c2V2ZW4=", "eEszeSsvPXNldmVu", "eHhLM3krLz1zZXZlbnl5"] {
            let scrubbed = scrub(&known(), text).expect(text);
            assert!(scrubbed.contains("<sk>"), "{scrubbed}");
        }
    }

    #[test]
    fn can_leave_personal_values() {
        let shown = known().scrub("Ann Smith K3y+/=seven", true, |class, _| class.prefix().to_owned());
        assert_eq!(shown.as_deref(), Some("Ann Smith sk"));
    }

    #[test]
    fn many_secrets_are_all_found() {
        let mut known = Known::default();
        for number in 0..500 {
            known.learn(Class::ClientId, &format!("client-{number:04}"));
        }
        for number in 0..500 {
            assert_eq!(scrub(&known, &format!("x client-{number:04} y")).as_deref(), Some("x <cid> y"));
        }
    }
}
