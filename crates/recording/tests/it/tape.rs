//! Tapes are read as they were written, torn ones to their last whole unit, foreign ones not at all.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::time::Time;
use protocol::wire::{Entry, Side, Socket, Transport, Wire};
use recording::capture::Capture;
use recording::redaction::Redactor;
use recording::tape::{Finish, Kind, ReadError, Status, Tape, VERSION};
use recording::token::{self, Class, Key};
use rstest::rstest;

use crate::sample::{Run, chat, config, pieces, tape, zoo};

const RUN: Run = Run::new(Transport::LongPolling);

fn bytes() -> Vec<u8> {
    pieces(RUN, &chat(RUN), Some(Finish::Complete)).concat()
}

/// The text of the tape with one piece of it changed, and without the hash that would tell.
fn edited(edit: impl Fn(&mut Vec<String>)) -> ReadError {
    let text = String::from_utf8(bytes()).expect("a tape is UTF-8");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.pop();
    edit(&mut lines);
    Tape::read((lines.join("\n") + "\n").as_bytes()).expect_err("the edit is noticed")
}

#[test]
fn what_is_read_is_what_was_written_redacted() {
    let entries = zoo();
    let mut redactor = Redactor::new(config(RUN).key);
    // The capture has seen the peer's address first, and hosts are numbered as they come.
    redactor.host("10.1.2.3:8080");
    let redacted: Vec<Entry> = entries.iter().map(|entry| redactor.entry(entry).into_inner()).collect();
    let tape = tape(RUN, &entries);
    assert_eq!(tape.status(), Status::Complete);
    assert_eq!(tape.entries(), redacted);
}

#[test]
fn a_live_judge_sees_what_the_tape_says() {
    let (mut capture, mut bytes) = Capture::new(config(RUN));
    let mut judged = Vec::new();
    for entry in zoo() {
        let redacted = capture.redact(&entry);
        bytes.extend(capture.redacted(None, &redacted));
        judged.push(redacted.into_inner());
    }
    assert_eq!(Tape::read(&bytes).expect("a tape").entries(), judged);
}

#[test]
fn a_tape_keeps_its_bytes() {
    let bytes = bytes();
    assert_eq!(Tape::read(&bytes).unwrap().to_bytes(), bytes);
}

#[test]
fn entries_know_their_lines() {
    let bytes = bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for located in Tape::read(&bytes).unwrap().located() {
        assert!(lines[located.line - 1].contains(r#""k":"http.re"#), "{}", lines[located.line - 1]);
        for inner in located.inner {
            assert!(lines[inner - 1].contains(r#""k":"msg""#), "{}", lines[inner - 1]);
        }
    }
}

#[test]
fn the_header_says_what_the_recorder_was_told() {
    let tape = tape(RUN, &[]);
    let header = tape.header();
    assert_eq!(header.version.to_string(), VERSION.to_string());
    assert_eq!((header.source.as_str(), header.seed), ("sim", Some(1)));
    assert_eq!(header.start, "2026-11-23T09:00:00Z");
    assert_eq!(header.env["service"], "customer-support");
    assert_eq!(header.key_id, Key::from_bytes([7; 32]).id());
    assert_eq!(tape.marks()[0].label, "agent leaves");
}

#[test]
fn a_mark_names_tokens_and_nothing_else() {
    let (mut capture, mut tape) = Capture::new(config(RUN));
    let token = capture.token(Class::Text, "hello").into_inner();
    tape.extend(capture.mark_of(Time::ZERO, "asked to say", &[token.clone(), "hello".to_owned()]));
    let marks = Tape::read(&tape).unwrap().marks();
    assert_eq!((marks.len(), marks[0].label.as_str(), &marks[0].tokens[0]), (1, "asked to say", &token));
    assert!(token::whole(&marks[0].tokens[1]).is_some(), "{marks:?}");
}

#[test]
fn a_torn_tape_reads_to_its_last_whole_unit_wherever_it_is_torn() {
    let pieces = pieces(RUN, &zoo(), Some(Finish::Complete));
    let whole = pieces.concat();
    let entries = Tape::read(&whole).unwrap().entries();
    let mut ends = Vec::new();
    for piece in &pieces {
        ends.push(ends.last().copied().unwrap_or(0) + piece.len());
    }
    for cut in 0..whole.len() {
        let read = Tape::read(&whole[..cut]);
        let units = ends.iter().filter(|end| **end <= cut).count();
        if units == 0 {
            let torn = if cut == 0 { ReadError::Empty } else { ReadError::HeaderTorn };
            assert_eq!(read.unwrap_err(), torn, "cut at byte {cut}");
            continue;
        }
        let read = read.unwrap_or_else(|error| panic!("cut at byte {cut}: {error}"));
        assert_eq!(read.status(), Status::Interrupted, "cut at byte {cut}");
        assert_eq!(read.to_bytes(), pieces[..units].concat(), "cut at byte {cut}");
        assert_eq!(read.torn(), cut - ends[units - 1], "cut at byte {cut}");
        if ends.contains(&cut) {
            let got = read.entries();
            assert_eq!(got, entries[..got.len()], "cut at byte {cut}");
        }
    }
}

#[test]
fn time_stands_still_on_the_tape_when_it_runs_backwards_outside() {
    let mut entries = zoo();
    entries.reverse();
    assert_eq!(tape(RUN, &entries).entries().len(), entries.len());
}

#[test]
fn a_capture_knows_what_it_has_written() {
    let (mut capture, _) = Capture::new(config(RUN));
    for entry in chat(RUN) {
        let _ = capture.entry(None, &entry);
    }
    let tape = tape(RUN, &chat(RUN));
    let messages = tape.records().iter().filter(|record| record.kind.word() == "msg").count();
    assert_eq!((capture.count("msg"), capture.count("end")), (messages as u64, 0));
}

/// What a whole tape and one that was cut off say of what was replaced.
#[test]
fn a_tape_says_how_much_was_replaced_and_where_texts_were_unknown() {
    let odd = r#"{"channel":"/a","data":{"mood":"merry","secureKey":"k-12345"}}"#;
    let entry =
        |at| Entry { at: Time::from_micros(at), from: Side::Client, wire: Wire::Text(Socket(1), odd.to_owned()) };
    let (mut capture, mut bytes) = Capture::new(config(RUN));
    for at in 0..1_000 {
        bytes.extend(capture.entry(None, &entry(at)));
    }
    let interrupted = Tape::read(&bytes).unwrap();
    let told: Vec<(u64, &Kind)> = interrupted.records().iter().map(|record| (record.n, &record.kind)).collect();
    let told = told.into_iter().filter(|(_, kind)| kind.word() == "redacted").collect::<Vec<_>>();
    let [(1_001, Kind::Redacted { counts, paths }), (2_001.., _)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((counts["sk"], counts["unk"], paths.as_slice()), (500, 500, &["data.mood".to_owned()][..]));
    bytes.extend(capture.finish(Time::from_micros(1_000), Finish::Complete));
    let tape = Tape::read(&bytes).unwrap();
    let Kind::End { redacted, paths, .. } = &tape.records().last().unwrap().kind else { panic!("an end") };
    assert_eq!((redacted["sk"], redacted["unk"], paths.len()), (1_000, 1_000, 1));
}

#[test]
fn what_the_core_was_told_is_read_back() {
    let tape = tape(RUN, &[]);
    let kinds: Vec<String> = tape.records().iter().map(|record| format!("{:?}", record.kind)).collect();
    insta::assert_snapshot!(kinds.join("\n"));
}

#[test]
fn an_aborted_recording_says_so() {
    let bytes = pieces(RUN, &[], Some(Finish::Aborted)).concat();
    assert_eq!(Tape::read(&bytes).unwrap().status(), Status::Aborted);
}

#[test]
fn unknown_kinds_and_members_are_kept() {
    let text = String::from_utf8(pieces(RUN, &[], None).concat()).unwrap();
    let extended = format!(
        "{}{}\n# a comment\n{}\n",
        text.replace(r#""tls":false"#, r#""tls":false,"alpn":"x""#),
        r#"{"k":"weather","n":9,"t":9000000,"sky":{"blue":true}}"#,
        r#"{"k":"mark","n":10,"t":9000000,"label":"after","data":5}"#
    );
    let tape = Tape::read(extended.as_bytes()).unwrap();
    assert_eq!(tape.records().len(), 10);
    assert_eq!(tape.marks().last().unwrap().line, 12);
    assert_eq!(String::from_utf8(tape.to_bytes()).unwrap(), extended.replace("# a comment\n", ""));
}

#[test]
fn a_newer_minor_version_is_read_and_a_newer_major_one_is_not() {
    let text = String::from_utf8(pieces(RUN, &[], None).concat()).unwrap();
    assert!(Tape::read(text.replace(r#""v":"1.1""#, r#""v":"1.7""#).as_bytes()).is_ok());
    let error = Tape::read(text.replace(r#""v":"1.1""#, r#""v":"2.0""#).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 1: the tape has format version 2.0, this program reads 1.x");
    assert!(error.hint().contains("later"));
}

#[rstest]
#[case("", "the file is empty")]
#[case("hello\n", "line 1: not a tape: it does not begin with JSON")]
#[case("{\"log\": {\"version\": \"1.2\"}}", "line 1: not a tape: it looks like a HAR file")]
#[case("<html>", "line 1: not a tape: it looks like HTML or XML")]
#[case("[1]", "line 1: not a tape: it begins with a JSON array")]
#[case("{\"k\":\"mark\"}\n", "line 1: not a tape: it begins with a JSON object that is no header")]
#[case("{\"k\":\"hdr\"", "line 1: the header is cut off, nothing was recorded")]
#[case("{\"k\":\"hdr\"}\n", "line 1: the header's `v` is missing or wrong")]
#[case("{\"k\":\"hdr\",\"v\":\"1.0\"}\n", "line 1: the header's `tool` is missing or wrong")]
fn a_foreign_file_is_named(#[case] file: &str, #[case] says: &str) {
    let error = Tape::read(file.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), says);
    assert_eq!(error.line(), 1);
}

#[test]
fn damage_in_the_middle_is_named_with_its_line() {
    assert_eq!(edited(|lines| lines[4] = "garbage".to_owned()).to_string(), "line 5: the line is not a JSON object");
    assert_eq!(edited(|lines| drop(lines.remove(1))).to_string(), "line 2: counter `n` is 2 where 1 must follow");
    assert_eq!(
        edited(|lines| lines[2] = lines[2].replace(r#""msgs":1"#, r#""msgs":2"#)).to_string(),
        "line 5: the unit of line 3 has 1 of the 2 messages that it announces"
    );
    assert_eq!(
        edited(|lines| lines[2] = lines[2].replace(r#""msgs":1"#, r#""msgs":0"#)).to_string(),
        "line 4: a `msg` record without a unit that announces it"
    );
    assert_eq!(
        edited(|lines| lines[3] = lines[3].replace(r#""u":2"#, r#""u":1"#)).to_string(),
        "line 4: the unit of line 3 has 0 of the 1 messages that it announces"
    );
    assert_eq!(
        edited(|lines| lines[2] = lines[2].replace(r#""url""#, r#""uri""#)).to_string(),
        "line 3: `http.req` record: `url` is missing or wrong"
    );
    assert_eq!(
        edited(|lines| lines[3] = lines[3].replace(r#""t":2501"#, r#""t":1"#)).to_string(),
        "line 4: time `t` is 1, before the 2501 of the line above"
    );
    assert_eq!(
        edited(|lines| lines[3] = format!("{{\"k\":{}1{}}}", "[".repeat(200), "]".repeat(200))).to_string(),
        "line 4: the line nests deeper than 100 levels"
    );
}

#[test]
fn a_changed_byte_is_found_by_the_hash() {
    let text = String::from_utf8(bytes()).expect("a tape is UTF-8");
    let last = text.lines().count();
    let changed = text.replacen(r#""statusCode":0"#, r#""statusCode":1"#, 1);
    assert_eq!(Tape::read(changed.as_bytes()).unwrap_err(), ReadError::Hash { line: last });
}

#[test]
fn nothing_may_follow_the_end() {
    let mut twice = bytes();
    let line = twice.iter().filter(|byte| **byte == b'\n').count() + 1;
    twice.extend(bytes());
    assert_eq!(Tape::read(&twice).unwrap_err(), ReadError::AfterEnd { line });
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(file in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Tape::read(&file);
        let mut after_header = pieces(RUN, &[], None).concat();
        after_header.extend(file);
        let _ = Tape::read(&after_header);
    }

    #[test]
    fn a_damaged_tape_is_refused_or_read_but_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = bytes();
        let at = at.index(bytes.len());
        let before = bytes[at];
        bytes[at] = byte;
        let read = Tape::read(&bytes);
        prop_assert!(byte == before || read.is_err() || at + 1 == bytes.len() || !read.unwrap().to_bytes().is_empty());
    }
}
