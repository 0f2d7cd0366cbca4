//! The recorder: a capturing proxy that writes a tape while traffic flows.
//!
//! [`Recorder::create`] opens the file, [`Recorder::run`] puts [`transport::proxy`] in front of an upstream and writes what it
//! sees. Forwarding comes first: a full disk, or one that stands still, costs lines on the tape, never traffic, and the tape
//! and the [`Summary`] say so. Traffic is slowed only where it would outrun a recorder that works. Everything passes
//! [`recording::capture`], which redacts, before it reaches the disk. A recording can go
//! over several files, one after the other ([`Recorder::in_parts`]) or one for each session ([`Recorder::by_session`]): for
//! that, and for nothing else, messages are read here. Nothing here judges one.

mod disk;
mod file;
mod sheet;
mod tally;
mod writer;
mod one;
mod router;
mod split;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::chat::files::is_target;
use recording::capture::{self, Capture, Source};
use recording::redaction::{Keep, Shift};
use recording::token::Key;
use tokio::sync::oneshot;
use transport::clock::{self, Clock};
use transport::listener::Listener;
use transport::proxy::{Limits, Proxy};
use transport::route::Route;

pub use self::disk::{Disk, SYNC_WITHIN};
pub use self::one::Every;
use self::one::{One, Parts};
use self::router::Router;
use self::sheet::{Sheet, Times};
use self::split::Split;
use self::tally::Tally;
pub use self::tally::{Ends, Limit, Progress, Status, Summary};
use self::writer::Writer;

/// What a recording is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file; it must not exist yet. Several are named after it.
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
    /// A tape is looked at again while it is written, so it has to be a file.
    #[error("`-` is no file: a tape is not written to the standard output")]
    NoStdout,
    /// Something else has that name.
    #[error("`{}` is there and is no file", path.display())]
    NoFile {
        /// What it is called.
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
            Self::NoStdout => Some("give a file name such as chat.tape.jsonl; `./-` if it is to be called that"),
            Self::NoFile { .. } => Some("give the name of a file that does not exist yet, such as chat.tape.jsonl"),
            Self::NoDirectory { .. } => Some("create the directory first"),
            Self::Create { .. } => Some("check permissions and space, or give another file name"),
            Self::NoRandomness(_) | Self::Writer => None,
        }
    }
}

/// An open tape, and what is needed to fill it.
pub struct Recorder {
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
        file::check(&config.output)?;
        let (capture, header) = Capture::shifting(described(&config)?, config.keep, config.shift);
        let sheet = Sheet::create(&config.output, capture, &header)?;
        Ok(Self::with(sheet, &config, config.output.clone(), None))
    }

    /// Records into one file after the other: `chat.0001.tape.jsonl` and so on beside `chat.tape.jsonl`, which is not made.
    /// Each is a tape; [`recording::join`] makes one of them.
    ///
    /// # Errors
    ///
    /// [`Error`] if any such file exists, or the first cannot be created or written.
    pub fn in_parts(config: Config, every: Every) -> Result<Self, Error> {
        file::check(&config.output)?;
        let is_number = |word: &str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(path) = file::taken(&config.output, is_number) {
            return Err(Error::Exists { path });
        }
        let path = Parts::path(&config.output, 1);
        let (capture, header) = Capture::in_parts(described(&config)?, config.keep, config.shift);
        let sheet = Sheet::create(&path, capture, &header)?;
        let parts = Parts::new(&config.output, every);
        Ok(Self::with(sheet, &config, path, Some(parts)))
    }

    /// Records each browser session into a file of its own: `chat.session-0001.tape.jsonl` and so on beside `chat.tape.jsonl`,
    /// which is not made, and into `chat.other.tape.jsonl` what belongs to no session.
    ///
    /// # Errors
    ///
    /// [`Error`] if any such file exists or none can be created.
    pub fn by_session(config: Config) -> Result<Self, Error> {
        file::check(&config.output)?;
        let mut tally = Tally::new(Times { clock: config.clock, rfc3339: config.rfc3339 });
        let mut described = described(&config)?;
        described.env.insert("split".to_owned(), "session".to_owned());
        let router = Router::new(Key::from_bytes(clock::random().map_err(Error::NoRandomness)?));
        let split = Split::begin(config.output, described, (config.keep, config.shift), router, &mut tally)?;
        let writer = Writer { tapes: Box::new(split), tally, ends: Ends::default() };
        Ok(Self { limits: config.limits, writer })
    }

    /// Goes on with a tape that holds its header alone.
    fn with(sheet: Sheet, config: &Config, path: PathBuf, parts: Option<Parts>) -> Self {
        let mut tally = Tally::new(Times { clock: config.clock, rfc3339: config.rfc3339 });
        tally.summary.bytes = sheet.written();
        tally.summary.tapes.push(path);
        let writer = Writer { tapes: Box::new(One::new(sheet, parts)), tally, ends: Ends::default() };
        Self { limits: config.limits, writer }
    }

    /// Ends by itself, as if it were stopped, once one of the limits is reached. Time runs from the start of the clock.
    #[must_use]
    pub fn until(mut self, ends: Ends) -> Self {
        self.writer.ends = ends;
        self
    }

    /// How the recording stands, for whoever watches it.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.writer.tally.progress)
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
        let clock = self.writer.tally.times.clock;
        let (proxy, events) = Proxy::new(listener, upstream, clock, Limits { is_file: is_target, ..self.limits });
        let writer = self.writer;
        let (full, reached) = oneshot::channel();
        let writing = tokio::task::spawn_blocking(move || writer.run(&events, full));
        let ended = async {
            tokio::select! {
                () = shutdown => {}
                Ok(()) = reached => {}
            }
        };
        proxy.run(ended).await;
        writing.await.map_err(|_| Error::Writer)
    }
}

/// What the header of a tape says.
fn described(config: &Config) -> Result<capture::Config, Error> {
    let key = match &config.key {
        Some(key) => key.clone(),
        None => Key::from_bytes(clock::random().map_err(Error::NoRandomness)?),
    };
    let id = u128::from_ne_bytes(clock::random().map_err(Error::NoRandomness)?);
    Ok(capture::Config {
        version: config.version.clone(),
        git: config.git.clone(),
        start: (config.rfc3339)(config.clock.start_utc()),
        id: format!("{id:032x}"),
        key,
        source: Source::Proxy,
        scenario: None,
        seed: None,
        env: config.env.clone(),
    })
}

#[cfg(test)]
mod tests;
