//! Starts the client once for each scenario, and ends what it started.
//!
//! Each command is a process group of its own, so that what a shell has started ends with it. What a client says on stderr
//! goes into no report, for nobody knows what it is; the last of it is told if the client does not come.

mod last_words;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::conformance::clients::Step;
use anyhow::Context;
use protocol::time::Time;

use self::last_words::LastWords;
use super::Planned;
use super::desk::Desk;
use crate::exit::Failure;

/// One client.
struct Running {
    child: Child,
    words: LastWords,
    since: Time,
    ended: bool,
}

impl Running {
    /// Ends the client with all that it has started. It may have ended by itself.
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        drop(self.child.stdin.take());
        // The group first. Its number is the shell's, and is nobody else's as long as anything of it is left.
        end_group(&self.child);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What kept a scenario from its client.
pub(super) struct InVain {
    pub(super) place: usize,
    /// Why nobody came.
    pub(super) says: String,
    /// The last that the client said on stderr, a line each.
    pub(super) last_words: Vec<String>,
}

/// The clients that run, each for its scenario. Dropping it ends them.
pub(super) struct Commands {
    command: Option<String>,
    /// What each scenario's client finds in its environment.
    environments: Vec<Vec<(&'static str, String)>>,
    jobs: usize,
    next: usize,
    running: BTreeMap<usize, Running>,
}

impl Commands {
    pub(super) fn new(command: Option<&str>, plan: &[Planned], urls: &[String], service: &str, jobs: usize) -> Self {
        let environment = |(planned, url): (&Planned, &String)| {
            vec![
                ("TAPESTRY_URL", url.clone()),
                ("TAPESTRY_SERVICE", service.to_owned()),
                ("TAPESTRY_TRANSPORT", planned.transport().name().to_owned()),
                ("TAPESTRY_SCENARIO", planned.case.id.to_owned()),
            ]
        };
        Self {
            command: command.map(str::to_owned),
            environments: plan.iter().zip(urls).map(environment).collect(),
            jobs,
            next: 0,
            running: BTreeMap::new(),
        }
    }

    /// Ends clients whose scenario is over and starts others in their place. Gives the scenarios to which nobody came.
    pub(super) fn turn(&mut self, now: Time, desk: &Desk, wait: Duration) -> Result<Vec<InVain>, Failure> {
        let Some(command) = self.command.clone() else { return Ok(Vec::new()) };
        let mut in_vain = Vec::new();
        self.running.retain(|place, running| {
            if desk.is_done(*place) {
                running.end();
                return false;
            }
            if running.ended || desk.has_begun(*place) {
                return true;
            }
            let status = running.child.try_wait().ok().flatten();
            let says = match status {
                // Brackets, as around the name of a signal, have no place in a mark of a tape.
                Some(status) => {
                    let status = status.to_string().replace(['(', ')'], "");
                    format!("the command ended before it came: {status}")
                }
                None if now.since(running.since) >= wait => {
                    format!("the command did not come within {} s", wait.as_secs())
                }
                None => return true,
            };
            running.end();
            in_vain.push(InVain { place: *place, says, last_words: running.words.take() });
            true
        });
        while self.running.len() < self.jobs && self.next < self.environments.len() {
            let mut child = start(&command, &self.environments[self.next])?;
            let words = LastWords::of(child.stderr.take());
            self.running.insert(self.next, Running { child, words, since: now, ended: false });
            self.next += 1;
        }
        Ok(in_vain)
    }

    /// Types what the client's user does.
    pub(super) fn tell(&mut self, place: usize, step: Step) {
        if let Some(stdin) = self.running.get_mut(&place).and_then(|running| running.child.stdin.as_mut()) {
            // A client that reads nothing is found out by what it does not send.
            let _ = stdin.write_all(format!("{}\n", step.line()).as_bytes()).and_then(|()| stdin.flush());
        }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.running.values_mut().for_each(Running::end);
    }
}

fn start(command: &str, environment: &[(&'static str, String)]) -> Result<Child, Failure> {
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
    shell.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let started = shell.spawn().context("failed to start a shell for `--command`");
    started.map_err(|error| Failure::usage(error).hint("`--command` is run by `sh`, which must be in `PATH`"))
}

/// Ends what a shell has started, and what that has started. What made itself a group of its own stays out of reach.
#[cfg(unix)]
fn end_group(child: &Child) {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s KILL -- \"-$0\"", &child.id().to_string()]);
    // With nobody left in the group there is nothing to end.
    let _ = kill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(not(unix))]
fn end_group(_: &Child) {}
