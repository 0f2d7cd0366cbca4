//! What is said of a panic: where it happened, and what only if the words stand in the source. A formatted message may hold
//! what somebody said: slicing a text, `expect` and assertions put values into theirs.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::{self, Location, UnwindSafe, catch_unwind};

/// Does something that may panic; `None` if it did.
pub(crate) fn caught<T>(act: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    withhold_messages();
    catch_unwind(act).ok()
}

/// Takes the place of the usual words about a panic, in every thread.
fn withhold_messages() {
    panic::set_hook(Box::new(|info| {
        // With stderr gone there is nobody left to tell.
        let mut err = anstream::stderr();
        let _ = writeln!(err, "{}", told(info.payload(), info.location()));
        // Names of functions and lines alone; captured if RUST_BACKTRACE asks for it.
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(err, "{trace}");
        }
    }));
}

fn told(payload: &(dyn Any + Send), location: Option<&Location<'_>>) -> String {
    let place = location.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = payload.downcast_ref::<&'static str>();
    let message = message.unwrap_or(&"the message is withheld, since it may hold what was said");
    format!("tapestry panicked at {place}: {message}")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const SAID: &str = "ü said";

    /// Says which of the panics is to happen, in a process of its own.
    const WHICH: &str = "TAPESTRY_PANIC";

    const PANICS: [fn(); 5] = [
        || drop(SAID.to_owned()[..1].to_owned()),
        || panic!("it was read: {:?}", SAID.to_owned()),
        || assert_eq!(SAID, "", "they differ"),
        || panic::panic_any(SAID.to_owned()),
        || panic!("this cannot happen"),
    ];

    /// What the program writes about a panic. This very test is run again by itself, since there is one hook in a process.
    fn told_of(test: &str, which: usize) -> String {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", &format!("panic::tests::{test}"), "--nocapture"]);
        let output = program
            .env(WHICH, which.to_string())
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUST_LIB_BACKTRACE")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Panics if that is asked for; then there is nothing else to test.
    fn panicked() -> bool {
        let Ok(which) = std::env::var(WHICH) else { return false };
        assert!(caught(PANICS[which.parse::<usize>().unwrap()]).is_none());
        true
    }

    #[test]
    fn what_was_said_is_not_told() {
        if panicked() {
            return;
        }
        for which in 0..4 {
            let told = told_of("what_was_said_is_not_told", which);
            assert!(!told.contains("said ") && !told.contains(SAID), "{told}");
            assert!(told.starts_with("tapestry panicked at ") && told.contains("panic.rs:"), "{told}");
            assert!(told.ends_with("what was said\n"), "{told}");
        }
    }

    #[test]
    fn what_stands_in_the_source_is_told() {
        if panicked() {
            return;
        }
        let told = told_of("what_stands_in_the_source_is_told", 4);
        assert!(told.ends_with(": this cannot happen\n"), "{told}");
    }
}
