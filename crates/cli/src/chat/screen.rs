//! What the user sees. Whatever a peer said is shown with its control characters escaped, so that nobody steers the terminal
//! or makes one line look like two.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use protocol::bayeux::client::Closed;
use protocol::chat::client::{Ended, Event, FileJob, FileOutcome, SendId, Sent};
use protocol::chat::notification::{ChatError, Event as Transcript, EventType, ParticipantType};
use protocol::time::Time;
use protocol::wire::Entry;
use serde_json::Value;
use transport::tap::Tap;

use super::talk::{Foreign, News};
use crate::exit::{Exit, Failure};
use crate::output;

/// Says how things stand.
pub(super) fn note(text: &str) {
    // With stderr gone there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A request about files that is under way.
enum Job {
    Upload(String),
    Download(PathBuf),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no chat yet.
    Beginning,
    /// There will be none.
    Failed,
    Open,
    Ended,
}

/// Shows a chat, and remembers what the rest of the program must know of it.
pub(super) struct Screen {
    service: String,
    zone: TimeZone,
    shows_typing: bool,
    state: State,
    closed: bool,
    connection_lost: bool,
    expected: BTreeMap<SendId, &'static str>,
    jobs: BTreeMap<FileJob, Job>,
    exit: Exit,
    failure: Option<Failure>,
}

impl Screen {
    pub(super) fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            zone: TimeZone::system(),
            shows_typing: std::io::stdout().is_terminal(),
            state: State::Beginning,
            closed: false,
            connection_lost: false,
            expected: BTreeMap::new(),
            jobs: BTreeMap::new(),
            exit: Exit::Success,
            failure: None,
        }
    }

    /// Whether a chat runs.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether there is or was a chat.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.state, State::Open | State::Ended)
    }

    /// Whether there will be no chat.
    pub(super) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn awaits_files(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// How the program is to end.
    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }

    /// What made it impossible to show anything.
    pub(super) fn take_failure(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn expect(&mut self, id: SendId, what: &'static str) {
        self.expected.insert(id, what);
    }

    pub(super) fn expect_upload(&mut self, job: FileJob, name: String) {
        self.jobs.insert(job, Job::Upload(name));
    }

    pub(super) fn expect_download(&mut self, job: FileJob, path: PathBuf) {
        self.jobs.insert(job, Job::Download(path));
    }

    /// No chat came about in time.
    pub(super) fn give_up(&mut self, is_connected: bool) {
        if is_connected {
            self.fail(Exit::Unexpected, "the server does not start a chat; is Chat Server there?");
        } else {
            let says = "the server answers, but not as CometD; is the path of the URL right?";
            self.fail(Exit::Unreachable, says);
        }
    }

    /// There is something else than a CometD server.
    fn on_foreign(&mut self, foreign: &Foreign) {
        let hint = match foreign {
            Foreign::Status(401 | 403) => "if the server asks for a login, send it along: `--header`",
            Foreign::Status(300..=399) => "name the URL that it points to",
            Foreign::Status(_) | Foreign::Body => "is the path of the URL right? GMS has CometD at `/genesys/cometd`",
            Foreign::Socket(_) => "is the path of the URL right? without WebSocket there: `--transport long-polling`",
        };
        self.fail(Exit::Unreachable, &format!("there is no CometD server: {foreign}\n\nhint: {hint}"));
    }

    fn fail(&mut self, exit: Exit, says: &str) {
        if self.state == State::Beginning {
            self.state = State::Failed;
            self.exit = exit;
            note(&format!("error: {says}"));
        }
    }

    /// Something that was asked for did not come about.
    fn miss(&mut self, says: &str) {
        self.exit = self.exit.worse(Exit::Incomplete);
        note(says);
    }

    fn print(&mut self, event: &Transcript, what: &str) {
        let line = format!("{} {what}\n", clock_time(event.utc_time, &self.zone));
        if let Err(failure) = output::print(&line) {
            self.failure = Some(failure);
        }
    }

    fn on_chat(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Started => {
                self.state = State::Open;
                note("the chat begins; `/help` lists what else can be typed");
                return ControlFlow::Break(());
            }
            Event::StartFailed(errors) => {
                self.fail(Exit::Unexpected, &format!("the server refuses the chat{}", reasons(&errors)));
                return ControlFlow::Break(());
            }
            Event::StartOutcomeUnknown => {
                let service = &self.service;
                let says = format!(
                    "no answer to the request for a chat; is there a service `{service}`, with notification mode on?"
                );
                self.fail(Exit::Unexpected, &says);
                return ControlFlow::Break(());
            }
            Event::Shown(event) | Event::Passing(event) => {
                if let Some(what) = told(&event, self.shows_typing) {
                    self.print(&event, &what);
                }
            }
            Event::Sent(id, sent) => self.on_sent(id, &sent),
            Event::Files(job, outcome) => {
                self.on_files(job, outcome);
                return ControlFlow::Break(());
            }
            Event::RequestFailed(errors) => note(&format!("the server refuses something{}", reasons(&errors))),
            Event::ChatServerLost => note("Chat Server is away; what you say waits"),
            Event::ChatServerBack => note("Chat Server is back"),
            Event::ConnectionLost => {
                self.connection_lost = true;
                note("the connection is lost; trying again");
            }
            Event::Restored => {
                if std::mem::take(&mut self.connection_lost) {
                    note("the connection is back");
                }
            }
            Event::Ended(ended) => self.on_ended(&ended),
            // The suite judges servers; a chat goes on.
            Event::Violated(_) => {}
        }
        ControlFlow::Continue(())
    }

    fn on_sent(&mut self, id: SendId, sent: &Sent) {
        let Some(what) = self.expected.remove(&id) else { return };
        match sent {
            Sent::Delivered => {}
            Sent::Failed(errors) => self.miss(&format!("the server refuses {what}{}", reasons(errors))),
            Sent::Missing => self.miss(&format!("{what} did not arrive; say it again")),
            Sent::Unknown => self.miss(&format!("whether {what} arrived is not known")),
            Sent::TooLong => self.miss(&format!(
                "{what} was not sent: it is too long for callback-polling; say it in parts, or choose another `--transport`"
            )),
            Sent::Unsent => self.miss(&format!("{what} was not sent: the chat ended before")),
        }
    }

    fn on_files(&mut self, job: FileJob, outcome: FileOutcome) {
        let Some(job) = self.jobs.remove(&job) else { return };
        let what = match &job {
            Job::Upload(name) => format!("the file {}", escaped(name)),
            Job::Download(path) => format!("the file for {}", path.display()),
        };
        match (job, outcome) {
            (Job::Download(path), FileOutcome::Downloaded(contents)) => match save(&path, &contents.0) {
                Ok(()) => note(&format!("{} bytes in `{}`", contents.0.len(), path.display())),
                Err(error) => self.miss(&format!("failed to write `{}`: {error}", path.display())),
            },
            (_, FileOutcome::Uploaded(_) | FileOutcome::Limits(_) | FileOutcome::Deleted) => {}
            (_, FileOutcome::Refused(status, errors)) if errors.is_empty() => {
                self.miss(&format!("the server refuses {what} with HTTP status {status}"));
            }
            (_, FileOutcome::Refused(_, errors)) => {
                self.miss(&format!("the server refuses {what}{}", reasons(&errors)));
            }
            (_, FileOutcome::Unavailable) => self.miss(&format!("{what} was not taken: Chat Server is away")),
            (_, FileOutcome::NotSent) => self.miss(&format!("{what} was not sent: no connection")),
            (_, FileOutcome::Unknown | FileOutcome::Downloaded(_)) => {
                self.miss(&format!("no answer about {what}: whether it was done is not known"));
            }
        }
    }

    fn on_ended(&mut self, ended: &Ended) {
        let had_begun = self.has_begun();
        match ended {
            Ended::ByServer => note("the chat is over"),
            Ended::Unconfirmed => self.miss("the server does not confirm the end of the chat"),
            Ended::ConnectionClosed(_) if self.state == State::Failed => {}
            // We left ourselves, without a chat.
            Ended::ConnectionClosed(Closed::Disconnected) if !had_begun => {}
            Ended::ConnectionClosed(why) => {
                let says = match why {
                    Closed::Disconnected | Closed::ByServer => "the server ended the session",
                    Closed::Advised => "the server refuses the session and says not to come back",
                    Closed::NoCommonTransport => "the server has none of the transports",
                    Closed::NoCommonVersion => "the server speaks an older version of the protocol",
                };
                self.fail(Exit::Unexpected, says);
                if had_begun {
                    self.exit = self.exit.worse(Exit::Unexpected);
                    note(&format!("error: {says}"));
                }
            }
        }
        if had_begun {
            self.state = State::Ended;
        }
    }
}

impl Tap<News> for Screen {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, _: Time, event: News) -> ControlFlow<()> {
        match event {
            News::Chat(event) => self.on_chat(event),
            News::Foreign(foreign) => {
                self.on_foreign(&foreign);
                ControlFlow::Break(())
            }
            News::Closed => {
                self.closed = true;
                ControlFlow::Break(())
            }
        }
    }
}

/// Writes a file that was not there before.
fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

/// What an event of the transcript says, without its time; `None` if it is not shown.
fn told(event: &Transcript, shows_typing: bool) -> Option<String> {
    let who = who(event);
    let text = escaped(event.text.as_deref().unwrap_or_default());
    let file = || {
        let data = event.user_data();
        let value = |name: &str| escaped(data.get(name).and_then(Value::as_str).unwrap_or("?"));
        format!("{} ({} bytes), file id {}", value("file-name"), value("file-size"), value("file-id"))
    };
    Some(match event.event_type() {
        Some(EventType::Message) => format!("{who}: {text}"),
        Some(EventType::ParticipantJoined) => format!("* {who} joined"),
        Some(EventType::ParticipantLeft) => format!("* {who} left{}", quit_reason(event)),
        Some(EventType::TypingStarted) if shows_typing && !is_own(event) => format!("* {who} is typing"),
        Some(EventType::TypingStarted | EventType::TypingStopped) => return None,
        Some(EventType::NicknameUpdated) => {
            let name = if text.is_empty() { who } else { text };
            format!("* a new name: {name}")
        }
        Some(EventType::PushUrl) => format!("* {who} shows {text}"),
        Some(EventType::FileUploaded) => format!("* {who} sent {}", file()),
        Some(EventType::FileDeleted) => format!("* {who} deleted {}", file()),
        Some(EventType::CustomNotice | EventType::Notice) => format!("* notice by {who}: {text}"),
        Some(EventType::IdleAlert | EventType::IdleClose) => format!("! {text}"),
        None => format!("* {} by {who} {text}", escaped(event.kind.as_deref().unwrap_or("something"))),
    })
}

fn is_own(event: &Transcript) -> bool {
    event.from.as_ref().is_some_and(|from| from.kind == ParticipantType::Client)
}

fn who(event: &Transcript) -> String {
    match &event.from {
        Some(from) if from.kind == ParticipantType::Client => escaped(&from.nickname),
        Some(from) => format!("{} ({})", escaped(&from.nickname), escaped(&from.kind.as_str().to_lowercase())),
        None => "somebody".to_owned(),
    }
}

fn quit_reason(event: &Transcript) -> String {
    match event.quit_reason() {
        None | Some(0) => String::new(),
        Some(3) => ": the connection was gone".to_owned(),
        Some(4) => ": removed by another participant".to_owned(),
        Some(5) => ": removed by the server".to_owned(),
        Some(6) => ": removed for a wrong key".to_owned(),
        Some(7) => ": nothing was said for too long".to_owned(),
        Some(8) => ": the chat was restored without".to_owned(),
        Some(code) => format!(": reason {code}"),
    }
}

/// What the server says about a refusal, to be put behind a clause.
fn reasons(errors: &[ChatError]) -> String {
    let mut text = String::new();
    for error in errors {
        let separator = if text.is_empty() { ": " } else { "; " };
        text.push_str(separator);
        text.push_str(&escaped(error.advice.as_deref().unwrap_or("no advice")));
        if let Some(code) = error.code {
            let _ = write!(text, " ({code})");
        }
    }
    text
}

/// The local time of a moment in milliseconds since the epoch.
fn clock_time(utc: Option<i64>, zone: &TimeZone) -> String {
    match utc.and_then(|utc| jiff::Timestamp::from_millisecond(utc).ok()) {
        Some(moment) => zone.to_datetime(moment).strftime("%H:%M:%S").to_string(),
        None => "--:--:--".to_owned(),
    }
}

/// A text with everything escaped that a terminal obeys instead of showing: control characters, line ends, and the marks
/// that change the direction of what follows.
fn escaped(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use protocol::chat::notification::Notification;
    use rstest::rstest;

    use super::*;

    fn event(members: &str) -> Transcript {
        let from = r#"{"nickname":"Mor\u001b[2Jgan","participantId":2,"type":"Agent"}"#;
        let data = format!(r#"{{"statusCode":0,"chatEnded":false,"messages":[{{"from":{from},{members}}}]}}"#);
        Notification::parse(&data).messages.unwrap().remove(0)
    }

    #[rstest]
    #[case(r#""type":"Message","text":"a\u001b]0;x\u0007\nb \u202ec \u00e9""#, r"a\u{1b}]0;x\u{7}\nb \u{202e}c é")]
    #[case(r#""type":"PushUrl","text":"https://a.example/\r""#, r"shows https://a.example/\r")]
    #[case(
        r#""type":"FileUploaded","userData":{"file-name":"\u009b1A","file-size":"4","file-id":"F"}"#,
        r"\u{9b}1A (4 bytes)"
    )]
    #[case(r#""type":"New\u001bs""#, r"* New\u{1b}s by")]
    fn nothing_that_a_peer_says_steers_the_terminal(#[case] members: &str, #[case] shown: &str) {
        let told = told(&event(members), true).unwrap();
        assert!(told.contains(shown) && told.contains(r"Mor\u{1b}[2Jgan (agent)"), "{told}");
        assert!(!told.chars().any(char::is_control), "{told:?}");
    }

    #[test]
    fn typing_is_for_a_terminal_alone() {
        let typing = event(r#""type":"TypingStarted""#);
        assert_eq!(told(&typing, false), None);
        assert!(told(&typing, true).is_some());
    }

    #[test]
    fn times_are_local() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(clock_time(Some(1_700_000_000_000), &zone), "00:13:20");
        assert_eq!(clock_time(None, &zone), "--:--:--");
    }
}
