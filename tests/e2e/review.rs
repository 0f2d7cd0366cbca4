//! `tapestry review`: from verdicts that nobody expected to a file with which the same run passes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::harness::{Listening, run, shown, tapestry};

/// A server with two departures, of which one is known, and a report on it.
struct Reviewing {
    folder: TempDir,
    serving: Listening,
}

const CHOSEN: [&str; 4] =
    ["--case", "chat.message.echoed-once", "--case", "bayeux.handshake.without-common-type-refused"];

const KNOWN: &str = "# What is known of UAT.\n\n[[expectation]]\ncase = \"bayeux.handshake.without-common-type-refused\"\n\
    verdict = \"deviation\"\nwhere = \"BX-HS-12\"\nreason = \"CometD does so\" # all of them\nowner = \"ann\"\nuntil = \"2099-12-31\"\n";

impl Reviewing {
    fn start() -> Self {
        let serving =
            Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--mutation", "echo-doubled"]);
        let reviewing = Self { folder: TempDir::new().expect("a folder can be made"), serving };
        let output = reviewing.judge(&[]);
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        reviewing
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path of text").to_owned()
    }

    /// Judges the server with a report.
    fn judge(&self, more: &[&str]) -> Output {
        let report = self.path("report");
        let fixed =
            ["conformance", "--target", &self.serving.url, "--service", "customer-support", "--report", &report];
        run(&[&fixed[..], &CHOSEN, more].concat())
    }

    /// Reviews the report, with these answers.
    fn review(&self, file: &str, more: &[&str], answers: &str) -> Output {
        let (report, file) = (self.path("report"), self.path(file));
        let mut command = tapestry(&[&["review", &report, "--expect", &file], more].concat());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("its stdin is piped");
        // It may have ended without reading.
        let _ = stdin.write_all(answers.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

#[test]
fn what_is_accepted_makes_the_same_run_pass() {
    let reviewing = Reviewing::start();
    let answers = "a\nit says everything twice\nann\n\na\nCometD does so\n\n2099-12-31\n";
    let output = reviewing.review("expect.toml", &[], answers);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("2 proposals: 2 accepted, 0 skipped, 0 left; written to `"), "{text}");
    assert!(text.contains("expect.toml` does not exist, and is made"), "{text}");
    let output = reviewing.judge(&["--expect", &reviewing.path("expect.toml")]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", reviewing.file("expect.toml"), shown(&output));
    // Nothing is left to be reviewed after that.
    let output = reviewing.review("expect.toml", &[], "");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(shown(&output).contains("nothing to review"), "{}", shown(&output));
}

#[test]
fn a_file_that_is_there_is_amended_and_keeps_what_stands_in_it() {
    let reviewing = Reviewing::start();
    fs::write(reviewing.path("expect.toml"), KNOWN).expect("a file can be written");
    let output = reviewing.review("expect.toml", &["--owner", "bob", "--until", "2099-01-01"], "a\ntwice\n\n\n");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("has 1 expectation, and is amended"), "{text}");
    let added = "\n[[expectation]]\ncase = \"chat.message.echoed-once\"\nverdict = \"deviation\"\nwhere = \"CV-SM-02\"\n\
                 reason = \"twice\"\nowner = \"bob\"\nuntil = \"2099-01-01\"\n";
    assert_eq!(reviewing.file("expect.toml"), format!("{KNOWN}{added}"));
}

#[test]
fn an_entry_without_a_reason_is_not_made_and_the_end_of_input_loses_nothing() {
    let reviewing = Reviewing::start();
    let output = reviewing.review("expect.toml", &[], "a\n\ntwice\n\nann\n2001-01-01\n\na\n");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for says in [
        "an expectation needs a reason",
        "an expectation needs an owner",
        "that day is over",
        "1 accepted, 0 skipped, 1 left",
    ] {
        assert!(text.contains(says), "no `{says}` in {text}");
    }
    assert_eq!(reviewing.file("expect.toml").matches("[[expectation]]").count(), 1);
}

#[test]
fn what_is_skipped_is_not_written_and_stays_unexpected() {
    let reviewing = Reviewing::start();
    let output = reviewing.review("expect.toml", &[], "s\nq\n");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("0 accepted, 1 skipped, 1 left; nothing written"), "{text}");
    assert!(!Path::new(&reviewing.path("expect.toml")).exists());
}

#[test]
fn what_is_stale_and_what_has_expired_is_brought_up_to_date() {
    let reviewing = Reviewing::start();
    let stale = KNOWN.replace("BX-HS-12", "BX-HS-09");
    let expired = KNOWN.replace("2099-12-31", "2001-01-01").replace("# What is known of UAT.\n", "");
    fs::write(reviewing.path("expect.toml"), stale + &expired).expect("a file can be written");
    let output = reviewing.review("expect.toml", &[], "a\ntwice\nann\n2099-12-31\na\na\n2099-12-31\n");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("stale, to be taken out: bayeux.handshake.without"), "{text}");
    let file = reviewing.file("expect.toml");
    assert!(file.starts_with("# What is known of UAT.\n") && !file.contains("BX-HS-09"), "{file}");
    let output = reviewing.judge(&["--expect", &reviewing.path("expect.toml")]);
    assert_eq!(output.status.code(), Some(0), "{file}\n{}", shown(&output));
}

#[test]
fn a_list_is_toml_to_be_completed() {
    let reviewing = Reviewing::start();
    let output = reviewing.review("expect.toml", &["--list", "--until", "2099-12-31"], "");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let stdout = String::from_utf8(output.stdout).expect("stdout is text");
    assert_eq!(stdout.matches("[[expectation]]\n").count(), 2, "{text}");
    assert!(!Path::new(&reviewing.path("expect.toml")).exists());
    // What nobody has completed is refused.
    fs::write(reviewing.path("listed.toml"), stdout).expect("a file can be written");
    let output = reviewing.judge(&["--expect", &reviewing.path("listed.toml")]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains("has an empty `reason`"), "{}", shown(&output));
}

#[test]
fn what_is_no_result_is_refused() {
    let folder = TempDir::new().expect("a folder can be made");
    let file = folder.path().join("result.json");
    for (text, says) in [("{}", "missing field `format`"), ("{\"format\": 2}", "it has format 2")] {
        fs::write(&file, text).expect("a file can be written");
        let output = run(&["review", folder.path().to_str().expect("a path of text")]);
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        assert!(shown(&output).contains(says), "{}", shown(&output));
    }
    let output = run(&["review", "no-such-report"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains("hint: `tapestry conformance --report DIR` writes"), "{}", shown(&output));
}
