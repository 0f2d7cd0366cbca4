//! `tapestry conformance`: the suite against a server, against the embedded simulator, or against a client.

mod absence;
mod actor;
mod client;
mod folder;
mod journal;
mod gws;
mod limits;
mod live_run;
mod plan;
mod preflight;
mod progress;
pub(crate) mod select;
mod silence;
pub(crate) mod virtual_run;
mod witness;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ::conformance::conclude::CaseResult;
use ::conformance::expectations::{Expectations, SIMULATOR};
use ::conformance::report::{About, Again, Cut, Report, text};
use ::conformance::run::{Agent, Chats, Settings};
use ::conformance::verdict::Kind;
use anyhow::{Context, anyhow};
use protocol::wire::Transport;
use transport::clock::Clock;
use transport::fields::Fields;

use self::actor::{Actor, WhoParser};
use self::client::ClientArgs;
use self::folder::Folder;
use self::journal::Journal;
use self::limits::{Allowance, Limits};
use self::live_run::{Pace, Peer};
use self::plan::Bounds;
use self::progress::Progress;
use self::select::{Choice, Planned};
use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::{Header, Login};
use crate::live::Stop;
use crate::serve::Embedded;
use crate::target::{ConfigArgs, Name, NameParser, Overrides, Target};
use crate::{connection, files, input, live, memory, output};

pub(crate) use self::actor::Who;

/// How many cases run at once against a server on this machine.
const JOBS_ON_LOOPBACK: usize = 12;

/// How many run at once elsewhere. Of those that open chats fewer do: see [`Limits::SHARED`].
const JOBS_ELSEWHERE: usize = 4;

/// How long a server may take to accept the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check a server against the requirements of Bayeux and Chat V2, or a client with `--client`. Without a target it checks the
/// embedded simulator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the server's CometD servlet, or the name of a target in `tapestry.toml`.
    #[arg(long, value_name = "URL|NAME", value_parser = NameParser)]
    target: Option<Name>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    trust: TrustArgs,
    /// Header field for every request, its value from the environment. May be repeated.
    #[arg(long = "header", value_name = "NAME=${VARIABLE}", value_parser = input::HeaderParser, requires = "target")]
    headers: Vec<Header>,
    /// Name of a chat service to open chats on; without one only Bayeux is checked.
    #[arg(long, value_name = "NAME", env = "TAPESTRY_SERVICE", hide_env_values = true, value_parser = input::service)]
    service: Option<String>,
    /// Who plays the agent on the target: `none`; `simulated`, a simulator whose agent follows the usual script;
    /// `control=URL`, what `serve --control` printed; `command=PROGRAM`, started for each step with JSON on its stdin;
    /// `gws=URL`, an agent of Genesys Web Services (rehearsed: nobody has run it against a real GWS yet); or `manual`,
    /// whoever sits at this terminal. Nobody unless given.
    #[arg(long, value_name = "WHO", value_parser = WhoParser, requires = "target")]
    agent: Option<Who>,
    /// User and password of the agent of `gws`, as `user:password` in the environment.
    #[arg(long, value_name = "${VARIABLE}", value_parser = input::LoginParser, requires = "target")]
    agent_login: Option<Login>,
    #[command(flatten)]
    choice: Choice,
    /// List the cases that were chosen, with what they judge, and end.
    #[arg(long)]
    list: bool,
    /// Tell how long the chosen cases take, how many chats they open, which need an agent and what he is asked for, and end.
    #[arg(long, conflicts_with_all = ["list", "client"])]
    plan: bool,
    /// Run against simulators in virtual time: no socket, no waiting.
    #[arg(long = "virtual", conflicts_with_all = ["target", "client"])]
    in_virtual_time: bool,
    /// Run everything so many times, and report what does not come to the same verdict each time.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000),
          conflicts_with = "client")]
    repeat: u16,
    /// How many cases run at once: 12 on this machine, 4 elsewhere; of `--command`, 4.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// How many chats may run at once: any number on this machine, 1 elsewhere. Cases beyond that wait, or are blocked.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), requires = "target")]
    chats_at_once: Option<u16>,
    /// How many chats may be opened in all: any number on this machine, 40 elsewhere. Cases beyond that are blocked.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), requires = "target")]
    chats_in_all: Option<u16>,
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

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    if args.client.client {
        return client::run(args);
    }
    let given = Overrides { trust: &args.trust, headers: &args.headers, service: args.service.as_deref() };
    let target = args.target.as_ref().map(|name| args.config.resolve(name, &given)).transpose()?;
    let target = target.as_ref();
    let configured = target.map(|target| &target.entry);
    let settings = settings(args, target);
    let declared = configured.map_or(&[][..], |entry| &entry.transports);
    let mut chosen = args.choice.plan(&settings, declared)?;
    let is_person = target.is_some_and(|target| agent_of(args, target).is_person());
    if is_person && args.choice.transports().is_empty() {
        select::spare_person(&mut chosen);
    }
    if target.is_some_and(|target| matches!(agent_of(args, target), Who::Gws(_))) {
        gws::spare(&mut chosen);
    }
    if args.list {
        output::print(&plan::list(&chosen))?;
        return Ok(Exit::Success);
    }
    if args.plan {
        let bounds = Bounds { jobs: jobs(args, target), limits: limits(args, target) };
        output::print(&plan::tell(&chosen, &settings, &bounds))?;
        return Ok(Exit::Success);
    }
    let seed = live::seed(args.seed.or_else(|| configured?.seed))?;
    let given = expectations(args.expect.as_deref().or_else(|| configured?.expect.as_deref()))?;
    let known = match target {
        Some(_) => given,
        None => Expectations::parse(SIMULATOR).map_err(Failure::internal)?.and(given),
    };
    let known = if args.choice.is_everything() && declared.is_empty() { known.of_whole_run() } else { known };
    let folder = args.report.as_deref().map(Folder::create).transpose()?;
    let clock = Clock::start();
    let started = live::rfc3339(clock.start_utc());
    let today = started.get(..10).unwrap_or_default().to_owned();
    let mut about = About {
        version: live::VERSION.to_owned(),
        target: target.map_or_else(|| "embedded simulator".to_owned(), Target::to_string),
        service: settings.service.clone(),
        agent: settings.agent,
        agent_name: target.and_then(|target| agent_of(args, target).name()),
        seed,
        started: (!args.in_virtual_time).then_some(started),
        took: Duration::ZERO,
        again: Again::Run { command: command(args, seed), tapes: folder.as_ref().map(Folder::tapes) },
    };
    let journal = Arc::new(Journal::new(folder));
    let ran = if args.in_virtual_time {
        journal.begin(&about)?;
        run_virtually(args, &settings, &chosen, seed, &journal)?
    } else {
        run_live(args, target, &settings, &chosen, &about, &journal)?
    };
    about.took = clock.now().since(protocol::time::Time::ZERO);
    let report = journal.close(about, ran.cut, &known, &today);
    tell(args, &report, ran.hint.or_else(|| without_web_socket(&report).map(str::to_owned)))
}

/// Tells what a run came to, and what to do about it.
fn tell(args: &Args, report: &Report, hint: Option<String>) -> Result<Exit, Failure> {
    output::print(&text::render(report))?;
    if let Some(hint) = hint {
        let _ = writeln!(anstream::stderr(), "\nhint: {hint}");
    }
    if let Some(folder) = &args.report {
        let _ = writeln!(anstream::stderr(), "report in {}", folder.display());
    }
    Ok(Exit::from_code(report.exit().0.code()))
}

/// Why a run ended, besides what its journal says.
#[derive(Default)]
struct Ran {
    cut: Option<Cut>,
    hint: Option<String>,
}

/// How far apart the seeds of repetitions are: more than there are entries.
const SEEDS: u64 = 1 << 20;

/// How far apart those of neighbouring seeds are: an odd number, the golden part of all, whose multiples lie far apart too.
const RUNS: u64 = 0x9e37_79b9_7f4a_7c15;

/// The seed of each repetition. Entries add their numbers to it, and rooms are named by the sums: runs with neighbouring
/// seeds that go on against one server at once must not meet in them.
fn seeds(args: &Args, seed: u64) -> impl Iterator<Item = u64> {
    let apart = seed.wrapping_mul(RUNS);
    (0..u64::from(args.repeat)).map(move |time| apart.wrapping_add(time * SEEDS))
}

/// Signals are heard while threads work, which look between entries whether they are to stop.
fn run_virtually(
    args: &Args,
    settings: &Settings,
    chosen: &[Planned],
    seed: u64,
    journal: &Journal,
) -> Result<Ran, Failure> {
    let runtime = live::runtime()?;
    let mut stop = runtime.block_on(async { Stop::listen() })?;
    let is_cut = AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, is_over) = tokio::sync::oneshot::channel::<()>();
        let is_cut = &is_cut;
        let work = scope.spawn(move || {
            // Whatever ends the work drops it.
            let _over = over;
            let go_on = || !is_cut.load(Ordering::Relaxed);
            seeds(args, seed)
                .take_while(|_| go_on())
                .all(|seed| virtual_run::run(chosen, settings, seed, journal, is_cut))
        });
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = is_over => {}
                () = stop.wait() => is_cut.store(true, Ordering::Relaxed),
            }
        });
        let is_whole = work.join().map_err(|_| Failure::internal(anyhow!("the runner failed")))?;
        let cut = (!is_whole || is_cut.load(Ordering::Relaxed)).then_some(Cut::Interrupted);
        Ok(Ran { cut, hint: None })
    })
}

fn run_live(
    args: &Args,
    target: Option<&Target>,
    settings: &Settings,
    chosen: &[Planned],
    about: &About,
    journal: &Arc<Journal>,
) -> Result<Ran, Failure> {
    let runtime = live::runtime()?;
    let seed = about.seed;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stop = Stop::listen()?;
        let (mut peer, _embedded) = aim(args, target, settings, seed).await?;
        // What can be wrong with the command line is known: an earlier report is not given up for less.
        journal.begin(about)?;
        let unreachable = |says, hint| Ran { cut: Some(Cut::Unreachable(says)), hint };
        if let Err(error) = peer.route.probe(target.and_then(Target::patience).unwrap_or(PATIENCE)).await {
            let says = format!("cannot reach {}: {}", peer.route.endpoint(), error.explain());
            return Ok(unreachable(says, Some(connection::remedy(&peer.route, &error).await.to_owned())));
        }
        let mut chosen = chosen.to_vec();
        if let Some(target) = target {
            let declared = target.declares_web_socket() || args.choice.wants_web_socket();
            let Some(diagnosis) = preflight::examine(&peer, declared, seed, &mut stop).await else {
                return Ok(Ran { cut: Some(Cut::Interrupted), ..Ran::default() });
            };
            if let Some(finding) = diagnosis.refusal() {
                let says = format!("preflight refused: {}: {}", finding.kind.id, finding.seen);
                return Ok(unreachable(says, Some(finding.remedy().to_owned())));
            }
            preflight::spare(&mut chosen, &diagnosis, declared);
        }
        if chosen.iter().any(Planned::needs_agent) {
            peer.absent = peer.actor.begin().await.err();
        }
        let progress = Progress::new(chosen.len() * usize::from(args.repeat));
        let limits = limits(args, target);
        let needs: Vec<Chats> = match limits.is_none() {
            true => Vec::new(),
            false => virtual_run::rehearse(&chosen, settings).into_iter().map(|rehearsal| rehearsal.chats).collect(),
        };
        let pace = Pace { jobs: jobs(args, target), allowance: Rc::new(Allowance::new(limits)), needs };
        let mut ran = Ran::default();
        for seed in seeds(args, seed) {
            let once = live_run::run(&chosen, &peer, seed, &pace, (journal, &progress), &mut stop).await;
            ran.hint = ran.hint.or(once.hint);
            if once.is_cut {
                ran.cut = Some(Cut::Interrupted);
                break;
            }
        }
        progress.end();
        peer.actor.leave().await;
        Ok(ran)
    })
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
fn settings(args: &Args, target: Option<&Target>) -> Settings {
    match target {
        Some(target) => {
            let agent = agent_of(args, target).agent();
            Settings { base: target.endpoint.path.clone(), service: target.service.clone(), agent }
        }
        None => {
            let service = args.service.clone().unwrap_or_else(|| "customer-support".to_owned());
            let base = simulator::gms::Settings::new(&service).base;
            Settings { base, service: Some(service), agent: Agent::Simulated }
        }
    }
}

/// The target, and the simulator behind it if there is one: it is to be kept for as long as the run lasts.
async fn aim(
    args: &Args,
    target: Option<&Target>,
    settings: &Settings,
    seed: u64,
) -> Result<(Peer, Option<Embedded>), Failure> {
    let settings = settings.clone();
    if let Some(target) = target {
        let actor = Actor::new(&agent_of(args, target), login_of(args, target), target)?;
        let (route, fields) = (target.route()?, target.fields()?);
        return Ok((Peer { settings, route, fields, actor, absent: None, embedded: false }, None));
    }
    if args.trust.is_given() {
        let error = anyhow!("`--ca` and `--insecure` say whom to trust as the target, and there is none");
        return Err(Failure::usage(error).hint("name the target with `--target https://...`"));
    }
    let embedded = Embedded::start(settings.service.as_deref().unwrap_or_default(), seed).await?;
    let route = args.trust.route(&embedded.endpoint)?;
    let actor = Actor::control(&embedded.control)?;
    Ok((Peer { settings, route, fields: Fields::default(), actor, absent: None, embedded: true }, Some(embedded)))
}

/// How many cases run at once.
fn jobs(args: &Args, target: Option<&Target>) -> usize {
    let given = args.jobs.or_else(|| target?.entry.jobs);
    given.map_or_else(|| if is_near(target) { JOBS_ON_LOOPBACK } else { JOBS_ELSEWHERE }, usize::from)
}

/// How many chats the target allows.
fn limits(args: &Args, target: Option<&Target>) -> Limits {
    let entry = target.map(|target| &target.entry);
    let usual = if is_near(target) { Limits::default() } else { Limits::SHARED };
    let chosen = |flag: Option<u16>, configured: Option<u16>| flag.or(configured).map(usize::from);
    Limits {
        at_once: chosen(args.chats_at_once, entry.and_then(|entry| entry.chats_at_once)).or(usual.at_once),
        in_all: chosen(args.chats_in_all, entry.and_then(|entry| entry.chats_in_all)).or(usual.in_all),
    }
}

/// Whether the target is on this machine, and so nobody else's.
fn is_near(target: Option<&Target>) -> bool {
    target.is_none_or(|target| target.endpoint.is_loopback())
}

/// Who plays the agent: whoever the command line names, or the configuration.
fn agent_of(args: &Args, target: &Target) -> Who {
    args.agent.as_ref().or(target.entry.agent.as_ref()).cloned().unwrap_or(Who::None)
}

/// User and password of the agent. Those of the configuration belong to its own agent.
fn login_of<'a>(args: &'a Args, target: &'a Target) -> Option<&'a Login> {
    let configured = || target.entry.agent_login.as_ref().filter(|_| matches!(agent_of(args, target), Who::Gws(_)));
    args.agent_login.as_ref().or_else(configured)
}

pub(crate) fn expectations(file: Option<&Path>) -> Result<Expectations, Failure> {
    let Some(file) = file else { return Ok(Expectations::default()) };
    let text = files::read_text(file)?;
    Expectations::parse(&text).with_context(|| format!("`{}`", file.display())).map_err(Failure::usage)
}

/// The command that runs the same again, without a choice of cases.
fn command(args: &Args, seed: u64) -> String {
    let mut words = Words::new("tapestry conformance");
    let target = args.target.as_ref().map(|target| match target {
        Name::Url(url) => url.to_string(),
        Name::Configured(name) => name.clone(),
    });
    words.flag("--target", target);
    words.flag("--config", args.config.written());
    words.flag("--ca", args.trust.ca.as_ref().map(|ca| ca.display().to_string()));
    words.switch("--insecure", args.trust.insecure);
    args.headers.iter().for_each(|header| words.flag("--header", header.written()));
    words.flag("--service", args.service.clone());
    words.flag("--agent", args.agent.as_ref().map(Who::written));
    words.flag("--agent-login", args.agent_login.as_ref().and_then(Login::written));
    words.flag("--chats-at-once", args.chats_at_once);
    words.flag("--chats-in-all", args.chats_in_all);
    words.switch("--virtual", args.in_virtual_time);
    words.flag("--repeat", Some(args.repeat).filter(|times| *times > 1));
    words.common(args, seed)
}

/// The words of a command.
struct Words(String);

impl Words {
    fn new(command: &str) -> Self {
        Self(command.to_owned())
    }

    fn switch(&mut self, name: &str, is_on: bool) {
        if is_on {
            self.0.push_str(&format!(" {name}"));
        }
    }

    fn flag(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push_str(&format!(" {name} {}", quoted(&value.to_string())));
        }
    }

    /// With the flags of servers and clients alike.
    fn common(mut self, args: &Args, seed: u64) -> String {
        self.flag("--jobs", args.jobs);
        self.flag("--expect", args.expect.as_ref().map(|file| file.display().to_string()));
        self.flag("--seed", Some(seed));
        self.0
    }
}

/// A word for a shell, in single quotes if it needs any.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// The command that does again what these words do.
    fn again(words: &[&str]) -> String {
        let args = Cli::try_parse_from(["conformance"].iter().chain(words)).unwrap().args;
        if args.client.client { client::command(&args, 7) } else { command(&args, 7) }
    }

    #[test]
    fn runs_with_neighbouring_seeds_share_no_seed_of_an_entry() {
        let args = Cli::try_parse_from(["conformance", "--repeat", "3"]).unwrap().args;
        let mut first: Vec<u64> = (0..100).flat_map(|seed| seeds(&args, seed)).collect();
        first.sort_unstable();
        for pair in first.windows(2) {
            assert!(pair[1] - pair[0] >= SEEDS, "{pair:?}");
        }
    }

    #[test]
    fn a_server_is_tried_again_in_the_same_way() {
        let words = ["--virtual", "--service", "a$b", "--repeat", "3", "--expect", "my known.toml", "--report", "r"];
        let said = "tapestry conformance --service 'a$b' --virtual --repeat 3 --expect 'my known.toml' --seed 7";
        assert_eq!(again(&words), said);
    }

    #[test]
    fn a_client_is_tried_again_in_the_same_way() {
        let words = ["--client", "--listen", "[::1]:9000", "--base", "/my$chat", "--service", "a$b", "--wait", "5"];
        let said =
            "tapestry conformance --client --listen '[::1]:9000' --base '/my$chat' --service 'a$b' --wait 5 --seed 7";
        assert_eq!(again(&words), said);
    }

    #[test]
    fn what_a_command_says_is_not_said_again() {
        let said = "tapestry conformance --client --command '...' --seed 7";
        assert_eq!(again(&["--client", "--command", "login --password x"]), said);
    }
}
