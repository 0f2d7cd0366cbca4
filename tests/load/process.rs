//! The proxy under load as a process of its own, so that its memory can be read and that of the load does not count.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use crate::server::PATH;

/// `tapestry record` in front of a server.
pub(crate) fn recorder(upstream: &str, tape: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapestry"));
    command
        .args(["record", "--listen", "127.0.0.1:0", "--upstream", &format!("http://{upstream}{PATH}"), "-o"])
        .arg(tape);
    command.env("NO_COLOR", "1");
    command
}

/// A proxy that listens. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) authority: String,
    complaints: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts it and reads its output up to the line that says where it listens, behind this mark.
    pub(crate) fn start(command: &mut Command, mark: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("it does not start")?;
        let mut stderr = child.stderr.take().context("its stderr is piped")?;
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read was not said.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdout = BufReader::new(child.stdout.take().context("its stdout is piped")?);
        let mut process = Self { child, authority: String::new(), complaints: Some(complaints) };
        let mut lines = stdout.lines();
        for line in &mut lines {
            let line = line.context("its output is no text")?;
            if let Some((_, behind)) = line.split_once(mark) {
                process.authority = behind.split('/').next().unwrap_or_default().trim_end_matches('.').to_owned();
                // Whoever writes into a closed pipe would end.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(process);
            }
        }
        let said = process.complaints.take().and_then(|said| said.join().ok()).unwrap_or_default();
        anyhow::bail!("it ended before it listened: {said}")
    }

    /// The most memory that it ever had, in KiB; `None` where the system does not tell.
    pub(crate) fn peak(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Asks it to end; gives how it ended and what it said on stderr.
    pub(crate) fn stop(mut self) -> Result<(ExitStatus, String)> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("kill does not start")?;
        let status = self.child.wait()?;
        let said = self.complaints.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Ok((status, said))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
