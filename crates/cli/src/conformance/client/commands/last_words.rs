//! The last that a program said on stderr, and no more of it than a few lines.

use std::io::Read;
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many bytes are kept.
const BYTES: usize = 2_000;

/// How many lines are told.
const LINES: usize = 5;

/// How long to wait for what is under way once the program has ended: something out of reach may hold its stderr open.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a program says, read in a thread of its own so that it never waits for us.
pub(super) struct LastWords {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl LastWords {
    pub(super) fn of(stderr: Option<ChildStderr>) -> Self {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let (end, ended) = channel::<()>();
        if let Some(stderr) = stderr {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                read(stderr, &kept);
                drop(end);
            });
        }
        Self { kept, ended }
    }

    /// The last lines of a program that has ended, without anything that a terminal obeys.
    pub(super) fn take(&self) -> Vec<String> {
        // Nothing is ever sent: it ends when the thread does.
        let _ = self.ended.recv_timeout(PATIENCE);
        lines(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(mut from: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut some = [0; 4_096];
    while let Ok(size @ 1..) = from.read(&mut some) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(some.iter().take(size));
        let over = kept.len().saturating_sub(BYTES);
        kept.drain(..over);
    }
}

fn lines(kept: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(kept);
    let plain = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_steer_no_terminal() {
        let said = Mutex::default();
        read(&b"1\n2\n3\n\n4\n5\n\x1b[2J6"[..], &said);
        assert_eq!(lines(&said.into_inner().unwrap()), ["2", "3", "4", "5", " [2J6"]);
    }

    #[test]
    fn whoever_says_much_is_not_kept_whole() {
        let said = Mutex::default();
        read(std::io::repeat(b'x').take(100_000), &said);
        assert_eq!(said.into_inner().unwrap().len(), BYTES);
    }
}
