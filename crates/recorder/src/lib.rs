//! The recorder: a capturing proxy that writes a tape while traffic flows.
//!
//! [`Recorder::create`] opens the file, [`Recorder::run`] puts [`transport::proxy`] in front of an upstream and writes what it
//! sees. Forwarding comes first: a slow or full disk costs lines on the tape, never traffic, and the tape and the
//! [`Summary`] say so. Everything passes [`recording::capture`], which redacts, before it reaches the disk. Nothing here
//! parses or judges a message.

mod writer;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use recording::capture::{self, Capture, Source};
use recording::redaction::{Keep, Shift};
use recording::token::Key;
use transport::clock::{self, Clock};
use transport::listener::Listener;
use transport::proxy::{Limits, Proxy};
use transport::route::Route;

use self::writer::{Disk, Writer};

/// What a recording is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file; it must not exist yet.
    pub output: PathBuf,
    /// The version of the program.
    pub version: String,
    /// Its commit.
    pub git: String,
    /// The clock of the recording.
    pub clock: Clock,
    /// Writes a wall time, in milliseconds since the epoch, as RFC 3339 in UTC.
    pub rfc3339: fn(i64) -> String,
    /// The key behind the tokens, if tapes of a project are to share it; else each tape has its own.
    pub key: Option<Key>,
    /// What is kept on purpose.
    pub keep: Keep,
    /// By how much wall times are moved, if they are.
    pub shift: Option<Shift>,
    /// What else is known about the surroundings.
    pub env: BTreeMap<String, String>,
    /// How much is kept of what passes.
    pub limits: Limits,
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tape is never overwritten.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The directory of the file is missing.
    #[error("the directory of `{}` does not exist", path.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be created, or not even its first line written.
    #[error("cannot write `{}`", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no key for the tokens.
    #[error("the operating system gives no random bytes")]
    NoRandomness(#[source] io::Error),
    /// A fault in this program; the tape ends before it. The words of the panic are left out: they may hold what was said.
    #[error("the writer of the tape failed")]
    Writer,
}

impl Error {
    /// What to do about it, if anything can be done.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => {
                Some("give another file name, or move the old tape away: tapes are never overwritten")
            }
            Self::NoDirectory { .. } => Some("create the directory first"),
            Self::Create { .. } => Some("check permissions and space, or give another file name"),
            Self::NoRandomness(_) | Self::Writer => None,
        }
    }
}

/// What a recording came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Connections of clients.
    pub connections: u64,
    /// HTTP requests, upgrades left out.
    pub exchanges: u64,
    /// Upgrade requests.
    pub sockets: u64,
    /// Bayeux messages on the tape.
    pub messages: u64,
    /// Length of the tape.
    pub bytes: u64,
    /// Bodies that were too large, and directions of sockets that could not be decoded. Each is marked on the tape.
    pub gaps: u64,
    /// Units that passed and are not on the tape, since the disk was too slow or failed.
    pub lost: u64,
    /// What the disk said when it failed; the tape ends there.
    pub failed: Option<String>,
}

impl Summary {
    /// Whether everything that passed is on the tape.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.gaps == 0 && self.lost == 0 && self.failed.is_none()
    }
}

/// An open tape, and what is needed to fill it.
pub struct Recorder {
    clock: Clock,
    limits: Limits,
    writer: Writer,
}

impl Recorder {
    /// Creates the file, readable by its owner alone, and writes the header.
    ///
    /// # Errors
    ///
    /// [`Error`] if the file exists, or cannot be created or written.
    pub fn create(config: Config) -> Result<Self, Error> {
        let path = config.output.clone();
        let file = open(&config.output).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
            io::ErrorKind::NotFound => Error::NoDirectory { path: path.clone() },
            _ => Error::Create { path: path.clone(), source },
        })?;
        Self::on(Box::new(file), config).inspect_err(|_| {
            // A file without a header would only stand in the way of the next attempt.
            let _ = std::fs::remove_file(&path);
        })
    }

    fn on(disk: Box<dyn Disk>, config: Config) -> Result<Self, Error> {
        let key = match config.key {
            Some(key) => key,
            None => Key::from_bytes(clock::random().map_err(Error::NoRandomness)?),
        };
        let id = u128::from_ne_bytes(clock::random().map_err(Error::NoRandomness)?);
        let described = capture::Config {
            version: config.version,
            git: config.git,
            start: (config.rfc3339)(config.clock.start_utc()),
            id: format!("{id:032x}"),
            key,
            source: Source::Proxy,
            scenario: None,
            seed: None,
            env: config.env,
        };
        let (capture, header) = Capture::shifting(described, config.keep, config.shift);
        let writer = Writer::begin(disk, capture, &header, config.clock, config.rfc3339)
            .map_err(|source| Error::Create { path: config.output, source })?;
        Ok(Self { clock: config.clock, limits: config.limits, writer })
    }

    /// Forwards everything to the origin that `upstream` leads to and records it, until `shutdown` is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Writer`] only: a disk that fails ends the tape, not the traffic, and is told in the summary.
    pub async fn run(
        self,
        listener: Listener,
        upstream: Route,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Summary, Error> {
        let (proxy, events) = Proxy::new(listener, upstream, self.clock, self.limits);
        let writer = self.writer;
        let writing = tokio::task::spawn_blocking(move || writer.run(&events));
        proxy.run(shutdown).await;
        writing.await.map_err(|_| Error::Writer)
    }
}

#[cfg(unix)]
fn open(path: &std::path::Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn open(path: &std::path::Path) -> io::Result<File> {
    tracing::warn!("on this system others may be able to read the tape");
    OpenOptions::new().append(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests;
