//! What is said of a panic: where it happened, and what only if the words stand in the source. A formatted message may hold
//! what somebody said: slicing a text, `expect` and assertions put values into theirs.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::{self, Location};

/// Takes the place of the usual words about a panic, in every thread.
pub(crate) fn withhold_messages() {
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
    use std::panic::{UnwindSafe, catch_unwind};

    use super::*;

    const SAID: &str = "ü said";

    fn told_of(panics: impl FnOnce() + UnwindSafe) -> String {
        let payload = catch_unwind(panics).expect_err("it panics");
        told(&*payload, Some(Location::caller()))
    }

    #[test]
    fn what_was_said_is_not_told() {
        let panics: [fn(); 4] = [
            || drop(SAID.to_owned()[..1].to_owned()),
            || panic!("it was read: {:?}", SAID.to_owned()),
            || assert_eq!(SAID, "", "they differ"),
            || panic::panic_any(SAID.to_owned()),
        ];
        for panics in panics {
            let told = told_of(panics);
            assert!(!told.contains("said ") && !told.contains(SAID), "{told}");
            assert!(told.contains("panic.rs:") && told.ends_with("what was said"), "{told}");
        }
    }

    #[test]
    fn what_stands_in_the_source_is_told() {
        assert!(told_of(|| panic!("this cannot happen")).ends_with(": this cannot happen"));
    }
}
