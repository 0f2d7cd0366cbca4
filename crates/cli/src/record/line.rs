//! One line on a terminal that says how a recording stands.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use recorder::Status;

/// How often the line is drawn anew.
pub(super) const EVERY: Duration = Duration::from_millis(250);

/// The line, if somebody looks at it.
pub(super) struct Line(Option<ProgressBar>);

impl Line {
    pub(super) fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{elapsed_precise} {wide_msg}");
            ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self(bar)
    }

    pub(super) const fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn show(&self, status: &Status) {
        if let Some(bar) = &self.0 {
            bar.set_message(said(status));
            bar.tick();
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn said(status: &Status) -> String {
    let Status { connections, sessions, messages, bytes, lost, lag } = status;
    let size = DecimalBytes(*bytes);
    let lost = if *lost > 0 { format!(", {lost} units LOST") } else { String::new() };
    format!(
        "connections {connections}, sessions {sessions}, messages {messages}, {size}, lag {} ms{lost}",
        lag.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_open_what_is_written_and_how_late() {
        let status = Status {
            connections: 3,
            sessions: 2,
            messages: 120,
            bytes: 45_200,
            lost: 0,
            lag: Duration::from_micros(12_900),
        };
        assert_eq!(said(&status), "connections 3, sessions 2, messages 120, 45.20 kB, lag 12 ms");
        assert!(said(&Status { lost: 7, ..status }).ends_with(", 7 units LOST"));
    }
}
