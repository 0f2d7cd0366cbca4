//! `tapestry conformance --client`: the suite plays GMS, and clients come to it.

mod commands;
mod desk;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ::conformance::cases::Case;
use ::conformance::clients::door::Door;
use ::conformance::clients::visit::Visit;
use ::conformance::clients::{Settings, scenarios};
use ::conformance::report::{About, Again, Cut};
use ::conformance::run::Agent;
use protocol::bayeux::batch::Limits;
use protocol::time::Time;
use protocol::wire::{Side, Transport};
use transport::clock::Clock;
use transport::server::Server;
use transport::{driver, listener};

use self::commands::{Commands, InVain};
use self::desk::Desk;
use super::folder::Folder;
use super::journal::Journal;
use super::progress::Progress;
use super::select::Entry;
use super::{Args, Words};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::live::{self, Stop};
use crate::output;

/// How a client under test is reached and driven.
#[derive(clap::Args)]
pub(crate) struct ClientArgs {
    /// Check a client instead: Tapestry plays GMS, and the client connects to it.
    #[arg(long, conflicts_with_all = ["target", "ca", "insecure", "headers"])]
    pub(super) client: bool,
    /// Address to listen on for the client; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = LISTEN, requires = "client")]
    listen: String,
    /// Path of the CometD servlet that the client finds.
    #[arg(long, value_name = "PATH", default_value = BASE, value_parser = input::base, requires = "client")]
    base: String,
    /// Shell command that starts the client for one scenario. It finds `TAPESTRY_URL`, `TAPESTRY_SERVICE`,
    /// `TAPESTRY_TRANSPORT` and `TAPESTRY_SCENARIO` in its environment, and what its user does as lines on its stdin. What
    /// it has started ends with it. No report repeats it, since it may hold a password.
    #[arg(long, value_name = "COMMAND", requires = "client")]
    command: Option<String>,
    /// How long to wait for a client: 300 s for a person, 20 s for a command.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600), requires = "client")]
    wait: Option<u16>,
}

/// Where clients find the suite, unless told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

/// The path that they find there.
const BASE: &str = "/genesys/cometd";

/// How many commands run at once.
const COMMANDS: usize = 4;

/// How long a person may take to do what is asked.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_secs(60);

/// One scenario of a run.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    pub(super) case: &'static Case,
    /// The transport that the client is to use, if that matters.
    pub(super) wanted: Option<Transport>,
    /// Its place among all, so that its seed does not depend on what else runs.
    pub(super) number: u64,
}

impl Planned {
    /// Its name in the path.
    fn path(&self) -> String {
        match self.wanted {
            Some(transport) => format!("{}@{transport}", self.case.id),
            None => self.case.id.to_owned(),
        }
    }

    /// The transport to tell a command.
    fn transport(&self) -> Transport {
        self.wanted.or_else(|| self.case.transports.first().copied()).unwrap_or(Transport::WebSocket)
    }
}

/// Every scenario over the transports, or over whichever the client takes.
fn all(transports: &[Transport]) -> Vec<Planned> {
    let wanted = |case: &'static Case| -> Vec<Option<Transport>> {
        match transports {
            [] => vec![None],
            some => some.iter().copied().filter(|one| case.transports.contains(one)).map(Some).collect(),
        }
    };
    let entries = scenarios().iter().flat_map(|case| wanted(case).into_iter().map(move |wanted| (case, wanted)));
    (0..).zip(entries).map(|(number, (case, wanted))| Planned { case, wanted, number }).collect()
}

impl Entry for Planned {
    fn case(&self) -> &'static Case {
        self.case
    }

    fn is_over(&self, transport: Transport) -> bool {
        self.wanted.map_or_else(|| self.case.transports.contains(&transport), |wanted| wanted == transport)
    }

    fn names(&self) -> Vec<String> {
        let transports = self.wanted.map_or(self.case.transports, |_| &[]);
        let named = transports.iter().copied().chain(self.wanted);
        named.map(|transport| format!("{}@{transport}", self.case.id)).chain([self.case.id.to_owned()]).collect()
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.service.is_none() && args.client.command.is_none() {
        let _ = writeln!(anstream::stderr(), "no `--service` given: the client is to use `customer-support`");
    }
    let service = args.service.clone().unwrap_or_else(|| "customer-support".to_owned());
    let plan = args.choice.of(&all(&args.choice.transports()), &[])?;
    if args.list {
        output::print(&super::plan::list(&plan))?;
        return Ok(Exit::Success);
    }
    let expectations = super::expectations(args.expect.as_deref())?;
    let expectations = if args.choice.is_everything() { expectations.of_whole_run() } else { expectations };
    let seed = live::seed(args.seed)?;
    let folder = args.report.as_deref().map(Folder::create).transpose()?;
    let clock = Clock::start();
    let started = live::rfc3339(clock.start_utc());
    let today = started.get(..10).unwrap_or_default().to_owned();
    let mut about = About {
        version: live::VERSION.to_owned(),
        target: "a client under test".to_owned(),
        service: Some(service.clone()),
        agent: Agent::Simulated,
        agent_name: None,
        seed,
        started: Some(started),
        took: Duration::ZERO,
        again: Again::Run { command: command(args, seed), tapes: folder.as_ref().map(Folder::tapes) },
    };
    let journal = Arc::new(Journal::new(folder));
    let (desk, cut) = live::runtime()?.block_on(hold(args, &plan, &service, &about, &clock, &journal))?;
    about.took = clock.now().since(Time::ZERO);
    // Whoever interrupts knows why nobody came.
    let has_nobody_come = !desk.came() && cut.is_none();
    desk.end();
    let report = journal.close(about, cut, &expectations, &today);
    let hint = has_nobody_come.then(|| {
        let how = match &args.client.command {
            Some(_) => {
                "see that the command connects to the URL in `TAPESTRY_URL`: run it by hand with `tapestry serve`"
            }
            None => "point a client at a URL that was printed at the start, or let `--command` start one",
        };
        format!("no client came; {how}")
    });
    super::tell(args, &report, hint)
}

/// Listens until every scenario is over, or nothing more is to be expected.
async fn hold(
    args: &Args,
    plan: &[Planned],
    service: &str,
    about: &About,
    clock: &Clock,
    journal: &Arc<Journal>,
) -> Result<(Desk, Option<Cut>), Failure> {
    let seed = about.seed;
    let mut stop = Stop::listen()?;
    let listener = listener::bind(&args.client.listen).await.map_err(live::cannot_listen)?;
    let address = listener.local_addr();
    journal.begin(about)?;
    let mut carrier = Server::start(listener, Limits::default().bytes);
    let command = args.client.command.as_deref();
    let patience = match command {
        Some(_) => Settings::new(service).patience,
        None => PATIENCE_WITH_PEOPLE,
    };
    let settings = |planned: &Planned| Settings {
        base: args.client.base.clone(),
        transport: planned.wanted,
        patience,
        start_utc: clock.start_utc(),
        ..Settings::new(service)
    };
    let visit = |planned: &Planned| {
        let seed = seed.wrapping_add(planned.number);
        (planned.path(), Visit::new(planned.case, &settings(planned), seed))
    };
    let mut door = Door::new(args.client.base.clone(), plan.iter().map(visit).collect());
    let url = |place: usize| format!("http://{address}{}", door.path(place).unwrap_or_default());
    let urls: Vec<String> = (0..plan.len()).map(url).collect();
    live::announce(&format!("http://{address}{}", args.client.base))?;
    if command.is_none() {
        explain(service, plan, &urls);
    }
    let wait = args.client.wait.map_or_else(|| if command.is_some() { 20 } else { 300 }, u64::from);
    let jobs = args.jobs.map_or(COMMANDS, usize::from);
    let mut commands = Commands::new(command, plan, &urls, service, jobs);
    let kept = (Arc::clone(journal), Progress::new(plan.len()));
    let mut desk = Desk::new(plan, kept, seed, plan.iter().map(settings).collect(), clock)?;
    let mut told = Vec::new();
    loop {
        let now = clock.now();
        for in_vain in commands.turn(now, &desk, Duration::from_secs(wait))? {
            tell_last_words(&plan[in_vain.place], &in_vain, &mut told);
            desk.give_up(now, in_vain.place, &in_vain.says);
            door.give_up(now, in_vain.place, &in_vain.says);
        }
        if command.is_none() && now.since(desk.last_heard()) >= Duration::from_secs(wait) {
            let open: Vec<usize> = door.open().collect();
            for place in open {
                desk.give_up(now, place, GONE);
                door.give_up(now, place, GONE);
            }
        }
        let mut interrupted = false;
        let turn = async {
            tokio::select! {
                biased;
                () = stop.wait() => interrupted = true,
                () = tokio::time::sleep(TURN) => {}
            }
        };
        driver::run(&mut door, Side::Server, clock, &mut carrier, &mut desk, turn).await;
        for (place, step) in desk.take_asks() {
            if command.is_some() {
                commands.tell(place, step);
            } else {
                let _ = writeln!(anstream::stderr(), "{}: {}", plan[place].path(), step.request());
            }
        }
        if interrupted {
            desk.cut_short();
            let begun: Vec<usize> = door.open().filter(|place| door.has_begun(*place)).collect();
            begun.into_iter().for_each(|place| door.give_up(clock.now(), place, "interrupted"));
            // What they came to is told at once.
            driver::run(&mut door, Side::Server, clock, &mut carrier, &mut desk, tokio::time::sleep(TURN)).await;
            return Ok((desk, Some(Cut::Interrupted)));
        }
        if desk.is_complete() {
            // What was told last is to reach the client.
            let rest = tokio::time::sleep(TURN);
            driver::run(&mut door, Side::Server, clock, &mut carrier, &mut desk, rest).await;
            return Ok((desk, None));
        }
    }
}

/// Why a scenario is given up to which nobody comes. A tape keeps it as it is.
const GONE: &str = "no client came or it went: point one at the URL of the scenario";

/// Tells what a client said last before it did not come; what the one before said, too, is not told again.
fn tell_last_words(planned: &Planned, in_vain: &InVain, told: &mut Vec<String>) {
    if in_vain.last_words.is_empty() || *told == in_vain.last_words {
        return;
    }
    told.clone_from(&in_vain.last_words);
    let mut text = format!("{}: {}; the last lines of its stderr:\n", planned.path(), in_vain.says);
    told.iter().for_each(|line| text.push_str(&format!("  | {line}\n")));
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// How often commands are looked after.
const TURN: Duration = Duration::from_millis(100);

/// How to point a client at the scenarios.
fn explain(service: &str, plan: &[Planned], urls: &[String]) {
    let mut text = format!(
        "point a client at the URL above with service `{service}`, once for each scenario: each new conversation gets the\n\
         next one. Or choose one by its URL. In each, start a chat, and do what is asked here.\n"
    );
    for (planned, url) in plan.iter().zip(urls) {
        text.push_str(&format!("  {url}\n      {}\n", planned.case.title()));
    }
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// The command that runs the same again, without a choice of cases.
pub(super) fn command(args: &Args, seed: u64) -> String {
    let client = &args.client;
    let mut words = Words::new("tapestry conformance --client");
    words.flag("--listen", Some(&client.listen).filter(|listen| *listen != LISTEN));
    words.flag("--base", Some(&client.base).filter(|base| *base != BASE));
    words.flag("--service", args.service.clone());
    words.flag("--wait", client.wait);
    // It may hold a password, and the words end up in reports.
    words.switch("--command '...'", client.command.is_some());
    words.common(args, seed)
}
