//! The cases: one table, from which lists, plans and reports come, and one module for each group of requirements.
//!
//! A case reads like the exchange that it describes. Everything that may legally vary between servers is accepted; a
//! refusal is proved by a refusal, with the session shown alive before and after it.

mod acknowledgement;
mod agent;
mod browsers;
mod connect;
mod desk;
mod disconnect;
mod file;
mod framing;
mod handshake;
mod key;
mod message;
mod notifications;
mod operations;
mod publish;
mod reconnect;
mod refusal;
mod request;
mod service;
mod session;
mod sharing;
mod start;
mod subscribe;

use std::time::Duration;

use protocol::wire::Transport;

use crate::clients::{self, Guest};
use crate::peer::Peer;
use crate::requirements::{Catalogue, Requirement};
use crate::run::{Agent, Settings};
use crate::stage::Polled;
use crate::verdict::Verdict;

/// What runs when a case runs.
pub(crate) type Running = Polled<Verdict>;

/// What runs, by who is under test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// A server; the case is its client.
    OfServer(fn(Peer) -> Running),
    /// A client; the case is its server.
    OfClient(fn(Guest) -> Running),
}

/// What must be there for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// A Bayeux server.
    Bayeux,
    /// A chat service.
    Service,
    /// A chat service with an agent.
    Agent,
    /// A chat service with an agent who does what he is asked.
    Asked,
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
    /// Whether it hears what other cases publish, so that no other case may run on the same server meanwhile. Other clients of
    /// a shared server are not kept away.
    pub hears_others: bool,
    pub(crate) run: Script,
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

    /// Whether a client is under test, and not a server.
    #[must_use]
    pub const fn is_of_client(&self) -> bool {
        matches!(self.run, Script::OfClient(_))
    }

    /// What kind it is, for whoever chooses: the first part of its id, `agent` if it needs one, `slow` if it waits for time-outs.
    #[must_use]
    pub fn tags(&self) -> Vec<&'static str> {
        let area = self.id.split_once('.').map_or(self.id, |(area, _)| area);
        let agent = matches!(self.needs, Needs::Agent | Needs::Asked).then_some("agent");
        let slow = (self.at_most >= SLOW).then_some("slow");
        [area].into_iter().chain(agent).chain(slow).collect()
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
            (Needs::Service | Needs::Agent | Needs::Asked, false, _) => Some("no service given"),
            (Needs::Agent | Needs::Asked, true, Agent::None) => Some("no agent configured"),
            (Needs::Asked, true, Agent::Scripted) => Some("the agent follows a script and cannot be asked"),
            (Needs::Bayeux, ..)
            | (Needs::Service, true, _)
            | (Needs::Agent, true, Agent::Scripted)
            | (Needs::Agent | Needs::Asked, true, Agent::Simulated | Agent::Asked { .. }) => None,
        }
    }
}

/// What may take as long as this is slow.
const SLOW: Duration = Duration::from_secs(60);

/// Every case for a server, in the order in which they run and are reported. Those for clients are
/// [`clients::scenarios`].
#[must_use]
pub fn cases() -> &'static [Case] {
    CASES
}

/// The case with this id, for a server or for a client.
#[must_use]
pub fn case(id: &str) -> Option<&'static Case> {
    CASES.iter().chain(clients::scenarios()).find(|case| case.id == id)
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
const WEB_SOCKET: &[Transport] = &[Transport::WebSocket];

macro_rules! case {
    ($id:literal, $transports:expr, $needs:ident, $seconds:literal, $run:path) => {
        Case {
            id: $id,
            transports: $transports,
            needs: Needs::$needs,
            at_most: Duration::from_secs($seconds),
            hears_others: false,
            run: Script::OfServer(|peer| Box::pin($run(peer))),
        }
    };
}

static CASES: &[Case] = &[
    // These wait for a session's end, and go first so that the others run meanwhile.
    case!("bayeux.session.expires-without-connect", BOTH, Bayeux, 60, session::expires_without_connect),
    case!("bayeux.session.kept-by-messages", BOTH, Bayeux, 60, session::kept_by_messages),
    case!("bayeux.session.outlives-held-connect", BOTH, Bayeux, 60, session::outlives_held_connect),
    case!("bayeux.handshake.succeeds", BOTH, Bayeux, 30, handshake::succeeds),
    case!("bayeux.handshake.shares-connection-type", BOTH, Bayeux, 30, handshake::shares_connection_type),
    case!("bayeux.handshake.gives-new-client-id", BOTH, Bayeux, 30, handshake::gives_new_client_id),
    case!("bayeux.handshake.without-common-type-refused", BOTH, Bayeux, 30, handshake::without_common_type_refused),
    case!("bayeux.handshake.again-on-same-connection", BOTH, Bayeux, 30, handshake::again_on_same_connection),
    case!("bayeux.handshake.others-beside-ignored", BOTH, Bayeux, 45, handshake::others_beside_ignored),
    case!("bayeux.handshake.incomplete", BOTH, Bayeux, 45, handshake::incomplete),
    case!("bayeux.handshake.advice-told", BOTH, Bayeux, 30, handshake::advice_told),
    case!("bayeux.connect.first-answered-at-once", BOTH, Bayeux, 60, connect::first_answered_at_once),
    case!("bayeux.connect.held-as-long-as-asked", BOTH, Bayeux, 60, connect::held_as_long_as_asked),
    case!("bayeux.connect.not-held-when-asked", BOTH, Bayeux, 90, connect::not_held_when_asked),
    case!("bayeux.connect.unknown-client-refused", BOTH, Bayeux, 30, connect::unknown_client_refused),
    case!("bayeux.connect.among-others", BOTH, Bayeux, 45, connect::among_others),
    case!("bayeux.connect.second-supersedes", BOTH, Bayeux, 45, connect::second_supersedes),
    case!("bayeux.connect.event-while-held", BOTH, Agent, 45, connect::event_while_held),
    case!("bayeux.connect.brings-what-waited", LONG_POLLING, Agent, 45, connect::brings_what_waited),
    case!("bayeux.subscribe.brings-events", BOTH, Bayeux, 45, subscribe::brings_events),
    case!("bayeux.subscribe.all-forms", BOTH, Bayeux, 45, subscribe::takes_all_forms),
    case!("bayeux.subscribe.overlapping-gives-one-copy", BOTH, Bayeux, 45, subscribe::overlapping_gives_one_copy),
    case!("bayeux.subscribe.to-nothing-answered", BOTH, Bayeux, 30, subscribe::to_nothing_answered),
    case!("bayeux.subscribe.partly-refused", BOTH, Bayeux, 45, subscribe::partly_refused),
    case!("bayeux.subscribe.meta-channel-refused", BOTH, Bayeux, 30, subscribe::meta_channel_refused),
    case!("bayeux.subscribe.without-session-refused", BOTH, Bayeux, 45, subscribe::without_session_refused),
    case!("bayeux.subscribe.without-channel-refused", BOTH, Bayeux, 45, subscribe::without_channel_refused),
    case!("bayeux.subscribe.ends-with-session", BOTH, Bayeux, 45, subscribe::ends_with_session),
    case!("bayeux.unsubscribe.stops-events", BOTH, Bayeux, 45, subscribe::unsubscribe_stops_events),
    case!("bayeux.unsubscribe.from-nothing", BOTH, Bayeux, 45, subscribe::unsubscribe_from_nothing),
    case!("bayeux.channel.star-matches-one-segment", BOTH, Bayeux, 45, subscribe::star_matches_one_segment),
    case!("bayeux.channel.double-star-matches-all-below", BOTH, Bayeux, 45, subscribe::double_star_matches_all_below),
    case!("bayeux.channel.case-matters", BOTH, Bayeux, 45, subscribe::case_matters),
    Case {
        hears_others: true,
        ..case!(
            "bayeux.channel.everything-but-meta-and-service",
            BOTH,
            Bayeux,
            45,
            subscribe::everything_but_meta_and_service
        )
    },
    case!("bayeux.channel.service-messages-stay-private", BOTH, Bayeux, 45, subscribe::service_messages_stay_private),
    case!("bayeux.channel.bad-name-refused", BOTH, Bayeux, 45, subscribe::bad_name_refused),
    case!("bayeux.channel.inner-wildcard-refused", BOTH, Bayeux, 45, subscribe::inner_wildcard_refused),
    case!("bayeux.publish.acknowledged", BOTH, Service, 30, service::acknowledges_publish),
    case!("bayeux.publish.unknown-client-refused", BOTH, Bayeux, 30, service::unknown_client_refused),
    case!("bayeux.publish.foreign-client-refused", BOTH, Bayeux, 30, service::foreign_client_refused),
    case!("bayeux.publish.second-message-checked", BOTH, Bayeux, 45, publish::second_message_checked),
    case!("bayeux.publish.data-arrives-unchanged", BOTH, Bayeux, 60, publish::data_arrives_unchanged),
    case!("bayeux.publish.order-kept", BOTH, Bayeux, 60, publish::order_kept),
    case!("bayeux.publish.own-event-comes-with-reply", BOTH, Bayeux, 45, publish::own_event_comes_with_reply),
    case!("bayeux.publish.subscribe-in-same-array", BOTH, Bayeux, 45, publish::subscribe_and_publish_together),
    case!("bayeux.publish.members-of-event", BOTH, Bayeux, 45, publish::members_of_event),
    case!("bayeux.publish.without-data", BOTH, Bayeux, 30, publish::without_data),
    case!("bayeux.publish.to-pattern", BOTH, Bayeux, 30, publish::to_pattern),
    case!("bayeux.publish.unconnected", BOTH, Bayeux, 30, publish::unconnected),
    case!("bayeux.service.delivered-without-subscription", BOTH, Service, 30, service::delivered_without_subscription),
    case!("bayeux.service.subscription-changes-nothing", BOTH, Service, 30, service::subscription_changes_nothing),
    case!("bayeux.disconnect.answered", BOTH, Bayeux, 30, disconnect::answered),
    case!("bayeux.disconnect.releases-held-connect", BOTH, Bayeux, 30, disconnect::releases_held_connect),
    case!("bayeux.disconnect.ends-session", BOTH, Bayeux, 30, disconnect::ends_session),
    case!("bayeux.disconnect.unknown-client-answered", BOTH, Bayeux, 30, disconnect::unknown_client_answered),
    case!("bayeux.disconnect.later-messages-refused", BOTH, Bayeux, 30, disconnect::later_messages_refused),
    case!("bayeux.meta.id-echoed", BOTH, Bayeux, 30, framing::id_echoed),
    case!("bayeux.meta.unknown-channel-refused", BOTH, Bayeux, 30, framing::unknown_meta_channel_refused),
    case!("bayeux.framing.batch-answered", BOTH, Bayeux, 30, framing::batch_answered),
    case!("bayeux.framing.single-message-accepted", BOTH, Bayeux, 30, framing::single_message_accepted),
    case!("bayeux.framing.unknown-members-tolerated", BOTH, Bayeux, 30, framing::unknown_members_tolerated),
    case!("bayeux.framing.malformed-json-survived", BOTH, Bayeux, 30, framing::malformed_json_survived),
    case!("bayeux.framing.empty-array-survived", BOTH, Bayeux, 45, framing::empty_array_survived),
    case!("bayeux.framing.odd-types-survived", BOTH, Bayeux, 60, framing::odd_types_survived),
    case!("bayeux.framing.timestamps-tolerated", BOTH, Bayeux, 45, framing::timestamps_tolerated),
    case!("bayeux.framing.response-is-json", LONG_POLLING, Bayeux, 30, framing::response_is_json),
    case!("bayeux.framing.without-content-type", LONG_POLLING, Bayeux, 30, framing::without_content_type),
    case!("bayeux.websocket.replies-in-one-frame", WEB_SOCKET, Bayeux, 30, publish::replies_in_one_frame),
    case!("bayeux.websocket.events-before-first-connect", WEB_SOCKET, Bayeux, 30, publish::before_first_connect),
    case!("bayeux.websocket.new-socket-takes-over", WEB_SOCKET, Bayeux, 45, publish::new_socket_takes_over),
    case!("bayeux.websocket.long-frame-survived", WEB_SOCKET, Bayeux, 30, framing::long_frame_survived),
    case!("bayeux.websocket.foreign-origin", WEB_SOCKET, Bayeux, 30, framing::foreign_origin),
    case!("bayeux.browsers.cookie-given", LONG_POLLING, Bayeux, 30, browsers::cookie_given),
    case!("bayeux.browsers.second-session-polls", LONG_POLLING, Bayeux, 60, browsers::second_session_polls),
    case!("bayeux.callback.function-called", LONG_POLLING, Bayeux, 30, browsers::callback_called),
    case!("bayeux.callback.name-checked", LONG_POLLING, Bayeux, 30, browsers::callback_name_checked),
    case!("bayeux.callback.name-missing", LONG_POLLING, Bayeux, 30, browsers::callback_name_missing),
    case!("bayeux.callback.events-with-connect", LONG_POLLING, Bayeux, 45, browsers::callback_events_with_connect),
    case!("bayeux.ack.redelivers", BOTH, Bayeux, 45, acknowledgement::redelivers),
    case!("chat.request.starts", BOTH, Service, 30, request::starts),
    case!("chat.request.own-join-comes-first", BOTH, Service, 30, request::own_join_comes_first),
    case!("chat.request.without-name-refused", BOTH, Service, 30, request::without_name_refused),
    case!("chat.request.unknown-service", BOTH, Service, 30, request::unknown_service),
    case!("chat.request.unknown-operation", BOTH, Service, 30, request::unknown_operation),
    case!("chat.request.first-and-last-name", BOTH, Service, 30, start::first_and_last_name),
    case!("chat.request.with-user-data", BOTH, Service, 30, start::with_user_data),
    case!("chat.request.first-words", BOTH, Service, 30, start::first_words),
    case!("chat.request.bad-address", BOTH, Service, 30, start::bad_address),
    case!("chat.request.second-in-session", BOTH, Service, 45, start::second_in_session),
    case!("chat.request.with-old-key", BOTH, Service, 45, start::with_old_key),
    case!("chat.request.legacy-members-tolerated", BOTH, Service, 30, start::legacy_members),
    case!("chat.request.unknown-members", BOTH, Service, 30, start::unknown_members),
    case!("chat.request.data-no-object", BOTH, Service, 45, refusal::data_no_object),
    case!("chat.request.operation-missing", BOTH, Service, 30, refusal::operation_missing),
    case!("chat.request.names-of-rest", BOTH, Service, 45, refusal::names_of_rest),
    case!("chat.request.codes-of-refusals", BOTH, Service, 45, refusal::codes),
    case!("chat.message.echoed-once", BOTH, Service, 30, message::echoed_once),
    case!("chat.message.label-echoed", BOTH, Service, 30, message::label_echoed),
    case!("chat.message.order-kept", BOTH, Service, 45, message::order_kept),
    case!("chat.message.how-answered", BOTH, Service, 45, message::how_answered),
    case!("chat.message.too-long", BOTH, Service, 30, message::too_long),
    case!("chat.message.parameter-missing", BOTH, Service, 45, refusal::message_lacks),
    case!("chat.typing.started-told", BOTH, Service, 30, operations::typing_started),
    case!("chat.typing.stopped-told", BOTH, Service, 30, operations::typing_stopped),
    case!("chat.typing.preview", BOTH, Service, 30, operations::typing_preview),
    case!("chat.typing.place-in-transcript", BOTH, Service, 45, operations::typing_place),
    case!("chat.typing.key-needed", BOTH, Service, 45, refusal::typing_needs_key),
    case!("chat.typing.refused-after-end", BOTH, Service, 30, refusal::typing_after_end),
    case!("chat.notice.told", BOTH, Service, 30, operations::notice_told),
    case!("chat.notice.label", BOTH, Service, 30, operations::notice_label),
    case!("chat.notice.place-in-transcript", BOTH, Service, 30, operations::notice_place),
    case!("chat.notice.without-message", BOTH, Service, 30, operations::notice_without_message),
    case!("chat.notice.key-needed", BOTH, Service, 45, refusal::notice_needs_key),
    case!("chat.notice.refused-after-end", BOTH, Service, 30, refusal::notice_after_end),
    case!("chat.push-url.told", BOTH, Service, 30, operations::page_told),
    case!("chat.push-url.parameter-missing", BOTH, Service, 45, refusal::page_lacks),
    case!("chat.push-url.key-needed", BOTH, Service, 45, refusal::page_needs_key),
    case!("chat.push-url.refused-after-end", BOTH, Service, 30, refusal::page_after_end),
    case!("chat.nickname.told", BOTH, Service, 30, operations::name_told),
    case!("chat.nickname.place-of-name", BOTH, Service, 30, operations::name_place),
    case!("chat.nickname.used-afterwards", BOTH, Service, 30, operations::name_used),
    case!("chat.nickname.parameter-missing", BOTH, Service, 45, refusal::name_lacks),
    case!("chat.nickname.key-needed", BOTH, Service, 45, refusal::name_needs_key),
    case!("chat.nickname.refused-after-end", BOTH, Service, 30, refusal::name_after_end),
    case!("chat.data.answered", BOTH, Service, 30, operations::data_answered),
    case!("chat.data.event", BOTH, Service, 30, operations::data_event),
    case!("chat.data.parameter-missing", BOTH, Service, 45, refusal::data_lacks),
    case!("chat.data.key-needed", BOTH, Service, 45, refusal::data_needs_key),
    case!("chat.data.refused-after-end", BOTH, Service, 30, refusal::data_after_end),
    case!("chat.receipt.answered", BOTH, Service, 30, operations::receipt_answered),
    case!("chat.receipt.parameter-missing", BOTH, Service, 45, refusal::receipt_lacks),
    case!("chat.receipt.key-needed", BOTH, Service, 45, refusal::receipt_needs_key),
    case!("chat.receipt.after-end", BOTH, Service, 30, refusal::receipt_after_end),
    case!("chat.notifications.repeat-the-transcript", BOTH, Service, 45, notifications::repeat_the_transcript),
    case!("chat.notifications.from-position", BOTH, Service, 45, notifications::from_position),
    case!("chat.notifications.at-position", BOTH, Service, 45, notifications::at_position),
    case!("chat.notifications.negative-position", BOTH, Service, 45, notifications::negative_position),
    case!("chat.notifications.position-as-text", BOTH, Service, 45, notifications::position_as_text),
    case!("chat.notifications.without-position", BOTH, Service, 45, notifications::without_position),
    case!("chat.notifications.past-the-end", BOTH, Service, 45, notifications::past_the_end),
    case!("chat.notifications.position-of-wrong-type", BOTH, Service, 45, notifications::position_of_wrong_type),
    case!("chat.notifications.attached-again", BOTH, Service, 45, notifications::attached_again),
    case!("chat.notifications.kinds-that-come-again", BOTH, Service, 45, notifications::kinds_that_come_again),
    case!("chat.notifications.key-needed", BOTH, Service, 45, refusal::notifications_need_key),
    case!("chat.key.wrong-refused", BOTH, Service, 45, key::wrong_refused),
    case!("chat.key.missing-refused", BOTH, Service, 45, key::missing_refused),
    case!("chat.key.two-chats-do-not-mix", BOTH, Service, 45, key::two_chats_do_not_mix),
    case!("chat.key.suffices", BOTH, Service, 45, sharing::key_suffices),
    case!("chat.key.missing-in-own-session", BOTH, Service, 30, sharing::own_session_without_key),
    case!("chat.key.kept", BOTH, Service, 30, sharing::key_kept),
    case!("chat.key.wrong-beside-ids", BOTH, Service, 45, sharing::wrong_key_beside_ids),
    case!("chat.sharing.two-sessions-one-key", BOTH, Service, 45, sharing::two_with_one_key),
    case!("chat.sharing.two-chats-one-session", BOTH, Service, 45, sharing::two_chats_in_one),
    case!("chat.sharing.background", BOTH, Service, 45, sharing::background),
    case!("chat.sharing.session-expires", BOTH, Service, 60, sharing::session_expires),
    case!("chat.file.limits-told", BOTH, Service, 30, file::limits_told),
    case!("chat.file.limits-spelling", BOTH, Service, 30, file::limits_spelling),
    case!("chat.file.upload-announced", BOTH, Service, 45, file::upload_announced),
    case!("chat.file.event-tells", BOTH, Service, 45, file::event_tells),
    case!("chat.file.download-same-bytes", BOTH, Service, 45, file::download_same_bytes),
    case!("chat.file.delete-announced", BOTH, Service, 45, file::delete_announced),
    case!("chat.file.use-counted", BOTH, Service, 45, file::use_counted),
    case!("chat.file.key-missing-refused", BOTH, Service, 60, file::key_missing_refused),
    case!("chat.file.key-wrong-refused", BOTH, Service, 60, file::key_wrong_refused),
    case!("chat.file.foreign-file-refused", BOTH, Service, 60, file::foreign_file_refused),
    case!("chat.file.unknown-id", BOTH, Service, 45, file::unknown_id),
    case!("chat.file.after-end-refused", BOTH, Service, 45, file::after_end_refused),
    case!("chat.file.without-operation", BOTH, Service, 45, file::without_operation),
    case!("chat.file.without-cookie", BOTH, Service, 45, file::without_cookie),
    case!("chat.file.too-large-refused", BOTH, Service, 60, file::too_large_refused),
    case!("chat.file.too-many-refused", BOTH, Service, 60, file::too_many_refused),
    case!("chat.file.type-refused", BOTH, Service, 60, file::type_refused),
    case!("chat.file.unknown-operation", BOTH, Service, 45, file::unknown_operation),
    case!("chat.file.get-refused", BOTH, Service, 45, file::get_refused),
    case!("chat.file.no-form", BOTH, Service, 45, file::no_form),
    case!("chat.end.disconnect-ends-chat", BOTH, Service, 30, message::disconnect_ends_chat),
    case!("chat.end.session-stays", BOTH, Service, 30, message::session_stays),
    case!("chat.end.message-refused", BOTH, Service, 30, message::message_refused_after_end),
    case!("chat.end.notifications-refused", BOTH, Service, 30, message::notifications_refused_after_end),
    case!("chat.end.again", BOTH, Service, 30, message::end_again),
    case!("chat.end.how-told", BOTH, Service, 30, message::how_the_end_is_told),
    case!("chat.end.key-needed", BOTH, Service, 45, refusal::end_needs_key),
    case!("chat.agent.joins-and-greets", BOTH, Agent, 45, agent::joins_and_greets),
    case!("chat.agent.answers", BOTH, Agent, 45, agent::answers),
    case!("chat.agent.closes", BOTH, Agent, 60, agent::closes),
    case!("chat.agent.types", BOTH, Asked, 45, desk::types),
    case!("chat.agent.shows-page", BOTH, Asked, 45, desk::shows_page),
    case!("chat.agent.sends-notice", BOTH, Asked, 45, desk::sends_notice),
    case!("chat.agent.order-kept", BOTH, Asked, 45, desk::order_kept),
    case!("chat.agent.hands-over", BOTH, Asked, 45, desk::hands_over),
    case!("chat.agent.leaves", BOTH, Asked, 45, desk::leaves),
    case!("reconnect.session.forgotten-then-restored", BOTH, Service, 60, reconnect::forgotten_then_restored),
    case!("reconnect.session.missed-events-restored", BOTH, Agent, 60, reconnect::missed_events_restored),
    case!("reconnect.connection.lost-then-resumed", BOTH, Service, 60, reconnect::lost_then_resumed),
];
