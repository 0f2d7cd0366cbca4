//! Many sessions with a canary in every sensitive place: none reaches a tape, a HAR, a report or a text in any form.
//!
//! The plain run takes two hundred sessions; `TAPESTRY_SESSIONS=100000` takes as many as one wants, and
//! `TAPESTRY_SESSIONS=50000..100000` a part of them. What the program does
//! with files, logs and sockets is the matter of `tests/e2e/secrets.rs`.

mod corpus;
mod har;
mod search;
mod talk;
mod views;
mod voice;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;

use conformance::cases::{Planned, plan};
use protocol::wire::{Entry, Transport};
use recording::capture::{Capture, Config, Source};
use recording::har::{Imported, Maker};
use recording::redaction::Keep;
use recording::tape::Finish;
use recording::token::Key;

use self::search::Search;
use self::views::Views;

/// Sessions in a plain run.
const SESSIONS: u64 = 200;

const VERSION: &str = "0.1.0";
const GIT: &str = "abc1234";
const START: &str = "2026-11-23T09:00:00Z";

fn key(seed: u64) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    Key::from_bytes(key)
}

fn config(seed: u64, source: Source) -> Config {
    Config {
        version: VERSION.to_owned(),
        git: GIT.to_owned(),
        start: START.to_owned(),
        id: format!("{seed:032x}"),
        key: key(seed),
        source,
        scenario: None,
        seed: Some(seed),
        env: BTreeMap::new(),
    }
}

fn tape(seed: u64, keep: Keep, entries: &[Entry]) -> Vec<u8> {
    let (mut capture, mut bytes) = Capture::keeping(config(seed, Source::Sim), keep);
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(capture.finish(end, Finish::Complete));
    bytes
}

/// What there is to see of a session with every sensitive place.
fn of_corpus(seed: u64, entries: &[Entry]) -> Views {
    let (bytes, (imported, says)) = (tape(seed, Keep::Nothing, entries), imported(seed, entries));
    let mut views = views::of_tape(&bytes);
    if seed.is_multiple_of(4) {
        views.extend(views::of_comparison(&bytes, &imported));
    }
    views.push(("import har", says));
    views.push(("imported tape", String::from_utf8_lossy(&imported).into_owned()));
    views
}

/// What `import har` makes of the raw HAR of a session, under another key, and what it says.
fn imported(seed: u64, entries: &[Entry]) -> (Vec<u8>, String) {
    let imported = recording::har::import(har::har(entries).as_bytes(), None, &mut |_| None).expect("it is a HAR");
    let Imported::Traffic(traffic) = &imported else { panic!("no tape was exported") };
    let (bytes, messages) = (traffic.tape(config(!seed, Source::Har(Maker::Chrome)), None), traffic.messages());
    assert!(messages > 80, "only {messages} messages were imported");
    (bytes, format!("{imported:?}\n{}", traffic.warnings.join("\n")))
}

/// What there is to see of a chat.
fn of_chat(seed: u64) -> Views {
    let entries = talk::chat(seed);
    let whole = tape(seed, Keep::Nothing, &entries);
    if seed.is_multiple_of(2) {
        return views::of_tape(&whole);
    }
    let torn = tape(seed, Keep::Nothing, &talk::torn(&entries));
    let mut views = views::of_tape(&torn);
    views.extend(views::of_comparison(&whole, &torn));
    views
}

/// What there is to see of a case.
fn of_case(seed: u64, plan: &[Planned]) -> Views {
    let (result, bytes) = talk::case(&plan[seed as usize % plan.len()], seed);
    let mut views = views::of_tape(&bytes);
    views.extend(views::of_case(&result, &bytes, seed));
    views
}

/// Cases that apply to the talkative server.
fn applicable() -> Vec<Planned> {
    let all = plan(&talk::settings(), &Transport::ALL);
    all.into_iter().filter(|planned| planned.not_applicable.is_none() && !planned.case.is_of_client()).collect()
}

/// The sessions that somebody asks for.
fn asked() -> Option<Range<u64>> {
    let text = std::env::var("TAPESTRY_SESSIONS").ok()?;
    let number = |text: &str| text.parse().expect("a number");
    Some(text.split_once("..").map_or_else(|| 0..number(&text), |(from, to)| number(from)..number(to)))
}

/// Tells whoever waits for a long run how far it is.
fn say(text: &str) {
    // Nobody may be there.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Does something with each session, on as many threads as there are processors.
fn each_session(work: impl Fn(u64) + Sync) {
    let sessions = asked().unwrap_or(0..SESSIONS);
    let hands = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for hand in 0..hands {
            let (work, sessions) = (&work, sessions.clone());
            scope.spawn(move || (sessions.start + hand..sessions.end).step_by(hands as usize).for_each(work));
        }
    });
}

#[test]
fn no_canary_of_many_sessions_is_seen_anywhere() {
    let (search, plan) = (Search::new(), applicable());
    let totals: Mutex<BTreeMap<&str, (u64, usize)>> = Mutex::default();
    each_session(|seed| {
        let mut seen = of_corpus(seed, &corpus::sensitive(seed, seed).entries);
        // Beside every other one a conversation in earnest, each kind in its turn.
        match seed % 4 {
            1 => seen.extend(of_chat(seed / 4)),
            2 => seen.extend(of_case(seed / 4, &plan)),
            _ => {}
        }
        for (view, text) in &seen {
            let found = search.found(text.as_bytes());
            assert!(found.is_empty(), "seed {seed}, {view}: a canary is there as {found:?}");
        }
        let mut totals = totals.lock().expect("no hand has failed");
        for (view, text) in &seen {
            let (texts, bytes) = totals.entry(view).or_default();
            *texts += 1;
            *bytes += text.len();
        }
        let done = totals["import har"].0;
        if done.is_multiple_of(5_000) {
            say(&format!("{done} sessions"));
        }
    });
    let totals = totals.into_inner().expect("no hand has failed");
    assert!(totals.values().all(|(_, bytes)| *bytes > 0), "a view is empty: {totals:?}");
    if asked().is_some() {
        for (view, (texts, bytes)) in &totals {
            say(&format!("{view:<28} {texts:>8} texts {bytes:>14} bytes"));
        }
    }
}

/// A search that finds nothing proves something only if it would find what is there.
#[test]
fn the_search_finds_what_is_there() {
    let search = Search::new();
    let bytes = tape(1, Keep::Everything, &corpus::session(1, 1).entries);
    assert_eq!(search.found(&bytes), ["it is", "a number", "a telephone number"]);
    let texts = [
        ("x CANARYZQ7 y", "it is"),
        ("%63%41%6E%41%72%59%7a%71%37", "a URL has it"),
        ("%2563%2541%256E%2541%2572%2559%257a%2571%2537", "a URL within a URL has it"),
        ("63416e4172597a7137", "hexadecimal digits"),
        ("\\u0063\\u0041\\u006e\\u0041\\u0072\\u0059\\u007A\\u0071\\u0037", "JSON can escape it"),
        (
            "\\\\u0063\\\\u0041\\\\u006e\\\\u0041\\\\u0072\\\\u0059\\\\u007A\\\\u0071\\\\u0037",
            "JSON within JSON can escape it",
        ),
        ("&#99;&#65;&#110;&#65;&#114;&#89;&#122;&#113;&#55;", "HTML has it by decimal numbers"),
        ("&#x63;&#x41;&#x6E;&#x41;&#x72;&#x59;&#x7a;&#x71;&#x37;", "HTML has it by hexadecimal numbers"),
        ("Y0FuQXJZenE3", "base 64"),
        ("eGNBbkFyWXpxNw==", "base 64 behind one byte"),
        ("eHhjQW5Bcll6cTc=", "base 64 behind two bytes"),
        ("[120, 99, 65, 110, 65, 114, 89, 122, 113, 55]", "a list of bytes"),
        ("\"mood\":4907707711234", "a number"),
        ("call +49 30 07701234", "a telephone number"),
        ("c\0A\0n\0A\0r\0Y\0z\0q\x007\0", "UTF-16"),
    ];
    assert_eq!(texts.map(|(_, form)| form).as_slice(), search.forms.iter().map(|(form, _)| *form).collect::<Vec<_>>());
    for (text, form) in texts {
        assert_eq!(search.found(text.as_bytes()), [form], "{text}");
    }
    assert_eq!(search.found(b"63416E417259 7a7137 and cAnAr"), [""; 0]);
}

/// The views must be of something: a server that says canaries, a chat that runs, cases that judge.
#[test]
fn the_conversations_are_full_of_canaries() {
    let search = Search::new();
    for seed in 0..3 {
        let show = |tape: &[u8]| recording::show::show(&recording::tape::Tape::read(tape).expect("a tape"), 200);
        let entries = talk::chat(seed);
        assert_eq!(search.found(&tape(seed, Keep::Everything, &entries)), ["it is"], "seed {seed}");
        let shown = views::of_tape(&tape(seed, Keep::Nothing, &entries));
        let replay = &shown.iter().find(|(view, _)| *view == "replay").expect("it is replayed").1;
        let shown = show(&tape(seed, Keep::Everything, &entries));
        assert!(replay.contains(", 0 divergences") && shown.matches("sendMessage").count() > 0, "{replay}{shown}");
        let torn = views::of_tape(&tape(seed, Keep::Nothing, &talk::torn(&entries)));
        let replay = &torn.iter().find(|(view, _)| *view == "replay").expect("it is replayed").1;
        assert!(!replay.contains("0 divergences"), "{replay}");
    }
    let plan = applicable();
    let judged =
        plan.iter().zip(0..).filter(|(planned, seed)| !talk::case(planned, *seed).0.clauses.is_empty()).count();
    assert!(judged * 10 > plan.len() * 9, "only {judged} of {} cases have judged something", plan.len());
}

/// What is kept on purpose is what people wrote, and nothing that is known as a secret inside of it.
#[test]
fn texts_can_be_kept_without_the_rest() {
    let session = corpus::session(3, 3);
    let tape = String::from_utf8(tape(3, Keep::Texts, &session.entries)).expect("a tape is a text");
    let is_there = |canary: &corpus::Canary| {
        let escaped = serde_json::Value::from(canary.value.as_str()).to_string();
        tape.contains(&escaped[1..escaped.len() - 1])
    };
    let is_like_a_number = |canary: &corpus::Canary| {
        let digits = |run: &str| run.bytes().filter(u8::is_ascii_digit).count();
        canary.value.split(|c: char| !c.is_ascii_digit() && !" /".contains(c)).any(|run| digits(run) >= 7)
    };
    let mut kept = 0;
    for canary in &session.canaries {
        if canary.prefix != "txt" {
            assert!(!is_there(canary), "{} is there", canary.place);
        } else if !is_like_a_number(canary) {
            assert!(is_there(canary), "{} is hidden", canary.place);
            kept += 1;
        }
    }
    assert!(kept > 10, "only {kept} texts were looked at");
}
