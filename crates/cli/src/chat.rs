//! `tapestry chat`: a chat by hand or from a pipe, over the client machine. What is said stands on stdout, one line for each
//! event; how things stand on stderr.

mod line;
mod screen;
mod talk;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::anyhow;
use protocol::bayeux::client as bayeux;
use protocol::chat::auth;
use protocol::chat::client::{Client, Config};
use protocol::chat::files::Upload;
use protocol::chat::operation::RequestChat;
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Side, Transport};
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
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    memory::never_dump();
    let route = args.trust.route(&args.url)?;
    let fields = connection::fields(&args.headers)?;
    let login = args.auth.as_ref().map(Login::value).transpose()?;
    live::runtime()?.block_on(async {
        let mut stop = Stop::listen()?;
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(Exit::Interrupted),
            reached = reach(&route) => reached?,
        }
        let mut conversation = Conversation::begin(args, login.as_ref(), Connections::new(route, fields), stop);
        conversation.hold().await
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
    fn begin(args: &Args, login: Option<&Secret>, connections: Connections, stop: Stop) -> Self {
        let clock = Clock::start();
        let mut transports: Vec<Transport> = args.transports.iter().map(|kind| kind.transport()).collect();
        transports.dedup();
        let bayeux =
            bayeux::Config { start_utc: clock.start_utc(), ..bayeux::Config::new(args.url.path.clone(), &transports) };
        let mut client = Client::new(Config {
            auth: login.map(auth::encode),
            legacy_ids: args.legacy_ids,
            ..Config::new(bayeux, args.service.clone())
        });
        let user_data: Map<String, Value> =
            args.user_data.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        let request = RequestChat {
            nickname: Some(args.nickname.clone()),
            subject: args.subject.clone(),
            user_data: (!user_data.is_empty()).then_some(user_data),
            ..RequestChat::default()
        };
        note(&format!("connecting to {}", args.url));
        // A new client takes its first chat.
        let _ = client.start(Time::ZERO, request);
        Self {
            talk: Talk::new(client, transports.as_slice() == [Transport::WebSocket]),
            connections,
            screen: Screen::new(&args.service),
            clock,
            stop,
            lines: line::read(),
            typed: std::io::stdin().is_terminal(),
            interrupted: false,
            ends: false,
            left: false,
        }
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
                    self.screen.give_up(self.talk.client.bayeux().is_connected());
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
                let _ = self.talk.client.end(now);
            }
        } else if !self.screen.has_begun() {
            // With the request for a chat under way, its answer is awaited: there may be a chat to end.
            let idle = self.interrupted && !self.talk.client.bayeux().is_connected();
            if idle || self.screen.has_failed() {
                self.leave();
            }
        }
    }

    fn leave(&mut self) {
        if !self.left {
            self.left = true;
            self.talk.client.leave(self.clock.now());
        }
    }

    fn obey(&mut self, line: Line) {
        let now = self.clock.now();
        let client = &mut self.talk.client;
        // Misuse means that the chat is over, which is told by itself.
        let asked = match line {
            Line::Nothing => return,
            Line::Wrong(says) => return note(&says),
            Line::Help => return note(line::HELP),
            Line::End => {
                self.ends = true;
                return;
            }
            Line::Say(text) => {
                if self.typed {
                    let _ = client.start_typing(now, None);
                }
                client.send(now, text).map(|id| self.screen.expect(id, "a message"))
            }
            Line::Url(url) => client.push_url(now, url).map(|id| self.screen.expect(id, "the page")),
            Line::Nick(name) => client.update_nickname(now, name).map(|id| self.screen.expect(id, "the new name")),
            Line::Data(key, value) => {
                let data = Map::from_iter([(key, Value::from(value))]);
                client.update_data(now, data).map(|id| self.screen.expect(id, "the attached data"))
            }
            Line::File(path) => match line::file(&path) {
                Ok((name, bytes)) => {
                    let media_type = Some("application/octet-stream".to_owned());
                    let file = Upload { name: name.clone(), media_type, bytes };
                    client.upload(now, file, None).map(|job| self.screen.expect_upload(job, name))
                }
                Err(says) => return note(&says),
            },
            Line::Get(file_id, path) => {
                if path.exists() {
                    return note(&format!("`{}` is there already", path.display()));
                }
                client.download(now, file_id).map(|job| self.screen.expect_download(job, path))
            }
        };
        if asked.is_err() {
            note("no chat is running");
        }
    }
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
