//! Asks whoever sits at the terminal, or reads the answers from a pipe, one in a line.

use std::io::{BufRead, IsTerminal, Write};

use ::conformance::expectations::is_day;

use super::Days;

/// What is to become of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Accept,
    Skip,
    /// Leave this one and all behind it.
    Quit,
}

/// Asks, and remembers what was said before.
pub(super) struct Dialogue {
    input: Box<dyn BufRead>,
    /// Whether what is typed shows by itself.
    is_terminal: bool,
    owner: Option<String>,
    days: Days,
}

impl Dialogue {
    pub(super) fn new(owner: Option<String>, days: Days) -> Self {
        let input = std::io::stdin();
        Self { is_terminal: input.is_terminal(), input: Box::new(input.lock()), owner, days }
    }

    /// What is to become of a proposal; `None` at the end of input, as for all that is asked here.
    pub(super) fn choose(&mut self) -> Option<Choice> {
        self.ask("accept, skip or quit? [a/s/q]", None, |answer| match answer {
            "a" | "accept" => Ok(Choice::Accept),
            "s" | "skip" => Ok(Choice::Skip),
            "q" | "quit" => Ok(Choice::Quit),
            _ => Err("answer `a`, `s` or `q`"),
        })
    }

    /// Why a departure is tolerated.
    pub(super) fn reason(&mut self) -> Option<String> {
        self.ask("reason", None, |answer| said(answer, "an expectation needs a reason"))
    }

    /// Who answers for it.
    pub(super) fn owner(&mut self) -> Option<String> {
        let default = self.owner.clone();
        let owner = self.ask("owner", default.as_deref(), |answer| said(answer, "an expectation needs an owner"))?;
        self.owner = Some(owner.clone());
        Some(owner)
    }

    /// The last day on which it holds.
    pub(super) fn until(&mut self) -> Option<String> {
        let (today, default) = (self.days.today.clone(), self.days.until.clone());
        self.ask("until", Some(&default), |answer| match answer {
            day if !is_day(day) => Err("a day is `YYYY-MM-DD`"),
            day if *day < *today => Err("that day is over"),
            day => Ok(day.to_owned()),
        })
    }

    /// Asks until the answer will do. An empty one means the default, if there is one.
    fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            tell(&format!("  {question}{shown}: "));
            let mut line = String::new();
            // What is no text ends the answers like their end does.
            if self.input.read_line(&mut line).ok().filter(|read| *read > 0).is_none() {
                tell("\n");
                return None;
            }
            let line = line.trim();
            if !self.is_terminal {
                tell(&format!("{line}\n"));
            }
            let answer = if line.is_empty() { default.unwrap_or_default() } else { line };
            match read(answer) {
                Ok(taken) => return Some(taken),
                Err(says) => tell(&format!("  {says}\n")),
            }
        }
    }
}

fn said(answer: &str, empty: &'static str) -> Result<String, &'static str> {
    if answer.is_empty() { Err(empty) } else { Ok(answer.to_owned()) }
}

fn tell(text: &str) {
    let mut out = anstream::stderr();
    // With stderr gone there is nobody left to tell.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
