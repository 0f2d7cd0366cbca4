//! The help of every subcommand, so that a change of the command line is seen in a review.

use rstest::rstest;

use crate::harness::{run, shown};

#[test]
fn of_the_program() {
    insta::assert_snapshot!(shown(&run(&["--help"])));
}

#[rstest]
fn of_each_command(
    #[values(
        "serve",
        "record",
        "replay",
        "check",
        "compare",
        "tape",
        "audit",
        "conformance",
        "doctor",
        "requirements",
        "explain",
        "review",
        "chat"
    )]
    command: &str,
) {
    insta::with_settings!({snapshot_suffix => command}, {
        insta::assert_snapshot!("of_command", shown(&run(&[command, "--help"])));
    });
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let output = run(&["serve", "--lissten", "x"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--lissten") && text.contains("--listen"), "{text}");
}
