//! The cases: one table, from which lists, plans and reports come, and one module for each group of requirements.
//!
//! A case reads like the exchange that it describes. Everything that may legally vary between servers is accepted; a
//! refusal is proved by a refusal, with the session shown alive before and after it.

mod agent;
mod connect;
mod disconnect;
mod framing;
mod handshake;
mod key;
mod message;
mod notifications;
mod reconnect;
mod request;
mod service;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use protocol::wire::Transport;

use crate::peer::Peer;
use crate::requirements::{Catalogue, Requirement};
use crate::run::{Agent, Settings};
use crate::verdict::Verdict;

/// What runs when a case runs.
pub(crate) type Running = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What must be there for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// A Bayeux server.
    Bayeux,
    /// A chat service.
    Service,
    /// A chat service with an agent.
    Agent,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// The dotted id, never reused.
    pub id: &'static str,
    /// The transports on which it makes sense.
    pub transports: &'static [Transport],
    /// What must be there.
    pub needs: Needs,
    /// How long it may take, the good-bye apart.
    pub at_most: Duration,
    pub(crate) run: fn(Peer) -> Running,
}

/// Two cases are the same if their ids are.
impl PartialEq for Case {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Case {}

impl Case {
    /// What it judges. Ahead stand the requirements that name it first: it was written for them.
    #[must_use]
    pub fn requirements(&self) -> Vec<&'static Requirement> {
        let (mut own, others): (Vec<_>, Vec<_>) = Catalogue::get()
            .of_case(self.id)
            .partition(|requirement| requirement.cases.first().is_some_and(|case| case == self.id));
        own.extend(others);
        own
    }

    /// The sentence of the first requirement that it judges.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.requirements().first().map_or("", |requirement| requirement.text.as_str())
    }

    /// The id without its last part.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.id.rsplit_once('.').map_or(self.id, |(group, _)| group)
    }

    /// Whether it is about Bayeux alone.
    #[must_use]
    pub fn is_bayeux(&self) -> bool {
        self.id.starts_with("bayeux.")
    }

    /// Why it does not apply to a target, if it does not.
    #[must_use]
    pub const fn not_applicable(&self, settings: &Settings) -> Option<&'static str> {
        match (self.needs, settings.service.is_some(), settings.agent) {
            (Needs::Service | Needs::Agent, false, _) => Some("no service given"),
            (Needs::Agent, true, Agent::None) => Some("no agent configured"),
            (Needs::Bayeux, ..) | (Needs::Service, true, _) | (Needs::Agent, true, Agent::Simulated) => None,
        }
    }
}

/// Every case, in the order in which they run and are reported.
#[must_use]
pub fn cases() -> &'static [Case] {
    CASES
}

/// The case with this id.
#[must_use]
pub fn case(id: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.id == id)
}

/// One entry of a run: a case on a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The case.
    pub case: &'static Case,
    /// The transport.
    pub transport: Transport,
    /// Why it does not apply, if it does not.
    pub not_applicable: Option<&'static str>,
}

/// Every entry for a target on some transports, in the order of the table.
#[must_use]
pub fn plan(settings: &Settings, transports: &[Transport]) -> Vec<Planned> {
    let entries = CASES.iter().flat_map(|case| case.transports.iter().map(move |transport| (case, *transport)));
    entries
        .filter(|(_, transport)| transports.contains(transport))
        .map(|(case, transport)| Planned { case, transport, not_applicable: case.not_applicable(settings) })
        .collect()
}

const BOTH: &[Transport] = &Transport::USUAL;
const LONG_POLLING: &[Transport] = &[Transport::LongPolling];

macro_rules! case {
    ($id:literal, $transports:expr, $needs:ident, $seconds:literal, $run:path) => {
        Case {
            id: $id,
            transports: $transports,
            needs: Needs::$needs,
            at_most: Duration::from_secs($seconds),
            run: |peer| Box::pin($run(peer)),
        }
    };
}

static CASES: &[Case] = &[
    case!("bayeux.handshake.succeeds", BOTH, Bayeux, 30, handshake::succeeds),
    case!("bayeux.handshake.shares-connection-type", BOTH, Bayeux, 30, handshake::shares_connection_type),
    case!("bayeux.handshake.gives-new-client-id", BOTH, Bayeux, 30, handshake::gives_new_client_id),
    case!("bayeux.handshake.without-common-type-refused", BOTH, Bayeux, 30, handshake::without_common_type_refused),
    case!("bayeux.connect.first-answered-at-once", BOTH, Bayeux, 60, connect::first_answered_at_once),
    case!("bayeux.connect.held-as-long-as-asked", BOTH, Bayeux, 60, connect::held_as_long_as_asked),
    case!("bayeux.connect.not-held-when-asked", BOTH, Bayeux, 90, connect::not_held_when_asked),
    case!("bayeux.connect.unknown-client-refused", BOTH, Bayeux, 30, connect::unknown_client_refused),
    case!("bayeux.connect.event-while-held", BOTH, Agent, 45, connect::event_while_held),
    case!("bayeux.connect.brings-what-waited", LONG_POLLING, Agent, 45, connect::brings_what_waited),
    case!("bayeux.publish.acknowledged", BOTH, Service, 30, service::acknowledges_publish),
    case!("bayeux.publish.unknown-client-refused", BOTH, Bayeux, 30, service::unknown_client_refused),
    case!("bayeux.publish.foreign-client-refused", BOTH, Bayeux, 30, service::foreign_client_refused),
    case!("bayeux.service.delivered-without-subscription", BOTH, Service, 30, service::delivered_without_subscription),
    case!("bayeux.service.subscription-changes-nothing", BOTH, Service, 30, service::subscription_changes_nothing),
    case!("bayeux.disconnect.answered", BOTH, Bayeux, 30, disconnect::answered),
    case!("bayeux.disconnect.releases-held-connect", BOTH, Bayeux, 30, disconnect::releases_held_connect),
    case!("bayeux.disconnect.ends-session", BOTH, Bayeux, 30, disconnect::ends_session),
    case!("bayeux.disconnect.unknown-client-answered", BOTH, Bayeux, 30, disconnect::unknown_client_answered),
    case!("bayeux.meta.id-echoed", BOTH, Bayeux, 30, framing::id_echoed),
    case!("bayeux.meta.unknown-channel-refused", BOTH, Bayeux, 30, framing::unknown_meta_channel_refused),
    case!("bayeux.framing.batch-answered", BOTH, Bayeux, 30, framing::batch_answered),
    case!("bayeux.framing.single-message-accepted", BOTH, Bayeux, 30, framing::single_message_accepted),
    case!("bayeux.framing.unknown-members-tolerated", BOTH, Bayeux, 30, framing::unknown_members_tolerated),
    case!("bayeux.framing.malformed-json-survived", BOTH, Bayeux, 30, framing::malformed_json_survived),
    case!("chat.request.starts", BOTH, Service, 30, request::starts),
    case!("chat.request.own-join-comes-first", BOTH, Service, 30, request::own_join_comes_first),
    case!("chat.request.without-name-refused", BOTH, Service, 30, request::without_name_refused),
    case!("chat.request.unknown-service", BOTH, Service, 30, request::unknown_service),
    case!("chat.request.unknown-operation", BOTH, Service, 30, request::unknown_operation),
    case!("chat.message.echoed-once", BOTH, Service, 30, message::echoed_once),
    case!("chat.message.label-echoed", BOTH, Service, 30, message::label_echoed),
    case!("chat.message.order-kept", BOTH, Service, 45, message::order_kept),
    case!("chat.notifications.repeat-the-transcript", BOTH, Service, 45, notifications::repeat_the_transcript),
    case!("chat.notifications.from-position", BOTH, Service, 45, notifications::from_position),
    case!("chat.notifications.at-position", BOTH, Service, 45, notifications::at_position),
    case!("chat.notifications.negative-position", BOTH, Service, 45, notifications::negative_position),
    case!("chat.notifications.position-as-text", BOTH, Service, 45, notifications::position_as_text),
    case!("chat.key.wrong-refused", BOTH, Service, 45, key::wrong_refused),
    case!("chat.key.missing-refused", BOTH, Service, 45, key::missing_refused),
    case!("chat.key.two-chats-do-not-mix", BOTH, Service, 45, key::two_chats_do_not_mix),
    case!("chat.end.disconnect-ends-chat", BOTH, Service, 30, message::disconnect_ends_chat),
    case!("chat.end.session-stays", BOTH, Service, 30, message::session_stays),
    case!("chat.end.message-refused", BOTH, Service, 30, message::message_refused_after_end),
    case!("chat.end.notifications-refused", BOTH, Service, 30, message::notifications_refused_after_end),
    case!("chat.agent.joins-and-greets", BOTH, Agent, 45, agent::joins_and_greets),
    case!("chat.agent.answers", BOTH, Agent, 45, agent::answers),
    case!("chat.agent.closes", BOTH, Agent, 60, agent::closes),
    case!("reconnect.session.forgotten-then-restored", BOTH, Service, 60, reconnect::forgotten_then_restored),
    case!("reconnect.session.missed-events-restored", BOTH, Agent, 60, reconnect::missed_events_restored),
    case!("reconnect.connection.lost-then-resumed", BOTH, Service, 60, reconnect::lost_then_resumed),
];
