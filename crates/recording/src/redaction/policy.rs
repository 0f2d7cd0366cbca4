//! What stands where: for each member of a message and each header field, whether its value is kept, and as which class it is
//! hidden if not.
//!
//! The tables fail closed: a text at a place that no row names is kept only if it is a word of the closed vocabulary, and a
//! number only if it is short. `docs/redaction.md` shows the same rows to people.

mod rows;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::token::{self, Class};

pub(crate) use self::rows::ROWS;

/// The version of these tables, written into the header of each tape. Changes:
/// - 1: the first.
/// - 2: telephone numbers have a class; long numbers at unknown places are hidden; of credentials in a header field the
///   scheme is kept; so are the messages of callback-polling as messages, and the endings that names of files may have.
/// - 3: words of header fields, ids of messages and numbers are kept only if the audit takes them; words of channels,
///   operations and names of members are kept only in the form of such words, and without any value seen as secret.
pub const POLICY_VERSION: u32 = 3;

/// The kind of object in which a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Message,
    Advice,
    Ext,
    /// `data`, in either direction, and bodies of the REST siblings.
    Data,
    Event,
    From,
    ChatError,
    /// `userData` and `eventAttributes`: names and values belong to whoever wrote them.
    UserData,
    Unknown,
}

/// How the value of a member is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A text is replaced by a token of the class; so is a number.
    Hide(Class),
    /// A text is kept if it obeys the grammar.
    Keep(Grammar),
    /// An object whose members have rules of their own; a text in its place is hidden.
    Inside(Place),
}

impl Rule {
    /// Where the members of an object stand that has the rule.
    pub(crate) const fn place(self) -> Place {
        match self {
            Self::Inside(place) => place,
            Self::Hide(Class::UserData) => Place::UserData,
            Self::Hide(_) | Self::Keep(_) => Place::Unknown,
        }
    }
}

/// What a kept text may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// The id of a message, as clients count them.
    Id,
    /// A number of up to six digits in attached data; a text there is attached data like any other.
    Small,
    /// A word of the vocabulary, in any case, or a new one like them: `sendMessage`, `long-polling`.
    Word,
    /// The same, or a new one like `ParticipantJoined`.
    Kind,
    /// A whole number as text.
    Digits,
    /// The same for a wall time since 1970.
    Moment,
    /// `txt:pdf`: the endings of names of files.
    Endings,
    /// `1.0`, `1.0beta`
    Version,
    /// `2026-11-23T09:00:00.00`
    Timestamp,
    /// A channel or a pattern of channels; segments that look personal are replaced, and what no channel may hold.
    Channel,
    /// `402:args:text`
    Error,
    /// Words of the server for a person, possibly with `referenceId[...]`.
    ChatAdvice,
    /// Nothing but the closed vocabulary.
    Vocabulary,
}

/// How a header field is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// It says how the wire works and nothing about anybody.
    Keep,
    /// The same, and it may be a date.
    Date,
    /// Names of protocols, of which one may be a credential.
    Subprotocol,
    /// It holds an origin or an address.
    Host,
    Cookie,
    SetCookie,
    /// Of credentials the scheme is kept.
    Credentials,
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row {
    /// Members with these names in these places; without a place, in every place but attached data.
    Members(&'static [Place], &'static [&'static str], Rule),
    /// Header fields, in lower case. A field that no row names is left out.
    Fields(&'static [&'static str], Field),
}

/// The rows, arranged for looking up.
#[derive(Debug)]
pub(crate) struct Policy {
    members: BTreeMap<&'static str, Vec<(&'static [Place], Rule)>>,
    fields: BTreeMap<&'static str, Field>,
}

impl Policy {
    /// All rows.
    pub(crate) fn standard() -> Arc<Self> {
        static STANDARD: LazyLock<Arc<Policy>> = LazyLock::new(|| Arc::new(Policy::of(ROWS.iter())));
        Arc::clone(&STANDARD)
    }

    /// All rows, without one name of one row, in one of its places if it names any: what would be if a rule were forgotten.
    #[cfg(test)]
    pub(crate) fn without(forgotten: usize, name: &str, place: Option<Place>) -> Arc<Self> {
        let mut policy = Self::of(ROWS.iter().enumerate().filter(|(at, _)| *at != forgotten).map(|(_, row)| row));
        match &ROWS[forgotten] {
            Row::Members(places, names, rule) => {
                for kept in *names {
                    let alone = |place: &'static Place| (std::slice::from_ref(place), *rule);
                    let rules: Vec<_> = match place {
                        _ if *kept != name => vec![(*places, *rule)],
                        None => Vec::new(),
                        Some(place) => places.iter().filter(|other| **other != place).map(alone).collect(),
                    };
                    // A row for a place goes before one without.
                    policy.members.entry(kept).or_default().splice(0..0, rules);
                }
            }
            Row::Fields(names, field) => {
                policy.fields.extend(names.iter().filter(|kept| **kept != name).map(|kept| (*kept, *field)));
            }
        }
        Arc::new(policy)
    }

    /// Some rows.
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut policy = Self { members: BTreeMap::new(), fields: BTreeMap::new() };
        for row in rows {
            match row {
                Row::Members(places, names, rule) => {
                    for name in *names {
                        policy.members.entry(name).or_default().push((places, *rule));
                    }
                }
                Row::Fields(names, field) => policy.fields.extend(names.iter().map(|name| (*name, *field))),
            }
        }
        policy
    }

    /// The rule for a member.
    pub(crate) fn rule(&self, place: Place, name: &str) -> Rule {
        let rules = self.members.get(name).map(Vec::as_slice).unwrap_or_default();
        let own = rules.iter().find(|(places, _)| places.contains(&place));
        let general = || rules.iter().find(|(places, _)| places.is_empty() && place != Place::UserData);
        match (own.or_else(general), place) {
            (Some((_, rule)), _) => *rule,
            (None, Place::UserData) => Rule::Hide(Class::UserData),
            (None, _) => Rule::Inside(Place::Unknown),
        }
    }

    /// How a header field is treated; `None` to leave it out.
    pub(crate) fn field(&self, lower_case: &str) -> Option<Field> {
        self.fields.get(lower_case).copied()
    }

    /// The rule of a member of an object that has a rule itself: inside a hidden member everything is hidden.
    pub(crate) fn rule_within(&self, outer: Rule, name: &str) -> Rule {
        match (outer, self.rule(outer.place(), name)) {
            (Rule::Hide(class), Rule::Inside(_) | Rule::Keep(_)) if class != Class::UserData => Rule::Hide(class),
            (_, rule) => rule,
        }
    }

    /// Whether a row names a member in any place.
    pub(crate) fn names_member(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }
}

/// Texts that are nobody's secret, sorted.
const VOCABULARY: &[&str] = &[
    "Agent",
    "Authentication failed",
    "BOT",
    "Client",
    "Connection types not supported",
    "CustomNotice",
    "External",
    "FileDeleted",
    "FileUploaded",
    "Forbidden channel",
    "Handshake denied",
    "IdleAlert",
    "IdleClose",
    "Invalid channel",
    "Message",
    "Missing required parameter",
    "NicknameUpdated",
    "Notice",
    "ParticipantJoined",
    "ParticipantLeft",
    "PushUrl",
    "Supervisor",
    "TypingStarted",
    "TypingStopped",
    "Unknown",
    "Unknown client",
    "callback-polling",
    "channel missing",
    "channel_create_denied",
    "channel_invalid",
    "channel_missing",
    "clientId",
    "connectionType",
    "create denied",
    "create_denied",
    "customNotice",
    "denied_by_not_granting",
    "denied_by_security_policy",
    "disconnect",
    "false",
    "file-client-cfg-get",
    "fileDelete",
    "fileDownload",
    "fileGetLimits",
    "fileGetsLimits",
    "fileUpload",
    "handshake",
    "handshake_denied",
    "handshake_failed",
    "iframe",
    "invalid_channel",
    "invalid_id",
    "jsonpcallback",
    "long-polling",
    "message deleted",
    "message_deleted",
    "message_id_invalid",
    "none",
    "publish denied",
    "publish_denied",
    "pushUrl",
    "readReceipt",
    "requestChat",
    "requestNotifications",
    "retry",
    "sendMessage",
    "session_unknown",
    "startTyping",
    "stopTyping",
    "subscribe denied",
    "subscribe_denied",
    "subscribe_failed",
    "subscription invalid",
    "subscription missing",
    "subscription_invalid",
    "subscription_missing",
    "supportedConnectionTypes",
    "text",
    "timeout",
    "true",
    "unknown client",
    "unknown_session",
    "unsubscribe_failed",
    "updateData",
    "updateNickname",
    "version",
    "websocket",
];

/// Whether a text is of the closed vocabulary.
pub(crate) fn is_vocabulary(text: &str) -> bool {
    VOCABULARY.binary_search(&text).is_ok()
}

/// Names of attached data that belong to the product and not to a person, sorted.
const USER_DATA_NAMES: &[&str] = &[
    "GCTI_Chat_AsyncMode",
    "GCTI_Chat_PushSubscribe",
    "GCTI_GMS_NodeGroup",
    "GCTI_GMS_NotifyRequestor",
    "GCTI_GMS_PushDeviceId",
    "GCTI_GMS_PushDeviceType",
    "GCTI_GMS_PushIncludePayload",
    "GCTI_GMS_PushProvider",
    "GCTI_GMS_PushResend",
    "GCTI_SYSTEM",
    "TimeZone",
    "delete-file",
    "download-attempts",
    "file-description",
    "file-id",
    "file-name",
    "file-size",
    "push_notification_debug",
    "push_notification_deviceid",
    "push_notification_language",
    "push_notification_provider",
    "push_notification_type",
    "quit-reason-code",
    "quit-reason-text",
    "upload-file-types",
    "upload-max-file-size",
    "upload-max-files",
    "upload-max-total-size",
    "upload-need-agent",
    "used-download-attempts",
    "used-upload-max-files",
    "used-upload-max-total-size",
];

/// Whether the name of a member is kept.
pub(crate) fn keeps_name(place: Place, name: &str) -> bool {
    match place {
        Place::UserData => USER_DATA_NAMES.binary_search(&name).is_ok(),
        _ => is_identifier(name),
    }
}

/// The same without regard to the case of letters: a wrong case is evidence.
pub(crate) fn is_vocabulary_in_any_case(text: &str) -> bool {
    VOCABULARY.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// A name that a program could have: letters, digits, `_` and `-`, few digits.
pub(crate) fn is_identifier(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && few_digits(name)
}

/// How many digits a number may have at a place that no rule names: ids, keys and telephone numbers have more.
pub(crate) const SHORT_NUMBER: usize = 6;

/// Whether a text is a whole number without a sign.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How many digits stand in a text beside those of tokens.
pub(crate) fn loose_digits(text: &str) -> usize {
    digits(text) - token::find(text).into_iter().map(|(range, _)| digits(&text[range])).sum::<usize>()
}

/// Whether a segment of a channel may be a telephone number, a date or an address, or a piece of one: `in_channel` is how many
/// digits stand in all of its segments that are no known words.
pub(crate) fn is_number_in_channel(segment: &str, in_channel: usize) -> bool {
    in_channel > 3 && loose_digits(segment) > 0
}

/// The code, the arguments and the text of an `error` (Bayeux 3.12).
pub(crate) fn error_parts(error: &str) -> Option<(&str, &str, &str)> {
    let (code, rest) = error.split_once(':')?;
    let (arguments, text) = rest.split_once(':')?;
    (code.len() == 3 && is_digits(code)).then_some((code, arguments, text))
}

/// Whether a text is a whole number of so many digits.
pub(crate) fn is_short_number(text: &str) -> bool {
    (1..=SHORT_NUMBER).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text looks like an e-mail address.
pub(crate) fn looks_like_mail(text: &str) -> bool {
    let inner = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.split_once('@').is_some_and(|(name, host)| inner(name) && inner(host) && host.contains('.'))
}

/// Whether a text looks like a telephone number: seven digits or more, and between them only what people put there.
pub(crate) fn looks_like_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (7..=15).contains(&digits) && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-/(). ".contains(&byte))
}

/// Whether a segment of a channel may hold a character (Bayeux 1.2).
pub(crate) const fn is_of_channel(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '!' | '~' | '(' | ')' | '$')
}

/// Whether a segment of a channel may be a word: short, few digits.
pub(crate) fn is_segment(segment: &str) -> bool {
    segment.len() <= 32 && few_digits(segment) && segment.chars().all(is_of_channel)
}

/// Whether a segment may be the name of a service.
pub(crate) fn is_service(segment: &str) -> bool {
    let is_account = segment.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() >= COUNT);
    segment.len() <= 80 && segment.chars().all(is_of_channel) && !looks_like_phone(segment) && !is_account
}

/// Whether a word names a scheme of credentials.
pub(crate) fn is_scheme(word: &str) -> bool {
    ["basic", "bearer", "digest", "negotiate", "ntlm"].contains(&word.to_ascii_lowercase().as_str())
}

/// Whether at most three characters are digits: ids, keys and telephone numbers have more.
pub(crate) fn few_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() <= 3
}

/// How many digits a number may have that counts something, and an id.
const COUNT: usize = 10;

/// From when to when a conversation may take place, in seconds since 1970: 9 September 2001 to 31 December 2039. Numbers of
/// other size may be telephone numbers.
const SECONDS: std::ops::Range<i128> = 1_000_000_000..2_208_988_800;

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

const fn is_capital(c: char) -> bool {
    c.is_ascii_uppercase()
}

/// Letters and hyphens, few digits: a word as operations, transports and kinds of events are.
fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && few_digits(text)
}

/// `17`, `k-17`, `c1`: a number, or a short one behind at most three letters.
pub(crate) fn is_message_id(text: &str) -> bool {
    let behind = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = text.len() - behind.len();
    let number = behind.strip_prefix(['-', '_', '.', ':']).filter(|_| letters > 0).unwrap_or(behind);
    let most = if letters == 0 { COUNT } else { SHORT_NUMBER };
    let fewest = usize::from(letters == 0 || letters == 3 || number.len() < behind.len());
    letters <= 3 && (fewest..=most).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a number since 1970 is a time of a conversation, in the unit that its size tells.
fn is_plausible(number: &str) -> bool {
    let number: Option<i128> = number.parse().ok();
    number.is_some_and(|number| {
        [1, 1_000, 1_000_000, 1_000_000_000].iter().any(|unit| SECONDS.contains(&(number / unit)))
    })
}

/// Whether a number is kept where a grammar stands.
pub(crate) fn obeys_as_number(grammar: Grammar, number: &str) -> bool {
    match grammar {
        Grammar::Id | Grammar::Digits => digits(number) <= COUNT,
        Grammar::Moment | Grammar::Timestamp => {
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            digits(number) < COUNT || (is_plausible(whole) && fraction.len() < COUNT)
        }
        _ => digits(number) <= SHORT_NUMBER,
    }
}

/// `2026-11-23T09:00:00.00`, whatever zone stands behind.
fn is_timestamp(text: &str) -> bool {
    let whole = |form: &str, text: &str| {
        form.len() == text.len()
            && form
                .bytes()
                .zip(text.bytes())
                .all(|(form, byte)| if form == b'0' { byte.is_ascii_digit() } else { form == byte })
    };
    let Some((moment, rest)) = text.get(..19).zip(text.get(19..)) else { return false };
    let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let zone = &rest[fraction..];
    whole("0000-00-00T00:00:00", moment)
        && fraction <= COUNT
        && (["", "Z"].contains(&zone)
            || zone.strip_prefix(['+', '-']).is_some_and(|zone| whole("00:00", zone) || whole("0000", zone)))
}

/// Whether a text obeys a grammar that needs no rewriting.
pub(crate) fn obeys(grammar: Grammar, text: &str) -> bool {
    let all = |limit: usize, extra: &[u8]| {
        (1..=limit).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    match grammar {
        Grammar::Id => is_message_id(text),
        Grammar::Word => is_vocabulary_in_any_case(text) || (is_word(text) && !text.starts_with(is_capital)),
        Grammar::Kind => is_vocabulary_in_any_case(text) || is_word(text),
        Grammar::Digits | Grammar::Moment => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() && obeys_as_number(grammar, text)
        }
        Grammar::Endings => {
            let is_ending = |ending: &str| (1..=5).contains(&ending.len()) && few_digits(ending);
            all(200, b":") && text.split(':').all(is_ending)
        }
        Grammar::Version => {
            let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
            all(16, b".")
                && text.starts_with(|c: char| c.is_ascii_digit())
                && digits(text) <= SHORT_NUMBER
                && letters <= 5
        }
        Grammar::Timestamp => is_timestamp(text),
        Grammar::Vocabulary => is_vocabulary(text),
        Grammar::Small | Grammar::Channel | Grammar::Error | Grammar::ChatAdvice => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(VOCABULARY.is_sorted());
        assert!(USER_DATA_NAMES.is_sorted());
    }

    #[test]
    fn sensitive_names_are_hidden_wherever_they_stand() {
        let policy = Policy::standard();
        for place in [Place::Message, Place::Data, Place::Ext, Place::Event, Place::Unknown] {
            assert_eq!(policy.rule(place, "secureKey"), Rule::Hide(Class::SecureKey), "{place:?}");
            assert_eq!(policy.rule(place, "clientId"), Rule::Hide(Class::ClientId), "{place:?}");
        }
    }

    #[test]
    fn addresses_and_telephone_numbers_are_known_by_their_looks() {
        assert!(
            looks_like_mail("ann@example.org") && !looks_like_mail("ann at example.org") && !looks_like_mail("@a.b")
        );
        assert!(looks_like_phone("+49 (30) 123-4567") && !looks_like_phone("4711") && !looks_like_phone("a1234567"));
    }

    #[test]
    fn ids_are_as_clients_count_them() {
        for id in ["1", "1000117", "k-17", "c1", "h", "m:003"] {
            assert!(obeys(Grammar::Id, id), "{id}");
        }
        for text in ["", "Ann", "Passwort.Hunter:drei", "49301234567", "c1795428", "-", "k-", "a-b"] {
            assert!(!obeys(Grammar::Id, text), "{text}");
        }
    }

    #[test]
    fn operations_are_like_those_of_the_protocol() {
        for word in ["sendMessage", "SendMessage", "novelOperation", "carrier-pigeon", "v2"] {
            assert!(obeys(Grammar::Word, word), "{word}");
        }
        for text in ["AnnaSchmidt", "ann.smith", "", "ann_smith", "a81f9c0d77e2"] {
            assert!(!obeys(Grammar::Word, text), "{text}");
        }
    }

    #[test]
    fn times_are_those_of_a_conversation() {
        for time in
            ["2026-11-23T09:00:00.00", "2026-11-23T09:00:00", "2026-11-23T09:00:00.5+01:00", "2026-11-23T09:00:00Z"]
        {
            assert!(obeys(Grammar::Timestamp, time), "{time}");
        }
        for text in ["+49151-1234-5678", "2026-11-23", "2026-11-23T09:00:00.00 Ann", "2026-11-23T09:00:00ü"] {
            assert!(!obeys(Grammar::Timestamp, text), "{text}");
        }
        for number in ["0", "1795428215", "1795428215.75", "1795428215999", "1795428215999000", "-12345678"] {
            assert!(obeys_as_number(Grammar::Moment, number), "{number}");
        }
        for number in ["4915112345678", "4111111111111111", "30123456789", "12345678901234567890123"] {
            assert!(!obeys_as_number(Grammar::Moment, number), "{number}");
        }
        assert!(!obeys(Grammar::Digits, "4111111111111111") && !obeys(Grammar::Digits, "-"));
    }

    #[test]
    fn keys_and_numbers_are_no_identifiers() {
        assert!(is_identifier("quit-reason-code"));
        assert!(!is_identifier("a81f9c0d77e2"));
        assert!(!is_identifier("ann@example.org"));
        assert!(!is_identifier("Ann Smith"));
    }
}
