//! `tapestry conformance`: exit codes, the last lines, and the files of a report.

use std::fs;
use std::net::TcpListener;

use tempfile::TempDir;

use crate::harness::{Listening, root, run, shown};

/// The last two lines of stdout.
fn end(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(2)..].to_vec()
}

#[test]
fn passes_on_the_embedded_simulator_and_reports() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report");
    let output = run(&["conformance", "--report", report.to_str().unwrap(), "--seed", "1"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let [summary, last] = end(&stdout)[..] else { panic!("{text}") };
    assert!(summary.contains(" cases: ") && summary.contains(" 0 fail, "), "{summary}");
    assert_eq!(last, "PASS: complete and as expected (exit 0)");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("\n{summary}\n{last}\n")), "the README shows another end than\n{summary}\n{last}");

    let result: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(report.join("result.json")).unwrap()).unwrap();
    let cases = result["cases"].as_array().unwrap();
    assert!(cases.len() >= 50, "{} cases", cases.len());
    for case in cases {
        let (id, verdict) = (case["id"].as_str().unwrap(), case["verdict"].as_str().unwrap());
        assert!(verdict != "pass" || !case["evidence"].as_array().unwrap().is_empty(), "{id} passes without evidence");
        assert!(!case["requirements"].as_array().unwrap().is_empty(), "{id} judges no requirement");
        let tape = report.join(format!("tapes/{id}.{}.tape.jsonl", case["transport"].as_str().unwrap()));
        assert!(tape.exists(), "{}", tape.display());
    }
    assert!(fs::read_to_string(report.join("junit.xml")).unwrap().contains("<testsuite"));
}

#[test]
fn a_server_without_web_socket_is_not_asked_for_it_unless_somebody_says_that_it_has_it() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--profile", "cometd-2.9"]);
    let asked = ["conformance", "--target", &serving.url, "--case", "bayeux.handshake.succeeds"];
    let output = run(&asked);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("2 cases: 1 pass, ") && text.contains("1 not applicable"), "{text}");
    let output = run(&[&asked[..], &["--transport", "websocket", "--transport", "long-polling"]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("websocket.declared") && text.contains("hint: if the server is not meant"), "{text}");
}

#[test]
fn the_readme_counts_what_there_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let cases = conformance::cases::cases().len();
    let rules = conformance::rules::rules().len();
    let requirements = conformance::requirements::Catalogue::get().requirements().len();
    let counts = format!("{cases} cases and {rules} rules judge {requirements} requirements");
    assert!(readme.contains(&counts), "the README does not say `{counts}`");
}

#[test]
fn judges_a_target() {
    let serving = Listening::serve();
    let arguments = ["conformance", "--target", &serving.url, "--service", "customer-support", "--case", "chat.end.*"];
    let output = run(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(end(&text)[0].starts_with("14 cases: 10 pass"), "{text}");
}

#[test]
fn without_a_service_only_bayeux_is_judged_and_the_rest_is_named() {
    let serving = Listening::serve();
    let output = run(&["conformance", "--target", &serving.url, "--case", "chat.end.*", "--case", "bayeux.meta.*"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        end(&text)[0].starts_with("18 cases: 4 pass, 0 fail, 0 deviation, 0 observed, 14 not applicable"),
        "{text}"
    );
    assert!(text.contains("no service given"), "{text}");
}

#[test]
fn nothing_judged_is_incomplete() {
    let serving = Listening::serve();
    let output = run(&["conformance", "--target", &serving.url, "--case", "chat.end.*"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), end(&text)[1]), (Some(3), "INCOMPLETE: nothing was judged (exit 3)"));
}

#[test]
fn a_peer_that_only_accepts_and_closes_passes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/genesys/cometd", listener.local_addr().unwrap());
    std::thread::spawn(move || while listener.accept().is_ok() {});
    let output = run(&["conformance", "--target", &url, "--service", "x", "--case", "bayeux.handshake.*"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(end(&text)[0].contains(" cases: 0 pass"), "{text}");
    assert_ne!(output.status.code(), Some(0), "{text}");
}

#[test]
fn an_unreachable_target_ends_with_4() {
    let output = run(&["conformance", "--target", "http://127.0.0.1:1/genesys/cometd"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("\nhint: correct the port in the URL, start the server, "), "{stderr}");
    assert!(end(&text)[1].starts_with("INCOMPLETE: cannot reach http://127.0.0.1:1/genesys/cometd: "), "{text}");
}

#[test]
fn a_file_that_is_no_text_is_told_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("known.toml");
    fs::write(&file, b"[[expect]]\ncase = \"\xff\"\n").unwrap();
    let output = run(&["conformance", "--virtual", "--expect", file.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("known.toml` is no text file: it is not UTF-8\n\nhint: name a text file"), "{stderr}");
}

#[test]
fn a_pattern_without_a_match_is_a_usage_error() {
    let output = run(&["conformance", "--case", "chat.ends.*"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(shown(&output).contains("error: no case matches `chat.ends.*`"), "{}", shown(&output));
}

#[test]
fn an_expectation_that_no_case_is_about_fails_a_run_of_everything() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("expect.toml");
    // What a client is asked, which no server is.
    let entry = "[[expectation]]\ncase = \"client.handshake.well-formed\"\nverdict = \"deviation\"\n\
                 where = \"BX-HS-02\"\nreason = \"a test\"\nowner = \"nobody\"\nuntil = \"2099-12-31\"\n";
    fs::write(&file, entry).unwrap();
    let output = run(&["conformance", "--virtual", "--expect", file.to_str().unwrap()]);
    let says =
        "expectation: the expectation for `client.handshake.well-formed` is unused: no case of this run has that name";
    assert!(shown(&output).contains(says), "{}", shown(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_expectation_that_is_not_met_fails_the_run() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let file = folder.path().join("expect.toml");
    let entry = "[[expectation]]\ncase = \"bayeux.meta.id-echoed\"\nverdict = \"fail\"\nwhere = \"BX-META-04\"\n\
                 reason = \"a test\"\nowner = \"nobody\"\nuntil = \"2099-12-31\"\n";
    fs::write(&file, entry).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["conformance", "--target", &serving.url, "--case", "bayeux.meta.id-echoed", "--expect", file]);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
}

#[test]
fn known_departures_of_the_simulator_are_expected_of_a_choice_of_cases_too() {
    let output = run(&["conformance", "--case", "bayeux.handshake.*", "--transport", "websocket"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), end(&text)[1]), (Some(0), "PASS: complete and as expected (exit 0)"), "{text}");
    assert!(text.contains(" 1 deviation, ") && text.contains("expected departures: "), "{text}");
}
