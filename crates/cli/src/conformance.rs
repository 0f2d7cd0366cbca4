//! `tapestry conformance`: the suite against a server, or against the embedded simulator.

mod live_run;
mod plan;
mod progress;
pub(crate) mod select;
mod silence;
mod virtual_run;
mod witness;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::conformance::conclude::CaseResult;
use ::conformance::expectations::{Expectations, SIMULATOR};
use ::conformance::report::{self, About, Cut, Report, Unsteady, json, junit, text};
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
use self::select::{Choice, Planned};
use self::witness::Done;
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
    /// Who plays the agent on the target.
    #[arg(long, value_enum, default_value_t = AgentKind::None, requires = "target")]
    agent: AgentKind,
    #[command(flatten)]
    choice: Choice,
    /// List the cases that were chosen, with what they judge, and end.
    #[arg(long)]
    list: bool,
    /// Tell how long the chosen cases take, how many chats they open and which need an agent, and end.
    #[arg(long, conflicts_with = "list")]
    plan: bool,
    /// Run against simulators in virtual time: no socket, no waiting.
    #[arg(long = "virtual", conflicts_with = "target")]
    in_virtual_time: bool,
    /// Run everything so many times, and report what does not come to the same verdict each time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeat: u16,
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

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let settings = settings(args);
    let chosen = args.choice.plan(&settings)?;
    if args.list || args.plan {
        output::print(&if args.list { plan::list(&chosen) } else { plan::tell(&chosen, &settings, jobs(args)) })?;
        return Ok(Exit::Success);
    }
    let seed = live::seed(args.seed)?;
    let given = expectations(args.expect.as_deref())?;
    let folder = args.report.as_deref().map(Folder::create).transpose()?;
    let clock = Clock::start();
    let ran = if args.in_virtual_time {
        run_virtually(args, &settings, &chosen, seed)
    } else {
        run_live(args, &settings, &chosen, seed)?
    };
    let known = if args.target.is_none() {
        Expectations::parse(SIMULATOR).map_err(Failure::internal)?
    } else {
        Expectations::default()
    };
    let started = live::rfc3339(clock.start_utc());
    let today = started.get(..10).unwrap_or_default().to_owned();
    let about = About {
        version: live::VERSION.to_owned(),
        target: args.target.as_ref().map_or_else(|| "embedded simulator".to_owned(), Endpoint::to_string),
        service: settings.service.clone(),
        agent: settings.agent,
        seed,
        started: (!args.in_virtual_time).then_some(started),
        took: clock.now().since(protocol::time::Time::ZERO),
        command: command(args),
    };
    let (results, tapes, unsteady) = together(ran.runs);
    let mut report = Report::new(about, results, ran.cut, &known.and(given), &today);
    report.unsteady = unsteady;
    // What was found is told even if it cannot be kept.
    output::print(&text::render(&report))?;
    if let Some(hint) = ran.hint.or_else(|| without_web_socket(&report)) {
        let _ = writeln!(anstream::stderr(), "\nhint: {hint}");
    }
    if let Some(folder) = &folder {
        folder.keep(&report, &tapes)?;
    }
    Ok(Exit::from_code(report.exit().0.code()))
}

/// What a command came to, before it is added up.
struct Ran {
    /// Each repetition, in the order of the plan.
    runs: Vec<Vec<Done>>,
    cut: Option<Cut>,
    hint: Option<&'static str>,
}

/// How far apart the seeds of repetitions are: more than there are entries.
const SEEDS: u64 = 1 << 20;

fn run_virtually(args: &Args, settings: &Settings, chosen: &[Planned], seed: u64) -> Ran {
    let seeds = (0..u64::from(args.repeat)).map(|time| seed.wrapping_add(time * SEEDS));
    Ran { runs: seeds.map(|seed| virtual_run::run(chosen, settings, seed)).collect(), cut: None, hint: None }
}

fn run_live(args: &Args, settings: &Settings, chosen: &[Planned], seed: u64) -> Result<Ran, Failure> {
    let runtime = live::runtime()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stop = Stop::listen()?;
        let (peer, _embedded) = aim(args, settings, seed).await?;
        if let Err(error) = peer.route.probe(PATIENCE).await {
            let hint = connection::remedy(&error);
            let says = format!("cannot reach {}: {}", peer.route.endpoint(), error.explain());
            return Ok(Ran { runs: Vec::new(), cut: Some(Cut::Unreachable(says)), hint });
        }
        let progress = Progress::new(chosen.len() * usize::from(args.repeat));
        let mut runs = Vec::new();
        let mut cut = None;
        for time in 0..u64::from(args.repeat) {
            let seed = seed.wrapping_add(time * SEEDS);
            let (done, finished) = live_run::run(chosen, &peer, seed, jobs(args), &progress, &mut stop).await;
            runs.push(done);
            if !finished {
                cut = Some(Cut::Interrupted);
                break;
            }
        }
        progress.end();
        Ok(Ran { runs, cut, hint: None })
    })
}

/// Of each entry the worst of its results with its tape, and what was not the same each time. A repetition that was cut
/// short counts only if it is the only one.
fn together(mut runs: Vec<Vec<Done>>) -> (Vec<CaseResult>, Vec<Option<Vec<u8>>>, Vec<Unsteady>) {
    if runs.len() > 1 && runs.last().map(Vec::len) != runs.first().map(Vec::len) {
        runs.pop();
    }
    let results: Vec<Vec<CaseResult>> =
        runs.iter().map(|run| run.iter().map(|done| done.result.clone()).collect()).collect();
    let (worst, unsteady) = report::together(&results);
    let mut runs: Vec<Vec<Option<Done>>> = runs.into_iter().map(|run| run.into_iter().map(Some).collect()).collect();
    let chosen = worst.into_iter().enumerate().filter_map(|(entry, run)| runs[run][entry].take());
    let (results, tapes) = chosen.map(|done| (done.result, done.tape)).unzip();
    (results, tapes, unsteady)
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

/// What the cases need to know of the target.
fn settings(args: &Args) -> Settings {
    match &args.target {
        Some(endpoint) => {
            let agent = match args.agent {
                AgentKind::None => Agent::None,
                AgentKind::Simulated => Agent::Simulated,
            };
            Settings { base: endpoint.path.clone(), service: args.service.clone(), agent }
        }
        None => {
            let service = args.service.clone().unwrap_or_else(|| "customer-support".to_owned());
            let base = simulator::gms::Settings::new(&service).base;
            Settings { base, service: Some(service), agent: Agent::Simulated }
        }
    }
}

/// The target, and the simulator behind it if there is one: it is to be kept for as long as the run lasts.
async fn aim(args: &Args, settings: &Settings, seed: u64) -> Result<(Peer, Option<Embedded>), Failure> {
    let settings = settings.clone();
    if let Some(endpoint) = &args.target {
        let (route, fields) = (args.trust.route(endpoint)?, connection::fields(&args.headers)?);
        return Ok((Peer { settings, route, fields }, None));
    }
    if args.trust.is_given() {
        let error = anyhow!("`--ca` and `--insecure` say whom to trust as the target, and there is none");
        return Err(Failure::usage(error).hint("name the target with `--target https://...`"));
    }
    let embedded = Embedded::start(settings.service.as_deref().unwrap_or_default(), seed).await?;
    let route = args.trust.route(&embedded.endpoint)?;
    Ok((Peer { settings, route, fields: Fields::default() }, Some(embedded)))
}

/// How many cases run at once.
fn jobs(args: &Args) -> usize {
    let near = args.target.as_ref().is_none_or(Endpoint::is_loopback);
    args.jobs.map_or(if near { JOBS_ON_LOOPBACK } else { 1 }, usize::from)
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
    if args.agent == AgentKind::Simulated {
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
