//! What is seen while cases run: a bar on a terminal, else one line for each case.

use std::io::{IsTerminal, Write};

use ::conformance::conclude::CaseResult;
use ::conformance::verdict::Kind;
use indicatif::{ProgressBar, ProgressStyle};

/// Tells on stderr how far the run is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(entries: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("  {bar:40} {pos}/{len} cases, {elapsed} {wide_msg}");
            ProgressBar::new(entries as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar }
    }

    pub(super) fn tell(&self, result: &CaseResult) {
        let wrong = !matches!(result.verdict, Kind::Pass | Kind::NotApplicable | Kind::Observed);
        let line = format!("{:<14} {:>7.3} s  {}", result.verdict.words(), result.took.as_secs_f64(), result.name());
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if wrong {
                    bar.println(line);
                }
            }
            None => drop(writeln!(anstream::stderr(), "{line}")),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
