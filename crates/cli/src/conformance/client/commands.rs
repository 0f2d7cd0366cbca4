//! Starts the client once for each scenario, and ends what it started.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::conformance::clients::Step;
use anyhow::Context;
use protocol::time::Time;

use super::Planned;
use super::desk::Desk;
use crate::exit::Failure;

/// One client.
struct Running {
    child: Child,
    since: Time,
    ended: bool,
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
    pub(super) fn turn(&mut self, now: Time, desk: &Desk, wait: Duration) -> Result<Vec<(usize, String)>, Failure> {
        let Some(command) = self.command.clone() else { return Ok(Vec::new()) };
        let mut in_vain = Vec::new();
        self.running.retain(|place, running| {
            if desk.is_done(*place) {
                end(&mut running.child);
                return false;
            }
            if desk.has_begun(*place) {
                return true;
            }
            if let (false, Ok(Some(status))) = (running.ended, running.child.try_wait()) {
                running.ended = true;
                in_vain.push((*place, format!("the command ended before it came: {status}")));
            } else if now.since(running.since) >= wait {
                in_vain.push((*place, format!("the command did not come within {} s", wait.as_secs())));
            }
            true
        });
        while self.running.len() < self.jobs && self.next < self.environments.len() {
            let child = start(&command, &self.environments[self.next])?;
            self.running.insert(self.next, Running { child, since: now, ended: false });
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
        for running in self.running.values_mut() {
            end(&mut running.child);
        }
    }
}

fn start(command: &str, environment: &[(&'static str, String)]) -> Result<Child, Failure> {
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command);
    shell.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = || format!("failed to start `{command}`");
    shell.spawn().with_context(failed).map_err(|error| Failure::usage(error).hint("`--command` is run by the shell"))
}

/// Ends one client, by its id. It may have ended by itself.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let _ = child.kill();
    let _ = child.wait();
}
