//! `tapestry conformance`: the suite against a server, or against the embedded simulator.

mod live_run;
mod preflight;
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

use self::live_run::Peer;
use self::progress::Progress;
use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::Header;
use crate::live::Stop;
use crate::serve::Embedded;
use crate::target::{ConfigArgs, Name, NameParser, Overrides, Target};
use crate::{connection, files, input, live, output};

/// How many cases run at once against a server on this machine.
const JOBS_ON_LOOPBACK: usize = 8;

/// How long a server may take to accept the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check a server against the requirements of Bayeux and Chat V2. Without a target it checks the embedded simulator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the server's CometD servlet, or the name of a target in `tapestry.toml`.
    #[arg(long, value_name = "URL|NAME", value_parser = NameParser)]
    target: Option<Name>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Header field for every request, its value from the environment. May be repeated.
    #[arg(long = "header", value_name = "NAME=${VARIABLE}", value_parser = input::HeaderParser, requires = "target")]
    headers: Vec<Header>,
    /// Name of a chat service to open chats on; without one only Bayeux is checked.
    #[arg(long, value_name = "NAME", env = "TAPESTRY_SERVICE", hide_env_values = true, value_parser = input::service)]
    service: Option<String>,
    /// Who plays the agent on the target: nobody unless given.
    #[arg(long, value_enum, requires = "target")]
    agent: Option<AgentKind>,
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
enum AgentKind {
    /// Nobody: cases that need an agent do not apply.
    None,
    /// The target is a simulator whose agent follows the default script.
    Simulated,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TransportKind {
    Websocket,
    LongPolling,
}

/// Whether `--agent` has this word.
pub(crate) fn is_agent(word: &str) -> bool {
    AgentKind::from_str(word, false).is_ok()
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
struct Aim {
    peer: Peer,
    name: String,
    expectations: Expectations,
    /// How long the first connection may take.
    patience: Duration,
    /// Kept alive for as long as the run lasts.
    _embedded: Option<Embedded>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let given = Overrides { trust: &args.trust, headers: &args.headers, service: args.service.as_deref() };
    let target = args.target.as_ref().map(|name| args.config.resolve(name, &given)).transpose()?;
    let configured = target.as_ref().map(|target| &target.entry);
    let seed = live::seed(args.seed.or_else(|| configured?.seed))?;
    let given = expectations(args.expect.as_deref().or_else(|| configured?.expect.as_deref()))?;
    let mut transports: Vec<Transport> = args.transports.iter().map(|transport| transport.transport()).collect();
    if transports.is_empty() {
        transports = configured.map(|entry| entry.transports.clone()).unwrap_or_default();
    }
    let folder = args.report.as_deref().map(Folder::create).transpose()?;
    let clock = Clock::start();
    let runtime = live::runtime()?;
    let mut hint = None;
    let (aimed, done, cut) = tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stop = Stop::listen()?;
        let aimed = aim(args, target.as_ref(), given, seed).await?;
        let mut plan = select::plan(&aimed.peer.settings, &args.cases, &transports)?;
        if let Err(error) = aimed.peer.route.probe(aimed.patience).await {
            hint = connection::remedy(&error).map(str::to_owned);
            let says = format!("cannot reach {}: {}", aimed.peer.route.endpoint(), error.explain());
            return Ok((aimed, Vec::new(), Some(Cut::Unreachable(says))));
        }
        if target.is_some() {
            let declared = transports.contains(&Transport::WebSocket);
            let Some(diagnosis) = preflight::examine(&aimed.peer, declared, seed, &mut stop).await else {
                return Ok((aimed, Vec::new(), Some(Cut::Interrupted)));
            };
            if let Some(finding) = diagnosis.refusal() {
                hint = Some(finding.remedy().to_owned());
                let says = format!("preflight refused: {}: {}", finding.kind.id, finding.seen);
                return Ok((aimed, Vec::new(), Some(Cut::Unreachable(says))));
            }
            preflight::spare(&mut plan, &diagnosis, declared);
        }
        let jobs = args.jobs.or_else(|| target.as_ref()?.entry.jobs);
        let jobs = jobs.map_or_else(|| default_jobs(aimed.peer.route.endpoint()), usize::from);
        let progress = Progress::new(plan.len());
        let (done, finished) = live_run::run(&plan, &aimed.peer, seed, jobs, &progress, stop).await;
        progress.end();
        Ok((aimed, done, (!finished).then_some(Cut::Interrupted)))
    })?;
    let started = live::rfc3339(clock.start_utc());
    let today = started.get(..10).unwrap_or_default().to_owned();
    let about = About {
        version: live::VERSION.to_owned(),
        target: aimed.name.clone(),
        service: aimed.peer.settings.service.clone(),
        agent: aimed.peer.settings.agent,
        seed,
        started: Some(started),
        took: clock.now().since(protocol::time::Time::ZERO),
        command: command(args),
    };
    let (results, tapes): (Vec<_>, Vec<_>) = done.into_iter().map(|done| (done.result, done.tape)).unzip();
    let report = Report::new(about, results, cut, &aimed.expectations, &today);
    // What was found is told even if it cannot be kept.
    output::print(&text::render(&report))?;
    if let Some(hint) = hint.or_else(|| without_web_socket(&report).map(str::to_owned)) {
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

async fn aim(args: &Args, target: Option<&Target>, given: Expectations, seed: u64) -> Result<Aim, Failure> {
    let Some(target) = target else {
        if args.trust.is_given() {
            let error = anyhow!("`--ca` and `--insecure` say whom to trust as the target, and there is none");
            return Err(Failure::usage(error).hint("name the target with `--target https://...`"));
        }
        let service = args.service.as_deref().unwrap_or("customer-support");
        let embedded = Embedded::start(service, seed).await?;
        let route = args.trust.route(&embedded.endpoint)?;
        let base = embedded.endpoint.path.clone();
        let settings = Settings { base, service: Some(service.to_owned()), agent: Agent::Simulated };
        let peer = Peer { settings, route, fields: Fields::default() };
        let known = Expectations::parse(SIMULATOR).map_err(Failure::internal)?;
        let (name, expectations) = ("embedded simulator".to_owned(), known.and(given));
        return Ok(Aim { peer, name, expectations, patience: PATIENCE, _embedded: Some(embedded) });
    };
    let agent = match agent_of(args, target) {
        AgentKind::None => Agent::None,
        AgentKind::Simulated => Agent::Simulated,
    };
    let settings = Settings { base: target.endpoint.path.clone(), service: target.service.clone(), agent };
    let peer = Peer { settings, route: target.route()?, fields: target.fields()? };
    let patience = target.patience().unwrap_or(PATIENCE);
    Ok(Aim { peer, name: target.to_string(), expectations: given, patience, _embedded: None })
}

fn agent_of(args: &Args, target: &Target) -> AgentKind {
    let configured = || AgentKind::from_str(target.entry.agent.as_deref()?, false).ok();
    args.agent.or_else(configured).unwrap_or(AgentKind::None)
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
    match &args.target {
        Some(Name::Url(url)) => command.push_str(&format!(" --target {url}")),
        Some(Name::Configured(name)) => command.push_str(&format!(" --target {name}")),
        None => {}
    }
    if let Some(file) = args.config.written() {
        command.push_str(&format!(" --config {}", quoted(&file)));
    }
    if let Some(ca) = &args.trust.ca {
        command.push_str(&format!(" --ca {}", quoted(&ca.display().to_string())));
    }
    if args.trust.insecure {
        command.push_str(" --insecure");
    }
    for written in args.headers.iter().filter_map(Header::written) {
        command.push_str(&format!(" --header {}", quoted(&written)));
    }
    if let Some(service) = &args.service {
        command.push_str(&format!(" --service {service}"));
    }
    if args.agent == Some(AgentKind::Simulated) {
        command.push_str(" --agent simulated");
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
