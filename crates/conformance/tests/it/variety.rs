//! What may differ between servers does not change a verdict.

use std::collections::BTreeSet;
use std::time::Duration;

use conformance::cases::{Case, case, plan};
use conformance::conclude::{CaseResult, conclude};
use conformance::expectations::{Expectations, SIMULATOR};
use conformance::run::Run;
use conformance::verdict::Kind;
use protocol::bayeux::dialect::Dialect;
use protocol::chat::server::{GmsSettings, Sharing, Typing, UnknownService};
use protocol::wire::Transport;
use rstest::rstest;
use serde_json::{Value, json};
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::mutation::{Mutant, Mutation};

use crate::drive::{SEED, SERVICE, drive, drive_over, settings};
use crate::shared::{redacted, uneven};

/// Nothing is wrong with a server, over a network that is not always equally fast.
fn tolerates(name: &str, server: impl Fn(u64) -> Mutant) {
    let known = Expectations::parse(SIMULATOR).expect("expectations");
    // Each entry has a seed and a network of its own: together they see more than one seed could.
    for (planned, seed) in plan(&settings(), &Transport::ALL).into_iter().zip(0..) {
        let run = Run::new(planned.case, planned.transport, &settings(), seed);
        let (outcome, entries) = drive_over(uneven(seed), planned.case, run, server(seed), seed);
        let result = conclude(&outcome, &redacted(&entries, seed));
        let fine = matches!(result.verdict, Kind::Pass | Kind::Observed | Kind::NotApplicable);
        assert!(fine || known.met_by(&result).is_some(), "{name}, seed {seed}: {result:#?}");
    }
}

/// A case over long-polling on a network where requests overtake each other, and their responses too, as they do on a
/// loaded machine.
fn overtaken(case: &'static Case, jitter: u64, seed: u64) -> CaseResult {
    let network = Network { jitter: Duration::from_millis(jitter), ..Network::default() };
    let run = Run::new(case, Transport::LongPolling, &settings(), seed);
    let (outcome, entries) = drive_over(network, case, run, Gms::new(gms::Settings::new(SERVICE), seed), seed);
    conclude(&outcome, &redacted(&entries, seed))
}

#[test]
fn what_overtakes_each_other() {
    let known = Expectations::parse(SIMULATOR).expect("expectations");
    let over_http = plan(&settings(), &[Transport::LongPolling]);
    for (planned, seed) in over_http.into_iter().flat_map(|planned| [planned; 2]).zip(0..) {
        let result = overtaken(planned.case, 150, seed);
        let fine = matches!(result.verdict, Kind::Pass | Kind::Observed | Kind::NotApplicable);
        assert!(fine || known.met_by(&result).is_some(), "seed {seed}: {result:#?}");
    }
}

/// Two connects of one session, which the cases themselves keep apart somewhat, and events beside the end of their chat.
#[rstest]
#[case::connects("bayeux.connect.second-supersedes", 400)]
#[case::long_connects("bayeux.session.outlives-held-connect", 400)]
#[case::restored("reconnect.session.missed-events-restored", 400)]
#[case::the_end("chat.end.disconnect-ends-chat", 150)]
fn what_is_overtaken_often(#[case] id: &str, #[case] jitter: u64) {
    let case = case(id).expect("a case");
    for seed in 0..200 {
        let result = overtaken(case, jitter, seed);
        assert!(matches!(result.verdict, Kind::Pass | Kind::Observed), "seed {seed}: {result:#?}");
    }
}

fn with(change: impl Fn(&mut GmsSettings)) -> impl Fn(u64) -> Mutant {
    move |seed| {
        let mut settings = gms::Settings::new(SERVICE);
        change(&mut settings.gms);
        Mutant::new(Gms::new(settings, seed), Mutation::named("none"))
    }
}

#[rstest]
#[case::as_it_is("as it is", |_: &mut GmsSettings| {})]
#[case::answers_at_once("answers at once", |gms: &mut GmsSettings| gms.answer_delay_ms = 0)]
#[case::answers_late("answers late", |gms: &mut GmsSettings| gms.answer_delay_ms = 150)]
#[case::answers_in_two("answers in two deliveries", |gms: &mut GmsSettings| gms.split_answers = true)]
#[case::answers_in_two_at_once("answers in two deliveries at once", |gms: &mut GmsSettings| {
    gms.split_answers = true;
    gms.answer_delay_ms = 0;
})]
#[case::exclusive_positions("exclusive positions", |gms: &mut GmsSettings| gms.position_inclusive = false)]
#[case::gaps("gaps between indexes", |gms: &mut GmsSettings| gms.index_gaps = true)]
#[case::no_welcome("no welcome", |gms: &mut GmsSettings| gms.welcome = String::new())]
#[case::failure_for_unknown_services("a failure for unknown services", |gms: &mut GmsSettings| {
    gms.unknown_service = UnknownService::Failure;
})]
#[case::wrong_keys_end("a wrong key ends", |gms: &mut GmsSettings| gms.unknown_key_ends = true)]
#[case::wrong_keys_remove("a wrong key removes the client", |gms: &mut GmsSettings| gms.wrong_key_removes = true)]
#[case::typing_counted("typing takes a place", |gms: &mut GmsSettings| gms.typing = Typing::Counted)]
#[case::typing_indexed("typing has an index", |gms: &mut GmsSettings| gms.typing = Typing::Indexed)]
#[case::notices_pass("notices have no index", |gms: &mut GmsSettings| gms.notices_indexed = false)]
#[case::data_makes_an_event("a change of data is an event", |gms: &mut GmsSettings| gms.update_data_event = true)]
#[case::new_name_in_text("the new name in text", |gms: &mut GmsSettings| gms.new_name_in_text = true)]
#[case::receipts("receipts are known", |gms: &mut GmsSettings| gms.read_receipts = true)]
#[case::keys_renewed("requestNotifications renews the key", |gms: &mut GmsSettings| gms.key_renewal = true)]
#[case::all_sessions_hear("all sessions hear", |gms: &mut GmsSettings| gms.sharing = Sharing::All)]
#[case::old_keys_resume("an old key resumes", |gms: &mut GmsSettings| gms.old_key_resumes = true)]
#[case::ends_repeated("the end is told twice", |gms: &mut GmsSettings| gms.repeats_end = true)]
#[case::second_end_succeeds("a second end succeeds", |gms: &mut GmsSettings| gms.repeated_end_succeeds = true)]
#[case::newer_members("newer members", |gms: &mut GmsSettings| {
    gms.tells_monitored = true;
    gms.tells_idle_timer = true;
    gms.delivery_ids = true;
    gms.event_attributes = false;
})]
#[case::long_messages("long messages are carried", |gms: &mut GmsSettings| gms.message_limit = 100_000)]
#[case::one_chat_per_session("one chat per session", |gms: &mut GmsSettings| gms.one_chat_per_session = true)]
#[case::background("the background is known", |gms: &mut GmsSettings| gms.background_mode = true)]
#[case::late_welcome("a late welcome", |gms: &mut GmsSettings| gms.welcome_after_join = true)]
#[case::other_codes("other codes", |gms: &mut GmsSettings| {
    gms.codes.name_missing = 102;
    gms.codes.parameter_missing = 240;
    gms.codes.operation_unknown = 500;
    gms.codes.not_executed = 8210;
})]
fn answers_to_open_questions(#[case] name: &str, #[case] change: fn(&mut GmsSettings)) {
    tolerates(name, with(change));
}

#[rstest]
#[case::advice_with_first_connect(|dialect: &mut Dialect| dialect.handshake_advice = false)]
#[case::texts_of_cometd_5(|dialect: &mut Dialect| {
    dialect.errors.unknown_session = "402::session_unknown".to_owned();
    dialect.errors.create_denied = "403:denied_by_security_policy:channel_create_denied".to_owned();
})]
fn dialects(#[case] change: fn(&mut Dialect)) {
    tolerates("another dialect", |seed| {
        let mut settings = gms::Settings::new(SERVICE);
        change(&mut settings.dialect);
        Mutant::new(Gms::new(settings, seed), Mutation::named("none"))
    });
}

fn with_member(mut message: Value, name: &str, value: Value) -> Value {
    message[name] = value;
    message
}

#[rstest]
#[case::unknown_members(Mutation::named("unknown members").told(|_, mut message| {
    if message["data"].get("messages").is_some() {
        message["data"]["monitored"] = false.into();
        message["data"]["idleTimerExpire"] = Value::Null;
    }
    vec![with_member(message, "x-tapestry", json!([1, {"a": null}]))]
}))]
#[case::members_turned_round(Mutation::named("members turned round").told(|_, message| {
    let members = message.as_object().cloned().unwrap_or_default();
    vec![Value::Object(members.into_iter().rev().collect())]
}))]
#[case::ids_as_numbers(Mutation::named("ids as numbers").told(|_, message| {
    let id = message["id"].as_str().and_then(|id| id.parse::<u64>().ok());
    vec![match id {
        Some(id) => with_member(message, "id", id.into()),
        None => message,
    }]
}))]
#[case::indexes_as_texts(Mutation::named("indexes as texts").told(|_, mut message| {
    if let Some(events) = message.get_mut("data").and_then(|data| data.get_mut("messages")?.as_array_mut()) {
        for event in events.iter_mut().filter(|event| event.get("index").is_some()) {
            event["index"] = event["index"].to_string().into();
        }
    }
    vec![message]
}))]
#[case::empty_errors(Mutation::named("empty errors").told(|_, message| {
    vec![if message["successful"] == true { with_member(message, "error", "".into()) } else { message }]
}))]
#[case::client_id_everywhere(Mutation::named("clientId everywhere").told(|memory, message| {
    // With several sessions the mutation would not know whose reply it is.
    let known = memory.clients.len() == 1 && memory.clients.contains(&memory.client);
    let reply = message["successful"] == true && message["channel"] != "/meta/handshake" && known;
    let client = memory.client.clone();
    vec![if reply { with_member(message, "clientId", client.into()) } else { message }]
}))]
#[case::ids_of_events(Mutation::named("ids of events").told(|_, message| {
    vec![if message.get("data").is_some() { with_member(message, "id", "event-1".into()) } else { message }]
}))]
fn forms_of_messages(#[case] variant: Mutation) {
    tolerates(variant.name, |seed| Mutant::new(Gms::new(gms::Settings::new(SERVICE), seed), variant));
}

/// Where real clients depend on one answer to an open question, another answer is a deviation, and nothing worse.
#[rstest]
#[case::texts_are_no_positions(|gms: &mut GmsSettings| gms.text_positions = false, &["CV-RN-04"])]
fn answers_that_clients_do_not_expect(#[case] change: fn(&mut GmsSettings), #[case] broken: &[&str]) {
    let known = Expectations::parse(SIMULATOR).expect("expectations");
    let server = with(change);
    let mut found: BTreeSet<String> = BTreeSet::new();
    for planned in plan(&settings(), &Transport::USUAL) {
        let (outcome, entries) = drive(planned.case, planned.transport, &settings(), server(SEED), SEED);
        let result = conclude(&outcome, &redacted(&entries, SEED));
        assert!(!matches!(result.verdict, Kind::Error | Kind::Fail), "{result:#?}");
        if result.verdict == Kind::Deviation && known.met_by(&result).is_none() {
            found.extend(result.reason.and_then(|reason| reason.requirement));
        }
    }
    assert_eq!(found, broken.iter().map(|id| (*id).to_owned()).collect());
}
