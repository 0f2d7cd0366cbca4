//! Clients under test: the suite plays GMS, tells the client what to do by what it sends, and judges by the wire alone.
//!
//! A scenario is a case like the others: an async function that holds a `Guest`, requirements in the catalogue, verdicts
//! with witnesses. [`visit`] is the machine that runs one, on the server's side; [`door`] puts many of them behind one
//! listener. The right server below them is that of `protocol`.
//!
//! What a client shows its user does not cross the wire. [`UNSEEN`] says which traps of the published sample that hides.

mod house;
mod guest;
mod fault;
pub mod visit;
pub mod door;
mod greeting;
mod polling;
mod recovery;
mod transcript;
mod requests;
mod ending;
mod network;
mod tolerance;

use std::time::Duration;

use protocol::bayeux::message::Message;
use protocol::chat::CHANNEL_PREFIX;
use protocol::wire::Transport;
use serde_json::{Value, json};

pub use self::fault::Fault;
pub(crate) use self::guest::Guest;
use self::house::{Fate, Heard, House};
use crate::cases::{Case, Needs, Script};

/// What the wire does not show, for whoever reads a report: these traps of the published sample client show on its screen
/// alone.
pub const UNSEEN: &str = "not seen from the wire, look at the screen: how the client words a 402, \
whether it shows events without index, whether it shows a repeated transcript twice, \
whether an answer without `messages` disturbs it (traps 2, 4, 5 and 8 of the published sample)";

/// How long a client is watched that is to do nothing.
const QUIET: Duration = Duration::from_secs(12);

/// What a client under test finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of the servlet, such as `/genesys/cometd`.
    pub base: String,
    /// The chat service.
    pub service: String,
    /// The transport that the client is to use; `None` leaves that to the client.
    pub transport: Option<Transport>,
    /// How long the client's user may take to do what is asked.
    pub patience: Duration,
    /// Wall time at the start of virtual time, in milliseconds since the epoch.
    pub start_utc: i64,
}

impl Settings {
    /// The usual path, any transport, ten seconds, and a start in November 2023.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            base: "/genesys/cometd".to_owned(),
            service: service.to_owned(),
            transport: None,
            patience: Duration::from_secs(10),
            start_utc: 1_700_000_000_000,
        }
    }
}

/// What the client's user is to do. Starting the client and a chat goes without saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this as a message.
    Say(&'static str),
    /// End the chat.
    End,
}

impl Step {
    /// The line for a client that reads its user from a pipe.
    #[must_use]
    pub const fn line(self) -> &'static str {
        match self {
            Self::Say(text) => text,
            Self::End => "/end",
        }
    }

    /// The request to a person.
    #[must_use]
    pub fn request(self) -> String {
        match self {
            Self::Say(text) => format!("send the message `{text}` in the client"),
            Self::End => "end the chat in the client".to_owned(),
        }
    }
}

/// Every scenario, in the order in which they are reported.
#[must_use]
pub fn scenarios() -> &'static [Case] {
    SCENARIOS
}

const ALL: &[Transport] = &Transport::ALL;
const HTTP: &[Transport] = &[Transport::LongPolling, Transport::CallbackPolling];
const WEB_SOCKET: &[Transport] = &[Transport::WebSocket];

macro_rules! scenario {
    ($id:literal, $transports:expr, $seconds:literal, $run:path) => {
        Case {
            id: $id,
            transports: $transports,
            needs: Needs::Service,
            at_most: Duration::from_secs($seconds),
            hears_others: false,
            run: Script::OfClient(|guest| Box::pin($run(guest))),
        }
    };
}

static SCENARIOS: &[Case] = &[
    scenario!("client.handshake.well-formed", ALL, 60, greeting::well_formed),
    scenario!("client.handshake.retries-after-failure", ALL, 90, greeting::retries_after_failure),
    scenario!("client.handshake.stops-when-told", ALL, 120, greeting::stops_when_told),
    scenario!("client.connect.goes-on", ALL, 120, polling::keeps_connecting),
    scenario!("client.advice.interval-obeyed", ALL, 150, polling::waits_for_interval),
    scenario!("client.advice.timeout-waited-for", ALL, 120, polling::waits_for_a_long_hold),
    scenario!("client.advice.none-stops", ALL, 120, polling::none_stops),
    scenario!("client.advice.unknown-stops", ALL, 120, polling::unknown_reconnect_stops),
    scenario!("client.advice.handshake-obeyed", ALL, 180, polling::handshake_advised),
    scenario!("client.recovery.handshakes-again-after-402", ALL, 150, recovery::after_402_on_connect),
    scenario!("client.recovery.after-402-on-publish", ALL, 150, recovery::after_402_on_publish),
    scenario!("client.recovery.after-402-twice", ALL, 240, recovery::after_402_twice),
    scenario!("client.recovery.after-restart", ALL, 150, recovery::after_a_restart),
    scenario!("client.recovery.new-key-adopted", ALL, 180, recovery::new_key_adopted),
    scenario!("client.events.repeated", ALL, 150, transcript::duplicates),
    scenario!("client.events.with-gaps", ALL, 180, transcript::gaps),
    scenario!("client.events.without-index", ALL, 150, transcript::without_index),
    scenario!("client.events.split-from-answers", ALL, 150, transcript::split_answers),
    scenario!("client.events.beside-failed-connect", ALL, 150, transcript::beside_a_failed_connect),
    scenario!("client.request.answer-lost", ALL, 120, requests::answer_lost),
    scenario!("client.request.answer-before-acknowledgement", ALL, 120, requests::answer_before_acknowledgement),
    scenario!("client.request.answer-late", ALL, 120, requests::answer_late),
    scenario!("client.request.order-kept", ALL, 120, requests::order_kept),
    scenario!("client.request.failure-with-errors", ALL, 150, requests::failure_with_errors),
    scenario!("client.request.failure-without-errors", ALL, 150, requests::failure_without_errors),
    scenario!("client.key.foreign-ignored", ALL, 120, requests::foreign_key_ignored),
    scenario!("client.outage.session-kept", ALL, 150, requests::chat_server_outage),
    scenario!("client.outage.repeats-with-patience", ALL, 150, requests::repeats_with_patience),
    scenario!("client.end.leaves-after-chat-ended", ALL, 120, ending::by_agent),
    scenario!("client.end.without-events", ALL, 120, ending::without_events),
    scenario!("client.end.with-status-2", ALL, 120, ending::with_status_2),
    scenario!("client.end.answer-lost", ALL, 180, ending::answer_lost),
    scenario!("client.end.disconnect-unanswered", ALL, 120, ending::disconnect_unanswered),
    scenario!("client.end.closes-its-socket", WEB_SOCKET, 120, ending::closes_its_socket),
    scenario!("client.network.cut-while-held", ALL, 150, network::cut_while_held),
    scenario!("client.network.server-closes-socket", WEB_SOCKET, 150, network::server_closes_socket),
    scenario!("client.network.http-503", ALL, 150, network::answers_503),
    scenario!("client.network.backs-off", ALL, 180, network::backs_off),
    scenario!("client.network.slow-answers", ALL, 180, network::slow_answers),
    scenario!("client.network.cookie-returned", HTTP, 120, network::returns_cookies),
    scenario!("client.tolerance.unknown-members", ALL, 120, tolerance::unknown_members),
    scenario!("client.tolerance.ids-as-numbers", ALL, 120, tolerance::ids_as_numbers),
];

/// What a chat request asks for, if it is one.
fn operation(message: &Message) -> Option<String> {
    message.channel().filter(|channel| channel.starts_with(CHANNEL_PREFIX))?;
    message.value("data")?.get("operation")?.as_str().map(str::to_owned)
}

/// Whether a message of ours is a notification or an answer of the chat.
fn is_notification(message: &Message) -> bool {
    message.data().is_some() && message.channel().is_some_and(|channel| channel.starts_with(CHANNEL_PREFIX))
}

/// The reply that refuses a message.
fn refusal(message: &Message, error: &str, advice: Option<Value>) -> Value {
    let mut refusal = json!({"channel": message.channel(), "successful": false, "error": error});
    if let Some(id) = message.id() {
        refusal["id"] = id.as_str().into();
    }
    if let Some(advice) = advice {
        refusal["advice"] = advice;
    }
    refusal
}

/// A message of ours with a change.
fn edited(message: &Message, change: impl FnOnce(&mut Value)) -> Fate {
    let Ok(mut value) = serde_json::from_str::<Value>(message.text()) else { return Fate::Pass };
    change(&mut value);
    Fate::Instead(vec![value])
}
