//! The chores of the workspace: `cargo xtask TASK`. Each task is a file; none of them links our crates, they start programs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task talks to whoever started it")]

mod ci;
mod conformance;
mod interop;
mod selftest;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use xshell::Shell;

const USAGE: &str = "\
usage: cargo xtask TASK

  ci [--tested]      format, clippy, tests, documentation, tidy: what must be green before a commit;
                     with --tested the tests have run already
  tidy               the dependency table, module texts, leftovers
  conformance        the suite against the simulator, the snapshots, and every tape in recordings/
  interop [--record] clients and servers that nobody here wrote, with `tapestry serve` and `tapestry record`;
                     with --record the tapes of the official client replace those in recordings/
  selftest --mutants     the suite against every mutation of the simulator: the kill matrix, and what is blamed first
  selftest --null-peers  the suite against peers that do nothing, and against one that says yes to everything
  selftest --canaries    a hundred thousand sessions full of secrets: none of them is seen anywhere; takes long
  selftest --kills       the recorder killed at a thousand moments: every tape can be read
  selftest --load        a thousand clients at once through the recorder: nothing lost, memory bounded";

/// What a task has to say in the end: the exit code.
type Outcome = Result<u8>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => run(|shell| ci::run(shell, false)),
        ["ci", "--tested"] => run(|shell| ci::run(shell, true)),
        ["tidy"] => run(tidy::run),
        ["conformance"] => run(conformance::run),
        ["interop"] => run(|shell| interop::run(shell, false)),
        ["interop", "--record"] => run(|shell| interop::run(shell, true)),
        ["selftest", "--mutants"] => run(selftest::mutants),
        ["selftest", "--null-peers"] => run(selftest::null_peers),
        ["selftest", "--canaries"] => run(selftest::canaries),
        ["selftest", "--kills"] => run(selftest::kills),
        ["selftest", "--load"] => run(selftest::load),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(0)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(2)
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: impl FnOnce(&Shell) -> Outcome) -> Outcome {
    let shell = Shell::new()?;
    shell.change_dir(root());
    task(&shell)
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
