//! `tapestry record`: the capturing proxy in front of any Bayeux server.

mod amount;
mod line;

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use clap::ValueEnum;
use recorder::{Config, Ends, Error, Every, Limit, Recorder, Summary};
use recording::redaction::Keep;
use transport::clock::Clock;
use transport::endpoint::Endpoint;
use transport::listener;
use transport::proxy::Limits;

use self::line::Line;
use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::{KeyParser, KeyVariable};
use crate::live::Stop;
use crate::{descriptors, input, live, memory};

/// Record what passes between clients and a server. Point the client at the printed address instead of the server's.
///
/// Secrets, names and texts are replaced by tokens before anything reaches the disk. The tape grows while traffic flows and is
/// readable at any time; Ctrl-C ends it properly. The traffic passes as it is: Host is made to name the server, what concerns one
/// connection alone (such as Keep-Alive) stays on it, and no X-Forwarded-For or the like is added. Exit code 3 means that something that passed is not on the tape.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    listen: String,
    /// URL of the server's CometD servlet; every path of its origin is forwarded.
    #[arg(long, value_name = "URL", value_parser = input::Url)]
    upstream: Endpoint,
    #[command(flatten)]
    trust: TrustArgs,
    /// Tape to write, NAME.tape.jsonl by custom; must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Name of the chat service, which is then on the tape: the audit takes it for no secret.
    #[arg(long, value_name = "NAME", value_parser = input::service)]
    service: Option<String>,
    /// Keep what people and servers wrote. Names and keys seen before and what looks like an address or a telephone number are
    /// replaced all the same, values of one or two bytes and what was never seen are not. The tape says so.
    #[arg(long)]
    keep_text: bool,
    /// Replace nothing: secrets, names and texts stand on the tape as they are. The tape says so, and the audit refuses it.
    #[arg(long, conflicts_with = "keep_text")]
    no_redact: bool,
    /// Make the tokens with a key of the project, 64 hexadecimal digits in an environment variable: equal values then have
    /// equal tokens on all its tapes. Without it each tape has a key of its own, which nobody keeps.
    #[arg(long, value_name = "${VARIABLE}", value_parser = KeyParser)]
    key: Option<KeyVariable>,
    /// Move all wall times of the tape by one random amount between a day and ten years, which nobody keeps. Differences and
    /// order survive. The tape says so.
    #[arg(long, conflicts_with = "no_redact")]
    shift_times: bool,
    /// Go on in another file every so often: NAME.0001.tape.jsonl, NAME.0002.tape.jsonl and so on, after a size (kB, MB, GB, KiB,
    /// MiB, GiB) or a duration (s, m, h, d). Give it twice for both. `tapestry tape join` makes one tape of them.
    #[arg(long, value_name = "SIZE|DURATION", value_parser = amount::every)]
    rotate: Vec<Every>,
    /// Give each browser session a tape of its own: NAME.session-0001.tape.jsonl and so on, found by the cookie
    /// BAYEUX_BROWSER, else by the clientId or the WebSocket; NAME.other.tape.jsonl holds what belongs to none. Not with
    /// `--rotate`: such a tape ends with its session, and in parts it could not be judged while others go on.
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "rotate")]
    split: Option<Split>,
    /// End after so long, such as 90s or 8h, as with Ctrl-C.
    #[arg(long, value_name = "DURATION", value_parser = amount::duration)]
    max_duration: Option<Duration>,
    /// End once the tapes are so long in all, such as 1GB. What is under way is still written.
    #[arg(long, value_name = "SIZE", value_parser = amount::size)]
    max_bytes: Option<u64>,
    /// End once so many Bayeux messages are recorded. What is under way is still written.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_messages: Option<u64>,
    /// Show no line on the terminal that says how the recording stands.
    #[arg(short, long)]
    quiet: bool,
}

/// What has a tape of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Split {
    /// Each browser session.
    Session,
}

impl Args {
    /// When a part is long enough, if there are to be parts.
    fn every(&self) -> Result<Option<Every>, Failure> {
        let mut all = Every::default();
        for Every { bytes, time } in self.rotate.iter().copied() {
            if bytes.and(all.bytes).is_some() || time.and(all.time).is_some() {
                let error = anyhow::anyhow!("`--rotate` has two sizes or two durations");
                return Err(Failure::usage(error).hint("give one of each at most: `--rotate 100MB --rotate 1h`"));
            }
            all = Every { bytes: bytes.or(all.bytes), time: time.or(all.time) };
        }
        Ok((!self.rotate.is_empty()).then_some(all))
    }

    const fn ends(&self) -> Ends {
        Ends { duration: self.max_duration, bytes: self.max_bytes, messages: self.max_messages }
    }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    descriptors::raise();
    let upstream = args.trust.route(&args.upstream)?;
    let every = args.every()?;
    live::runtime()?.block_on(async {
        let stop = Stop::listen()?;
        let listener = listener::bind(&args.listen).await.map_err(live::cannot_listen)?;
        let clock = Clock::start();
        let config = Config {
            output: args.output.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("TAPESTRY_COMMIT").to_owned(),
            clock,
            rfc3339: live::rfc3339,
            key: args.key.as_ref().map(KeyVariable::value).transpose()?,
            keep: match (args.keep_text, args.no_redact) {
                (_, true) => Keep::Everything,
                (true, false) => Keep::Texts,
                (false, false) => Keep::Nothing,
            },
            shift: live::shift(args.shift_times)?,
            env: args.service.iter().map(|service| ("service".to_owned(), service.clone())).collect(),
            limits: Limits::default(),
        };
        let recorder = match (every, args.split) {
            (Some(every), _) => Recorder::in_parts(config, every),
            (None, Some(Split::Session)) => Recorder::by_session(config),
            (None, None) => Recorder::create(config),
        };
        let recorder = recorder.map_err(cannot_record)?.until(args.ends());
        live::announce(&format!("http://{}{}", listener.local_addr(), args.upstream.path))?;
        let several = if every.is_some() || args.split.is_some() { "tapes beside " } else { "" };
        let output = args.output.display();
        let _ = writeln!(anstream::stderr(), "recording {} to {several}{output}; end with Ctrl-C", args.upstream);
        let (line, progress) = (Line::new(args.quiet), recorder.progress());
        let mut recording = pin!(recorder.run(listener, upstream, stop.asked()));
        let mut drawn = tokio::time::interval(line::EVERY);
        let summary = loop {
            tokio::select! {
                ended = &mut recording => break ended,
                _ = drawn.tick(), if line.is_shown() => line.show(&progress.status()),
            }
        };
        line.end();
        let summary = summary.map_err(cannot_record)?;
        tell(args, &summary);
        let is_as_asked = summary.is_complete() && summary.stuck.is_none();
        Ok(if is_as_asked { Exit::Success } else { Exit::Incomplete })
    })
}

fn cannot_record(error: Error) -> Failure {
    let hint = error.hint();
    let failure = match error {
        Error::NoStdout
        | Error::Exists { .. }
        | Error::NoFile { .. }
        | Error::NoDirectory { .. }
        | Error::Create { .. } => Failure::usage(error),
        Error::NoRandomness(_) | Error::Writer => Failure::internal(error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn tell(args: &Args, summary: &Summary) {
    let Summary { connections, exchanges, sockets, messages, bytes, tapes, gaps, refused, lost, failed, .. } = summary;
    let file = match tapes.as_slice() {
        [tape] => tape.display().to_string(),
        tapes => format!("{} tapes beside {}", tapes.len(), args.output.display()),
    };
    // With stderr gone nobody reads it; the exit code says the same.
    let mut err = anstream::stderr();
    if let Some(limit) = summary.reached {
        let flag = match limit {
            Limit::Duration => "--max-duration",
            Limit::Bytes => "--max-bytes",
            Limit::Messages => "--max-messages",
        };
        let _ = writeln!(err, "ended by {flag}");
    }
    let _ = writeln!(
        err,
        "{file}: {messages} messages in {exchanges} requests and {sockets} WebSockets on {connections} connections, {bytes} \
         bytes"
    );
    if *gaps > 0 {
        let _ =
            writeln!(err, "warning: {gaps} bodies, messages or streams could not be kept whole; the tape marks where");
    }
    if *refused > 0 {
        let _ = writeln!(
            err,
            "warning: {refused} requests were answered with 502 here: no file descriptor was left for asking the server; raise \
             the limit of open files, such as with `ulimit -n`"
        );
    }
    if *lost > 0 {
        let _ = writeln!(err, "warning: {lost} units passed and are not on the tape");
    }
    if let Some(failed) = failed {
        let which = if tapes.len() > 1 && args.split.is_some() { "at least one tape" } else { "the tape" };
        let _ = writeln!(err, "warning: {which} ends early: {failed}");
    }
    for (tape, astray) in &summary.astray {
        let _ = writeln!(
            err,
            "warning: `{}` is not the tape that was written: {astray}; leave a tape alone while it grows, and use `--rotate` for \
             shorter ones",
            tape.display()
        );
    }
    if let Some(stuck) = &summary.stuck {
        let _ = writeln!(err, "warning: a part went on since the next one could not be begun: {stuck}");
    }
}
