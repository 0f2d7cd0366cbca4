//! The help of every subcommand, so that a change of the command line is seen in a review.

use crate::harness::{run, shown};

#[test]
fn of_the_program() {
    insta::assert_snapshot!(shown(&run(&["--help"])));
}

#[test]
fn of_serve() {
    insta::assert_snapshot!(shown(&run(&["serve", "--help"])));
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let output = run(&["serve", "--lissten", "x"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--lissten") && text.contains("--listen"), "{text}");
}
