//! Many sessions with a canary in every sensitive place: none reaches a tape in any form.
//!
//! The plain run takes two thousand sessions; `TAPESTRY_SESSIONS=100000` takes as many as one wants.

mod corpus;

use std::collections::BTreeMap;

use recording::audit::audit;
use recording::capture::{Capture, Config, Source};
use recording::redaction::Keep;
use recording::show::show;
use recording::stats::{Stats, head};
use recording::tape::{Finish, Tape};
use recording::token::Key;

/// Sessions in a plain run.
const SESSIONS: u64 = 2_000;

fn capture(seed: u64, keep: Keep) -> Vec<u8> {
    let session = corpus::session(seed);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: format!("{seed:032x}"),
        key: Key::from_bytes(key),
        source: Source::Sim,
        scenario: None,
        seed: Some(seed),
        env: BTreeMap::new(),
    };
    let (mut capture, mut bytes) = Capture::keeping(config, keep);
    for entry in &session.entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = session.entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(capture.finish(end, Finish::Complete));
    bytes
}

#[test]
fn no_canary_of_many_sessions_reaches_a_tape() {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs is for whoever starts it")]
    let sessions = std::env::var("TAPESTRY_SESSIONS").ok().map_or(SESSIONS, |text| text.parse().expect("a number"));
    let forms = corpus::forms();
    let hands = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for hand in 0..hands as u64 {
            let forms = &forms;
            scope.spawn(move || {
                for seed in (hand..sessions).step_by(hands) {
                    let tape = String::from_utf8(capture(seed, Keep::Nothing)).expect("a redacted tape is UTF-8");
                    let found = corpus::found(&tape, forms);
                    assert!(found.is_empty(), "seed {seed}: {found:?}");
                }
            });
        }
    });
}

/// A search that finds nothing proves something only if it would find what is there.
#[test]
fn the_search_finds_what_is_there() {
    let forms = corpus::forms();
    let tape = String::from_utf8_lossy(&capture(1, Keep::Everything)).into_owned();
    assert_eq!(corpus::found(&tape, &forms), [corpus::MARKER.to_ascii_lowercase()]);
    for (text, form) in [("%63%41%6E%41%72%59%7a%71%37", 1), ("63416E417259 7a7137", 99), ("63416e4172597a7137", 2)] {
        assert_eq!(
            corpus::found(text, &forms),
            forms.get(form).map(String::as_str).into_iter().collect::<Vec<_>>(),
            "{text}"
        );
    }
    for text in ["Y0FuQXJZenE3", "eGNBbkFyWXpxNw==", "eHhjQW5Bcll6cTc="] {
        assert_eq!(corpus::found(text, &forms).len(), 1, "{text}");
    }
}

#[test]
fn what_is_shown_of_a_tape_holds_no_canary() {
    let forms = corpus::forms();
    let bytes = capture(2, Keep::Nothing);
    let tape = Tape::read(&bytes).unwrap();
    let stats = Stats::of(&tape);
    for text in [show(&tape, 100), head(&tape), stats.text(), stats.json().to_string(), format!("{:?}", tape.header())]
    {
        assert!(corpus::found(&text, &forms).is_empty(), "{text}");
    }
    for finding in audit(&bytes, &[]).unwrap().findings {
        assert!(corpus::found(&finding.to_string(), &forms).is_empty(), "{finding}");
    }
}

/// What is kept on purpose is what people wrote, and nothing that is known as a secret inside of it.
#[test]
fn texts_can_be_kept_without_the_rest() {
    let session = corpus::session(3);
    let tape = String::from_utf8(capture(3, Keep::Texts)).unwrap();
    let is_there = |canary: &corpus::Canary| {
        let escaped = serde_json::Value::from(canary.value.as_str()).to_string();
        tape.contains(&escaped[1..escaped.len() - 1])
    };
    for canary in &session.canaries {
        if canary.prefix == "txt" {
            assert!(is_there(canary), "{} is hidden", canary.place);
        } else {
            assert!(!is_there(canary), "{} is there", canary.place);
        }
    }
}
