//! `tapestry review`: goes through what a run came to and nobody expected, and keeps what is accepted in a file of
//! expectations.

mod dialogue;
mod edit;

use std::io::Write;
use std::path::{Path, PathBuf};

use ::conformance::conclude::CaseResult;
use ::conformance::expectations::{Expectation, Expectations, is_day};
use ::conformance::report::kept::Kept;
use ::conformance::report::text;
use ::conformance::requirements::Catalogue;
use ::conformance::review::{Proposal, proposals};
use ::conformance::verdict::Kind;
use anyhow::{Context, anyhow};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use transport::clock::Clock;

use self::dialogue::{Choice, Dialogue};
use self::edit::{Edit, Entry};
use crate::exit::{Exit, Failure};
use crate::target::ConfigArgs;
use crate::{files, output};

/// The file that is amended if nobody names one.
const FILE: &str = "expectations.toml";

/// How long a new expectation holds unless somebody says otherwise, in days.
const DAYS: i64 = 90;

/// Go through the verdicts of a run that nobody expected, and through expectations that are not true any more; what you
/// accept is kept in a file for `--expect`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What `--report` wrote: the directory, or its `result.json`.
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// The file of expectations to amend, or to make. Unless given it is the one that the configuration has for the
    /// target, else `expectations.toml` in this folder.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Who answers for new expectations, unless you name somebody else.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The last day on which expectations hold, unless you name another one; 90 days from today unless given.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    until: Option<String>,
    /// Print what is proposed as TOML, ask nothing, and write nothing.
    #[arg(long)]
    list: bool,
}

fn day(text: &str) -> Result<String, String> {
    if is_day(text) { Ok(text.to_owned()) } else { Err("a day is `YYYY-MM-DD`, such as `2026-12-31`".to_owned()) }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let kept = read(&args.report)?;
    let configured = || args.config.known_departures(&kept.target);
    let path = args.expect.clone().or_else(configured).unwrap_or_else(|| PathBuf::from(FILE));
    let file = File::open(&path)?;
    let days = Days::new(args.until.as_deref())?;
    let proposed = proposals(&kept, &file.known, &days.today);
    tell_what_is_left_out(&kept);
    if proposed.is_empty() {
        output::print("nothing to review: every departure is expected, and every expectation is met\n")?;
        return Ok(Exit::Success);
    }
    if args.list {
        output::print(&proposed.iter().map(|proposal| listed(proposal, &days)).collect::<Vec<_>>().join("\n"))?;
        return Ok(Exit::Unexpected);
    }
    note(&file.announce());
    let mut dialogue = Dialogue::new(args.owner.clone(), days);
    let reviewed = review(&proposed, &file, &mut dialogue)?;
    output::print(&reviewed.summary(proposed.len(), &path))?;
    Ok(reviewed.exit(proposed.len()))
}

fn read(report: &Path) -> Result<Kept, Failure> {
    let path = if report.is_dir() { report.join("result.json") } else { report.to_path_buf() };
    let hint = "`tapestry conformance --report DIR` writes `DIR/result.json`";
    let text = files::read_text(&path).map_err(|failure| failure.hint(hint))?;
    Kept::parse(&text)
        .with_context(|| format!("`{}` is no result of this suite", path.display()))
        .map_err(|error| Failure::usage(error).hint(hint))
}

/// Says what no expectation can settle.
fn tell_what_is_left_out(kept: &Kept) {
    if !kept.is_complete {
        note("the run was cut short: what did not run is left alone");
    }
    let open = kept.results.iter().filter(|(result, _)| matches!(result.verdict, Kind::Blocked | Kind::Inconclusive));
    let open = open.count();
    if open > 0 {
        note(&format!("blocked or inconclusive: {}; no expectation covers that", counted(open, "case")));
    }
    for name in &kept.unsteady {
        note(&format!("{name} is not the same each time: an expectation covers one verdict alone"));
    }
}

/// The days that matter, `YYYY-MM-DD`.
struct Days {
    today: String,
    /// The last day of what is accepted, unless somebody names another one.
    until: String,
}

impl Days {
    fn new(until: Option<&str>) -> Result<Self, Failure> {
        let now = Timestamp::from_millisecond(Clock::start().start_utc()).map_err(Failure::internal)?;
        let today = TimeZone::UTC.to_datetime(now).date();
        let later = today.checked_add(DAYS.days()).map_err(Failure::internal)?;
        let until = until.map_or_else(|| later.to_string(), str::to_owned);
        Ok(Self { today: today.to_string(), until })
    }
}

/// The file as it was found.
struct File<'a> {
    path: &'a Path,
    text: Option<String>,
    known: Expectations,
}

impl<'a> File<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let text = path.exists().then(|| files::read_text(path)).transpose()?;
        let named = || format!("`{}`", path.display());
        let known =
            Expectations::parse(text.as_deref().unwrap_or_default()).with_context(named).map_err(Failure::usage)?;
        Ok(Self { path, text, known })
    }

    fn announce(&self) -> String {
        let path = self.path.display();
        match &self.text {
            Some(_) => {
                let known = counted(self.known.entries().len(), "expectation");
                format!("`{path}` has {known}, and is amended with what you accept")
            }
            None => format!("`{path}` does not exist, and is made when you accept something"),
        }
    }

    /// Writes what comes of some edits. `last` is what was written before.
    fn write(&self, edits: &[Edit], last: Option<&str>) -> Result<String, Failure> {
        let now = self.path.exists().then(|| files::read_text(self.path)).transpose()?;
        if now.as_deref() != last.or(self.text.as_deref()) {
            let error = anyhow!("`{}` was changed by somebody else meanwhile", self.path.display());
            return Err(
                Failure::usage(error).hint("what was accepted since is not written: run `tapestry review` again")
            );
        }
        let text = edit::apply(self.text.as_deref().unwrap_or_default(), edits)
            .with_context(|| format!("`{}`", self.path.display()))
            .map_err(Failure::usage)?;
        // What this program could not read again it does not write.
        Expectations::parse(&text).map_err(Failure::internal)?;
        files::replace(self.path, &text)?;
        Ok(text)
    }
}

/// What became of the proposals.
#[derive(Default)]
struct Reviewed {
    accepted: usize,
    skipped: usize,
    /// The input ended before everything was answered.
    is_cut: bool,
}

impl Reviewed {
    fn summary(&self, all: usize, path: &Path) -> String {
        let left = all - self.accepted - self.skipped;
        let wrote = match self.accepted {
            0 => "nothing written".to_owned(),
            _ => format!("written to `{}`", path.display()),
        };
        let (all, accepted, skipped) = (counted(all, "proposal"), self.accepted, self.skipped);
        format!("{all}: {accepted} accepted, {skipped} skipped, {left} left; {wrote}\n")
    }

    const fn exit(&self, all: usize) -> Exit {
        if self.accepted == all {
            Exit::Success
        } else if self.is_cut && self.skipped == 0 {
            Exit::Incomplete
        } else {
            Exit::Unexpected
        }
    }
}

/// Asks for each proposal. What is accepted is written at once, so that nothing of it is lost.
fn review(proposed: &[Proposal<'_>], file: &File<'_>, dialogue: &mut Dialogue) -> Result<Reviewed, Failure> {
    let (mut reviewed, mut edits) = (Reviewed::default(), Vec::new());
    let mut last: Option<String> = None;
    for (place, proposal) in proposed.iter().enumerate() {
        note(&format!("\n{} of {}  {}", place + 1, proposed.len(), shown(proposal)));
        let Some(choice) = dialogue.choose() else {
            reviewed.is_cut = true;
            break;
        };
        match choice {
            Choice::Quit => break,
            Choice::Skip => reviewed.skipped += 1,
            Choice::Accept => {
                let Some(edit) = accepted(proposal, dialogue) else {
                    reviewed.is_cut = true;
                    break;
                };
                edits.push(edit);
                last = Some(file.write(&edits, last.as_deref())?);
                reviewed.accepted += 1;
            }
        }
    }
    Ok(reviewed)
}

/// The edit of a proposal that was accepted; `None` if the input ends before everything is said.
fn accepted(proposal: &Proposal<'_>, dialogue: &mut Dialogue) -> Option<Edit> {
    Some(match proposal {
        Proposal::New { .. } => {
            let (reason, owner, until) = (dialogue.reason()?, dialogue.owner()?, dialogue.until()?);
            Edit::Add(Entry { reason, owner, until, ..draft(proposal)? })
        }
        Proposal::Stale { place, .. } => Edit::Remove { place: *place },
        Proposal::Narrower { place, transports, .. } => {
            let transports = transports.iter().map(ToString::to_string).collect();
            Edit::Narrow { place: *place, transports }
        }
        Proposal::Expired { place, .. } => Edit::Renew { place: *place, until: dialogue.until()? },
    })
}

/// A new entry without what somebody has to say.
fn draft(proposal: &Proposal<'_>) -> Option<Entry> {
    let Proposal::New { case, transport, verdict, requirement, .. } = proposal else { return None };
    Some(Entry {
        case: case.id.to_owned(),
        transport: transport.map(|transport| transport.to_string()),
        verdict: verdict.name().to_owned(),
        requirement: (*requirement).to_owned(),
        reason: String::new(),
        owner: String::new(),
        until: String::new(),
    })
}

/// A proposal with what it rests on.
fn shown(proposal: &Proposal<'_>) -> String {
    match proposal {
        Proposal::New { verdict, requirement, results, .. } => {
            let says = Catalogue::get().requirement(requirement).map_or("", |requirement| requirement.text.as_str());
            let evidence = results.first().map(|result| text::evidence(result)).unwrap_or_default();
            format!("new: {verdict} in {requirement}: {}\n      {says}\n{evidence}", names(results))
        }
        Proposal::Stale { expectation, results, .. } => {
            let evidence = came(results);
            format!("stale, to be taken out: {}\n{evidence}", described(expectation))
        }
        Proposal::Narrower { expectation, transports, results, .. } => {
            let kept: Vec<&str> = transports.iter().map(|transport| transport.name()).collect();
            format!("to be kept for {} alone: {}\n{}", kept.join(", "), described(expectation), came(results))
        }
        Proposal::Expired { expectation, .. } => {
            format!("expired on {}, to be given another day: {}\n", expectation.until, described(expectation))
        }
    }
}

fn names(results: &[&CaseResult]) -> String {
    results.iter().map(|result| result.name()).collect::<Vec<_>>().join(", ")
}

fn came(results: &[&CaseResult]) -> String {
    let one = |result: &&CaseResult| {
        let broken = result.reason.as_ref().and_then(|reason| reason.requirement.as_ref());
        let place = broken.map(|id| format!(" in {id}")).unwrap_or_default();
        format!("      {:<10} {}{place}\n", result.verdict.words(), result.name())
    };
    results.iter().map(one).collect()
}

fn described(expectation: &Expectation) -> String {
    let Expectation { case, transport, verdict, requirement, reason, owner, .. } = expectation;
    let over = transport.as_ref().map(|transport| format!("@{transport}")).unwrap_or_default();
    format!("{case}{over}, {verdict} in {requirement}\n      {:<10} {reason}\n      {:<10} {owner}", "reason", "owner")
}

/// A proposal as TOML: new entries to be completed, changes as comments.
fn listed(proposal: &Proposal<'_>, days: &Days) -> String {
    let comment: String = shown(proposal).lines().map(|line| format!("# {}\n", line.trim_start())).collect();
    let Some(entry) = draft(proposal) else { return comment };
    let edit = Edit::Add(Entry { until: days.until.clone(), ..entry });
    let toml = edit::apply("", &[edit]).unwrap_or_default();
    format!("{comment}{toml}")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn note(text: &str) {
    // With stderr gone there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}
