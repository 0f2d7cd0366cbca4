//! Plans as text, one thing a line:
//!
//! ```text
//! # Seconds after the start of the chat, and what happens.
//! 0.300 join Morgan
//! 0.300 say Hello.
//! 0.900 join Robo as bot
//! 1.000 as Robo say I am a program.
//! 2.000 chat-server down
//! # After a message of the client; `*` is any that no other line is for.
//! on bye +0.200 end
//! on * +0.200 echo You wrote:
//! ```
//!
//! Steps: `join NAME [as agent|supervisor|bot]`, `say TEXT`, `type` (or `start-typing`), `stop-typing`, `push-url URL`,
//! `notice TEXT`, `transfer NAME`, `leave`, `end` (or `close`), each behind `as NAME` for anybody but the first who joined; and what befalls
//! the server: `chat-server down|up|fail-over`, `forget-sessions`, `node NUMBER down|up`.

use std::str::FromStr;
use std::time::Duration;

use protocol::chat::server::Role;

use crate::plan::{Act, Happening, Plan, Reply, ReplyAct};
use crate::script::Step;

/// The most lines that a plan may have.
const MAX_LINES: usize = 10_000;
/// The latest moment, in seconds: a week.
const MAX_SECONDS: f64 = 604_800.0;

/// A text that is no plan: which line, from 1, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It begins neither with a time nor with `on`.
    #[error("a line begins with seconds such as `0.300`, or with `on`")]
    Beginning,
    /// A time cannot be read.
    #[error("`{0}` is no time in seconds")]
    Time(String),
    /// The verb is unknown.
    #[error("`{0}` is nothing that can be done")]
    Verb(String),
    /// Something is missing behind the verb, or is nothing that can stand there.
    #[error("`{0}` needs {1}")]
    Argument(String, &'static str),
    /// A setting is unknown or has a wrong value.
    #[error("{0}")]
    Setting(String),
    /// There are too many lines.
    #[error("more than {MAX_LINES} lines")]
    TooLong,
}

/// A line with its number.
pub(crate) type Line<'a> = (usize, &'a str);

/// The lines that say something.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

impl FromStr for Plan {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut plan = Self::default();
        for (line, content) in lines(text) {
            plan.read_line(content).map_err(|wrong| Unreadable { line, wrong })?;
        }
        Ok(plan)
    }
}

impl Plan {
    /// Adds what one line says.
    pub(crate) fn read_line(&mut self, line: &str) -> Result<(), Wrong> {
        if self.timed.len() + self.replies.len() >= MAX_LINES {
            return Err(Wrong::TooLong);
        }
        let (first, rest) = split(line);
        if first == "on" {
            let (word, rest) = split(rest);
            let (after, rest) = split(rest);
            let seconds = after.strip_prefix('+').ok_or_else(|| Wrong::Time(after.to_owned()))?;
            let act = match split(rest) {
                ("echo", before) => {
                    ReplyAct::Echo(if before.is_empty() { String::new() } else { format!("{before} ") })
                }
                _ => ReplyAct::Act(act(rest)?),
            };
            let on = (word != "*").then(|| word.to_owned());
            self.replies.push(Reply { on, after: time(seconds)?, act });
            return Ok(());
        }
        if !first.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Wrong::Beginning);
        }
        self.timed.push((time(first)?, act(rest)?));
        Ok(())
    }
}

/// The first word and what follows it.
pub(crate) fn split(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}

fn time(text: &str) -> Result<Duration, Wrong> {
    let seconds: f64 = text.parse().map_err(|_| Wrong::Time(text.to_owned()))?;
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        Ok(Duration::from_millis(Duration::from_secs_f64(seconds).as_micros().div_ceil(1_000).try_into().unwrap_or(0)))
    } else {
        Err(Wrong::Time(text.to_owned()))
    }
}

/// A number from 1, such as that of a node, counted from 0.
pub(crate) fn number(text: &str) -> Option<usize> {
    text.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).filter(|number| *number < 16)
}

impl FromStr for Act {
    type Err = Wrong;

    /// Reads what stands behind the time.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        act(text)
    }
}

fn act(text: &str) -> Result<Act, Wrong> {
    let (verb, rest) = split(text);
    let happening = match (verb, rest) {
        ("chat-server", "down") => Happening::ChatServerLost,
        ("chat-server", "up") => Happening::ChatServerBack,
        ("chat-server", "fail-over") => Happening::ChatServerFailsOver,
        ("chat-server", _) => return Err(Wrong::Argument(verb.to_owned(), "`down`, `up` or `fail-over`")),
        ("forget-sessions", "") => Happening::SessionsForgotten,
        ("node", _) => match (number(split(rest).0), split(rest).1) {
            (Some(node), "down") => Happening::NodeDown(node),
            (Some(node), "up") => Happening::NodeUp(node),
            _ => return Err(Wrong::Argument(verb.to_owned(), "a number from 1 and `down` or `up`")),
        },
        _ => return Ok(Act::Step(step(text)?)),
    };
    Ok(Act::Happening(happening))
}

fn step(text: &str) -> Result<Step, Wrong> {
    let (verb, rest) = split(text);
    let needs =
        |what: &'static str| if rest.is_empty() { Err(Wrong::Argument(verb.to_owned(), what)) } else { Ok(rest) };
    let alone = |step: Step| if rest.is_empty() { Ok(step) } else { Err(Wrong::Argument(verb.to_owned(), "nothing")) };
    match verb {
        "join" => {
            let name = needs("a name")?;
            match name.rsplit_once(" as ") {
                None => Ok(Step::Join { nickname: name.to_owned() }),
                Some((name, role)) => {
                    let role = match role.trim() {
                        "agent" => Role::Agent,
                        "supervisor" => Role::Supervisor,
                        "bot" => Role::Bot,
                        _ => {
                            return Err(Wrong::Argument(verb.to_owned(), "`agent`, `supervisor` or `bot` behind `as`"));
                        }
                    };
                    Ok(Step::JoinAs { nickname: name.trim().to_owned(), role })
                }
            }
        }
        "say" => Ok(Step::Say(needs("a text")?.to_owned())),
        "notice" => Ok(Step::Notice(needs("a text")?.to_owned())),
        "push-url" => Ok(Step::PushUrl(needs("a URL")?.to_owned())),
        "transfer" => Ok(Step::Transfer { nickname: needs("a name")?.to_owned() }),
        "type" | "start-typing" => alone(Step::StartTyping),
        "stop-typing" => alone(Step::StopTyping),
        "leave" => alone(Step::Leave),
        "end" | "close" => alone(Step::End),
        "as" => {
            let (who, what) = split(needs("a name and a step")?);
            match split(what).0 {
                "as" | "join" => Err(Wrong::Argument(verb.to_owned(), "a step of somebody who has joined")),
                _ => Ok(Step::As { who: who.to_owned(), step: Box::new(step(what)?) }),
            }
        }
        _ => Err(Wrong::Verb(verb.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn reads_what_its_documentation_shows() {
        let plan: Plan =
            "# x\n\n0.300 join Morgan\n 0.9  join Robo as bot\n1 as Robo say I am.\n2.000 chat-server down\n\
            on bye +0.200 close\non * +0.2 echo You wrote:"
                .parse()
                .unwrap();
        let step = |millis: u64, step: Step| (Duration::from_millis(millis), Act::Step(step));
        let say = Step::As { who: "Robo".to_owned(), step: Box::new(Step::Say("I am.".to_owned())) };
        assert_eq!(
            plan.timed,
            [
                step(300, Step::Join { nickname: "Morgan".to_owned() }),
                step(900, Step::JoinAs { nickname: "Robo".to_owned(), role: Role::Bot }),
                step(1_000, say),
                (Duration::from_secs(2), Act::Happening(Happening::ChatServerLost)),
            ]
        );
        let after = Duration::from_millis(200);
        let end = ReplyAct::Act(Act::Step(Step::End));
        let echo = ReplyAct::Echo("You wrote: ".to_owned());
        assert!(
            plan.replies
                == [Reply { on: Some("bye".to_owned()), after, act: end }, Reply { on: None, after, act: echo }]
        );
    }

    #[rstest]
    #[case("join Morgan", "a line begins with seconds such as `0.300`, or with `on`")]
    #[case("0.3", "`` is nothing that can be done")]
    #[case("1e9 leave", "`1e9` is no time in seconds")]
    #[case("0.3s leave", "`0.3s` is no time in seconds")]
    #[case("0.3 dance", "`dance` is nothing that can be done")]
    #[case("0.3 say", "`say` needs a text")]
    #[case("0.3 leave now", "`leave` needs nothing")]
    #[case("0.3 join Ann as client", "`join` needs `agent`, `supervisor` or `bot` behind `as`")]
    #[case("0.3 as Robo as Robo leave", "`as` needs a step of somebody who has joined")]
    #[case("0.3 node 0 down", "`node` needs a number from 1 and `down` or `up`")]
    #[case("on bye 0.2 end", "`0.2` is no time in seconds")]
    fn says_what_is_wrong(#[case] line: &str, #[case] says: &str) {
        let error = format!("\n{line}").parse::<Plan>().unwrap_err();
        assert_eq!(error.to_string(), format!("line 2: {says}"));
    }

    proptest! {
        #[test]
        fn takes_any_text(text in "(on |as |join |say |node |[0-9.+ ]{0,6}|\\PC|\n){0,30}") {
            let _ = text.parse::<Plan>();
        }
    }
}
