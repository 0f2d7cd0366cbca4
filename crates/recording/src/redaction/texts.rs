//! Texts that are kept on purpose: what looks like an address or a telephone number is hidden all the same.

use super::{Redactor, policy};
use crate::token::Class;

/// What a telephone number holds besides digits.
const BETWEEN: &str = "+-/(). ";

impl Redactor {
    /// A text without e-mail addresses and telephone numbers. Dates and other numbers of seven to fifteen digits look like these.
    pub(super) fn without_addresses(&mut self, text: &str) -> String {
        let (mut out, mut done, mut before) = (String::new(), 0, ' ');
        for (at, c) in text.char_indices() {
            let begins = at >= done && !before.is_alphanumeric() && before != '_';
            before = c;
            let found = begins.then(|| mail(&text[at..]).or_else(|| phone(&text[at..]))).flatten();
            if let Some((length, class)) = found {
                let value = &text[at..at + length];
                let class = self.known.class(value).unwrap_or(class);
                out.push_str(&text[done..at]);
                out.push_str(&self.hide(class, value));
                done = at + length;
            }
        }
        out + &text[done..]
    }
}

/// The address that a text begins with: how long it is.
fn mail(text: &str) -> Option<(usize, Class)> {
    let is_around = |c: char| c.is_whitespace() || "<>()[]{},;:\"'|/".contains(c);
    let word = text.split(is_around).next()?.trim_end_matches(['.', '!', '?']);
    policy::looks_like_mail(word).then_some((word.len(), Class::Mail))
}

/// The telephone number that a text begins with.
fn phone(text: &str) -> Option<(usize, Class)> {
    let is_part = |c: char| c.is_ascii_digit() || BETWEEN.contains(c);
    let run = text.split(|c| !is_part(c)).next()?.trim_end_matches(|c: char| BETWEEN.contains(c));
    let is_whole = !text[run.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (is_whole && !run.starts_with(' ') && policy::looks_like_phone(run)).then_some((run.len(), Class::Phone))
}
