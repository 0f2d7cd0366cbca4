//! `tapestry serve`: the simulator behind a real listener.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use protocol::bayeux::dialect::Dialect;
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use simulator::gms::{Event, Gms, Settings};
use transport::clock::Clock;
use transport::driver;
use transport::server::{self, Server};
use transport::tap::Tap;

use crate::exit::{Exit, Failure};
use crate::{input, live};

/// Run the GMS simulator: CometD, Chat Server and an agent who joins, greets, answers, and closes on `bye`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Name of the chat service; its channel is `/service/chatV2/NAME`.
    #[arg(long, value_name = "NAME", default_value = "customer-support", value_parser = input::service)]
    service: String,
    /// Generation of CometD servers to behave like.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cometd-3.1",
        value_parser = PossibleValuesParser::new(Dialect::names())
    )]
    profile: String,
    /// Seed of ids and keys; drawn at random unless given.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let seed = live::seed(args.seed)?;
    live::runtime()?.block_on(async {
        let listener = server::bind(&args.listen).await.map_err(live::cannot_listen)?;
        let clock = Clock::start();
        let dialect = Dialect::by_name(&args.profile).context("no such profile").map_err(Failure::usage)?;
        let settings = Settings { start_utc: clock.start_utc(), dialect, ..Settings::new(&args.service) };
        let mut carrier =
            Server::start(listener, settings.limits.bytes).context("failed to listen").map_err(Failure::internal)?;
        live::announce(&format!("http://{}{}", carrier.address(), settings.base))?;
        let _ = writeln!(
            anstream::stderr(),
            "service {}, profile {}, seed {seed}; end with Ctrl-C",
            args.service,
            args.profile
        );
        let mut gms = Gms::new(settings, seed);
        driver::run(&mut gms, Side::Server, &clock, &mut carrier, &mut Log, live::asked_to_end()).await;
        Ok(Exit::Success)
    })
}

/// One line on stderr for each thing that happens.
struct Log;

impl Tap<Event> for Log {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, now: Time, event: Event) -> ControlFlow<()> {
        // A log that nobody reads must not end the service.
        let _ = writeln!(anstream::stderr(), "{:>9} {event}", now.to_string());
        ControlFlow::Continue(())
    }
}
