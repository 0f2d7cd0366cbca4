//! `tapestry import har` and `tapestry export har`: what browsers and proxies wrote becomes a tape, and a tape becomes what
//! developer tools open.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Error, anyhow};
use recording::audit;
use recording::capture::Source;
use recording::har::{self, ImportError, Imported, LeftOut, Traffic};
use recording::redaction::Keep;
use recording::tape::Tape;

use crate::exit::{Exit, Failure};
use crate::{files, live, output, tapes};

/// Bring conversations that another program wrote.
#[derive(clap::Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    format: ImportFormat,
}

#[derive(clap::Subcommand)]
enum ImportFormat {
    Har(ImportArgs),
}

/// Turn HAR files from Chrome, Firefox, Playwright or mitmproxy into tapes.
///
/// What belongs to a Bayeux conversation is taken, secrets, names and texts are replaced by tokens in memory, and the rest is
/// left out. A HAR that was exported from a tape becomes that tape again, if it passes the audit. Exit code 3 means that something is missing in a
/// file.
#[derive(clap::Args)]
struct ImportArgs {
    /// The HAR files, or what Playwright writes instead: a ZIP archive, or a folder with one HAR. `-` reads stdin.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Tape to write, NAME.tape.jsonl by custom; must not exist yet. `-` writes to stdout. In a folder that exists each file
    /// becomes a tape with its own name.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The server, if a file holds conversations with several: the beginning of its URL, such as `https://gms.example:8443`.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// A word that says nothing about anybody, such as the name of a service, in a file that was exported from a tape; may be
    /// repeated. The audit takes it there.
    #[arg(long, value_name = "WORD")]
    allow: Vec<String>,
    /// Move all wall times of the tape by one random amount between a day and ten years, which nobody keeps. Differences and
    /// order survive. The tape says so.
    #[arg(long)]
    shift_times: bool,
}

/// Give conversations to other programs.
#[derive(clap::Args)]
pub(crate) struct Export {
    #[command(subcommand)]
    format: ExportFormat,
}

#[derive(clap::Subcommand)]
enum ExportFormat {
    Har(ExportArgs),
}

/// Turn a tape into a HAR file that the developer tools of browsers open.
///
/// WebSockets have their messages as Chrome writes them. What HAR has no place for is kept in members of our own, so that an
/// import gives the same tape again.
#[derive(clap::Args)]
struct ExportArgs {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// HAR file to write; must not exist yet. `-` writes to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn import(args: &Import) -> Result<Exit, Failure> {
    let ImportFormat::Har(args) = &args.format;
    let tasks = tasks(args)?;
    if let [(file, tape)] = tasks.as_slice() {
        return import_one(file, tape, args);
    }
    // What is wrong with one file is no reason to withhold the others.
    let mut worst = Exit::Success;
    for (file, tape) in &tasks {
        let exit = import_one(file, tape, args).unwrap_or_else(|failure| {
            say(&failure.to_string());
            failure.exit
        });
        worst = worst.worse(exit);
    }
    Ok(worst)
}

/// Each file with the tape that it becomes. Nothing is written unless all of them can be.
fn tasks(args: &ImportArgs) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let is_folder = args.output.is_dir();
    if args.files.len() > 1 && !is_folder {
        return Err(Failure::usage(anyhow!("`{}` is no folder", args.output.display()))
            .hint("several files become a tape each: create a folder and give it with `--output`"));
    }
    let mut tasks: Vec<(PathBuf, PathBuf)> = Vec::new();
    for file in &args.files {
        let har = if file.is_dir() { har_in(file)? } else { file.clone() };
        let tape = if is_folder { args.output.join(tape_name(file)) } else { args.output.clone() };
        if let Some((other, _)) = tasks.iter().find(|(_, taken)| *taken == tape) {
            let both = format!("`{}` and `{}` would both become `{}`", other.display(), har.display(), tape.display());
            return Err(Failure::usage(anyhow!(both)).hint("import one of them by itself, or rename it"));
        }
        tasks.push((har, tape));
    }
    match tasks.iter().find(|(_, tape)| tape.exists()) {
        Some((_, tape)) => Err(files::exists(tape, "--output")),
        None => Ok(tasks),
    }
}

/// `chat.har` becomes `chat.tape.jsonl`, and so does a folder `chat`.
fn tape_name(file: &Path) -> String {
    let name = if file == Path::new("-") {
        "stdin".into()
    } else if file.is_dir() {
        // `.` has no name.
        file.canonicalize().ok().and_then(|file| Some(file.file_name()?.to_owned())).unwrap_or_default()
    } else {
        file.file_stem().unwrap_or_default().to_owned()
    };
    format!("{}.tape.jsonl", name.to_string_lossy())
}

/// The one HAR in a folder.
fn har_in(folder: &Path) -> Result<PathBuf, Failure> {
    let unread = || format!("failed to read `{}`", folder.display());
    let entries: Result<Vec<_>, _> = folder.read_dir().and_then(Iterator::collect);
    let mut hars = Vec::new();
    for entry in entries.with_context(unread).map_err(Failure::usage)? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("har")) {
            hars.push(path);
        }
    }
    let one = match hars.as_slice() {
        [har] => return Ok(har.clone()),
        [] => "no file that ends with `.har`",
        _ => "several files that end with `.har`",
    };
    Err(Failure::usage(anyhow!("`{}` holds {one}", folder.display())).hint("name the HAR files themselves"))
}

fn import_one(file: &Path, output: &Path, args: &ImportArgs) -> Result<Exit, Failure> {
    let bytes = files::read(file)?;
    let mut attached = |name: &str| beside(file, name);
    let imported = har::import(&bytes, args.origin.as_deref(), &mut attached).map_err(|error: ImportError| {
        for warning in error.warnings() {
            say(&format!("warning: {warning}"));
        }
        let hint = error.hint();
        Failure::usage(Error::new(error).context(format!("`{}`", file.display()))).hint(hint)
    })?;
    match imported {
        Imported::Original { .. } if args.shift_times => {
            let error = anyhow!("`{}` was exported from a tape, whose times stand on it as they are", file.display());
            Err(Failure::usage(error).hint("leave `--shift-times` out, or record with `tapestry record --shift-times`"))
        }
        Imported::Original { bytes, keep } => {
            if keep != Keep::Everything {
                check_original(file, &bytes, &args.allow)?;
            }
            output::put(output, &bytes)?;
            say(&format!("{}: the tape that the file was exported from", output.display()));
            if keep == Keep::Everything {
                say(&format!(
                    "warning: `{}` is not redacted, as that tape was not: it may hold secrets",
                    output.display()
                ));
            }
            Ok(Exit::Success)
        }
        Imported::Traffic(traffic) => {
            let label = live::label(traffic.start.clone(), Source::Har(traffic.maker))?;
            output::put(output, &traffic.tape(label, live::shift(args.shift_times)?))?;
            say(&format!("{}: {}", output.display(), summary(&traffic)));
            for warning in &traffic.warnings {
                say(&format!("warning: {warning}"));
            }
            Ok(if traffic.warnings.is_empty() { Exit::Success } else { Exit::Incomplete })
        }
    }
}

/// Nothing in such a file is redacted again, so whoever has edited it may have put a secret in. What the header of the tape says
/// is kept on purpose is no secret.
fn check_original(file: &Path, tape: &[u8], allow: &[String]) -> Result<(), Failure> {
    let findings = audit::audit(tape, &tapes::harmless(allow)).map_err(|error| tapes::no_tape(file, error))?.findings;
    let Some(first) = findings.first() else { return Ok(()) };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let file = file.display();
    let says = format!("`{file}`: the tape that it was exported from does not pass the audit: {first}{more}");
    let hint = "if the file was edited, export the tape again; a word that says nothing about anybody, such as the name of a \
                service, is allowed with `--allow WORD`";
    Err(Failure::usage(anyhow!(says)).hint(hint))
}

/// How much was taken, and how much not.
fn summary(traffic: &Traffic) -> String {
    let messages = traffic.messages();
    let LeftOut { unreadable, unsent, elsewhere, unrelated } = traffic.left_out;
    let all = traffic.taken + unreadable + unsent + elsewhere + unrelated;
    let reasons = [
        (unreadable, "cannot be read"),
        (unsent, "went to no server"),
        (elsewhere, "went to another server"),
        (unrelated, "not of the conversation"),
    ];
    let left_out: Vec<String> =
        reasons.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    let left_out = if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    let s = if messages == 1 { "" } else { "s" };
    format!("{messages} message{s} from {} of {all} entries{left_out}", traffic.taken)
}

pub(crate) fn export(args: &Export) -> Result<Exit, Failure> {
    let ExportFormat::Har(args) = &args.format;
    let tape: Tape = tapes::read(&args.file)?;
    output::put(&args.output, har::export(&tape, env!("CARGO_PKG_VERSION")).as_bytes())?;
    Ok(Exit::Success)
}

/// A file that the HAR names, if it lies beside it.
fn beside(har: &Path, name: &str) -> Option<Vec<u8>> {
    let plain = matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    let directory = har.parent().filter(|_| har != Path::new("-"))?;
    plain.then(|| files::read(&directory.join(name)).ok()).flatten()
}

/// With stderr gone nobody reads it; the exit code says the same.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
