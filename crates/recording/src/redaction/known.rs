//! The second net: secrets that were seen once are searched for in every text that is kept.
//!
//! Each secret of at least six bytes is searched for as it is, as JSON texts and HTML have it, percent-encoded, in hexadecimal,
//! and in base 64 at each of the three offsets, without regard to the case of ASCII letters. One of three to five bytes is
//! searched for as a whole word, in texts that are kept.
//!
//! A recording learns secrets as long as it lasts, so what finds them grows by one without being built again, which no
//! automaton does: all forms stand in one sorted map, and the longest that a text goes on with is found by asking for the
//! nearest below it. A table of counts keeps most places of a text from being asked about at all.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::policy;
use crate::json::quoted;
use crate::token::{self, Class};

/// Shorter values would be found in innocent words.
const SHORTEST: usize = 6;

/// Shorter values are not searched for at all: those from here on are found where they are a whole word.
pub(super) const SHORTEST_WORD: usize = 3;

/// How many secrets are remembered. After that each new one takes the place of the one that was not seen for longest, about.
const MOST: usize = 100_000;

/// Whose form something is, the eldest first: `Ann Smith` and `ann smith` look alike.
type Owners = Vec<(Arc<str>, Class)>;

/// Secrets that were seen, and how to find them. `Debug` tells only how many.
#[derive(Clone)]
pub(super) struct Known {
    values: BTreeMap<Arc<str>, Value>,
    /// The values in the order in which they are thought of when one must go.
    queue: VecDeque<Arc<str>>,
    /// Each form of each value, in lower case.
    forms: BTreeMap<Box<[u8]>, Owners>,
    beginnings: Beginnings,
    /// Values that are too short for forms, in lower case.
    short: BTreeMap<Box<str>, Owners>,
    most: usize,
}

/// Which secrets are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Credentials and ids: personal values may stand there by right.
    Credentials,
    /// All but attached data, whose words are too common; its long numbers are not.
    Secrets,
    /// All, in texts that somebody wrote.
    Texts,
}

impl Scope {
    fn has(self, class: Class, value: &str) -> bool {
        match self {
            Self::Credentials => class.is_credential(),
            Self::Secrets => {
                class != Class::UserData || (policy::is_digits(value) && value.len() > policy::SHORT_NUMBER)
            }
            Self::Texts => true,
        }
    }
}

#[derive(Clone, Copy)]
struct Value {
    class: Class,
    /// Seen again since it was last thought of.
    again: bool,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            queue: VecDeque::new(),
            forms: BTreeMap::new(),
            beginnings: Beginnings::default(),
            short: BTreeMap::new(),
            most: MOST,
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({} values)", self.values.len())
    }
}

impl Known {
    /// Remembers a secret.
    pub(super) fn learn(&mut self, class: Class, value: &str) {
        if token::whole(value).is_some() {
            return;
        }
        if let Some(known) = self.values.get_mut(value) {
            known.again = true;
            return;
        }
        if self.values.len() >= self.most {
            self.forget_one();
        }
        let shared: Arc<str> = value.into();
        self.values.insert(Arc::clone(&shared), Value { class, again: false });
        self.queue.push_back(Arc::clone(&shared));
        if (SHORTEST_WORD..SHORTEST).contains(&value.len()) {
            self.short.entry(value.to_ascii_lowercase().into()).or_default().push((Arc::clone(&shared), class));
        }
        for form in forms(value) {
            if !self.forms.contains_key(form.as_bytes()) {
                self.beginnings.add(form.as_bytes(), self.forms.keys());
            }
            self.forms.entry(form.into_bytes().into()).or_default().push((Arc::clone(&shared), class));
        }
    }

    /// The class of a value that was seen as a secret before.
    pub(super) fn class(&self, value: &str) -> Option<Class> {
        self.values.get(value).map(|known| known.class)
    }

    /// Replaces every known secret inside a text; `None` if there is none.
    pub(super) fn scrub(&self, text: &str, scope: Scope, token: impl Fn(Class, &str) -> String) -> Option<String> {
        // Most texts hold nothing that looks like a secret: they are not copied.
        let mut lower = None;
        let (mut out, mut done) = (String::new(), 0);
        for (at, beginning) in beginnings(text.as_bytes()) {
            if at < done || !self.beginnings.may_have(beginning) {
                continue;
            }
            let lower = lower.get_or_insert_with(|| text.to_ascii_lowercase());
            let Some((length, value, class)) = self.longest(&lower.as_bytes()[at..], scope) else {
                continue;
            };
            let end = at + length;
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                out.push_str(&text[done..at]);
                out.push_str(&token(class, value));
                done = end;
            }
        }
        (done > 0).then(|| out + &text[done..])
    }

    /// Replaces short secrets where they are whole words.
    pub(super) fn scrub_words(&self, text: &str, scope: Scope, token: impl Fn(Class, &str) -> String) -> String {
        let (mut out, mut done, mut before) = (String::new(), 0, ' ');
        for (at, c) in text.char_indices() {
            let begins = at >= done && is_of_word(c) && !is_of_word(before);
            before = c;
            if !begins {
                continue;
            }
            let value = |length: usize| {
                let word = text.get(at..at + length)?;
                let ends = !text[at + length..].starts_with(is_of_word);
                let owners = self.short.get(word.to_ascii_lowercase().as_str()).filter(|_| ends)?;
                owners.iter().find(|(value, class)| scope.has(*class, value))
            };
            let found = (SHORTEST_WORD..SHORTEST).rev().find_map(|length| Some((length, value(length)?)));
            if let Some((length, (value, class))) = found {
                out.push_str(&text[done..at]);
                out.push_str(&token(*class, value));
                done = at + length;
            }
        }
        out + &text[done..]
    }

    /// The longest form that a text begins with: its length, and what it stands for.
    fn longest(&self, text: &[u8], scope: Scope) -> Option<(usize, &str, Class)> {
        // A form that the text begins with, and that is longer than what the nearest one below has in common with the text,
        // would be nearer.
        let mut bound = text;
        while bound.len() >= SHORTEST {
            let below = (Bound::Unbounded, Bound::Included(bound));
            let (form, owners) = self.forms.range::<[u8], _>(below).next_back()?;
            let common = form.iter().zip(bound).take_while(|(ours, theirs)| ours == theirs).count();
            if common < form.len() {
                bound = &bound[..common];
                continue;
            }
            match owners.iter().find(|(value, class)| scope.has(*class, value)) {
                Some((value, class)) => return Some((common, value, *class)),
                None => bound = &bound[..common - 1],
            }
        }
        None
    }

    /// Makes room for one more.
    fn forget_one(&mut self) {
        while let Some(value) = self.queue.pop_front() {
            match self.values.get_mut(&value) {
                Some(known) if known.again => {
                    known.again = false;
                    self.queue.push_back(value);
                }
                _ => {
                    self.values.remove(&value);
                    let lower = value.to_ascii_lowercase();
                    if let Some(owners) = self.short.get_mut(lower.as_str()) {
                        owners.retain(|(owner, _)| *owner != value);
                        if owners.is_empty() {
                            self.short.remove(lower.as_str());
                        }
                    }
                    for form in forms(&value) {
                        let Some(owners) = self.forms.get_mut(form.as_bytes()) else { continue };
                        owners.retain(|(owner, _)| *owner != value);
                        if owners.is_empty() {
                            self.forms.remove(form.as_bytes());
                            self.beginnings.remove(form.as_bytes());
                        }
                    }
                    return;
                }
            }
        }
    }
}

/// How many forms begin alike, by a digest of their first bytes: zero means that none begins so.
#[derive(Clone, Default)]
struct Beginnings {
    counts: Vec<u32>,
}

impl Beginnings {
    /// Counts one more form; those before it are counted again where the table has to grow.
    fn add<'a>(&mut self, form: &[u8], before: impl ExactSizeIterator<Item = &'a Box<[u8]>>) {
        let all = before.len() + 1;
        if all * 4 > self.counts.len() {
            self.counts = vec![0; (all * 8).next_power_of_two().max(1 << 10)];
            before.for_each(|form| self.count(form, 1));
        }
        self.count(form, 1);
    }

    fn remove(&mut self, form: &[u8]) {
        self.count(form, -1);
    }

    fn count(&mut self, form: &[u8], by: i32) {
        for (_, beginning) in beginnings(form).take(1) {
            let place = self.place(beginning);
            self.counts[place] = self.counts[place].saturating_add_signed(by);
        }
    }

    fn may_have(&self, beginning: u64) -> bool {
        !self.counts.is_empty() && self.counts[self.place(beginning)] > 0
    }

    /// The length is a power of two.
    fn place(&self, beginning: u64) -> usize {
        // Multiplied by the golden ratio, the upper half of a number depends on all of it.
        (beginning.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.counts.len() - 1)
    }
}

/// Each place in a text where something of the shortest length can begin, with its first bytes, in lower case, as one number.
fn beginnings(text: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    const MASK: u64 = (1 << (8 * SHORTEST)) - 1;
    let mut number = 0;
    text.iter().enumerate().filter_map(move |(end, byte)| {
        number = (number << 8 | u64::from(byte.to_ascii_lowercase())) & MASK;
        Some(((end + 1).checked_sub(SHORTEST)?, number))
    })
}

/// How a secret may look inside another text, in lower case; not at all if it is too short.
fn forms(value: &str) -> Vec<String> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let hexadecimal: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (json, uri) = (escaped(value), uri_component(value));
    let mut forms = vec![
        value.to_owned(),
        percent(value),
        percent(value).replace("%20", "+"),
        uri.replace("%20", "+"),
        uri,
        json.replace('/', "\\/"),
        unicode_escaped(&json, |c| !c.is_ascii()),
        unicode_escaped(&json, |c| !c.is_ascii()).replace('/', "\\/"),
        unicode_escaped(&json, |c| "<>&='".contains(c)),
        json,
        hexadecimal,
    ];
    forms.extend(["&#39;", "&#039;", "&#x27;", "&apos;"].map(|apostrophe| html(value, apostrophe)));
    forms.iter_mut().for_each(|form| form.make_ascii_lowercase());
    for offset in 0..3 {
        let core = base64_core(value.as_bytes(), offset);
        if core.len() >= SHORTEST {
            forms.push(core.replace('+', "-").replace('/', "_").to_ascii_lowercase());
            forms.push(core.to_ascii_lowercase());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// As it stands within a JSON text.
fn escaped(value: &str) -> String {
    let quoted = quoted(value);
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same with some characters as `\uXXXX`.
fn unicode_escaped(json: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if is_escaped(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

/// As the function `encodeURIComponent` of browsers has it.
fn uri_component(value: &str) -> String {
    [("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%2A", "*")]
        .into_iter()
        .fold(percent(value), |text, (encoded, plain)| text.replace(encoded, plain))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn html(value: &str, apostrophe: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str(apostrophe),
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

    fn scrub(known: &Known, text: &str) -> Option<String> {
        known.scrub(text, Scope::Texts, |class, _| format!("<{}>", class.prefix()))
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
        let mut known = known();
        assert_eq!(scrub(&known, "/a/k3Y+/=SEVEN/b").as_deref(), Some("/a/<sk>/b"));
        assert_eq!(scrub(&known, "?k=K3y%2B%2F%3Dseven&n=ANN%20smith").as_deref(), Some("?k=<sk>&n=<nick>"));
        assert_eq!(scrub(&known, "Ann is short"), None);
        known.learn(Class::Nickname, "is short");
        assert_eq!(scrub(&known, "Ann is short").as_deref(), Some("Ann <nick>"));
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
    fn finds_what_json_html_and_hexadecimal_make_of_a_secret() {
        let mut known = Known::default();
        known.learn(Class::Nickname, "Ann <\"A\"> O'Hara");
        for text in [
            r#"{"x":"Ann <\"A\"> O'Hara"}"#,
            "<p>Ann &lt;&quot;A&quot;&gt; O&#39;Hara</p>",
            "id-416E6E203C2241223E204F2748617261-1",
        ] {
            assert!(scrub(&known, text).is_some_and(|scrubbed| scrubbed.contains("<nick>")), "{text}");
        }
    }

    #[test]
    fn finds_what_browsers_and_servers_make_of_a_secret() {
        let mut known = Known::default();
        known.learn(Class::Nickname, "Jürgen O'Hara/(A)");
        for text in [
            "J%C3%BCrgen%20O'Hara%2F(A)",
            "J%C3%BCrgen+O%27Hara%2F%28A%29",
            "J%C3%BCrgen+O'Hara%2F(A)",
            r"Jürgen O'Hara\/(A)",
            r"J\u00fcrgen O'Hara/(A)",
            r"J\u00FCrgen O'Hara\/(A)",
            r"Jürgen O\u0027Hara/(A)",
            "Jürgen O&#x27;Hara/(A)",
            "Jürgen O&apos;Hara/(A)",
            "Jürgen O&#039;Hara/(A)",
        ] {
            assert_eq!(scrub(&known, text).as_deref(), Some("<nick>"), "{text}");
        }
    }

    #[test]
    fn short_values_are_found_as_whole_words() {
        let mut known = Known { most: 3, ..Known::default() };
        known.learn(Class::Nickname, "Bo");
        known.learn(Class::Nickname, "Bob");
        known.learn(Class::Nickname, "Bö L");
        let shown = |known: &Known, text: &str| {
            known.scrub_words(text, Scope::Texts, |class, _| format!("<{}>", class.prefix()))
        };
        assert_eq!(
            shown(&known, "Hi bob, Bobby, Bob's, üBob and Bö L!"),
            "Hi <nick>, Bobby, <nick>'s, üBob and <nick>!"
        );
        known.learn(Class::Nickname, "bob");
        known.learn(Class::Nickname, "Dan");
        known.learn(Class::Nickname, "Eve");
        assert_eq!(shown(&known, "Bob Eve"), "<nick> <nick>", "the younger of two owners is known still");
        known.learn(Class::Nickname, "Ida");
        assert_eq!(shown(&known, "Bob Eve"), "Bob <nick>");
    }

    #[test]
    fn can_leave_personal_values() {
        let shown = known().scrub("Ann Smith K3y+/=seven", Scope::Credentials, |class, _| class.prefix().to_owned());
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

    #[test]
    fn the_longest_of_several_is_replaced() {
        let mut known = Known::default();
        known.learn(Class::Nickname, "Johann");
        known.learn(Class::ClientId, "Johannes");
        known.learn(Class::SecureKey, "johannes-keyed");
        known.learn(Class::Nickname, "johannes-kept");
        let shown = |text: &str| scrub(&known, text).unwrap();
        assert_eq!(shown("Johannes-key"), "<cid>-key");
        assert_eq!(shown("Johannes-keyed"), "<sk>");
        assert_eq!(shown("Johannes-keptJohann"), "<nick><nick>");
        assert_eq!(shown("xJohannx"), "x<nick>x");
        let credentials =
            known.scrub("Johannes-kept, Johann", Scope::Credentials, |class, _| class.prefix().to_owned());
        assert_eq!(credentials.as_deref(), Some("cid-kept, Johann"));
    }

    #[test]
    fn what_was_not_seen_for_longest_is_forgotten_first() {
        let mut known = Known { most: 3, ..Known::default() };
        let secrets: Vec<String> = (0..5).map(|number| format!("secret+{number}")).collect();
        for secret in &secrets[..3] {
            known.learn(Class::SecureKey, secret);
        }
        known.learn(Class::SecureKey, &secrets[0]);
        known.learn(Class::SecureKey, &secrets[3]);
        known.learn(Class::SecureKey, &secrets[4]);
        let found: Vec<bool> = secrets.iter().map(|secret| scrub(&known, &percent(secret)).is_some()).collect();
        assert_eq!(found, [true, false, false, true, true]);
        assert_eq!(secrets.iter().map(|secret| known.class(secret).is_some()).collect::<Vec<_>>(), found);
        assert_eq!((known.values.len(), known.queue.len()), (3, 3));
        assert_eq!(known.beginnings.counts.iter().sum::<u32>() as usize, known.forms.len());
    }

    #[test]
    fn a_form_of_two_values_is_found_as_long_as_one_of_them_is_remembered() {
        let mut known = Known { most: 2, ..Known::default() };
        known.learn(Class::Nickname, "Ann Smith");
        known.learn(Class::SecureKey, "ann smith");
        assert_eq!(scrub(&known, "ANN SMITH").as_deref(), Some("<nick>"));
        known.learn(Class::ClientId, "client-1");
        assert_eq!(scrub(&known, "ANN SMITH").as_deref(), Some("<sk>"));
        known.learn(Class::ClientId, "client-2");
        assert_eq!(scrub(&known, "ANN SMITH"), None);
        assert_eq!(known.beginnings.counts.iter().sum::<u32>() as usize, known.forms.len());
    }

    #[test]
    fn a_credential_is_found_where_a_personal_value_looks_alike() {
        let mut known = Known::default();
        known.learn(Class::Nickname, "Ann Smith");
        known.learn(Class::SecureKey, "ann smith");
        let shown = known.scrub("ANN SMITH", Scope::Credentials, |class, _| class.prefix().to_owned());
        assert_eq!(shown.as_deref(), Some("sk"));
    }

    proptest::proptest! {
        /// The map finds what a search for each form alone finds.
        #[test]
        fn finds_what_a_plain_search_finds(
            secrets in proptest::collection::vec("[abAB+\"é]{4,9}", 1..20),
            text in "[abAB+\"é]{0,40}",
        ) {
            let mut known = Known::default();
            for secret in &secrets {
                known.learn(Class::SecureKey, secret);
            }
            let lower = text.to_ascii_lowercase();
            let is_there = secrets.iter().flat_map(|secret| forms(secret)).any(|form| lower.contains(&form));
            let scrubbed = scrub(&known, &text);
            proptest::prop_assert_eq!(scrubbed.is_some(), is_there);
            if let Some(scrubbed) = scrubbed {
                for part in scrubbed.split("<sk>").map(str::to_ascii_lowercase) {
                    for form in secrets.iter().flat_map(|secret| forms(secret)) {
                        proptest::prop_assert!(!part.contains(&form));
                    }
                }
            }
        }
    }
}
