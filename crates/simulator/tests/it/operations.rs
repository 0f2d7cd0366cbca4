//! Everything that the client does in a chat besides talking: operations, files, and putting a chat aside.

use std::time::Duration;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use protocol::bayeux::server::Cors;
use protocol::chat::client::{Client, Contents, Ended, Event, FileJob, FileOutcome, Misuse, SendId, Sent};
use protocol::chat::files::Upload;
use protocol::chat::notification::{Event as Transcript, EventType};
use protocol::chat::server::{GmsSettings, Idle, Typing};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Request, Response, Side, Transport, Wire};
use rstest::rstest;
use serde_json::{Map, Value};
use simulator::gms::{Gms, Settings};
use simulator::link::{Fault, Rule, Unit};
use simulator::plan::Happening;
use simulator::script::Step;

use crate::chat::Talk;

fn manual(gms: GmsSettings) -> Settings {
    Settings { gms, ..Settings::manual("support") }
}

fn told(talk: &Talk) -> String {
    talk.told.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>().join("\n")
}

/// The types of everything from the transcript that was told, with or without an index.
fn types(talk: &Talk) -> Vec<EventType> {
    let events = talk.told.iter().filter_map(|event| match event {
        Event::Shown(event) | Event::Passing(event) => event.event_type(),
        _ => None,
    });
    events.collect()
}

/// Does everything once, all at the same time, and gives what became of each.
fn do_everything(talk: &mut Talk) -> Vec<Sent> {
    let now = talk.pair.now();
    let client = &mut talk.pair.client;
    let ids = [
        client.start_typing(now, Some("Hel".to_owned())).unwrap(),
        client.stop_typing(now, None).unwrap(),
        client.send(now, "Hello").unwrap(),
        client.push_url(now, "https://shop.example/").unwrap(),
        client.custom_notice(now, "cart: 3").unwrap(),
        client.update_nickname(now, "Anna").unwrap(),
        client.update_data(now, Map::from_iter([("cart".to_owned(), Value::from("3"))])).unwrap(),
        client.read_receipt(now).unwrap(),
        client.send(now, "Good bye").unwrap(),
    ];
    assert_eq!(ids.map(|id| id.0), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    talk.rest();
    let sent = talk.told.iter().filter_map(|event| match event {
        Event::Sent(_, sent) => Some(sent.clone()),
        _ => None,
    });
    sent.collect()
}

#[test]
fn tells_the_same_of_every_operation_over_either_transport() {
    let gms = GmsSettings { read_receipts: true, ..GmsSettings::default() };
    let [over_web_socket, over_long_polling] = Transport::USUAL.map(|transport| {
        let mut talk = Talk::chatting_with(transport, manual(gms.clone()));
        do_everything(&mut talk);
        told(&talk)
    });
    assert_eq!(over_web_socket, over_long_polling);
    assert_snapshot!(over_web_socket, @"
    Passing(-:TypingStarted by Client 1)
    Sent(SendId(1), Delivered)
    Passing(-:TypingStopped by Client 1)
    Sent(SendId(2), Delivered)
    Shown(4:Message by Client 1)
    Sent(SendId(3), Delivered)
    Shown(5:PushUrl by Client 1)
    Sent(SendId(4), Delivered)
    Shown(6:CustomNotice by Client 1)
    Sent(SendId(5), Delivered)
    Shown(7:NicknameUpdated by Client 1)
    Sent(SendId(6), Delivered)
    Sent(SendId(7), Delivered)
    Sent(SendId(8), Delivered)
    Shown(8:Message by Client 1)
    Sent(SendId(9), Delivered)
    ");
}

#[rstest]
#[case::typing_indexed(GmsSettings { typing: Typing::Indexed, ..GmsSettings::default() })]
#[case::typing_counted(GmsSettings { typing: Typing::Counted, ..GmsSettings::default() })]
#[case::notices_passing(GmsSettings { notices_indexed: false, ..GmsSettings::default() })]
#[case::data_told(GmsSettings { update_data_event: true, ..GmsSettings::default() })]
#[case::name_in_text(GmsSettings { new_name_in_text: true, ..GmsSettings::default() })]
#[case::gaps(GmsSettings { index_gaps: true, ..GmsSettings::default() })]
#[case::split(GmsSettings { split_answers: true, ..GmsSettings::default() })]
#[case::within_the_request(GmsSettings { answer_delay_ms: 0, ..GmsSettings::default() })]
fn gets_everything_through_however_a_server_answers(
    #[case] gms: GmsSettings,
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let settings = manual(GmsSettings { read_receipts: true, ..gms });
    let mut talk = Talk::new(&[transport], settings);
    talk.start();
    assert_eq!(do_everything(&mut talk), vec![Sent::Delivered; 9], "{}", told(&talk));
}

#[test]
fn an_operation_that_the_server_does_not_know_fails_alone() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    let sent = do_everything(&mut talk);
    assert!(matches!(&sent[7], Sent::Failed(errors) if errors[0].code == Some(100)), "{sent:?}");
    assert_eq!(sent.iter().filter(|sent| **sent == Sent::Delivered).count(), 8);
}

#[rstest]
fn does_not_tell_of_typing_that_is_past(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut talk = Talk::chatting(transport);
    talk.pair.link.set_down(talk.pair.now(), true);
    talk.pair.drive_for(Duration::from_secs(1)).unwrap();
    let typing = talk.pair.client.start_typing(talk.pair.now(), None).unwrap();
    let message = talk.pair.client.send(talk.pair.now(), "Hello").unwrap();
    talk.pair.link.set_down(talk.pair.now(), false);
    talk.rest();
    assert!(talk.told.contains(&Event::Sent(typing, Sent::Unsent)), "{}", told(&talk));
    assert!(talk.told.contains(&Event::Sent(message, Sent::Delivered)), "{}", told(&talk));
    assert_eq!(talk.sent_operations("startTyping"), 0);
}

#[test]
fn a_message_that_is_too_long_for_its_transport_is_told_and_the_next_one_goes_out() {
    let mut talk = Talk::chatting(Transport::CallbackPolling);
    let now = talk.pair.now();
    let long = talk.pair.client.send(now, "word ".repeat(800)).unwrap();
    let short = talk.pair.client.send(now, "Hello").unwrap();
    talk.rest();
    assert!(talk.told.contains(&Event::Sent(long, Sent::TooLong)), "{}", told(&talk));
    assert!(talk.told.contains(&Event::Sent(short, Sent::Delivered)), "{}", told(&talk));
    assert_eq!(talk.sent_operations("sendMessage"), 1);
}

#[test]
fn a_lost_answer_about_attached_data_is_told_and_nothing_repeated() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    let answers = Unit::Channel(Side::Server, "/service/chatV2/support".to_owned());
    talk.pair.link.add(Rule::once(answers, Fault::Lose));
    let id = talk.pair.client.update_data(talk.pair.now(), Map::new()).unwrap();
    talk.rest();
    assert!(talk.told.contains(&Event::Sent(id, Sent::Unknown)), "{}", told(&talk));
    assert_eq!(talk.sent_operations("updateData"), 1);
}

#[test]
fn what_chat_server_did_not_take_is_repeated_but_for_files_and_typing() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    talk.pair.server.befall(talk.pair.now(), Happening::ChatServerLost);
    talk.rest();
    let now = talk.pair.now();
    let typing = talk.pair.client.start_typing(now, None).unwrap();
    let data = talk.pair.client.update_data(now, Map::new()).unwrap();
    let job = talk.pair.client.file_limits(now).unwrap();
    talk.pair.drive_for(Duration::from_secs(2)).unwrap();
    talk.pair.server.befall(talk.pair.now(), Happening::ChatServerFailsOver);
    talk.pair.drive_for(Duration::from_secs(10)).unwrap();
    assert_eq!(came_of(&mut talk, job), FileOutcome::Unavailable);
    assert!(talk.told.contains(&Event::Sent(typing, Sent::Unsent)), "{}", told(&talk));
    assert!(talk.told.contains(&Event::Sent(data, Sent::Delivered)), "{}", told(&talk));
    assert_eq!((talk.sent_operations("updateData"), talk.sent_operations("startTyping")), (2, 0));
}

#[test]
fn what_agents_do_is_told_by_its_type() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    let url = "https://shop.example/".to_owned();
    let steps = [Step::StartTyping, Step::StopTyping, Step::PushUrl(url), Step::Notice("survey".to_owned())];
    for step in steps {
        talk.agent(&step);
    }
    talk.agent(&Step::Transfer { nickname: "Riley".to_owned() });
    assert_eq!(
        types(&talk),
        [
            EventType::TypingStarted,
            EventType::TypingStopped,
            EventType::PushUrl,
            EventType::CustomNotice,
            EventType::ParticipantJoined,
            EventType::ParticipantLeft,
        ]
    );
}

fn quit_reasons(talk: &Talk) -> Vec<Option<i64>> {
    let left = |event: &Transcript| event.event_type() == Some(EventType::ParticipantLeft);
    let reasons = talk.told.iter().filter_map(|event| match event {
        Event::Shown(event) if left(event) => Some(event.quit_reason()),
        _ => None,
    });
    reasons.collect()
}

#[rstest]
fn ends_with_the_reason_that_the_server_gives(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut talk = Talk::chatting(transport);
    talk.agent(&Step::End);
    assert_eq!(quit_reasons(&talk), [None, Some(4)]);
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::ByServer)));

    let idle = Idle { alert_ms: 30_000, close_ms: 10_000, ..Idle::default() };
    let mut talk = Talk::chatting_with(transport, manual(GmsSettings { idle, ..GmsSettings::default() }));
    talk.pair.drive_for(Duration::from_secs(45)).unwrap();
    talk.rest();
    assert!(types(&talk).starts_with(&[EventType::IdleAlert, EventType::IdleClose]), "{}", told(&talk));
    assert_eq!(quit_reasons(&talk), [Some(7)]);
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::ByServer)));
}

fn file(name: &str, bytes: &[u8]) -> Upload {
    Upload { name: name.to_owned(), media_type: Some("text/plain".to_owned()), bytes: bytes.to_vec() }
}

/// What came of the last request about files.
fn came_of(talk: &mut Talk, job: FileJob) -> FileOutcome {
    talk.rest();
    let outcome = talk.told.iter().find_map(|event| match event {
        Event::Files(told, outcome) if *told == job => Some(outcome.clone()),
        _ => None,
    });
    outcome.expect("the client tells what came of it")
}

#[rstest]
fn files_go_there_and_back(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    let mut gms = GmsSettings::default();
    // Over a WebSocket this server sets no cookie.
    gms.files.need_cookie = transport != Transport::WebSocket;
    gms.files.max_file_size = 16;
    let mut talk = Talk::chatting_with(transport, manual(gms));

    let job = talk.pair.client.file_limits(talk.pair.now()).unwrap();
    let FileOutcome::Limits(limits) = came_of(&mut talk, job) else { panic!("limits") };
    assert_eq!((limits.max_files, limits.max_file_size, limits.need_agent), (Some(3), Some(16), Some(false)));
    assert!(limits.types.contains(&"txt".to_owned()));

    let job = talk.pair.client.upload(talk.pair.now(), file("a.txt", b"\x00\r\n--half"), Some("notes")).unwrap();
    let FileOutcome::Uploaded(Some(file_id)) = came_of(&mut talk, job) else { panic!("a file id") };
    let shown = talk.told.iter().find_map(|event| match event {
        Event::Shown(event) if event.event_type() == Some(EventType::FileUploaded) => Some(event.user_data()),
        _ => None,
    });
    let shown = shown.expect("the upload is an event of the chat");
    assert_eq!(shown.get("file-id"), Some(&Value::from(file_id.as_str())));
    assert_eq!(shown.get("file-description"), Some(&Value::from("notes")));

    let job = talk.pair.client.download(talk.pair.now(), file_id.as_str()).unwrap();
    assert_eq!(came_of(&mut talk, job), FileOutcome::Downloaded(Contents(b"\x00\r\n--half".to_vec())));

    let job = talk.pair.client.delete_file(talk.pair.now(), file_id.as_str()).unwrap();
    assert_eq!(came_of(&mut talk, job), FileOutcome::Deleted);
    assert_eq!(types(&talk).last(), Some(&EventType::FileDeleted));

    let job = talk.pair.client.download(talk.pair.now(), file_id.as_str()).unwrap();
    let outcome = came_of(&mut talk, job);
    assert!(matches!(&outcome, FileOutcome::Refused(200, errors) if errors[0].code == Some(249)), "{outcome:?}");

    let job = talk.pair.client.upload(talk.pair.now(), file("b.txt", b"seventeen bytes!!"), None).unwrap();
    let outcome = came_of(&mut talk, job);
    assert!(matches!(&outcome, FileOutcome::Refused(200, errors) if errors[0].code == Some(202)), "{outcome:?}");
}

/// How often something was sent to the path for files.
fn sent_about_files(talk: &Talk) -> usize {
    let is = |wire: &Wire| matches!(wire, Wire::Request(_, request) if request.target == "/genesys/2/chat-ntf");
    talk.pair.entries().iter().filter(|entry| is(&entry.wire)).count()
}

#[rstest]
#[case(Unit::From(Side::Server), Fault::Lose, FileOutcome::Unknown)]
#[case(Unit::From(Side::Server), Fault::Silence, FileOutcome::Unknown)]
#[case(Unit::From(Side::Client), Fault::Lose, FileOutcome::Unknown)]
#[case(Unit::From(Side::Client), Fault::Unreachable, FileOutcome::NotSent)]
#[case(Unit::From(Side::Client), Fault::Refuse(404), FileOutcome::Refused(404, Vec::new()))]
#[case(Unit::From(Side::Client), Fault::Refuse(504), FileOutcome::Unknown)]
fn an_upload_is_sent_once_whatever_becomes_of_it(
    #[case] unit: Unit,
    #[case] fault: Fault,
    #[case] expected: FileOutcome,
) {
    let mut talk = Talk::chatting(Transport::WebSocket);
    talk.pair.link.add(Rule::once(unit, fault));
    let job = talk.pair.client.upload(talk.pair.now(), file("a.txt", b"half"), None).unwrap();
    talk.pair.drive_for(Duration::from_secs(61)).unwrap();
    assert_eq!(came_of(&mut talk, job), expected);
    assert_eq!(sent_about_files(&talk), 1);
    assert!(!talk.told.iter().any(|event| matches!(event, Event::ConnectionLost | Event::Ended(_))));
}

#[test]
fn a_refused_file_request_finds_out_that_the_chat_is_over() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    let end = Unit::Channel(Side::Server, "/service/chatV2/support".to_owned());
    // The end is lost without the socket: the server is asked before anybody notices.
    talk.pair.link.add(Rule::once(end, Fault::Silence));
    talk.pair.server.agent(talk.pair.now(), "Ann", &Step::End).unwrap();
    talk.pair.drive_for(Duration::from_millis(100)).unwrap();
    let job = talk.pair.client.file_limits(talk.pair.now()).unwrap();
    talk.pair.drive_for(Duration::from_secs(120)).unwrap();
    assert!(matches!(came_of(&mut talk, job), FileOutcome::Refused(200, _)));
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::ByServer)));
}

#[test]
fn files_under_way_get_an_outcome_before_the_end() {
    let mut talk = Talk::chatting(Transport::WebSocket);
    talk.pair.link.add(Rule::once(Unit::From(Side::Client), Fault::Silence));
    let job = talk.pair.client.file_limits(talk.pair.now()).unwrap();
    talk.agent(&Step::End);
    let tail = &talk.told[talk.told.len() - 2..];
    assert_eq!(tail, [Event::Files(job, FileOutcome::Unknown), Event::Ended(Ended::ByServer)]);
    assert_eq!(talk.pair.client.file_limits(talk.pair.now()), Err(Misuse::NoChat));
}

#[rstest]
fn a_chat_that_was_put_aside_goes_on_in_a_later_session(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let gms = GmsSettings { background_mode: true, ..GmsSettings::default() };
    let mut talk = Talk::chatting_with(transport, manual(gms));
    let parked = talk.pair.client.park(talk.pair.now()).unwrap();
    assert_eq!(parked.position, 3);
    talk.rest();
    assert!(talk.pair.client.is_closed());
    let left = talk.pair.entries().iter().any(|entry| {
        let text = String::from_utf8_lossy(entry.wire.carried().unwrap_or_default()).into_owned();
        text.contains("/meta/disconnect") && text.contains(r#""ext":{"transcriptPosition":"3"}"#)
    });
    assert!(left);
    talk.told.clear();
    talk.pair.drive_for(Duration::from_secs(100)).unwrap();
    talk.agent(&Step::Say("Are you still there?".to_owned()));

    talk.pair.client = Client::resume(Talk::config(&[transport]), talk.pair.now(), parked);
    talk.pair.client.connect(talk.pair.now());
    talk.rest();
    assert_eq!(talk.take_shown(), [4]);
    assert_eq!(talk.say("Yes."), SendId(1));
    assert_eq!(talk.take_shown(), [5]);
}

/// What the path for files answers to a request of a page of this origin.
fn asked_from(cors: Option<Cors>, origin: &str, method: &str, fields: &[(&str, &str)]) -> Response {
    let mut gms = Gms::new(Settings { cors, ..Settings::manual("support") }, 1);
    let headers = fields.iter().fold(Headers::new().with("Origin", origin), |headers, (n, v)| headers.with(n, v));
    let target = "/genesys/2/chat-ntf".to_owned();
    let body = b"operation=fileGetLimits&secureKey=nobody".to_vec();
    let request = Request { method: method.to_owned(), target, headers, body };
    gms.handle_input(Time::ZERO, Input::Wire(Wire::Request(Exchange(1), request)));
    let answer = std::iter::from_fn(|| gms.poll_output()).find_map(|output| match output {
        Output::Wire(Wire::Response(_, response)) => Some(response),
        _ => None,
    });
    answer.expect("a response")
}

#[rstest]
#[case::allowed("https://shop.example", Some("https://shop.example"))]
#[case::foreign("https://elsewhere.example", None)]
fn a_page_may_ask_about_files_if_its_origin_may_talk(#[case] origin: &str, #[case] seen: Option<&str>) {
    let cors = || Some(Cors { origins: vec!["https://shop.example".to_owned()] });
    let asks = [("Access-Control-Request-Method", "POST")];
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let preflight = asked_from(cors(), origin, "OPTIONS", &asks);
    assert_eq!(preflight.status, if seen.is_some() { 200 } else { 405 });
    assert_eq!(preflight.headers.get("Access-Control-Allow-Methods").is_some(), seen.is_some());
    let post = asked_from(cors(), origin, "POST", &form);
    assert!(String::from_utf8_lossy(&post.body).contains(r#""statusCode":2"#));
    for response in [preflight, post, asked_from(cors(), origin, "GET", &[])] {
        assert_eq!(response.headers.get("Access-Control-Allow-Origin"), seen);
    }
}
