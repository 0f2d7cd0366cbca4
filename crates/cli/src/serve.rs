//! `tapestry serve`: the simulator behind a real listener.

mod control;
mod mutations;
mod options;

use std::future::pending;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;

use anyhow::Context;
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::server::Cors;
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use simulator::gms::{Agent, Event, Settings};
use simulator::mutation::Mutation;
use simulator::scenario::{self, Scenario, Setup};
use tokio::task::JoinHandle;
use transport::clock::Clock;
use transport::driver;
use transport::endpoint::{Endpoint, InvalidEndpoint, Scheme};
use transport::listener;
use transport::server::Server;
use transport::tap::Tap;
use transport::tls::Identity;

use self::control::Control;
pub(crate) use self::mutations::Served;
use crate::exit::{Exit, Failure};
use crate::live::Stop;
use crate::{descriptors, files, input, live, memory, output};

/// Run the GMS simulator: CometD, Chat Server and an agent who joins, greets, answers, and closes on `bye`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Path of the CometD servlet.
    #[arg(long, value_name = "PATH", default_value = "/genesys/cometd", value_parser = input::base)]
    base: String,
    /// PEM file with the certificate to show, and behind it those that lead to its authority; it speaks `https` then.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Origin whose web pages may talk to it (CORS), such as `https://shop.example`; `*` for any. May be repeated.
    #[arg(long = "cors", value_name = "ORIGIN", value_parser = input::origin)]
    cors: Vec<String>,
    /// Origin whose web pages may open a WebSocket, `*` for any; without, every page may. May be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = input::origin)]
    web_socket_origin: Vec<String>,
    /// Name of the chat service; its channel is `/service/chatV2/NAME`.
    #[arg(long, value_name = "NAME", default_value = "customer-support", value_parser = input::service)]
    service: String,
    /// Generation of CometD servers to behave like.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "cometd-3.1",
        value_parser = PossibleValuesParser::new(Dialect::names())
            .try_map(|name| Dialect::by_name(&name).map(Box::new).ok_or("no such profile"))
    )]
    profile: Box<Dialect>,
    /// Option of CometD to set, under its own name. May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<String>,
    /// Extension of CometD to install: `ack`, `timestamp`, `timesync` or `activity=MILLISECONDS`. May be repeated.
    #[arg(long = "extension", value_name = "NAME")]
    extensions: Vec<String>,
    /// List the options that the profile has, and end.
    #[arg(long)]
    list_options: bool,
    /// Set the server up to show one rule of the API, and let happen what belongs to it.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "script",
        hide_possible_values = true,
        value_parser = PossibleValuesParser::new(scenario::ALL.iter().map(|scenario| scenario.name))
            .try_map(|name| Scenario::by_name(&name).ok_or("no such scenario"))
    )]
    scenario: Option<Scenario>,
    /// List the scenarios and end.
    #[arg(long)]
    list_scenarios: bool,
    /// A file that says what agents do and what befalls the server, in place of the usual agent; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Second address, on this machine alone, at which a program lets agents act and things befall the server:
    /// `POST /agent`, `POST /server`, `GET /chats`.
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<String>,
    /// Who plays the agent: `scripted`, or with `--control` `manual`, unless said otherwise.
    #[arg(long, value_enum, value_name = "WHO", conflicts_with_all = ["script", "scenario"])]
    agent: Option<AgentKind>,
    /// Do one thing wrong, to see what notices it: a mutation by its name. Some show in the first sessions alone.
    #[arg(long, value_name = "NAME")]
    mutation: Option<String>,
    /// List the mutations, with the requirements that each breaks, and end.
    #[arg(long)]
    list_mutations: bool,
    /// Seed of ids and keys; drawn at random unless given.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AgentKind {
    /// The usual agent joins by itself, greets, answers, and closes on `bye`.
    Scripted,
    /// No agent does anything by itself.
    Manual,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    let dialect = dialect(args)?;
    if args.list_options {
        output::print(&options::list(&dialect))?;
        return Ok(Exit::Success);
    }
    if args.list_scenarios {
        return list();
    }
    if args.list_mutations {
        output::print(&mutations::list())?;
        return Ok(Exit::Success);
    }
    let mutation = args.mutation.as_deref().map(mutations::find).transpose()?;
    let setup = setup(args)?;
    let seed = live::seed(args.seed)?;
    let identity = identity(args)?;
    let settings = Settings {
        base: args.base.clone(),
        dialect,
        over_tls: identity.is_some(),
        web_socket_origins: (!args.web_socket_origin.is_empty()).then(|| args.web_socket_origin.clone()),
        cors: (!args.cors.is_empty()).then(|| Cors { origins: args.cors.clone() }),
        ..Settings::new(&args.service)
    };
    let settings = match setup {
        Some(setup) => setup.apply(settings),
        None if plays_manually(args) => Settings { agent: Agent::Manual, ..settings },
        None => settings,
    };
    descriptors::raise();
    live::runtime()?.block_on(async {
        let stop = Stop::listen()?;
        let mut simulator = Simulator::listen(&args.listen, settings, mutation, identity, seed).await?;
        if let Some(address) = &args.control {
            simulator.control = Some(Control::listen(address).await?);
        }
        live::announce(&simulator.url)?;
        if let Some(control) = &simulator.control {
            output::print(&format!("control on {}\n", control.url()))?;
        }
        let profile = &args.profile.name;
        let wrong = mutation.map(|mutation| format!(", mutation {}", mutation.name)).unwrap_or_default();
        let _ = writeln!(
            anstream::stderr(),
            "service {}, profile {profile}{wrong}, seed {seed}; end with Ctrl-C",
            args.service
        );
        simulator.run(&mut Log, stop.asked()).await;
        Ok(Exit::Success)
    })
}

/// Whether no agent is to do anything by itself: whoever asks for control plays the agent.
fn plays_manually(args: &Args) -> bool {
    let unless_said = if args.control.is_some() { AgentKind::Manual } else { AgentKind::Scripted };
    args.agent.unwrap_or(unless_said) == AgentKind::Manual
}

/// Who the simulator is, if it is to speak TLS.
fn identity(args: &Args) -> Result<Option<Identity>, Failure> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let hint = "`--tls-cert` takes a certificate and `--tls-key` its key, both in PEM form";
    Identity::read(certificate, key).map(Some).map_err(|error| Failure::usage(error).hint(hint))
}

/// The profile with the options that were set and its extensions.
fn dialect(args: &Args) -> Result<Dialect, Failure> {
    let mut dialect = Dialect::clone(&args.profile);
    for option in &args.options {
        options::set(&mut dialect, option)?;
    }
    for extension in &args.extensions {
        options::extend(&mut dialect, extension)?;
    }
    Ok(dialect)
}

/// Tells the names of the scenarios and what each shows.
fn list() -> Result<Exit, Failure> {
    let width = scenario::ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for scenario in scenario::ALL {
        let about = scenario.setup().map_err(Failure::internal)?.about;
        text.push_str(&format!("{:width$}  {about}\n", scenario.name));
    }
    // A reader who has seen enough may leave.
    let _ = anstream::stdout().write_all(text.as_bytes());
    Ok(Exit::Success)
}

/// How a scenario or a script wants the server, if there is one.
fn setup(args: &Args) -> Result<Option<Setup>, Failure> {
    if let Some(scenario) = args.scenario {
        return scenario.setup().map(Some).map_err(Failure::internal);
    }
    let Some(path) = &args.script else { return Ok(None) };
    let named = || format!("failed to read the script `{}`", path.display());
    let setup = files::read_text(path)?.parse().with_context(named);
    let hint = "a line is such as `0.300 join Morgan`, `2.000 say Hello`, `on bye +0.200 end` or `set index-gaps true`";
    setup.map(Some).map_err(|error| Failure::usage(error).hint(hint))
}

/// The simulator on a listener.
struct Simulator {
    served: Served,
    carrier: Server,
    control: Option<Control>,
    clock: Clock,
    url: String,
}

impl Simulator {
    async fn listen(
        address: &str,
        settings: Settings,
        mutation: Option<&Mutation>,
        identity: Option<Identity>,
        seed: u64,
    ) -> Result<Self, Failure> {
        let listener = listener::bind(address).await.map_err(live::cannot_listen)?;
        let clock = Clock::start();
        let settings = Settings { start_utc: clock.start_utc(), ..settings };
        let scheme = if identity.is_some() { Scheme::Https } else { Scheme::Http };
        let url = format!("{}://{}{}", scheme.name(), listener.local_addr(), settings.base);
        let carrier = match identity {
            Some(identity) => Server::start_secure(listener, settings.body_limit(), identity),
            None => Server::start(listener, settings.body_limit()),
        };
        Ok(Self { served: Served::new(settings, mutation, seed), carrier, control: None, clock, url })
    }

    async fn run(&mut self, tap: &mut impl Tap<Event>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let (control, mut asked) = (&mut self.control, None);
            let wait = async {
                tokio::select! {
                    biased;
                    () = &mut stop => {}
                    wire = control::receive(control) => asked = Some(wire),
                }
            };
            driver::run(&mut self.served, Side::Server, &self.clock, &mut self.carrier, tap, wait).await;
            let (Some(wire), Some(control)) = (asked, &mut self.control) else { return };
            control.obey(&mut self.served, self.clock.now(), wire);
        }
    }
}

/// A simulator in the background of another command. Dropping it ends it.
pub(crate) struct Embedded {
    /// Where it listens.
    pub(crate) endpoint: Endpoint,
    /// Where its agent can be asked for something.
    pub(crate) control: Endpoint,
    running: JoinHandle<()>,
}

impl Embedded {
    /// Starts it on any free port of this machine. To be called on a local set.
    pub(crate) async fn start(service: &str, seed: u64) -> Result<Self, Failure> {
        let mut simulator = Simulator::listen("127.0.0.1:0", Settings::new(service), None, None, seed).await?;
        let control = Control::listen("127.0.0.1:0").await?;
        let parsed = |url: &str| url.parse().map_err(|error: InvalidEndpoint| Failure::internal(error));
        let (endpoint, control_at) = (parsed(&simulator.url)?, parsed(&control.url())?);
        simulator.control = Some(control);
        let running = tokio::task::spawn_local(async move { simulator.run(&mut Unseen, pending()).await });
        Ok(Self { endpoint, control: control_at, running })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Nobody looks on.
struct Unseen;

impl Tap<Event> for Unseen {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, _: Time, _: Event) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
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
