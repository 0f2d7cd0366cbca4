//! No canary reaches a tape, and there is no rule that could be forgotten without a canary that tells.

#[path = "../../../../tests/canary/corpus.rs"]
#[allow(dead_code, reason = "shared with the tests of everything that is shown of a session")]
mod corpus;
#[path = "../../../../tests/canary/search.rs"]
mod search;

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::wire::Headers;

use self::search::Search;
use super::policy::{ROWS, Row};
use super::*;
use crate::capture::{Capture, Config, Source};
use crate::tape::Finish;
use crate::token::Key;

const KEY: [u8; 32] = [7; 32];

fn tape(policy: Arc<Policy>, entries: &[Entry]) -> String {
    let config = Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: "00000000000000000000000000000007".to_owned(),
        key: Key::from_bytes(KEY),
        source: Source::Sim,
        scenario: None,
        seed: Some(7),
        env: BTreeMap::new(),
    };
    let redactor = Redactor::by(policy, config.key.clone(), Keep::Nothing);
    let (mut capture, mut bytes) = Capture::with(config, redactor, Keep::Nothing);
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(capture.finish(end, Finish::Complete));
    String::from_utf8(bytes).expect("a redacted tape is UTF-8")
}

/// What is wrong with the tape of a session: canaries on it, tokens that are not there, and what is missing of the protocol.
fn faults(search: &Search, policy: Arc<Policy>, session: &corpus::Session) -> Vec<String> {
    let tape = tape(policy, &session.entries);
    let mut faults: Vec<String> =
        search.found(tape.as_bytes()).into_iter().map(|form| format!("the marker is there as {form}")).collect();
    for canary in &session.canaries {
        let escaped = serde_json::Value::from(canary.value.as_str()).to_string();
        if tape.contains(&canary.value) || tape.contains(&escaped[1..escaped.len() - 1]) {
            faults.push(format!("the canary of {} is there", canary.place));
        }
        if ["", "number"].contains(&canary.prefix) {
            continue;
        }
        let class = Class::ALL.iter().find(|class| class.prefix() == canary.prefix).expect("a class has this prefix");
        if !tape.contains(&token::token(&Key::from_bytes(KEY), *class, &canary.value)) {
            faults.push(format!("{} has no token of class {}", canary.place, canary.prefix));
        }
    }
    faults
        .extend(session.kept.iter().filter(|kept| !tape.contains(kept.as_str())).map(|kept| format!("{kept} is gone")));
    faults
}

#[test]
fn every_canary_becomes_the_token_of_its_class_and_the_protocol_stays() {
    let search = Search::new();
    for seed in 0..20 {
        assert_eq!(
            faults(&search, Policy::standard(), &corpus::session(seed, seed)),
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}

#[test]
fn no_rule_can_be_forgotten_without_a_fault() {
    let (search, session) = (Search::new(), corpus::session(1, 1));
    let (mut tried, mut forgotten) = (0, Vec::new());
    for (at, row) in ROWS.iter().enumerate() {
        let (places, names) = match row {
            Row::Members([], names, _) | Row::Fields(names, _) => (vec![None], names),
            Row::Members(places, names, _) => (places.iter().copied().map(Some).collect(), names),
        };
        for (name, place) in names.iter().flat_map(|name| places.iter().map(move |place| (name, *place))) {
            tried += 1;
            if faults(&search, Policy::without(at, name, place), &session).is_empty() {
                forgotten.push(format!("`{name}` in {place:?} of {row:?}"));
            }
        }
    }
    assert_eq!(forgotten, Vec::<String>::new());
    let rules = |row: &Row| match row {
        Row::Members(places, names, _) => names.len() * places.len().max(1),
        Row::Fields(names, _) => names.len(),
    };
    assert_eq!(tried, ROWS.iter().map(rules).sum::<usize>());
}

/// A tape with each token and number that stands for a value replaced by its class, its number of first occurrence and what
/// it tells on purpose. What follows from the values of tokens alone is left out: the hash, and the order of places.
fn renamed(tape: &str) -> String {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut name = |token: &str, class: &str| {
        let next = seen.len();
        let number = *seen.entry(token.to_owned()).or_insert(next);
        format!("<{class} {number} {}>", token.split_once('~').map_or("", |(_, shape)| shape))
    };
    let mut renamed = String::new();
    // Within a form a token stands behind a line feed.
    for line in tape.replace(r"\r\n", " ").lines() {
        let line = line.split(r#","hash":"#).next().unwrap_or_default();
        let (line, paths) = line.split_once(r#","paths":"#).unwrap_or((line, ""));
        let mut done = 0;
        for (range, class) in token::find(line) {
            renamed.push_str(&line[done..range.start]);
            renamed.push_str(&name(&line[range.clone()], class.prefix()));
            done = range.end;
        }
        renamed.push_str(&line[done..]);
        let mut paths: Vec<String> = paths
            .split(',')
            .map(|path| {
                path.split('.').map(|step| step.split('_').next().unwrap_or_default()).collect::<Vec<_>>().join(".")
            })
            .collect();
        paths.sort();
        renamed.push_str(&format!("{paths:?}\n"));
    }
    let numbers: Vec<&str> =
        renamed.split(|c: char| !c.is_ascii_digit()).filter(|n| token::is_number_token(n)).collect();
    let names: Vec<(String, String)> =
        numbers.into_iter().map(|number| (number.to_owned(), name(number, "number"))).collect();
    names.into_iter().fold(renamed, |text, (number, name)| text.replace(&number, &name))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nothing of a tape but its tokens follows from what was secret: neither a length, nor an order, nor a choice.
    #[test]
    fn a_session_with_other_secrets_gives_the_same_tape_but_for_its_tokens(form: u64, one: u64, other: u64) {
        let of = |canaries| renamed(&tape(Policy::standard(), &corpus::session(form, canaries).entries));
        assert_eq!(of(one), of(other));
    }
}

/// The members and header fields that are wall times, by their rules.
#[test]
fn every_wall_time_of_the_tables_is_moved() {
    let a_day = Shift::from_bits(0);
    let start = "2026-11-23T09:00:00Z";
    let mut tried = 0;
    for row in ROWS {
        let times: &[(&str, &str)] = match row {
            Row::Members(_, _, Rule::Keep(Grammar::Moment)) => &[
                ("1795428215999", "1795341815999"),
                (r#""1795428215999""#, r#""1795341815999""#),
                ("1.7954e12", ":70707"),
            ],
            Row::Members(_, _, Rule::Keep(Grammar::Timestamp)) => {
                &[(r#""2026-11-23T09:00:00.00""#, r#""2026-11-22T09:00:00.00""#), ("1795428215999", "1795341815999")]
            }
            Row::Fields(_, policy::Field::Date) => {
                &[("Mon, 23 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 09:00:00 GMT"), ("3600", "3600")]
            }
            Row::Members(..) | Row::Fields(..) => continue,
        };
        let (Row::Members(_, names, _) | Row::Fields(names, _)) = row;
        for (name, (time, moved)) in names.iter().flat_map(|name| times.iter().map(move |time| (name, time))) {
            tried += 1;
            let mut redactor = Redactor::new(Key::from_bytes(KEY)).shifting(a_day, start);
            let shown = match row {
                Row::Fields(..) => redactor.headers(&Headers::new().with(name, time)).0[0].1.clone(),
                Row::Members(places, ..) => {
                    let node = Node::parse(&format!("{{\"{name}\":{time}}}")).expect("an object");
                    redactor.node(node, Rule::Inside(places[0])).to_string()
                }
            };
            assert!(shown.contains(moved), "{name}: {time} becomes {shown}");
        }
    }
    assert!(tried > 10, "{tried} times");
}

/// The rows as `docs/redaction.md` shows them.
fn table() -> String {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let place = |place: &Place| match place {
        Place::Message => "a message",
        Place::Advice => "`advice`",
        Place::Ext => "`ext`",
        Place::Data => "`data`",
        Place::Event => "an event",
        Place::From => "`from`",
        Place::ChatError => "an error of the chat",
        Place::UserData => "attached data",
        Place::Unknown => "elsewhere",
    };
    let mut table = "| Where | Names | Value |\n|---|---|---|\n".to_owned();
    for row in ROWS {
        let (places, names, value) = match row {
            Row::Members([], names, rule) => ("anywhere but in attached data".to_owned(), names, treatment(*rule)),
            Row::Members(places, names, rule) => {
                (places.iter().map(place).collect::<Vec<_>>().join(", "), names, treatment(*rule))
            }
            Row::Fields(names, field) => {
                let value = match field {
                    policy::Field::Keep => {
                        "words of a closed list and short numbers are kept, others become `unk_` tokens"
                    }
                    policy::Field::Subprotocol => "the same, others become `auth_` tokens: one may be a credential",
                    policy::Field::Date => {
                        "words of a closed list and short numbers are kept, others become `unk_` tokens; `--shift-times` moves a date within a year of the start, and hides others after 2001"
                    }
                    policy::Field::Host => "hosts become `$host.N`, the rest is hidden like a path",
                    policy::Field::Cookie => "values become `ck_` tokens, names that are not known `key_` tokens",
                    policy::Field::SetCookie => {
                        "the same; attributes are kept if the closed list has their words, `Domain` and `Path` as hosts and paths are, and others are left out"
                    }
                    policy::Field::Credentials => "the scheme is kept, the rest becomes an `auth_` token",
                };
                ("header fields".to_owned(), names, value.to_owned())
            }
        };
        table.push_str(&format!("| {places} | {} | {value} |\n", listed(names)));
    }
    table
}

fn treatment(rule: Rule) -> String {
    match rule {
        Rule::Hide(class) => format!("becomes a `{}_` token", class.prefix()),
        Rule::Inside(Place::UserData) => {
            "is attached data: unknown names become `key_` tokens, values `ud_` tokens".to_owned()
        }
        Rule::Inside(_) => "has members with rules of their own".to_owned(),
        Rule::Keep(grammar) => format!(
            "kept, if it is {}",
            match grammar {
                Grammar::Id =>
                    "a number of up to ten digits, or of six behind at most three letters (others become `id_` tokens, with characters besides letters and digits `odd_`); `--shift-times` hides it if it may be a time",
                Grammar::Word =>
                    "a word of the vocabulary in any case, or a new one like `sendMessage` or `long-polling`",
                Grammar::Kind => "a word of the vocabulary in any case, or a new one like `ParticipantJoined`",
                Grammar::Digits => "a whole number of up to ten digits",
                Grammar::Moment =>
                    "a number of up to nine digits or a time from 2001 to 2039; `--shift-times` moves it",
                Grammar::Endings => "endings of names of files",
                Grammar::Version => "a version",
                Grammar::Timestamp => "a time of a conversation; `--shift-times` moves it",
                Grammar::Channel =>
                    "a channel; segments that look personal are hidden, and words beside what no channel may hold",
                Grammar::Error => "an error; its arguments and words are hidden unless known",
                Grammar::ChatAdvice => "empty; words become `txt_` tokens, the reference a `ref_` token",
                Grammar::Vocabulary => "a word of the closed vocabulary",
                Grammar::Small => "a number of up to six digits; a text becomes a `ud_` token",
            }
        ),
    }
}

#[test]
fn the_documentation_shows_every_rule() {
    let shown = include_str!("../../../../docs/redaction.md");
    let table = table();
    assert!(shown.contains(&table), "docs/redaction.md does not show\n{table}");
}

/// What the audit finds on a tape of these entries.
fn findings(entries: &[Entry]) -> Vec<String> {
    let tape = tape(Policy::standard(), entries);
    let audit = crate::audit::audit(tape.as_bytes(), &[]).expect("a tape");
    audit.findings.iter().map(|finding| format!("{finding}\n{tape}")).collect()
}

fn upgrade(headers: Headers) -> Entry {
    let request = Request { method: "GET".to_owned(), target: "/".to_owned(), headers, body: Vec::new() };
    Entry {
        at: protocol::time::Time::ZERO,
        from: protocol::wire::Side::Client,
        wire: Wire::Upgrade(Socket(1), request),
    }
}

/// Words of the wire, names of people, and what separates them.
const PIECES: &str = "(no-cache|gzip|Bearer|text|Max-Age|Expires|SameSite|Path|Ann|O'Hara|eyJhbGci|2026|Mon|q|0\\.8|\
                      491511234567|\\$host\\.|://|[ ,;=/():?&#.*+\"-]|[ -~]|é){0,12}";

proptest! {
    /// What redaction lets pass in a header field, the audit takes.
    #[test]
    fn the_audit_takes_every_redacted_header_field(values in proptest::collection::vec(PIECES, 1..4)) {
        for row in ROWS {
            let Row::Fields(names, _) = row else { continue };
            let mut headers = Headers::new();
            for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
                headers = headers.with(name, value);
            }
            prop_assert_eq!(findings(&[upgrade(headers)]), Vec::<String>::new());
        }
    }
}

#[test]
fn of_a_header_field_the_words_of_the_wire_are_kept() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    for (name, value, kept) in [
        ("accept", "text/html, */*;q=0.8, application/vnd.anna-schmidt+json", "text/html, */*;q=0.8, application/unk_"),
        ("cache-control", "private, max-age=31536000, Secret", "private, max-age=31536000, unk_"),
        ("content-type", "application/json;charset=UTF-8; user=anna.schmidt", "application/json;charset=UTF-8; unk_"),
        ("server", "Jetty(9.4.41.v20210629)", "Jetty(9.4.41.v20210629)"),
        ("server", "berlin01/1.0", "unk_"),
        ("sec-websocket-protocol", "bearer, eyJ.a/b=", "bearer, auth_"),
        ("set-cookie", "a=; SameSite=Lax; Priority=High; Max-Age=-1", "key_"),
    ] {
        let shown = redactor.headers(&Headers::new().with(name, value)).0[0].1.clone();
        assert!(shown.starts_with(kept), "{name}: {shown}");
        assert!(name != "set-cookie" || shown.ends_with("=; SameSite=Lax; Priority=High; Max-Age=-1"), "{shown}");
    }
}

proptest! {
    /// What redaction lets pass in a message, the audit takes, but for words: those of a new version of the protocol are
    /// evidence.
    #[test]
    fn of_a_redacted_message_the_audit_finds_nothing_but_words(
        value in PIECES, name in PIECES, number: i64, id in "[A-Za-z0-9._:-]{1,16}",
    ) {
        let mut messages = Vec::new();
        for row in ROWS {
            let Row::Members(_, names, _) = row else { continue };
            for own in *names {
                let text = format!("/{value}");
                for told in [serde_json::json!(value), serde_json::json!(id), text.into(), number.into()] {
                    let at = |place: &str| match place {
                        "" => serde_json::json!({(*own): &told, (name.as_str()): &told}),
                        place => serde_json::json!({(place): {(*own): &told, (name.as_str()): &told}}),
                    };
                    messages.extend(["", "data", "ext", "advice", "userData", "from"].map(at));
                }
            }
        }
        let batch = serde_json::Value::from(messages).to_string();
        let (at, from) = (protocol::time::Time::ZERO, protocol::wire::Side::Client);
        let entry = Entry { at, from, wire: Wire::Text(Socket(1), batch) };
        let open = ["a word (", "a name of a member (", "`paths`"];
        let mut found = findings(&[entry]);
        found.retain(|finding| !open.iter().any(|open| finding.lines().next().is_some_and(|line| line.contains(open))));
        found.truncate(1);
        prop_assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn a_name_that_was_seen_stands_in_no_channel_operation_or_member_any_more() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    redactor.message(r#"{"data":{"nickname":"ZaphodBeeble"}}"#);
    redactor.message(r#"{"data":{"nickname":"Bob"}}"#);
    for text in [
        r#"{"channel":"/service/chatV2/ZaphodBeeble"}"#,
        r#"{"channel":"/chat/zaphodbeeble/x","subscription":"/Bob/x"}"#,
        r#"{"data":{"ZaphodBeeble":1,"Bob":2,"x":{"isZaphodBeeble":true}}}"#,
        r#"{"data":{"operation":"zaphodBeeble","mood":{"zaphodbeeble":"x"}},"connectionType":"zaphodbeeble"}"#,
    ] {
        let shown = redactor.message(text).to_ascii_lowercase();
        assert!(!shown.contains("zaphod") && !shown.contains("bob"), "{shown}");
    }
    let shown = redactor.headers(&Headers::new().with("Accept", "application/ZaphodBeeble")).0[0].1.clone();
    assert!(shown.starts_with("application/nick_"), "{shown}");
    assert!(!redactor.unknown_places().concat().to_ascii_lowercase().contains("zaphod"));
}

#[test]
fn words_that_look_personal_are_no_words_of_the_protocol() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    for (text, kept) in [
        (r#"{"channel":"/chat/Anna Schmidt, Berlin; pw: hunter!"}"#, "{\"channel\":\"/chat/unk_"),
        (r#"{"channel":"/private/anna.schmidt"}"#, "{\"channel\":\"/private/unk_"),
        (r#"{"data":{"anna.schmidt":1}}"#, "{\"data\":{\"key_"),
        (r#"{"id":"Passwort.Hunter:drei"}"#, "{\"id\":\"odd_"),
        (r#"{"data":{"operation":"AnnaSchmidt"}}"#, "{\"data\":{\"operation\":\"unk_"),
        (r#"{"timestamp":"+49151-1234-5678"}"#, "{\"timestamp\":\"tel_"),
        (r#"{"id":1795428215999}"#, "{\"id\":70707"),
    ] {
        let shown = redactor.message(text);
        assert!(shown.starts_with(kept), "{shown}");
        let lower = shown.to_ascii_lowercase();
        assert!(!["anna", "schmidt", "berlin", "hunter"].iter().any(|word| lower.contains(word)), "{shown}");
    }
}

#[test]
fn what_no_channel_may_hold_is_still_seen() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    for channel in ["/a<b", "/a/***", "/a/*/b", "/a//b", "/", "/x y", "/new/shop"] {
        assert_eq!(redactor.channel(channel), channel);
    }
    let hidden = redactor.channel("/shop<of Ann");
    assert!(hidden.contains('<') && hidden.contains(' ') && !hidden.contains("Ann"), "{hidden}");
    assert_eq!(redactor.channel(&hidden), hidden);
}

#[test]
fn a_kept_text_holds_no_address_and_no_value_that_was_seen() {
    let mut redactor = Redactor::keeping(Key::from_bytes(KEY), Keep::Texts);
    redactor.message(r#"{"data":{"nickname":"Bob","userData":{"accountNo":"ACC-778899","pin":4711,"town":"Ulm"}}}"#);
    let text = "Bob of Ulm (4711, acc-778899): +49 (151) 123-4567, 0151/1234567 or <bob@example.org>. Order 12, Bobby.";
    let shown = redactor.message(&serde_json::json!({"data": {"message": text}}).to_string());
    let tokens: Vec<Class> = token::find(&shown).into_iter().map(|(_, class)| class).collect();
    let (nick, data) = (Class::Nickname, Class::UserData);
    assert_eq!(tokens, [nick, data, data, data, Class::Phone, Class::Phone, Class::Mail], "{shown}");
    assert!(shown.contains("Order 12, Bobby.") && !shown.contains("123") && !shown.contains("example"), "{shown}");
    assert_eq!(redactor.message(&shown), shown);
}

#[test]
fn an_id_that_is_no_counter_keeps_whether_it_was_odd() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    let mut class = |id: &str| {
        let shown = redactor.message(&serde_json::json!({"id": id}).to_string());
        assert_eq!(redactor.message(&shown), shown);
        let id = serde_json::from_str::<serde_json::Value>(&shown).unwrap()["id"].as_str().unwrap().to_owned();
        token::whole(&id)
    };
    assert_eq!((class("1000117"), class("k-17"), class("")), (None, None, None));
    assert_eq!((class("smuggled"), class("a3f9c0d77e2")), (Some(Class::MessageId), Some(Class::MessageId)));
    assert_eq!((class("a_b"), class("anna.schmidt")), (Some(Class::OddMessageId), Some(Class::OddMessageId)));
}

#[test]
fn an_id_that_may_be_a_time_is_hidden_where_times_are_moved() {
    let mut plain = Redactor::new(Key::from_bytes(KEY));
    let shift = Some(Shift::from_bits(7));
    let mut moved = Redactor { shift, ..Redactor::new(Key::from_bytes(KEY)) };
    for (id, hidden) in [(r#"{"id":"1795428215"}"#, r#"{"id":"70707"#), (r#"{"id":1795428215}"#, r#"{"id":70707"#)] {
        assert_eq!(plain.message(id), id);
        assert!(moved.message(id).starts_with(hidden), "{}", moved.message(id));
    }
    assert_eq!(moved.message(r#"{"id":"117"}"#), r#"{"id":"117"}"#);
}

#[test]
fn a_number_in_a_channel_is_hidden_and_the_audit_refuses_one() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    for channel in ["/service/06.12.34.56.78", "/service/+33 6 12 34 56 78", "/x/10.20.30.40", "/x/06/12/34/56/78/a"] {
        let hidden = redactor.channel(channel);
        assert_eq!((policy::loose_digits(&hidden), redactor.channel(&hidden)), (0, hidden.clone()), "{hidden}");
        let (at, from) = (protocol::time::Time::ZERO, protocol::wire::Side::Client);
        let batch = serde_json::json!([{"channel": channel}]).to_string();
        let tape = tape(Policy::standard(), &[Entry { at, from, wire: Wire::Text(Socket(1), batch) }]);
        // Without its end, whose hash would tell.
        let open = &tape[..tape.rfind("{\"k\":\"end\"").expect("an end")];
        let put = |channel: &str| open.replacen(&hidden, channel, 1);
        let findings = |tape: &str| crate::audit::audit(tape.as_bytes(), &[]).expect("a tape").findings;
        assert!(findings(&put(channel)).iter().any(|finding| finding.place == "m.channel"), "{channel}");
    }
}

#[test]
fn a_number_and_its_text_have_one_token() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    let id = redactor.message(r#"{"id":1795428215001}"#);
    let digits = id.trim_start_matches(r#"{"id":"#).trim_end_matches('}').to_owned();
    assert!(token::is_number_token(&digits), "{id}");
    for id in ["-17954282151", "-5", "0.5"] {
        let number = redactor.message(&format!(r#"{{"id":{id}}}"#));
        assert!(number.starts_with(r#"{"id":"odd_"#), "{number}");
        assert_eq!(redactor.message(&format!(r#"{{"id":"{id}"}}"#)), number);
    }
    assert_eq!(redactor.message(r#"{"id":"1795428215001"}"#), format!(r#"{{"id":"{digits}"}}"#));
    assert_eq!(redactor.message(&format!(r#"{{"id":"{digits}"}}"#)), format!(r#"{{"id":"{digits}"}}"#));
}

#[test]
fn words_of_closed_lists_stay_if_they_are_a_password() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    redactor.message(r#"{"ext":{"authentication":{"user":"service","credentials":"channel"}},"clientId":"Message"}"#);
    let told = r#"{"channel":"/service/chatV2/customer-support","data":{"messages":[]}}"#;
    assert_eq!(redactor.message(told), told);
}

#[test]
fn attached_data_is_searched_for_in_kept_texts_alone() {
    let mut redactor = Redactor::keeping(Key::from_bytes(KEY), Keep::Texts);
    redactor.message(r#"{"data":{"userData":{"appVersion":"1.0","pin":"4711","custno":"471147"}}}"#);
    let handshake = r#"{"channel":"/meta/handshake","version":"1.0","id":"4711"}"#;
    assert_eq!(redactor.message(handshake), handshake);
    for text in ["4711", "471147", "my pin is 4711", "/4711,hi"] {
        let shown = redactor.message(&serde_json::json!({"data": {"message": text}}).to_string());
        assert!(shown.contains("ud_") && !shown.contains("4711"), "{shown}");
    }
}

#[test]
fn a_kept_text_in_an_address_is_hidden() {
    let mut redactor = Redactor::keeping(Key::from_bytes(KEY), Keep::Texts);
    assert!(redactor.target("/genesys/1/2?message=hi%20Ann%20%26%20Bob").starts_with("/genesys/1/2?message=txt_"));
}

#[test]
fn short_names_are_found_in_any_case_in_words_errors_and_forms() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    redactor.message(r#"{"data":{"nickname":"Anna"}}"#);
    for text in [
        r#"{"channel":"/user/anna"}"#,
        r#"{"data":{"operation":"anna","anna":1}}"#,
        r#"{"error":"403:/user/Anna,anna:denied"}"#,
    ] {
        let shown = redactor.message(text).to_ascii_lowercase();
        assert!(!shown.contains("anna"), "{shown}");
    }
}

#[test]
fn a_channel_that_holds_what_none_may_hold_still_does() {
    let mut redactor = Redactor::new(Key::from_bytes(KEY));
    for channel in ["/kundendienst-z\u{fc}rich", "/a@b", "/a\"b", "/a\\b", "/a\tb", "/ann@example.org"] {
        let hidden = redactor.channel(channel);
        assert!(hidden.ends_with('#') && redactor.channel(&hidden) == hidden, "{hidden}");
    }
}

#[test]
fn where_times_are_moved_so_is_any_number_that_may_be_one() {
    let shift = Some(Shift::from_bits(7));
    let start = "2026-11-29T00:00:00Z".parse().ok();
    let mut moved = Redactor { shift, start, ..Redactor::new(Key::from_bytes(KEY)) };
    let size = r#"{"data":{"userData":{"file-size":2147483648}}}"#;
    assert_eq!(moved.message(size), size);
    for text in
        [r#"{"data":{"nextPosition":1795915845}}"#, r#"{"advice":{"interval":"1795915845"}}"#, r#"{"id":-1795915845}"#]
    {
        let shown = moved.message(text);
        assert!(
            !shown.contains("1795915845") && (shown.contains("odd_") || policy::loose_digits(&shown) >= 9),
            "{shown}"
        );
    }
}
