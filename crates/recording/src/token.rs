//! Pseudonyms: a typed, keyed name for each secret value.
//!
//! A token is a prefix that names the class, `_`, and ten base-32 digits of an HMAC over class and value: equal values have
//! equal tokens under one key, and nothing leads back. A text's token also says its length: `txt_7h2k9m4p0q~len=5~u8=6`.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Lower-case Crockford base 32: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Base-32 digits in a token: 50 bits.
const DIGITS: usize = 10;

/// What numbers begin with that stand for secret numbers, so that a member keeps its JSON type.
const NUMBER_PREFIX: &str = "70707";

/// Decimal digits behind [`NUMBER_PREFIX`].
const NUMBER_DIGITS: usize = 8;

/// The secret behind all tokens of a tape. `Debug` hides it, and it never reaches a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Takes a key, from a random source or, in virtual runs, from the seed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A name by which two tapes can tell that they have the same key.
    #[must_use]
    pub fn id(&self) -> String {
        format!("k_{}", base32(&self.mac("key-id", "tapestry")))
    }

    fn mac(&self, class: &str, value: &str) -> [u8; 32] {
        self.mac_of(class, value.as_bytes())
    }

    fn mac_of(&self, class: &str, value: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(class.as_bytes());
        mac.update(b"|");
        mac.update(value);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $name:ident = $prefix:literal, $noun:literal;)+) => {
        /// What kind of value a token stands for. Tokens of two classes are never linkable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Class {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What a token begins with, before the `_`.
            #[must_use]
            pub const fn prefix(self) -> &'static str {
                match self { $(Self::$name => $prefix,)+ }
            }

            /// The word under which a canonical form counts its values: `clientId` in `clientId#1`.
            #[must_use]
            pub const fn noun(self) -> &'static str {
                match self { $(Self::$name => $noun,)+ }
            }
        }
    };
}

classes! {
    /// `secureKey`
    SecureKey = "sk", "secureKey";
    /// `clientId`
    ClientId = "cid", "clientId";
    /// A cookie's value.
    Cookie = "ck", "cookie";
    /// Credentials, such as `data.auth.encoded`.
    Auth = "auth", "auth";
    /// `userId`
    UserId = "uid", "userId";
    /// `chatId`
    ChatId = "chat", "chatId";
    /// `alias`
    Alias = "al", "alias";
    /// Names of persons.
    Nickname = "nick", "nick";
    /// E-mail addresses.
    Mail = "mail", "mail";
    /// Telephone numbers.
    Phone = "tel", "phone";
    /// What a person or a server wrote.
    Text = "txt", "txt";
    /// A value in `userData` or `eventAttributes`.
    UserData = "ud", "ud";
    /// A device or provider of push notifications.
    Push = "push", "push";
    /// `file-id`
    File = "file", "file";
    /// `referenceId[...]` in an advice.
    Reference = "ref", "ref";
    /// The name of a member, header or parameter that nobody knows.
    Name = "key", "key";
    /// The `id` of a message that is no counter: letters and digits.
    MessageId = "id", "id";
    /// The `id` of a message that has characters besides letters and digits (BX-FLD-09), so that a rule still sees it.
    OddMessageId = "odd", "odd id";
    /// A text at a place that nobody knows.
    Unknown = "unk", "unk";
}

impl Class {
    /// Whether the value is searched for in what is kept. Texts are too common: their words stand in channels and names by
    /// right.
    pub(crate) const fn is_searched_for(self) -> bool {
        !matches!(self, Self::Text | Self::UserData | Self::Unknown | Self::Name | Self::MessageId | Self::OddMessageId)
    }

    /// Whether the value is a credential or an id, and not merely personal.
    pub(crate) const fn is_credential(self) -> bool {
        matches!(
            self,
            Self::SecureKey | Self::ClientId | Self::Cookie | Self::Auth | Self::UserId | Self::ChatId | Self::Push
        )
    }
}

/// The token of a value. An empty value has none and stays empty: whether it is empty is no secret and matters to rules.
#[must_use]
pub fn token(key: &Key, class: Class, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let digits = base32(&key.mac(class.prefix(), value));
    match class {
        Class::Text => {
            format!("{}_{digits}~len={}~u8={}", class.prefix(), value.chars().count(), value.len())
        }
        _ => format!("{}_{digits}", class.prefix()),
    }
}

/// The token of bytes that nobody reads. Of bytes that are a text it is the token of the text; else `len` counts the
/// characters that could be read, with one for each gap.
#[must_use]
pub fn of_bytes(key: &Key, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let class = Class::Text.prefix();
    // Counted without a copy: it may be a file.
    let chunks = bytes.utf8_chunks();
    let characters: usize =
        chunks.map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty())).sum();
    format!("{class}_{}~len={characters}~u8={}", base32(&key.mac_of(class, bytes)), bytes.len())
}

/// The number that stands for a secret number: 13 digits that begin with 70707.
#[must_use]
pub fn number_token(key: &Key, class: Class, digits: &str) -> String {
    let mac = key.mac(class.prefix(), digits);
    let number = u64::from_be_bytes([mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], mac[6], mac[7]]);
    format!("{NUMBER_PREFIX}{:0width$}", number % 10_u64.pow(NUMBER_DIGITS as u32), width = NUMBER_DIGITS)
}

/// Whether a number is one that [`number_token`] makes.
#[must_use]
pub fn is_number_token(number: &str) -> bool {
    number
        .strip_prefix(NUMBER_PREFIX)
        .is_some_and(|rest| rest.len() == NUMBER_DIGITS && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The class of a text that is one token from its first to its last character.
#[must_use]
pub fn whole(text: &str) -> Option<Class> {
    let (range, class) = at(text, 0)?;
    (range.end == text.len()).then_some(class)
}

/// How many bytes a token says that its value had; `None` if it does not say.
#[must_use]
pub fn size(token: &str) -> Option<usize> {
    whole(token)?;
    token.rsplit_once("~u8=")?.1.parse().ok()
}

/// Every token inside a text, in order.
#[must_use]
pub fn find(text: &str) -> Vec<(Range<usize>, Class)> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let bounded = start == 0 || !is_word(text.as_bytes()[start - 1]);
        match bounded.then(|| at(text, start)).flatten() {
            Some((range, class)) => {
                start = range.end;
                found.push((range, class));
            }
            None => start += 1,
        }
    }
    found
}

/// The token that begins at a byte.
fn at(text: &str, start: usize) -> Option<(Range<usize>, Class)> {
    let rest = text.as_bytes().get(start..)?;
    let class = *Class::ALL
        .iter()
        .find(|class| rest.starts_with(class.prefix().as_bytes()) && rest.get(class.prefix().len()) == Some(&b'_'))?;
    let from = class.prefix().len() + 1;
    let digits = rest.get(from..from + DIGITS)?;
    if !digits.iter().all(|byte| ALPHABET.contains(byte)) {
        return None;
    }
    let mut end = from + DIGITS;
    if class == Class::Text {
        for field in [&b"~len="[..], b"~u8="] {
            let tail = rest.get(end..)?.strip_prefix(field)?;
            let number = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&number) {
                return None;
            }
            end += field.len() + number;
        }
    }
    let closed = rest.get(end).is_none_or(|byte| !is_word(*byte));
    closed.then_some((start..start + end, class))
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn base32(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(DIGITS);
    let (mut bits, mut buffer) = (0_u32, 0_u32);
    let mut bytes = bytes.iter();
    while digits.len() < DIGITS {
        if bits < 5 {
            buffer = (buffer << 8) | u32::from(*bytes.next().expect("a MAC has more than fifty bits"));
            bits += 8;
        }
        bits -= 5;
        digits.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        Key::from_bytes([7; 32])
    }

    #[test]
    fn equal_values_have_equal_tokens_and_classes_are_not_linkable() {
        let nick = token(&key(), Class::Nickname, "Ann");
        assert_eq!(nick, token(&key(), Class::Nickname, "Ann"));
        assert_ne!(nick[5..], token(&key(), Class::UserData, "Ann")[3..]);
        assert_ne!(nick, token(&Key::from_bytes([8; 32]), Class::Nickname, "Ann"));
        assert_ne!(nick, token(&key(), Class::Nickname, "ann"));
    }

    #[test]
    fn a_text_tells_its_length_in_characters_and_bytes() {
        let token = token(&key(), Class::Text, "größer");
        assert!(token.ends_with("~len=6~u8=8"), "{token}");
    }

    #[test]
    fn debug_of_a_key_shows_its_id_only() {
        assert_eq!(format!("{:?}", key()), format!("Key({})", key().id()));
        assert_eq!(key().id().len(), 12);
    }

    #[test]
    fn finds_tokens_inside_other_words() {
        let (cid, text) = (token(&key(), Class::ClientId, "x"), token(&key(), Class::Text, "y"));
        let line = format!("402:{cid}:{text}, /a/{cid}");
        let found: Vec<&str> = find(&line).into_iter().map(|(range, _)| &line[range]).collect();
        assert_eq!(found, [cid.as_str(), text.as_str(), cid.as_str()]);
        assert!(find(&format!("x{cid}")).is_empty());
        assert!(find(&format!("{cid}x")).is_empty());
        assert!(find("cid_k3v9q0w2mu").is_empty(), "`u` is no base-32 digit here");
    }

    proptest! {
        #[test]
        fn every_token_is_recognised(value in ".{1,40}", class in 0..Class::ALL.len()) {
            let class = Class::ALL[class];
            prop_assert_eq!(whole(&token(&key(), class, &value)), Some(class));
            prop_assert!(is_number_token(&number_token(&key(), class, &value)));
        }

        #[test]
        fn any_text_is_searched_without_panic(text in ".{0,60}|[a-z0-9_~=]{0,60}|cid_[0-9a-z~=ü]{0,30}") {
            for (range, _) in find(&text) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}
