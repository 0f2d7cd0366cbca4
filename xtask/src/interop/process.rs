//! Programs that interop starts: those that listen and those that end by themselves. Each has a time limit, and each is
//! ended by its id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(30);
/// How long a whole chat, or judging its tape, may take.
pub(crate) const CHAT: Duration = Duration::from_secs(60);
/// How long the suite may take, with all its waits.
pub(crate) const SUITE: Duration = Duration::from_secs(180);

/// A program that listens and says so in its first line.
pub(crate) struct Listening {
    child: Child,
    name: String,
    url: String,
    /// What it has said on stderr.
    complaints: Arc<Mutex<String>>,
}

impl Listening {
    /// Starts it and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = shown(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        let complaints = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&complaints));
        }
        let stdout = child.stdout.take().context("its stdout is piped")?;
        let mut listening = Self { child, name, url: String::new(), complaints };
        let line = within(START, move || {
            let (mut line, mut stdout) = (String::new(), BufReader::new(stdout));
            let read = stdout.read_line(&mut line);
            // A program whose further words nobody took would break over them.
            thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
            read.map(|_| line)
        });
        let line = line.with_context(|| format!("{} did not listen in time", listening.name))??;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => listening.url.push_str(url),
            None => bail!("{} did not listen", listening.name),
        }
        Ok(listening)
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs what needs it; if that fails because it has ended meanwhile, the error says so.
    pub(crate) fn serve(&mut self, client: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        client(&self.url).map_err(|error| match self.child.try_wait() {
            Ok(Some(status)) => {
                let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
                error.context(format!("{} ended by itself with {status}\n{complaints}", self.name))
            }
            Ok(None) | Err(_) => error,
        })
    }

    /// Asks it to end and demands that it does so properly.
    pub(crate) fn end(mut self) -> Result<()> {
        signal("TERM", self.child.id())?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}", self.name);
        }
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // After `end` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and demands success in time; what it printed is in the error.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Result<()> {
    let name = shown(command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    let id = child.id();
    let Some(output) = within(limit, move || child.wait_with_output()) else {
        signal("KILL", id)?;
        bail!("{name} did not end within {} s", limit.as_secs());
    };
    let output = output?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{name} ended with {}\n{out}{err}", output.status);
    }
    Ok(())
}

/// Keeps the last of what a program says, on a thread of its own.
fn collect(mut stderr: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    const KEPT: usize = 8_000;
    thread::spawn(move || {
        let mut chunk = [0; 1_024];
        while let Ok(length @ 1..) = stderr.read(&mut chunk) {
            let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(&String::from_utf8_lossy(&chunk[..length]));
            if kept.len() > KEPT {
                let from = kept.ceil_char_boundary(kept.len() - KEPT);
                kept.drain(..from);
            }
        }
    });
}

/// What a task on a thread of its own gives, if it gives it in time.
fn within<T: Send + 'static>(limit: Duration, task: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = channel();
    thread::spawn(move || {
        // Nobody listens any more when the time is over.
        let _ = done.send(task());
    });
    outcome.recv_timeout(limit).ok()
}

fn signal(name: &str, id: u32) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    if !status.context("failed to start kill")?.success() {
        bail!("failed to end process {id}");
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failing_program_printed_is_in_the_error() {
        let error = finish(Command::new("sh").args(["-c", "echo said; exit 3"]), CHAT).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("said"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let error = finish(Command::new("sh").args(["-c", "while :; do :; done"]), Duration::ZERO).unwrap_err();
        assert!(error.to_string().ends_with("did not end within 0 s"), "{error}");
    }

    #[test]
    fn a_server_that_listens_is_ended_properly() {
        let script = "trap 'exit 0' TERM; echo listening on somewhere; while :; do :; done";
        let listening = Listening::start(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(listening.url(), "somewhere");
        listening.end().unwrap();
    }

    #[test]
    fn a_server_may_print_more_than_a_pipe_holds() {
        let print = "i=0; while [ $i -lt 20000 ]; do echo chatter || exit 5; i=$((i+1)); done; echo all said >&2";
        let script = format!("trap 'exit 0' TERM; echo listening on somewhere; {print}; while :; do :; done");
        let mut listening = Listening::start(Command::new("sh").args(["-c", &script])).unwrap();
        while listening.complaints.lock().unwrap().is_empty() {
            assert_eq!(listening.child.try_wait().unwrap(), None, "it lives");
            thread::yield_now();
        }
        listening.end().unwrap();
    }

    #[test]
    fn a_server_that_ends_by_itself_is_told_of() {
        let script = "echo listening on somewhere; echo what a pity >&2; exit 9";
        let mut listening = Listening::start(Command::new("sh").args(["-c", script])).unwrap();
        listening.child.wait().unwrap();
        while listening.complaints.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        let error = format!("{:#}", listening.serve(|_| bail!("no answer")).unwrap_err());
        assert!(error.contains("exit status: 9") && error.contains("what a pity"), "{error}");
        assert!(error.ends_with("no answer"), "{error}");
    }

    #[test]
    fn a_server_that_says_something_else_is_refused() {
        let error = Listening::start(Command::new("sh").args(["-c", "echo hello"])).map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("did not listen"), "{error}");
    }
}
