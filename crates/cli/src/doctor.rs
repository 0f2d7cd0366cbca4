//! `tapestry doctor`: what a target is, and what is wrong with its set-up.

mod reach;

use std::io::Write;
use std::ops::ControlFlow;

use ::conformance::doctor::finding::{self, Finding, Kind};
use ::conformance::doctor::{Diagnosis, Doctor, Event, Setup, json, text};
use clap::ValueEnum;
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver;
use transport::fields::Fields;
use transport::route::Route;
use transport::tap::Tap;

use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::{self, Header};
use crate::live::{self, Stop};
use crate::output;
use crate::target::{ConfigArgs, Name, NameParser, Overrides};

pub(crate) use self::reach::kind_of;

/// Find out what a server is, and what is wrong with the way to it, before anything is judged.
///
/// It opens no chat unless `--open-chat` says so. It ends with 0 if the suite and chat clients can work with the server, with
/// 3 if something does not work that chats need, and with 4 if nothing does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the server's CometD servlet, or the name of a target in `tapestry.toml`.
    #[arg(long, value_name = "URL|NAME", value_parser = NameParser)]
    target: Name,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Header field for every request, its value from the environment. May be repeated.
    #[arg(long = "header", value_name = "NAME=${VARIABLE}", value_parser = input::HeaderParser)]
    headers: Vec<Header>,
    /// Name of a chat service; without one nothing is asked about chats.
    #[arg(long, value_name = "NAME", env = "TAPESTRY_SERVICE", hide_env_values = true, value_parser = input::service)]
    service: Option<String>,
    /// Open a chat on the service, and end it at once.
    #[arg(long)]
    open_chat: bool,
    /// How to tell what was found.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let given = Overrides { trust: &args.trust, headers: &args.headers, service: args.service.as_deref() };
    let target = args.config.resolve(&args.target, &given)?;
    if args.open_chat && target.service.is_none() {
        let error = anyhow::anyhow!("`--open-chat` needs a service to open a chat on");
        return Err(Failure::usage(error).hint("name a test service with `--service NAME`"));
    }
    let way = Way { route: target.route()?, fields: target.fields()?, service: target.service.clone() };
    let asked = Asked { thorough: true, opens_chat: args.open_chat, declares_web_socket: target.declares_web_socket() };
    let seed = live::seed(None)?;
    let diagnosis = live::runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        Ok::<_, Failure>(examine(&way, &asked, seed, &mut stop).await)
    })?;
    let Some(diagnosis) = diagnosis else {
        let _ = writeln!(anstream::stderr(), "interrupted");
        return Ok(Exit::Interrupted);
    };
    let name = target.to_string();
    match args.format {
        Format::Text => output::print(&text(&diagnosis, &name, way.service.as_deref()))?,
        Format::Json => output::print_json(&json(&diagnosis, &name, way.service.as_deref()))?,
    }
    Ok(Exit::from_code(diagnosis.exit()))
}

/// A target, as far as the doctor must know it.
pub(crate) struct Way {
    pub(crate) route: Route,
    pub(crate) fields: Fields,
    pub(crate) service: Option<String>,
}

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Whether to wait and see how connects are held.
    pub(crate) thorough: bool,
    /// Whether to open a chat.
    pub(crate) opens_chat: bool,
    /// Whether somebody said that the target has WebSocket.
    pub(crate) declares_web_socket: bool,
}

/// Examines a target: the way to it first, then what answers there. When it is asked to stop, it ends its chat and leaves its
/// sessions, and gives nothing; when it is asked again, it stops at once.
pub(crate) async fn examine(way: &Way, asked: &Asked, seed: u64, stop: &mut Stop) -> Option<Diagnosis> {
    let reached = tokio::select! {
        biased;
        () = stop.wait() => return None,
        reached = reach::reach(&way.route) => reached,
    };
    if reached.refusal().is_some() {
        return Some(reached);
    }
    let endpoint = way.route.endpoint();
    let clock = Clock::start();
    let setup = Setup {
        base: endpoint.path.clone(),
        host: endpoint.host.clone(),
        origin: endpoint.origin(),
        secure: endpoint.is_secure(),
        service: way.service.clone(),
        thorough: asked.thorough,
        opens_chat: asked.opens_chat,
        start_utc: clock.start_utc(),
    };
    let mut doctor = Doctor::new(setup, reached, seed);
    let mut connections = Connections::new(way.route.clone(), way.fields.clone());
    let mut tap = Told::default();
    let ended = driver::run(&mut doctor, Side::Client, &clock, &mut connections, &mut tap, stop.wait()).await;
    if ended == driver::Ended::Stopped {
        doctor.cut_short(clock.now());
        driver::run(&mut doctor, Side::Client, &clock, &mut connections, &mut tap, stop.wait()).await;
        tell_of_chat(&tap);
        return None;
    }
    let mut diagnosis = tap.diagnosis.unwrap_or_default();
    let kind = diagnosis.refusal().map(|finding| finding.kind);
    if kind.is_some_and(may_want_tls) && reach::speaks_tls(endpoint).await {
        let seen = "requests without TLS are not answered, and a TLS handshake succeeds";
        let better = format!("begin the URL with `https://`: `{}`", reach::secure(endpoint));
        diagnosis.findings.retain(|finding| Some(finding.kind) != kind);
        diagnosis.find(Finding::new(&finding::TLS_WANTED, seen).remedied(better));
    }
    if asked.declares_web_socket && diagnosis.findings.iter().any(|found| *found.kind == finding::NO_WEBSOCKET) {
        let seen = "`transports` names `websocket`, and the server does not offer it";
        diagnosis.find(Finding::new(&finding::WEBSOCKET_DECLARED, seen));
    }
    Some(diagnosis)
}

/// Says whether an examination that was interrupted leaves a chat behind. Without a diagnosis it had no time to end one.
fn tell_of_chat(told: &Told) {
    let says = match &told.diagnosis {
        None if told.opens_chat => "there was no time to end the chat that was opened",
        None => return,
        Some(diagnosis) => match diagnosis.findings.iter().find(|found| *found.kind == finding::CHAT_LEFT_OPEN) {
            Some(found) => &found.seen,
            None => return,
        },
    };
    let remedy = finding::CHAT_LEFT_OPEN.remedy;
    let _ = writeln!(anstream::stderr(), "{}: {says}\n\nhint: {remedy}", finding::CHAT_LEFT_OPEN.id);
}

/// Whether a server that wants TLS could look like this to a client without.
fn may_want_tls(kind: &'static Kind) -> bool {
    [&finding::MUTE, &finding::HANGS_UP, &finding::NOT_HTTP, &finding::ODD_STATUS, &finding::PAGE].contains(&kind)
}

/// Waits for the end; tells of a chat before it is opened.
#[derive(Default)]
struct Told {
    diagnosis: Option<Diagnosis>,
    opens_chat: bool,
}

impl Tap<Event> for Told {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, _: Time, event: Event) -> ControlFlow<()> {
        match event {
            Event::OpensChat => {
                self.opens_chat = true;
                let _ = writeln!(anstream::stderr(), "opening a chat on the service; it is ended at once");
                ControlFlow::Continue(())
            }
            Event::Finished(diagnosis) => {
                self.diagnosis = Some(diagnosis);
                ControlFlow::Break(())
            }
        }
    }
}
