//! Texts that are kept on purpose: what looks like an address or a telephone number is hidden all the same.

use std::ops::Range;

use super::{Redactor, policy};
use crate::token::{self, Class};

/// What a telephone number holds besides digits and blanks: hyphens of all kinds among it, and what has no width.
const BETWEEN: &str =
    "+-/()._*\u{b7}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}";

/// How many digits a telephone number, an account or a card has at least.
const DIGITS: usize = 7;

/// How many bytes stand before and behind the `@` of an address at most (RFC 5321, 4.5.3.1).
const ADDRESS: (usize, usize) = (64, 255);

impl Redactor {
    /// A text without e-mail addresses and without what holds seven digits or more: telephone numbers, accounts, dates.
    pub(super) fn without_addresses(&mut self, text: &str) -> String {
        let (mut out, mut done) = (String::new(), 0);
        for (range, class) in found(text) {
            let value = &text[range.clone()];
            let class = self.known.class(value).unwrap_or(class);
            out.push_str(&text[done..range.start]);
            out.push_str(&self.hide(class, value));
            done = range.end;
        }
        out + &text[done..]
    }
}

/// Addresses and numbers outside of tokens, in order.
fn found(text: &str) -> Vec<(Range<usize>, Class)> {
    let mut found: Vec<(Range<usize>, Class)> = Vec::new();
    let mut kept: Vec<Range<usize>> = token::find(text).into_iter().map(|(range, _)| range).collect();
    kept.push(text.len()..text.len());
    let mut from = 0;
    for token in kept {
        let mails = mails(text, from..token.start);
        let mut at = from;
        for mail in mails.into_iter().chain(std::iter::once(token.start..token.start)) {
            found.extend(numbers(text, at..mail.start).into_iter().map(|number| (number, Class::Phone)));
            at = mail.end;
            if !mail.is_empty() {
                found.push((mail, Class::Mail));
            }
        }
        from = token.end;
    }
    found
}

fn mails(text: &str, within: Range<usize>) -> Vec<Range<usize>> {
    let is_around = |c: char| c.is_whitespace() || "<>()[]{},;:\"'|/@".contains(c);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text[within.clone()].match_indices('@') {
        let at = within.start + at;
        let from = found.last().map_or(within.start, |last| last.end);
        let before = text[from..at].char_indices().rev().take(ADDRESS.0).take_while(|(_, c)| !is_around(*c)).last();
        let behind = text[at + 1..within.end].chars().take(ADDRESS.1).take_while(|c| !is_around(*c));
        let end = at + 1 + behind.map(char::len_utf8).sum::<usize>();
        let Some((start, _)) = before else { continue };
        let mail = from + start..from + start + text[from + start..end].trim_end_matches(['.', '!', '?']).len();
        if policy::looks_like_mail(&text[mail.clone()]) {
            found.push(mail);
        }
    }
    found
}

/// From the first to the last digit, with a `+` or a bracket ahead.
fn numbers(text: &str, within: Range<usize>) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_numeric() || c.is_whitespace() || BETWEEN.contains(c);
    let (mut found, mut at) = (Vec::new(), within.start);
    while at < within.end {
        let rest = &text[at..within.end];
        let start = at + rest.find(is_part).unwrap_or(rest.len());
        let run = &text[start..within.end];
        let run = &run[..run.find(|c| !is_part(c)).unwrap_or(run.len())];
        at = start + run.len();
        if run.chars().filter(|c| c.is_numeric()).count() >= DIGITS {
            let begins = run.find(|c: char| c.is_numeric() || "+(".contains(c)).unwrap_or_default();
            let ends = run.trim_end_matches(|c: char| !c.is_numeric()).len();
            found.push(start + begins..start + ends);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<&str> {
        found(text).into_iter().map(|(range, _)| &text[range]).collect()
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        for (text, expected) in [
            ("0151 1234567 / 0171 7654321", vec!["0151 1234567 / 0171 7654321"]),
            (
                "call (030) 12 34 56, or +49\u{a0}151\u{202f}123456.",
                vec!["(030) 12 34 56", "+49\u{a0}151\u{202f}123456"],
            ),
            (
                "0151\u{2013}123456, +1 415-555-1234x22, 01511234567bitte",
                vec!["0151\u{2013}123456", "+1 415-555-1234", "01511234567"],
            ),
            (
                "4111 1111 1111 1111 and DE89 3704 0044 0532 0130 00!",
                vec!["4111 1111 1111 1111", "89 3704 0044 0532 0130 00"],
            ),
            ("0151\t123\n4567 or 06\u{b7}12\u{2009}34*56_78", vec!["0151\t123\n4567", "06\u{b7}12\u{2009}34*56_78"]),
            (
                "\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}!",
                vec!["\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}"],
            ),
            ("Order 12-34-56; 3 of 4 for 17.5 + 2", vec![]),
            ("tel_0123456789 ud_1234567890", vec![]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_found_between_anything() {
        for (text, expected) in [
            (
                "<ann.1234567@example.org>, mailto:b@c.de?x 7654321",
                vec!["ann.1234567@example.org", "b@c.de?x", "7654321"],
            ),
            ("a@b, @c.d, e@f.g.", vec!["e@f.g"]),
            ("x@y.z@w.v", vec!["x@y.z"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_gone_through_once() {
        for piece in ["1 ", ".", "-", "a.a.a.", "@", "a@", "é@", "1é"] {
            let text = piece.repeat(100_000);
            assert!(found(&text).len() <= 100_000, "{piece}");
        }
    }
}
