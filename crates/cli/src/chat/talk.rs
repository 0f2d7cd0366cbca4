//! The chat client as a program runs it: it tells when nothing more is to come, and at once if the server is no CometD.

use std::fmt;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::http;
use protocol::chat::client::{Client, Event, Misuse, Timer};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Response, Transport, Wire};
use recording::tape::Finish;
use replayer::exact::{Call, Done, Taped};

use super::tape::TapeFile;

/// What a [`Talk`] tells.
#[derive(Debug)]
pub(super) enum News {
    /// What the client tells.
    Chat(Event),
    /// Whatever answers, it is no CometD server.
    Foreign(Foreign),
    /// The session is left, and all that was to be sent is sent.
    Closed,
}

/// By what a server shows that it is none of CometD's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It answers a handshake with this HTTP status.
    Status(u16),
    /// It answers a handshake with something else than messages.
    Body,
    /// It refuses the only transport there may be with this HTTP status.
    Socket(u16),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "a handshake is answered with HTTP status {status}"),
            Self::Body => f.write_str("a handshake is answered with something that is no message"),
            Self::Socket(status) => write!(f, "a WebSocket is refused with HTTP status {status}"),
        }
    }
}

/// A client that tells its end, and its tape if there is one: what happens is on it before anybody hears of it.
pub(super) struct Talk {
    taped: Taped,
    file: Option<TapeFile>,
    /// Whether there is no other transport than WebSocket.
    socket_alone: bool,
    /// Whether the server has said something that only CometD does, or the opposite.
    is_known: bool,
    foreign: Option<Foreign>,
    has_told: bool,
}

impl Talk {
    pub(super) const fn new(taped: Taped, file: Option<TapeFile>, socket_alone: bool) -> Self {
        Self { taped, file, socket_alone, is_known: false, foreign: None, has_told: false }
    }

    pub(super) const fn client(&self) -> &Client {
        self.taped.client()
    }

    /// Does what the user wants.
    pub(super) fn call(&mut self, now: Time, call: Call) -> Result<Done, Misuse> {
        let done = self.taped.call(now, call);
        self.write(now);
        done
    }

    /// Ends the tape; says whether it is whole, if there is one.
    pub(super) fn end_tape(&mut self, now: Time) -> bool {
        let Some(mut file) = self.file.take() else { return true };
        let status = if self.client().is_closed() { Finish::Complete } else { Finish::Aborted };
        file.append(now, &self.taped.finish(now, status));
        file.close()
    }

    fn write(&mut self, now: Time) {
        let units = self.taped.take_bytes();
        if let Some(file) = &mut self.file {
            file.append(now, &units);
        }
    }

    /// Learns from the first answers what the server is. One that is overloaded or starting may become another.
    fn learn(&mut self, wire: &Wire) {
        let seen = match wire {
            Wire::Response(_, Response { status: 200, body, .. }) => Some(self.judge(body)),
            Wire::Text(_, text) => Some(self.judge(text.as_bytes())),
            Wire::Response(_, Response { status, .. }) if may_pass(*status) => None,
            Wire::Response(_, Response { status, .. }) => Some(Err(Foreign::Status(*status))),
            Wire::Refused(_, Response { status, .. }) if self.socket_alone && !may_pass(*status) => {
                Some(Err(Foreign::Socket(*status)))
            }
            _ => None,
        };
        if let Some(seen) = seen {
            self.is_known = true;
            self.foreign = seen.err();
        }
    }

    fn judge(&self, body: &[u8]) -> Result<(), Foreign> {
        let body = match self.client().bayeux().transport() {
            Transport::CallbackPolling => http::callback_argument(body),
            Transport::LongPolling | Transport::WebSocket => body,
        };
        let batch = Batch::parse(body, &Limits::default()).map_err(|_| Foreign::Body)?;
        let is_message = batch.messages.iter().any(|message| message.channel().is_some());
        if is_message { Ok(()) } else { Err(Foreign::Body) }
    }
}

/// Whether a status says that the same request may fare better later.
const fn may_pass(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

impl Machine for Talk {
    type Timer = Timer;
    type Event = News;

    fn handle_input(&mut self, now: Time, input: Input) {
        if let Input::Wire(wire) = &input
            && !self.is_known
        {
            self.learn(wire);
        }
        self.taped.handle_input(now, input);
        self.write(now);
    }

    fn poll_output(&mut self) -> Option<Output<News>> {
        if let Some(foreign) = self.foreign.take() {
            return Some(Output::Event(News::Foreign(foreign)));
        }
        match self.taped.poll_output() {
            Some(Output::Wire(wire)) => Some(Output::Wire(wire)),
            Some(Output::Event(event)) => Some(Output::Event(News::Chat(event))),
            None if self.client().is_closed() && !self.has_told => {
                self.has_told = true;
                Some(Output::Event(News::Closed))
            }
            None => None,
        }
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.taped.deadline()
    }
}
