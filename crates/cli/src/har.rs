//! `tapestry import har` and `tapestry export har`: what browsers and proxies wrote becomes a tape, and a tape becomes what
//! developer tools open.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Error, anyhow};
use recording::capture::{Config, Source};
use recording::har::{self, ImportError, Imported, Traffic};
use recording::redaction::Shift;
use recording::tape::Tape;
use recording::token::Key;
use transport::clock;

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

/// Turn a HAR file from Chrome, Firefox, Playwright or mitmproxy into a tape.
///
/// What belongs to a Bayeux conversation is taken, secrets, names and texts are replaced by tokens in memory, and the rest is
/// left out. A HAR that was exported from a tape becomes that tape again. Exit code 3 means that something is missing in the
/// file.
#[derive(clap::Args)]
struct ImportArgs {
    /// The HAR file; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Tape to write, NAME.tape.jsonl by custom; must not exist yet. `-` writes to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The server, if the file holds conversations with several: the beginning of its URL, such as `https://gms.example:8443`.
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
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
    let bytes = files::read(&args.file)?;
    let mut attached = |name: &str| beside(&args.file, name);
    let imported = har::import(&bytes, args.origin.as_deref(), &mut attached).map_err(|error: ImportError| {
        let hint = error.hint();
        Failure::usage(Error::new(error).context(format!("`{}`", args.file.display()))).hint(hint)
    })?;
    match imported {
        Imported::Original(_) if args.shift_times => {
            let error =
                anyhow!("`{}` was exported from a tape, whose times stand on it as they are", args.file.display());
            Err(Failure::usage(error).hint("leave `--shift-times` out, or record with `tapestry record --shift-times`"))
        }
        Imported::Original(tape) => {
            put(&args.output, &tape)?;
            say(&format!("{}: the tape that the file was exported from", args.output.display()));
            Ok(Exit::Success)
        }
        Imported::Traffic(traffic) => {
            let (tape, messages) = taped(&traffic, live::shift(args.shift_times)?)?;
            put(&args.output, &tape)?;
            let left_out = match traffic.left_out {
                0 => String::new(),
                1 => "; 1 entry of the file is no Bayeux and is left out".to_owned(),
                several => format!("; {several} entries of the file are no Bayeux and are left out"),
            };
            say(&format!("{}: {messages} messages{left_out}", args.output.display()));
            for warning in &traffic.warnings {
                say(&format!("warning: {warning}"));
            }
            Ok(if traffic.warnings.is_empty() { Exit::Success } else { Exit::Incomplete })
        }
    }
}

pub(crate) fn export(args: &Export) -> Result<Exit, Failure> {
    let ExportFormat::Har(args) = &args.format;
    let tape: Tape = tapes::read(&args.file)?;
    put(&args.output, har::export(&tape, env!("CARGO_PKG_VERSION")).as_bytes())?;
    Ok(Exit::Success)
}

/// The redacted tape of raw traffic, under a key that nobody keeps, and how many messages it holds.
fn taped(traffic: &Traffic, shift: Option<Shift>) -> Result<(Vec<u8>, u64), Failure> {
    let random = |what: &str| format!("failed to draw {what}");
    let key = clock::random::<32>().with_context(|| random("a key")).map_err(Failure::internal)?;
    let id = clock::random::<16>().with_context(|| random("a name")).map_err(Failure::internal)?;
    let config = Config {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git: env!("TAPESTRY_COMMIT").to_owned(),
        start: traffic.start.clone(),
        id: format!("{:032x}", u128::from_ne_bytes(id)),
        key: Key::from_bytes(key),
        source: Source::Har(traffic.maker),
        scenario: None,
        seed: None,
        env: BTreeMap::new(),
    };
    Ok(traffic.tape(config, shift))
}

/// A file that the HAR names, if it lies beside it.
fn beside(har: &Path, name: &str) -> Option<Vec<u8>> {
    let plain = matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    let directory = har.parent().filter(|_| har != Path::new("-"))?;
    plain.then(|| files::read(&directory.join(name)).ok()).flatten()
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new("-") {
        return output::print(&String::from_utf8_lossy(bytes));
    }
    files::create(path, bytes)
}

/// With stderr gone nobody reads it; the exit code says the same.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
