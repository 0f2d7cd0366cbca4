//! The second net: secrets that were seen once are searched for in every text that is kept.
//!
//! Each secret of at least six characters is searched for as it is, as a JSON text has it, as HTML has it, percent-encoded, in
//! hexadecimal, and in base 64 at each of the three offsets, without regard to the case of ASCII letters.

use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::json::quoted;
use crate::token::{self, Class};

/// Shorter values would be found in innocent words.
const SHORTEST: usize = 6;

/// How many secrets wait in a plain list before the automaton is built again, beyond a sixteenth of all. Few texts are kept and
/// not known to be clean, so searching the list costs less than building.
const WAITING: usize = 128;

/// How many secrets are remembered; a tape with more of them relies on the tables alone.
const MOST: usize = 100_000;

/// How many clean texts are remembered.
const CLEAN: usize = 4_096;

/// Secrets that were seen, and how to find them. `Debug` tells only how many.
#[derive(Clone, Default)]
pub(super) struct Known {
    values: BTreeMap<String, Class>,
    built: Option<AhoCorasick>,
    /// What each pattern of the automaton stands for.
    meaning: Vec<(String, Class)>,
    waiting: Vec<(Vec<String>, String, Class)>,
    /// How many secrets are searched for.
    learned: usize,
    /// Texts in which nothing was found, with how many secrets were searched for then. The same texts come again and again.
    clean: [BTreeMap<String, usize>; 2],
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
        self.learned += 1;
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
        &mut self,
        text: &str,
        credentials_only: bool,
        token: impl Fn(Class, &str) -> String,
    ) -> Option<String> {
        if text.len() < SHORTEST {
            return None;
        }
        let clean = self.clean[usize::from(credentials_only)].get(text).copied();
        let scrubbed = self.search(text, credentials_only, clean.unwrap_or_default(), token);
        if scrubbed.is_none() {
            let clean = &mut self.clean[usize::from(credentials_only)];
            if clean.len() >= CLEAN {
                clean.clear();
            }
            clean.insert(text.to_owned(), self.learned);
        }
        scrubbed
    }

    /// Searches for all secrets but the first `clean`.
    fn search(
        &self,
        text: &str,
        credentials_only: bool,
        clean: usize,
        token: impl Fn(Class, &str) -> String,
    ) -> Option<String> {
        let mut scrubbed: Option<String> = None;
        let wanted = |class: Class| !credentials_only || class.is_credential();
        let waiting_from = self.learned - self.waiting.len();
        if let Some(built) = self.built.as_ref().filter(|_| clean < waiting_from) {
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
        let mut lower = scrubbed.as_deref().unwrap_or(text).to_ascii_lowercase();
        let unseen = self.waiting.iter().skip(clean.saturating_sub(waiting_from));
        for (patterns, value, class) in unseen.filter(|(.., class)| wanted(*class)) {
            for pattern in patterns {
                if pattern.len() > lower.len() {
                    // To search a text for what is longer costs as much as any search.
                    continue;
                }
                let mut from = 0;
                while let Some(start) = lower[from..].find(pattern).map(|at| from + at) {
                    let current = scrubbed.as_deref().unwrap_or(text);
                    let token = token(*class, value);
                    from = start + token.len();
                    let replaced = format!("{}{token}{}", &current[..start], &current[start + pattern.len()..]);
                    lower = replaced.to_ascii_lowercase();
                    scrubbed = Some(replaced);
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

/// How a secret may look inside another text, in lower case.
fn encodings(value: &str) -> Vec<String> {
    let hexadecimal: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut encodings = vec![value.to_owned(), percent(value), escaped(value), html(value), hexadecimal];
    encodings.iter_mut().for_each(|encoding| encoding.make_ascii_lowercase());
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

/// As it stands within a JSON text.
fn escaped(value: &str) -> String {
    let quoted = quoted(value);
    quoted[1..quoted.len() - 1].to_owned()
}

fn html(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(crate) fn percent(value: &str) -> String {
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

    fn scrub(known: &mut Known, text: &str) -> Option<String> {
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
            assert_eq!(scrub(&mut known, "/a/k3Y+/=SEVEN/b").as_deref(), Some("/a/<sk>/b"));
            assert_eq!(scrub(&mut known, "?k=K3y%2B%2F%3Dseven&n=ANN%20smith").as_deref(), Some("?k=<sk>&n=<nick>"));
            assert_eq!(scrub(&mut known, "Ann is short"), None);
            known.learn(Class::Nickname, "is short");
            assert_eq!(scrub(&mut known, "Ann is short").as_deref(), Some("Ann <nick>"));
        }
    }

    #[test]
    fn finds_base_64_at_each_offset() {
        // printf 'xxK3y+/=sevenyy' and shorter, through base64.
        for text in ["SzN5Ky89c2V2ZW4=", "eEszeSsvPXNldmVu", "eHhLM3krLz1zZXZlbnl5"] {
            let scrubbed = scrub(&mut known(), text).expect(text);
            assert!(scrubbed.contains("<sk>"), "{scrubbed}");
        }
    }

    #[test]
    fn finds_what_json_html_and_hexadecimal_make_of_a_secret() {
        let mut known = Known::default();
        known.learn(Class::Nickname, "Ann <\"A\"> O'Hara");
        for text in [
            r#"{"x":"Ann <\"A\"> O'Hara"}"#,
            "<p>Ann &lt;&quot;A&quot;&gt; O&#39;Hara</p>",
            "id-416E6E203C2241223E204F2748617261-1",
        ] {
            assert!(scrub(&mut known, text).is_some_and(|scrubbed| scrubbed.contains("<nick>")), "{text}");
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
            assert_eq!(scrub(&mut known, &format!("x client-{number:04} y")).as_deref(), Some("x <cid> y"));
        }
    }
}
