//! `tapestry record`: the capturing proxy in front of any Bayeux server.

use std::io::Write;
use std::path::PathBuf;

use recorder::{Config, Error, Recorder, Summary};
use recording::redaction::Keep;
use transport::clock::Clock;
use transport::endpoint::Endpoint;
use transport::listener;
use transport::proxy::Limits;

use crate::connection::TrustArgs;
use crate::exit::{Exit, Failure};
use crate::input::{KeyParser, KeyVariable};
use crate::live::Stop;
use crate::{input, live, memory};

/// Record what passes between clients and a server. Point the client at the printed address instead of the server's.
///
/// Secrets, names and texts are replaced by tokens before anything reaches the disk. The tape grows while traffic flows and is
/// readable at any time; Ctrl-C ends it properly.
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
    /// Keep what people and servers wrote. Names, keys and addresses are replaced all the same. The tape says so.
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
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    let upstream = args.trust.route(&args.upstream)?;
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
        let recorder = Recorder::create(config).map_err(cannot_record)?;
        live::announce(&format!("http://{}{}", listener.local_addr(), args.upstream.path))?;
        let _ =
            writeln!(anstream::stderr(), "recording {} to {}; end with Ctrl-C", args.upstream, args.output.display());
        let summary = recorder.run(listener, upstream, stop.asked()).await.map_err(cannot_record)?;
        tell(args, &summary);
        Ok(if summary.is_complete() { Exit::Success } else { Exit::Incomplete })
    })
}

fn cannot_record(error: Error) -> Failure {
    let hint = error.hint();
    let failure = match error {
        Error::Exists { .. } | Error::NoDirectory { .. } | Error::Create { .. } => Failure::usage(error),
        Error::NoRandomness(_) | Error::Writer => Failure::internal(error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn tell(args: &Args, summary: &Summary) {
    let file = args.output.display();
    let Summary { connections, exchanges, sockets, messages, bytes, gaps, lost, failed } = summary;
    // With stderr gone nobody reads it; the exit code says the same.
    let mut err = anstream::stderr();
    let _ = writeln!(
        err,
        "{file}: {messages} messages in {exchanges} requests and {sockets} WebSockets on {connections} connections, {bytes} \
         bytes"
    );
    if *gaps > 0 {
        let _ = writeln!(err, "warning: {gaps} bodies or streams could not be kept whole; the tape marks where");
    }
    if *lost > 0 {
        let _ = writeln!(err, "warning: {lost} units passed and are not on the tape");
    }
    if let Some(failed) = failed {
        let _ = writeln!(err, "warning: the tape ends early: {failed}");
    }
}
