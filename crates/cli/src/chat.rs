//! `tapestry chat`: a chat by hand or from a pipe, over the client machine. What is said stands on stdout, one line for each
//! event; how things stand on stderr.

mod line;
mod screen;
mod talk;
mod tape;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use protocol::bayeux::client as bayeux;
use protocol::chat::auth;
use protocol::chat::client::Config;
use protocol::chat::files::Upload;
use protocol::chat::operation::RequestChat;
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Side, Transport};
use recording::capture::Source;
use replayer::exact::{Call, Done, Taped};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver;
use transport::endpoint::Endpoint;
use transport::route::Route;

use self::line::Line;
use self::screen::{Screen, note};
use self::talk::Talk;
use self::tape::TapeFile;
use crate::connection::{self, TrustArgs};
use crate::exit::{Exit, Failure};
use crate::input::{self, Header, Login, TransportName};
use crate::live::{self, Stop};
use crate::memory;

/// How long a server may take to accept the first connection.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take until the chat stands.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// Chat as a customer: each line typed is said, and `/help` lists the rest. At the end of input the chat ends.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the server's CometD servlet.
    #[arg(long, value_name = "URL", value_parser = input::Url)]
    url: Endpoint,
    /// Name of the chat service.
    #[arg(long, value_name = "NAME", value_parser = input::service)]
    service: String,
    /// Name to appear under.
    #[arg(long, value_name = "NAME")]
    nickname: String,
    /// What the chat is about.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Attached data. May be repeated.
    #[arg(long = "user-data", value_name = "KEY=VALUE", value_parser = line::pair)]
    user_data: Vec<(String, String)>,
    /// Transport to use; the next one named if the server does not have it. May be repeated.
    #[arg(
        long = "transport",
        value_enum,
        value_name = "TRANSPORT",
        value_delimiter = ',',
        default_values = ["websocket", "long-polling"]
    )]
    transports: Vec<TransportName>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Header field for every request, its value from the environment. May be repeated.
    #[arg(long = "header", value_name = "NAME=${VARIABLE}", value_parser = input::HeaderParser)]
    headers: Vec<Header>,
    /// User and password of a protected service, for `auth.encoded`: a variable of the environment with `user:password`.
    #[arg(long, value_name = "${VARIABLE}", value_parser = input::LoginParser)]
    auth: Option<Login>,
    /// Send `userId`, `alias` and `chatId` with every request, as GMS before about 8.5.112 needs it.
    #[arg(long)]
    legacy_ids: bool,
    /// Tape to write, NAME.tape.jsonl by custom; must not exist yet. It has what was typed and when, so that `tapestry replay`
    /// does the same again, with tokens in place of secrets, names and texts.
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    let route = args.trust.route(&args.url)?;
    let fields = connection::fields(&args.headers)?;
    let login = args.auth.as_ref().map(Login::value).transpose()?;
    live::runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        let file = args.tape.as_deref().map(TapeFile::create).transpose()?;
        let reached = tokio::select! {
            biased;
            () = stop.wait() => Ok(false),
            reached = reach(&route) => reached.map(|()| true),
        };
        if !matches!(reached, Ok(true)) {
            file.into_iter().for_each(TapeFile::discard);
            return reached.map(|_| Exit::Interrupted);
        }
        let connections = Connections::new(route, fields);
        let mut conversation = Conversation::begin(args, login.as_ref(), connections, stop, file)?;
        let held = conversation.hold().await;
        let is_whole = conversation.end_tape();
        held.map(|exit| if is_whole { exit } else { exit.worse(Exit::Incomplete) })
    })
}

async fn reach(route: &Route) -> Result<(), Failure> {
    let Err(error) = route.probe(REACHED_WITHIN).await else { return Ok(()) };
    let says = anyhow!("cannot reach {}: {}", route.endpoint(), error.explain());
    let hint = Some(connection::remedy(route, &error).await.to_owned());
    Err(Failure { exit: Exit::Unreachable, error: says, hint })
}

/// What interrupts the machine.
enum Wish {
    /// The user typed something.
    Line(Line),
    /// There is nothing more to come from the user.
    EndOfInput,
    /// The user wants it to end, or the system does.
    Interrupt,
    /// The chat takes too long to begin.
    Impatience,
}

/// One chat and everything around it.
struct Conversation {
    talk: Talk,
    connections: Connections,
    screen: Screen,
    clock: Clock,
    stop: Stop,
    lines: mpsc::Receiver<Line>,
    /// Whether somebody types, so that typing is worth telling.
    typed: bool,
    interrupted: bool,
    /// Whether the chat is to be ended as soon as nothing is under way.
    ends: bool,
    left: bool,
}

impl Conversation {
    fn begin(
        args: &Args,
        login: Option<&Secret>,
        connections: Connections,
        stop: Stop,
        file: Option<TapeFile>,
    ) -> Result<Self, Failure> {
        let clock = Clock::start();
        let mut transports: Vec<Transport> = args.transports.iter().map(|kind| kind.transport()).collect();
        transports.dedup();
        let bayeux =
            bayeux::Config { start_utc: clock.start_utc(), ..bayeux::Config::new(args.url.path.clone(), &transports) };
        let config = Config {
            auth: login.map(auth::encode),
            legacy_ids: args.legacy_ids,
            ..Config::new(bayeux, args.service.clone())
        };
        let taped = match &file {
            Some(_) => Taped::new(config, live::label(live::rfc3339(clock.start_utc()), Source::Live)?),
            None => Taped::without_tape(config),
        };
        let user_data: Map<String, Value> =
            args.user_data.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        let request = RequestChat {
            nickname: Some(args.nickname.clone()),
            subject: args.subject.clone(),
            user_data: (!user_data.is_empty()).then_some(user_data),
            ..RequestChat::default()
        };
        note(&format!("connecting to {}", args.url));
        let mut talk = Talk::new(taped, file, transports.as_slice() == [Transport::WebSocket]);
        // A new client takes its first chat.
        let _ = talk.call(Time::ZERO, Call::Start(request));
        Ok(Self {
            talk,
            connections,
            screen: Screen::new(&args.service),
            clock,
            stop,
            lines: line::read(),
            typed: std::io::stdin().is_terminal(),
            interrupted: false,
            ends: false,
            left: false,
        })
    }

    /// Ends the tape; says whether it is whole, if there is one.
    fn end_tape(&mut self) -> bool {
        self.talk.end_tape(self.clock.now())
    }

    /// Runs it to its end.
    async fn hold(&mut self) -> Result<Exit, Failure> {
        loop {
            let mut wish = None;
            let (lines, stop, clock) = (&mut self.lines, &mut self.stop, self.clock);
            let takes_lines = self.screen.is_open() && !self.ends && !self.interrupted;
            let begins = !self.screen.has_begun() && !self.left;
            let wait = async { wish = Some(next_wish(lines, stop, &clock, takes_lines, begins).await) };
            driver::run(&mut self.talk, Side::Client, &clock, &mut self.connections, &mut self.screen, wait).await;
            self.screen.take_failure()?;
            if self.screen.is_closed() {
                return Ok(if self.interrupted { Exit::Interrupted } else { self.screen.exit() });
            }
            match wish {
                Some(Wish::Line(line)) => self.obey(line),
                Some(Wish::EndOfInput) => self.ends = true,
                Some(Wish::Interrupt) if self.interrupted => return Ok(Exit::Interrupted),
                Some(Wish::Interrupt) => {
                    self.interrupted = true;
                    note("ending the chat; interrupt again to leave at once");
                }
                Some(Wish::Impatience) => {
                    self.screen.give_up(self.talk.client().bayeux().is_connected());
                    self.leave();
                }
                None => {}
            }
            self.go_on();
        }
    }

    /// Does what is due by now: ends what is to be ended, leaves what did not come about.
    fn go_on(&mut self) {
        let now = self.clock.now();
        if self.screen.is_open() {
            if self.interrupted || (self.ends && !self.screen.awaits_files()) {
                // It may be ending already.
                let _ = self.talk.call(now, Call::End);
            }
        } else if !self.screen.has_begun() {
            // With the request for a chat under way, its answer is awaited: there may be a chat to end.
            let idle = self.interrupted && !self.talk.client().bayeux().is_connected();
            if idle || self.screen.has_failed() {
                self.leave();
            }
        }
    }

    fn leave(&mut self) {
        if !self.left {
            self.left = true;
            // Whoever leaves is not refused.
            let _ = self.talk.call(self.clock.now(), Call::Leave);
        }
    }

    fn obey(&mut self, line: Line) {
        let now = self.clock.now();
        let call = match line {
            Line::Nothing => return,
            Line::Wrong(says) => return note(&says),
            Line::Help => return note(line::HELP),
            Line::End => {
                self.ends = true;
                return;
            }
            Line::Say(text) => {
                if self.typed {
                    let _ = self.talk.call(now, Call::StartTyping(None));
                }
                (Call::Say(text), Wanted::Operation("a message"))
            }
            Line::Url(url) => (Call::PushUrl(url), Wanted::Operation("the page")),
            Line::Nick(name) => (Call::UpdateNickname(name), Wanted::Operation("the new name")),
            Line::Data(key, value) => {
                let data = Map::from_iter([(key, Value::from(value))]);
                (Call::UpdateData(data), Wanted::Operation("the attached data"))
            }
            Line::File(path) => match line::file(&path) {
                Ok((name, bytes)) => {
                    let media_type = Some("application/octet-stream".to_owned());
                    let file = Upload { name: name.clone(), media_type, bytes };
                    (Call::Upload(file, None), Wanted::Upload(name))
                }
                Err(says) => return note(&says),
            },
            Line::Get(file_id, path) => {
                if path.exists() {
                    return note(&format!("`{}` is there already", path.display()));
                }
                (Call::Download(file_id), Wanted::Download(path))
            }
        };
        // Misuse means that the chat is over, which is told by itself.
        match self.talk.call(now, call.0) {
            Ok(done) => self.expect(done, call.1),
            Err(_) => note("no chat is running"),
        }
    }

    /// Notes what the user waits for.
    fn expect(&mut self, done: Done, wanted: Wanted) {
        match (done, wanted) {
            (Done::Sent(id), Wanted::Operation(what)) => self.screen.expect(id, what),
            (Done::Asked(job), Wanted::Upload(name)) => self.screen.expect_upload(job, name),
            (Done::Asked(job), Wanted::Download(path)) => self.screen.expect_download(job, path),
            (Done::Plain | Done::Sent(_) | Done::Asked(_), _) => {}
        }
    }
}

/// What the user waits for.
enum Wanted {
    Operation(&'static str),
    /// A file of this name.
    Upload(String),
    /// A file that is to be kept here.
    Download(PathBuf),
}

async fn next_wish(
    lines: &mut mpsc::Receiver<Line>,
    stop: &mut Stop,
    clock: &Clock,
    takes_lines: bool,
    begins: bool,
) -> Wish {
    tokio::select! {
        biased;
        () = stop.wait() => Wish::Interrupt,
        () = tokio::time::sleep_until(clock.instant(Time::ZERO + STARTED_WITHIN)), if begins => Wish::Impatience,
        line = lines.recv(), if takes_lines => line.map_or(Wish::EndOfInput, Wish::Line),
    }
}
