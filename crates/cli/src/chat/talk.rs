//! The chat client as a program runs it: it tells when nothing more is to come.

use protocol::chat::client::{Client, Event, Timer};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;

/// What a [`Talk`] tells.
#[derive(Debug)]
pub(super) enum News {
    /// What the client tells.
    Chat(Event),
    /// The session is left, and all that was to be sent is sent.
    Closed,
}

/// A client that tells its end.
pub(super) struct Talk {
    pub(super) client: Client,
    has_told: bool,
}

impl Talk {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, has_told: false }
    }
}

impl Machine for Talk {
    type Timer = Timer;
    type Event = News;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.client.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<News>> {
        match self.client.poll_output() {
            Some(Output::Wire(wire)) => Some(Output::Wire(wire)),
            Some(Output::Event(event)) => Some(Output::Event(News::Chat(event))),
            None if self.client.is_closed() && !self.has_told => {
                self.has_told = true;
                Some(Output::Event(News::Closed))
            }
            None => None,
        }
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.client.deadline()
    }
}
