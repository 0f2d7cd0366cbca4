//! The search for canaries: every form that a text could take inside another.

use aho_corasick::AhoCorasick;

/// What every canary holds, and nothing else does.
pub(crate) const MARKER: &str = "cAnArYzq7";

/// What numbers begin with that are canaries, and the first of them.
pub(crate) const NUMBERS: u64 = 4_907_707_710_000;

/// What telephone numbers begin with that are canaries.
pub(crate) const PHONES: &str = "+49 30 0770";

/// Finds the marker in each of its forms, whatever the case of letters.
pub(crate) struct Search {
    /// Each form with its name.
    pub(crate) forms: Vec<(&'static str, Vec<u8>)>,
    automaton: AhoCorasick,
}

impl Search {
    pub(crate) fn new() -> Self {
        let forms = forms();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(forms.iter().map(|(_, form)| form))
            .expect("a few short patterns make an automaton");
        Self { forms, automaton }
    }

    /// The names of the forms in which the marker is there.
    pub(crate) fn found(&self, bytes: &[u8]) -> Vec<&'static str> {
        if !self.automaton.is_match(bytes) {
            return Vec::new();
        }
        let mut found: Vec<usize> =
            self.automaton.find_overlapping_iter(bytes).map(|hit| hit.pattern().as_usize()).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|form| self.forms[form].0).collect()
    }
}

fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let each = |form: fn(u8) -> String| MARKER.bytes().map(form).collect::<String>().into_bytes();
    let base64 = |offset| base64_core(MARKER.as_bytes(), offset).into_bytes();
    let listed = MARKER.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    vec![
        ("it is", MARKER.as_bytes().to_vec()),
        ("a URL has it", each(|byte| format!("%{byte:02x}"))),
        ("a URL within a URL has it", each(|byte| format!("%25{byte:02x}"))),
        ("hexadecimal digits", each(|byte| format!("{byte:02x}"))),
        ("JSON can escape it", each(|byte| format!("\\u{byte:04x}"))),
        ("JSON within JSON can escape it", each(|byte| format!("\\\\u{byte:04x}"))),
        ("HTML has it by decimal numbers", each(|byte| format!("&#{byte};"))),
        ("HTML has it by hexadecimal numbers", each(|byte| format!("&#x{byte:x};"))),
        ("base 64", base64(0)),
        ("base 64 behind one byte", base64(1)),
        ("base 64 behind two bytes", base64(2)),
        ("a list of bytes", listed.into_bytes()),
        ("a number", NUMBERS.to_string().trim_end_matches('0').as_bytes().to_vec()),
        ("a telephone number", PHONES.as_bytes().to_vec()),
        ("UTF-16", MARKER.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ]
}

/// The base-64 digits that follow from the value alone when `offset` unknown bytes stand before it.
fn base64_core(value: &[u8], offset: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| if at < offset * 8 { 0 } else { value[at / 8 - offset] >> (7 - at % 8) & 1 };
    ((offset * 8).div_ceil(6)..(offset + value.len()) * 8 / 6)
        .map(|digit| char::from(DIGITS[(0..6).fold(0, |sum, place| sum << 1 | usize::from(bit(digit * 6 + place)))]))
        .collect()
}
