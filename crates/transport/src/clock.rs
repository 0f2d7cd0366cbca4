//! The one clock of a live run, and the one source of real randomness.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::time::Time;

/// A monotonic clock that starts at [`Time::ZERO`], together with the wall time of that moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall: Duration,
}

impl Clock {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// The wall time at [`Time::ZERO`], in milliseconds since the epoch.
    #[must_use]
    pub fn start_utc(&self) -> i64 {
        i64::try_from(self.wall.as_millis()).unwrap_or(i64::MAX)
    }

    /// The wall time now, in microseconds since the epoch, and by how much it has moved against this clock since the start:
    /// more than a little if somebody set it, or if the machine slept.
    #[must_use]
    pub fn wall(&self) -> (i64, i64) {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let wall = micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        (wall, wall - micros(self.wall + self.started.elapsed()))
    }

    /// The instant of a moment, for the runtime's timers.
    #[must_use]
    pub fn instant(&self, at: Time) -> tokio::time::Instant {
        let after = at.since(Time::ZERO);
        // A moment beyond what the platform can express is as good as never.
        let far = Duration::from_secs(365 * 24 * 3_600);
        tokio::time::Instant::from_std(self.started + after.min(far))
    }
}

/// Bytes that nobody can guess, for keys and names of live runs.
///
/// # Errors
///
/// The operating system's, if it has no randomness to give.
pub fn random<const N: usize>() -> Result<[u8; N], std::io::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
