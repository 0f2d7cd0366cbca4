//! `tapestry conformance`: the suite against a server, or against the embedded simulator.

mod absence;
mod actor;
mod live_run;
mod progress;
mod select;
mod silence;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::conformance::conclude::CaseResult;
use ::conformance::expectations::{Expectations, SIMULATOR};
use ::conformance::report::{About, Cut, Report, json, junit, text};
use ::conformance::run::{Agent, Settings};
use ::conformance::verdict::Kind;
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use protocol::wire::Transport;
use transport::clock::Clock;
use transport::endpoint::Endpoint;
use transport::fields::Fields;

use self::actor::{Actor, Choice};
use self::live_run::{Peer, Ran};
use self::progress::Progress;
use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::Header;
use crate::live::Stop;
use crate::serve::Embedded;
use crate::{connection, files, input, live, output};

/// How many cases run at once against a server on this machine.
const JOBS_ON_LOOPBACK: usize = 8;

/// How long a server may take to accept the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check a server against the requirements of Bayeux and Chat V2. Without a target it checks the embedded simulator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the server's CometD servlet.
    #[arg(long, value_name = "URL", value_parser = input::Url)]
    target: Option<Endpoint>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Header field for every request, its value from the environment. May be repeated.
    #[arg(long = "header", value_name = "NAME=${VARIABLE}", value_parser = input::HeaderParser, requires = "target")]
    headers: Vec<Header>,
    /// Name of a chat service to open chats on; without one only Bayeux is checked.
    #[arg(long, value_name = "NAME", value_parser = input::service)]
    service: Option<String>,
    /// Who plays the agent on the target: `none`; `simulated`, a simulator whose agent follows the usual script;
    /// `control=URL`, what `serve --control` printed; `command=PROGRAM`, started for each step with JSON on its stdin; or
    /// `manual`, whoever sits at this terminal.
    #[arg(long, value_name = "WHO", default_value = "none", value_parser = Choice::parse, requires = "target")]
    agent: Choice,
    /// Only cases whose `ID@TRANSPORT` matches; `*` stands for anything. May be repeated.
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Only over this transport. May be repeated.
    #[arg(long = "transport", value_enum, value_name = "TRANSPORT")]
    transports: Vec<TransportKind>,
    /// How many cases run at once: 8 on this machine, 1 elsewhere.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Known departures of the target, a TOML file.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Directory for `result.json`, `junit.xml` and a tape of each case.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Seed of names and texts; drawn at random unless given.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TransportKind {
    Websocket,
    LongPolling,
}

impl TransportKind {
    const fn transport(self) -> Transport {
        match self {
            Self::Websocket => Transport::WebSocket,
            Self::LongPolling => Transport::LongPolling,
        }
    }
}

/// What is to be judged.
struct Target {
    peer: Peer,
    name: String,
    expectations: Expectations,
    /// Kept alive for as long as the run lasts.
    _embedded: Option<Embedded>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let seed = live::seed(args.seed)?;
    let given = expectations(args.expect.as_deref())?;
    let transports: Vec<Transport> = args.transports.iter().map(|transport| transport.transport()).collect();
    let folder = args.report.as_deref().map(Folder::create).transpose()?;
    let clock = Clock::start();
    let runtime = live::runtime()?;
    let mut hint = None;
    let (target, ran, cut) = tokio::task::LocalSet::new().block_on(&runtime, async {
        let stop = Stop::listen()?;
        let target = aim(args, given, seed).await?;
        let plan = select::plan(&target.peer.settings, &args.cases, &transports)?;
        if let Err(error) = target.peer.route.probe(PATIENCE).await {
            hint = connection::remedy(&error);
            let says = format!("cannot reach {}: {}", target.peer.route.endpoint(), error.explain());
            let none = Ran { done: Vec::new(), unfinished: None };
            return Ok((target, none, Some(Cut::Unreachable(says))));
        }
        let jobs = match args.jobs {
            // Nobody attends to several chats at once.
            _ if target.peer.actor.is_person() => 1,
            Some(jobs) => usize::from(jobs),
            None => default_jobs(target.peer.route.endpoint()),
        };
        let progress = Progress::new(plan.len());
        let ran = live_run::run(&plan, &target.peer, seed, jobs, &progress, stop).await;
        progress.end();
        let cut = ran.unfinished.is_some().then_some(Cut::Interrupted);
        Ok((target, ran, cut))
    })?;
    let started = live::rfc3339(clock.start_utc());
    let today = started.get(..10).unwrap_or_default().to_owned();
    let about = About {
        version: live::VERSION.to_owned(),
        target: target.name.clone(),
        service: target.peer.settings.service.clone(),
        agent: target.peer.settings.agent,
        seed,
        started: Some(started),
        took: clock.now().since(protocol::time::Time::ZERO),
        command: command(args),
    };
    let (results, tapes): (Vec<_>, Vec<_>) = ran.done.into_iter().map(|done| (done.result, done.tape)).unzip();
    let mut report = Report::new(about, results, cut, &target.expectations, &today);
    report.unfinished = ran.unfinished.unwrap_or_default();
    // What was found is told even if it cannot be kept.
    output::print(&text::render(&report))?;
    if let Some(hint) = hint.or_else(|| without_web_socket(&report)) {
        let _ = writeln!(anstream::stderr(), "\nhint: {hint}");
    }
    if let Some(folder) = &folder {
        folder.keep(&report, &tapes)?;
    }
    Ok(Exit::from_code(report.exit().0.code()))
}

/// What to do if nothing went over WebSocket, and other things did.
fn without_web_socket(report: &Report) -> Option<&'static str> {
    let blocked = |result: &CaseResult| result.verdict == Kind::Blocked;
    let (over_socket, others): (Vec<_>, Vec<_>) =
        report.results.iter().partition(|result| result.transport == Transport::WebSocket);
    let none = over_socket.iter().all(|result| blocked(result) || result.verdict == Kind::NotApplicable);
    (none && over_socket.iter().any(|result| blocked(result)) && others.iter().any(|result| !blocked(result)))
        .then_some("if the server is not meant to have WebSocket, leave it out: `--transport long-polling`")
}

async fn aim(args: &Args, given: Expectations, seed: u64) -> Result<Target, Failure> {
    let Some(endpoint) = &args.target else {
        if args.trust.is_given() {
            let error = anyhow!("`--ca` and `--insecure` say whom to trust as the target, and there is none");
            return Err(Failure::usage(error).hint("name the target with `--target https://...`"));
        }
        let service = args.service.as_deref().unwrap_or("customer-support");
        let embedded = Embedded::start(service, seed).await?;
        let route = args.trust.route(&embedded.endpoint)?;
        let base = embedded.endpoint.path.clone();
        let settings = Settings { base, service: Some(service.to_owned()), agent: Agent::Simulated };
        let actor = Actor::control(&embedded.control)?;
        let peer = Peer { settings, route, fields: Fields::default(), actor };
        let known = Expectations::parse(SIMULATOR).map_err(Failure::internal)?;
        let name = "embedded simulator".to_owned();
        return Ok(Target { peer, name, expectations: known.and(given), _embedded: Some(embedded) });
    };
    let actor = Actor::new(&args.agent)?;
    let settings = Settings { base: endpoint.path.clone(), service: args.service.clone(), agent: args.agent.agent() };
    let (route, fields) = (args.trust.route(endpoint)?, connection::fields(&args.headers)?);
    let peer = Peer { settings, route, fields, actor };
    Ok(Target { peer, name: endpoint.to_string(), expectations: given, _embedded: None })
}

fn default_jobs(endpoint: &Endpoint) -> usize {
    if endpoint.is_loopback() { JOBS_ON_LOOPBACK } else { 1 }
}

fn expectations(file: Option<&Path>) -> Result<Expectations, Failure> {
    let Some(file) = file else { return Ok(Expectations::default()) };
    let text = files::read_text(file)?;
    Expectations::parse(&text).with_context(|| format!("`{}`", file.display())).map_err(Failure::usage)
}

/// The command that runs the same again, without a choice of cases.
fn command(args: &Args) -> String {
    let mut command = "tapestry conformance".to_owned();
    if let Some(target) = &args.target {
        command.push_str(&format!(" --target {target}"));
    }
    if let Some(ca) = &args.trust.ca {
        command.push_str(&format!(" --ca {}", quoted(&ca.display().to_string())));
    }
    if args.trust.insecure {
        command.push_str(" --insecure");
    }
    for header in &args.headers {
        command.push_str(&format!(" --header {}", quoted(&header.written())));
    }
    if let Some(service) = &args.service {
        command.push_str(&format!(" --service {service}"));
    }
    if args.agent != Choice::None {
        command.push_str(&format!(" --agent {}", quoted(&args.agent.written())));
    }
    command
}

/// A word for a shell, in single quotes if it needs any.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Where the report goes.
struct Folder(PathBuf);

impl Folder {
    /// Makes the directory before anything runs, so that a wrong path costs nothing.
    fn create(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path.join("tapes"))
            .with_context(|| format!("failed to create directory `{}`", path.display()))
            .map_err(|error| Failure::usage(error).hint("give another directory with `--report`"))?;
        Ok(Self(path.to_path_buf()))
    }

    /// Writes the report, and the tape of each entry of it that ran.
    fn keep(&self, report: &Report, tapes: &[Option<Vec<u8>>]) -> Result<(), Failure> {
        files::write(&self.0.join("result.json"), json::render(report).as_bytes())?;
        let junit = junit::render(report).context("failed to render junit.xml").map_err(Failure::internal)?;
        files::write(&self.0.join("junit.xml"), junit.as_bytes())?;
        for (result, tape) in report.results.iter().zip(tapes) {
            if let Some(tape) = tape {
                let name = result.name().replace('@', ".");
                files::write(&self.0.join("tapes").join(format!("{name}.tape.jsonl")), tape)?;
            }
        }
        let _ = writeln!(anstream::stderr(), "report in {}", self.0.display());
        Ok(())
    }
}
