//! `cargo bench --bench record`: what the recorder costs, beside a direct connection and mitmproxy in the same run.
//!
//! A load of WebSocket and of long-polling sessions goes to a counting server directly, through `tapestry record`, and through
//! `mitmdump --mode reverse:URL -w FILE`, which writes down what passes as well. `mitmdump` is found on `PATH` or through
//! `TAPESTRY_MITMDUMP`; without it its rows are dashes. `TAPESTRY_BENCH_SECONDS` says how long each measurement takes, an
//! argument such as `WebSocket/100` or `tapestry` which rows are measured. What comes out depends on the machine, so nothing is
//! asserted but that messages arrive.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to whoever started it")]

#[path = "../../../../tests/load/account.rs"]
mod account;
#[path = "../../../../tests/load/client.rs"]
mod client;
#[path = "../../src/descriptors.rs"]
mod descriptors;
#[path = "../../../../tests/load/http.rs"]
mod http;
#[path = "../../../../tests/load/process.rs"]
mod process;
#[path = "../../../../tests/load/server.rs"]
mod server;
mod table;
mod way;

use std::time::Duration;

use anyhow::{Context, Result};

use self::client::{Carrier, Plan};
use self::server::Server;
use self::table::{Measured, Row};
use self::way::Way;

/// How many sessions are open at once.
const SESSIONS: [u64; 3] = [1, 100, 1_000];

/// Messages in a second of all sessions together while latency is measured: far below what any of the ways can carry.
const RATE: u32 = 200;

/// How much longer than planned a measurement may take, before its row is dashes.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    descriptors::raise();
    let seconds = std::env::var("TAPESTRY_BENCH_SECONDS").ok();
    let seconds =
        seconds.map_or(Ok(5), |text| text.parse()).context("TAPESTRY_BENCH_SECONDS is a number of seconds")?;
    // Cargo adds a flag of its own.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let ways = Way::all();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let server = Server::start().await?;
        println!("{}", table::head(RATE));
        for carrier in [Carrier::WebSocket, Carrier::LongPolling] {
            for sessions in SESSIONS {
                let mut direct = None;
                for way in &ways {
                    if !format!("{carrier}/{sessions}/{}", way.name()).contains(&wanted) {
                        continue;
                    }
                    let measuring = measure(&server, way, carrier, sessions, Duration::from_secs(seconds));
                    let measured = tokio::time::timeout(Duration::from_secs(2 * seconds) + PATIENCE, measuring).await;
                    let measured = measured.context("not done in time").flatten().unwrap_or_else(|error| {
                        eprintln!("{}, {sessions} sessions over {carrier}: {error:#}", way.name());
                        None
                    });
                    println!(
                        "{}",
                        Row {
                            carrier,
                            sessions,
                            way: way.name(),
                            measured: measured.as_ref(),
                            direct: direct.as_ref()
                        }
                    );
                    if matches!(way, Way::Direct) {
                        direct = measured;
                    }
                }
            }
        }
        Ok(())
    })
}

/// Latency at a low rate, then how much passes at most; `None` if there is no such way here.
async fn measure(
    server: &Server,
    way: &Way,
    carrier: Carrier,
    sessions: u64,
    time: Duration,
) -> Result<Option<Measured>> {
    let Some(open) = way.open(&server.authority())? else { return Ok(None) };
    let full = Plan { carrier, sessions, messages: u64::MAX, time, rate: None };
    // What is loaded or compiled on first use does not count.
    client::run(&open.authority, Plan { sessions: sessions.min(10), messages: 20, ..full }).await?;
    let paced = client::run(&open.authority, Plan { rate: Some(RATE), ..full }).await?;
    let full = client::run(&open.authority, full).await?;
    server.take();
    let round_trips = full.round_trips.len() as f64 / full.took.as_secs_f64();
    Ok(Some(Measured::new(paced.round_trips, round_trips, open.close()?)))
}
