//! What the commands that touch the network share: runtime, signals, seeds, and the first line of whoever listens.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use recording::capture::{Config, Source};
use recording::redaction::Shift;
use recording::token::Key;
use transport::clock;
use transport::listener::CannotListen;

use crate::exit::Failure;

/// What `--version` says.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("TAPESTRY_COMMIT"), ", tape format 1.1)");

/// The runtime of a command. One thread: what the commands do is small, and its order is the same each time.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")
        .map_err(Failure::internal)
}

/// The wish that the program end, by SIGINT or SIGTERM. Made before anybody learns that the program runs, so that no wish is
/// missed.
pub(crate) struct Stop {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    /// Begins to listen for signals. To be called within the runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind| signal(kind).context("failed to listen for signals").map_err(Failure::internal);
            Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Is ready when the program is asked to end.
    pub(crate) async fn asked(mut self) {
        self.wait().await;
    }

    /// Is ready when the program is asked to end, each time anew. Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            // Without signals only the end of the process is left.
            std::future::pending::<()>().await;
        }
    }
}

/// The seed that was given, or one that nobody can guess.
pub(crate) fn seed(given: Option<u64>) -> Result<u64, Failure> {
    match given {
        Some(seed) => Ok(seed),
        None => {
            let bytes = clock::random::<8>().context("failed to draw a seed").map_err(Failure::internal)?;
            Ok(u64::from_le_bytes(bytes))
        }
    }
}

/// A random amount by which wall times are moved, if they are to be.
pub(crate) fn shift(wanted: bool) -> Result<Option<Shift>, Failure> {
    let draw = || clock::random::<8>().context("failed to draw an amount of time").map_err(Failure::internal);
    wanted.then(|| Ok(Shift::from_bits(u64::from_le_bytes(draw()?)))).transpose()
}

/// What the header of a tape says: a random key and name, and nothing of scenario, seed or environment.
pub(crate) fn label(start: String, source: Source) -> Result<Config, Failure> {
    let draw = || -> std::io::Result<([u8; 32], [u8; 16])> { Ok((clock::random()?, clock::random()?)) };
    let (key, id) = draw().context("failed to draw a key").map_err(Failure::internal)?;
    Ok(Config {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git: env!("TAPESTRY_COMMIT").to_owned(),
        start,
        id: format!("{:032x}", u128::from_ne_bytes(id)),
        key: Key::from_bytes(key),
        source,
        scenario: None,
        seed: None,
        env: BTreeMap::new(),
    })
}

/// Says where a command listens: the first line on stdout, flushed, so that scripts can wait for it.
pub(crate) fn announce(url: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    writeln!(out, "listening on {url}")
        .and_then(|()| out.flush())
        .context("failed to write to stdout")
        .map_err(Failure::internal)
}

/// A moment in milliseconds since the epoch as RFC 3339 text in UTC.
pub(crate) fn rfc3339(utc: i64) -> String {
    jiff::Timestamp::from_millisecond(utc).unwrap_or_default().to_string()
}

/// A listener could not be opened: a busy port, mostly.
pub(crate) fn cannot_listen(error: CannotListen) -> Failure {
    Failure::usage(error)
        .hint("choose another address with `--listen`, such as `127.0.0.1:8080`; port 0 takes any free one")
}
