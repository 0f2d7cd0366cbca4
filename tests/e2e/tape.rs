//! `tapestry tape`: what is shown of a tape, and that packed tapes are tapes.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::{root, run, shown, tapestry};

const RECORDING: &str = "recordings/cometd-8.0.11-websocket.tape.jsonl";

/// What a command says, run in the root of the workspace.
fn said(arguments: &[&str]) -> String {
    shown(&tapestry(arguments).current_dir(root()).output().expect("the program starts"))
}

/// What a command says of a file in a temporary folder.
fn said_of(words: &[&str], file: &Path) -> String {
    let folder = file.parent().expect("a folder").to_str().expect("a plain path");
    shown(&run(&[words, &[file.to_str().expect("a plain path")]].concat())).replace(folder, "FOLDER")
}

fn packed(folder: &TempDir, tape: &str) -> PathBuf {
    let path = folder.path().join("a.tape.jsonl");
    fs::copy(root().join(tape), &path).expect("the tape can be copied");
    assert_eq!(said_of(&["tape", "pack"], &path), "exit 0\n----- stdout\n----- stderr\n");
    fs::remove_file(&path).expect("it is there");
    folder.path().join("a.tape.jsonl.zst")
}

#[rstest]
#[case::show(&["tape", "show"])]
#[case::head(&["tape", "head"])]
#[case::stats(&["tape", "stats"])]
#[case::json(&["tape", "stats", "--format", "json"])]
fn a_recording(#[case] words: &[&str]) {
    insta::with_settings!({snapshot_suffix => words[1..].concat().replace('-', "")}, {
        insta::assert_snapshot!("a_recording", said(&[words, &[RECORDING]].concat()));
    });
}

#[test]
fn cat_prints_the_lines_as_they_stand_without_what_is_torn() {
    let text = fs::read_to_string(root().join(RECORDING)).unwrap();
    assert_eq!(said(&["tape", "cat", RECORDING]), format!("exit 0\n----- stdout\n{text}----- stderr\n"));
    let torn = fs::read_to_string(root().join("fixtures/tape/ok/torn.tape.jsonl")).unwrap();
    let output = tapestry(&["tape", "cat", "fixtures/tape/ok/torn.tape.jsonl"]).current_dir(root()).output().unwrap();
    let kept = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && torn.starts_with(&kept) && kept.len() < torn.len(), "{kept}");
    assert!(kept.ends_with("}\n"), "{kept}");
}

#[test]
fn a_packed_tape_is_read_by_every_command_and_unpacks_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let packed = packed(&folder, RECORDING);
    let plain = root().join(RECORDING);
    for words in [&["check"][..], &["replay"], &["tape", "show"], &["tape", "stats"], &["tape", "cat"]] {
        let of = |path: &Path| {
            let path = path.to_str().unwrap().to_owned();
            shown(&run(&[words, &[path.as_str()]].concat())).replace(&path, "TAPE")
        };
        assert_eq!(of(&packed), of(&plain), "{words:?}");
    }
    let compare = run(&["compare", plain.to_str().unwrap(), packed.to_str().unwrap()]);
    assert_eq!(shown(&compare), "exit 0\n----- stdout\n----- stderr\n");
    assert_eq!(said_of(&["tape", "unpack"], &packed), "exit 0\n----- stdout\n----- stderr\n");
    assert_eq!(fs::read(folder.path().join("a.tape.jsonl")).unwrap(), fs::read(&plain).unwrap());
}

#[test]
fn a_packed_tape_that_is_cut_off_is_judged_to_where_it_ends() {
    let folder = TempDir::new().unwrap();
    let packed = packed(&folder, RECORDING);
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    insta::assert_snapshot!(said_of(&["check"], &packed));
}

#[rstest]
#[case::join(&["tape", "join", "-", "-", "-o", "-"])]
#[case::check(&["check", "-", "-"])]
fn stdin_is_read_once(#[case] words: &[&str]) {
    let text = said(words);
    let says = "exit 2\n----- stdout\n----- stderr\nerror: only one of the files can be read from stdin\n\nhint: ";
    assert!(text.starts_with(says), "{text}");
}

#[test]
fn a_packed_tape_that_is_cut_off_at_once_is_not_called_empty() {
    let folder = TempDir::new().unwrap();
    let packed = packed(&folder, RECORDING);
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..100]).unwrap();
    let text = said_of(&["tape", "show"], &packed);
    let says = "error: `FOLDER/a.tape.jsonl.zst` is a packed tape that is cut off in its first frame\n\nhint: ";
    assert!(text.starts_with("exit 2\n") && text.contains(says), "{text}");
}

/// No fault of the program, and no verdict either.
#[cfg(target_os = "linux")]
#[rstest]
#[case::check(&["check", RECORDING])]
#[case::audit(&["audit", RECORDING])]
#[case::cat(&["tape", "cat", RECORDING])]
#[case::pack(&["tape", "pack", RECORDING, "-o", "-"])]
#[case::export(&["export", "har", RECORDING, "-o", "-"])]
#[case::import(&["import", "har", "fixtures/har/chrome-websocket.har", "-o", "-"])]
fn what_cannot_be_printed_is_not_complete(#[case] words: &[&str]) {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = tapestry(words).current_dir(root()).stdout(full).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(3) && text.starts_with("error: failed to write to stdout: "), "{text}");
    assert!(text.contains("\n\nhint: the result is not complete"), "{text}");
}

#[rstest]
#[case::twice("pack", "is packed already")]
#[case::plain("unpack", "is not packed")]
#[case::there("pack", "exists already")]
fn what_cannot_be_packed_is_refused(#[case] word: &str, #[case] says: &str) {
    let folder = TempDir::new().unwrap();
    let packed = packed(&folder, RECORDING);
    let plain = folder.path().join("a.tape.jsonl");
    fs::copy(root().join(RECORDING), &plain).unwrap();
    let before = fs::read(&packed).unwrap();
    let file = if says.contains("already") && !says.contains("exists") { &packed } else { &plain };
    let text = said_of(&["tape", word], file);
    assert!(text.starts_with("exit 2\n") && text.contains(says) && text.contains("\nhint: "), "{text}");
    assert_eq!(fs::read(&packed).unwrap(), before);
}

#[rstest]
fn what_is_no_tape_is_refused(#[values("show", "cat", "head", "stats", "pack")] word: &str) {
    let text = said(&["tape", word, "fixtures/tape/violation/line-har.tape.jsonl"]);
    assert!(
        text.starts_with("exit 2\n----- stdout\n----- stderr\nerror: ") && text.contains("looks like a HAR"),
        "{text}"
    );
}

#[test]
fn a_damaged_frame_is_named() {
    let folder = TempDir::new().unwrap();
    let packed = packed(&folder, RECORDING);
    let mut bytes = fs::read(&packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&packed, &bytes).unwrap();
    let text = said_of(&["check"], &packed);
    let says =
        "exit 2\n----- stdout\n----- stderr\nerror: `FOLDER/a.tape.jsonl.zst`: frame 2 of the packed tape, from byte ";
    assert!(text.starts_with(says), "{text}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_packed() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let mode = fs::metadata(packed(&folder, RECORDING)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
