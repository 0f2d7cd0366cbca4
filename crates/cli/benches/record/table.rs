//! What was measured, as a table in Markdown.

use std::fmt;
use std::time::Duration;

use crate::client::Carrier;
use crate::way::Recorded;

/// One way at one number of sessions.
pub(crate) struct Measured {
    /// At half, nine tenths and ninety-nine hundredths of the round trips.
    latency: [Duration; 3],
    /// Round trips in a second at most.
    throughput: f64,
    /// Of the proxy, if there is one.
    recorded: Option<Recorded>,
}

impl Measured {
    pub(crate) fn new(mut round_trips: Vec<Duration>, throughput: f64, recorded: Option<Recorded>) -> Self {
        round_trips.sort_unstable();
        let at = |hundredths: usize| {
            let position = (round_trips.len() * hundredths).div_ceil(100);
            round_trips.get(position.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { latency: [at(50), at(90), at(99)], throughput, recorded }
    }
}

pub(crate) fn head(rate: u32) -> String {
    format!(
        "latency in milliseconds at {rate} messages a second in all; round trips a second with each session at full speed\n\n\
         | Carrier | Sessions | Way | p50 | p90 | p99 | added p50 | added p99 | round trips/s | of direct | peak MiB | all recorded |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|"
    )
}

/// A row of the table; without a measurement its cells are dashes.
pub(crate) struct Row<'a> {
    pub(crate) carrier: Carrier,
    pub(crate) sessions: u64,
    pub(crate) way: &'static str,
    pub(crate) measured: Option<&'a Measured>,
    pub(crate) direct: Option<&'a Measured>,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} | {} |", self.carrier, self.sessions, self.way)?;
        let Some(Measured { latency, throughput, recorded }) = self.measured else {
            return f.write_str(" – | – | – | – | – | – | – | – | – |");
        };
        for time in latency {
            write!(f, " {:.2} |", milliseconds(*time))?;
        }
        match self.direct {
            Some(direct) => {
                for position in [0, 2] {
                    write!(f, " {:+.2} |", milliseconds(latency[position]) - milliseconds(direct.latency[position]))?;
                }
                write!(f, " {throughput:.0} | {:.2} |", throughput / direct.throughput)?;
            }
            None => write!(f, " | | {throughput:.0} | |")?,
        }
        let Some(Recorded { peak, complete }) = recorded else { return f.write_str(" | |") };
        let peak = peak.map_or_else(|| "–".to_owned(), |peak| (peak >> 10).to_string());
        write!(f, " {peak} | {} |", if *complete { "yes" } else { "no" })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
