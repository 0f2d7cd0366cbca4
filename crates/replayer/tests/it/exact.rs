//! What our own client does is on its tape, so that the same client does it again: unit by unit, moment by moment.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use proptest::sample::Index;
use protocol::bayeux::batch::Limits;
use protocol::bayeux::client as bayeux;
use protocol::chat::client::Config;
use protocol::chat::files::Upload;
use protocol::chat::operation::RequestChat;
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Side, Transport};
use recording::audit::audit;
use recording::capture::{self, Source};
use recording::tape::{Finish, Kind, Tape};
use recording::token::Key;
use replayer::exact::{Call, Replay, Taped, Unfit, replay};
use rstest::rstest;
use serde_json::{Map, Value, json};
use simulator::gms::{Gms, Settings};
use simulator::link::{Fault, Network, Rule, Unit};
use simulator::pair::Pair;

/// What happens in a test.
#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Call(Call),
    /// The server forgets all sessions.
    Forget,
    Break,
    Down,
    Up,
    Strike(Unit, Fault),
}

/// A client, and what happens to it.
#[derive(Clone, Debug)]
struct World {
    transports: Vec<Transport>,
    seed: u64,
    ack: bool,
    ids: bool,
    /// Whether both sides take messages of any length.
    wide: bool,
    acts: Vec<Act>,
}

impl World {
    fn new(transport: Transport, acts: Vec<Act>) -> Self {
        Self { transports: vec![transport], seed: 1, ack: false, ids: false, wide: false, acts }
    }

    /// Lets it happen, and gives the tape of it.
    fn bytes(&self) -> Vec<u8> {
        let mut bayeux = bayeux::Config::new("/genesys/cometd", &self.transports);
        bayeux.extensions.ack = self.ack;
        bayeux.extensions.timesync = self.ids;
        if self.wide {
            bayeux.limits.bytes = usize::MAX;
        }
        let auth = self.ids.then(|| Secret::new("YW5uOmh1bnRlcjI="));
        let config = Config { auth, legacy_ids: self.ids, ..Config::new(bayeux, "support") };
        let client = Taped::new(config, label(self.seed));
        let mut settings = Settings::new("support");
        settings.dialect.options.extensions.ack = self.ack;
        settings.dialect.options.extensions.timesync = self.ids;
        if self.wide {
            settings.gms.message_limit = usize::MAX;
        }
        let network = Network { jitter: Duration::from_millis(self.seed % 40), ..Network::default() };
        let mut pair = Pair::new(client, Gms::new(settings, self.seed), network, self.seed);
        for act in &self.acts {
            let now = pair.now();
            match act {
                Act::Wait(millis) => pair.drive_for(Duration::from_millis(*millis)).expect("they come to rest"),
                // The client may say no: the tape has the call all the same.
                Act::Call(call) => drop(pair.client.call(now, call.clone())),
                Act::Forget => pair.server.forget_all(now),
                Act::Break => pair.link.break_all(now),
                Act::Down => pair.link.set_down(now, true),
                Act::Up => pair.link.set_down(now, false),
                Act::Strike(unit, fault) => pair.link.add(Rule::once(unit.clone(), *fault)),
            }
        }
        pair.link.heal();
        pair.drive_for(Duration::from_secs(90)).expect("they come to rest");
        let now = pair.now();
        pair.client.finish(now, Finish::Complete)
    }

    fn tape(&self) -> Tape {
        Tape::read(&self.bytes()).expect("a written tape is readable")
    }
}

fn label(seed: u64) -> capture::Config {
    capture::Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: format!("{seed:032x}"),
        key: Key::from_bytes([7; 32]),
        source: Source::Sim,
        scenario: None,
        seed: Some(seed),
        env: BTreeMap::new(),
    }
}

fn start() -> Call {
    let user_data = Map::from_iter([("cart".to_owned(), Value::from("3 pieces")), ("TimeZone".to_owned(), json!(-60))]);
    Call::Start(RequestChat {
        nickname: Some("Ann".to_owned()),
        subject: Some("a lost parcel".to_owned()),
        user_data: Some(user_data),
        ..RequestChat::default()
    })
}

fn say(text: &str) -> Act {
    Act::Call(Call::Say(text.to_owned()))
}

/// A chat with everything that an application can do.
fn everything() -> Vec<Act> {
    let file = Upload { name: "note.txt".to_owned(), media_type: None, bytes: b"half \r\n--past".to_vec() };
    let raw = Upload { name: "photo".to_owned(), media_type: Some("image/png".to_owned()), bytes: vec![0xff, 0, 0xfe] };
    let calls = [
        Call::StartTyping(None),
        Call::Say("Hello, Ann here".to_owned()),
        Call::StopTyping(Some("Hel".to_owned())),
        Call::CustomNotice("notice".to_owned()),
        Call::PushUrl("https://shop.example/?cart=3".to_owned()),
        Call::UpdateNickname("Anna".to_owned()),
        Call::UpdateData(Map::from_iter([("mood".to_owned(), Value::from("good"))])),
        Call::ReadReceipt,
        Call::FileLimits,
        Call::Upload(file, Some("a note".to_owned())),
        Call::Upload(raw, None),
        Call::Download("no-such-file".to_owned()),
        Call::DeleteFile("no-such-file".to_owned()),
        Call::Say("Ann".to_owned()),
        Call::Say(String::new()),
        Call::Say("\u{fc}ber \"402::Unknown client\" \u{1f600}".to_owned()),
    ];
    let mut acts = vec![Act::Call(Call::Connect), Act::Wait(200), Act::Call(start()), Act::Wait(3_000)];
    acts.extend(calls.into_iter().flat_map(|call| [Act::Call(call), Act::Wait(700)]));
    acts.extend([Act::Call(Call::End), Act::Wait(5_000)]);
    acts
}

/// A chat in which the connection breaks, and the server forgets the session.
fn troubled() -> Vec<Act> {
    let mut acts = vec![Act::Call(start()), Act::Wait(2_000), say("one"), Act::Break, Act::Wait(4_000), say("two")];
    acts.extend([Act::Forget, Act::Wait(5_000), say("three"), Act::Wait(1_000), Act::Call(Call::End)]);
    acts
}

fn replayed(tape: &Tape) -> Replay {
    replay(tape).expect("the header says all").expect("our client left it")
}

#[track_caller]
fn is_exact(tape: &Tape) -> Replay {
    let replay = replayed(tape);
    assert_eq!(replay.departure, None, "{}", replay.text());
    assert_eq!(replay.exit_code(), 0, "{}", replay.text());
    replay
}

#[rstest]
fn everything_that_a_client_does_it_does_again(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
    #[values(false, true)] ids: bool,
) {
    let replay = is_exact(&World { ids, ..World::new(transport, everything()) }.tape());
    assert_eq!(replay.statistics.calls, 19);
    assert!(replay.statistics.sent > 20 && replay.statistics.timers > 0, "{}", replay.text());
}

#[rstest]
fn it_does_the_same_after_losses_and_handshakes(
    #[values(Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
    #[values(false, true)] ack: bool,
) {
    let tape = World { ack, ..World::new(transport, troubled()) }.tape();
    let entries = tape.entries();
    let handshakes = entries.iter().filter(|entry| {
        let messages = protocol::bayeux::batch::Batch::carried(&entry.wire);
        entry.from == Side::Client && messages.iter().any(|message| message.channel() == Some("/meta/handshake"))
    });
    assert!(handshakes.count() > 1);
    is_exact(&tape);
}

#[test]
fn the_same_world_gives_the_same_bytes() {
    let world = World::new(Transport::LongPolling, troubled());
    assert_eq!(world.bytes(), world.bytes());
}

#[rstest]
fn such_a_tape_holds_nothing_of_what_was_said(#[values(false, true)] ids: bool) {
    let world = World { ids, ..World::new(Transport::CallbackPolling, everything()) };
    let bytes = world.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["Ann", "parcel", "pieces", "shop.example", "note.txt", "no-such-file", "YW5u", "mood", "\u{fc}ber"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let audit = audit(&bytes, &[]).expect("a tape");
    assert_eq!(audit.findings, []);
}

fn transports() -> impl Strategy<Value = Vec<Transport>> {
    prop::sample::select(vec![
        vec![Transport::WebSocket],
        vec![Transport::LongPolling],
        vec![Transport::CallbackPolling],
        Transport::USUAL.to_vec(),
    ])
}

fn unit() -> impl Strategy<Value = Unit> {
    let channel = |side, name: &str| Unit::Channel(side, name.to_owned());
    prop::sample::select(vec![
        Unit::Any,
        Unit::From(Side::Client),
        Unit::From(Side::Server),
        Unit::Upgrade,
        Unit::Operation("requestChat".to_owned()),
        Unit::Operation("sendMessage".to_owned()),
        channel(Side::Server, "/meta/connect"),
        channel(Side::Server, "/meta/handshake"),
        channel(Side::Server, "/service/chatV2/support"),
    ])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::Lose,
        Fault::Break { after: Duration::ZERO },
        Fault::Silence,
        Fault::Delay(Duration::from_millis(900)),
        Fault::Duplicate { after: Duration::from_millis(5) },
        Fault::Unreachable,
        Fault::Refuse(503),
    ])
}

fn act() -> impl Strategy<Value = Act> {
    let text = prop_oneof!["[a-z ]{0,12}", Just("Ann".to_owned()), Just("support".to_owned()), any::<String>()];
    let calls = prop_oneof![
        4 => text.prop_map(Call::Say),
        1 => Just(Call::StartTyping(None)),
        1 => Just(Call::PushUrl("https://shop.example/".to_owned())),
        1 => "[A-Z][a-z]{2,6}".prop_map(Call::UpdateNickname),
        1 => Just(Call::FileLimits),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            Call::Upload(Upload { name: "f".to_owned(), media_type: None, bytes }, None)
        }),
        1 => Just(Call::ReadReceipt),
        1 => Just(start()),
        1 => Just(Call::End),
        1 => Just(Call::Leave),
    ];
    prop_oneof![
        6 => (0_u64..4_000).prop_map(Act::Wait),
        8 => calls.prop_map(Act::Call),
        1 => Just(Act::Forget),
        1 => Just(Act::Break),
        1 => Just(Act::Down),
        1 => Just(Act::Up),
        4 => (unit(), fault()).prop_map(|(unit, fault)| Act::Strike(unit, fault)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_happens_again(
        transports in transports(),
        seed in 0_u64..1_000,
        ack in any::<bool>(),
        ids in any::<bool>(),
        acts in prop::collection::vec(act(), 0..24),
    ) {
        let mut all = vec![Act::Call(start())];
        all.extend(acts);
        let world = World { transports, seed, ack, ids, ..World::new(Transport::LongPolling, all) };
        let replay = replayed(&world.tape());
        prop_assert!(replay.departure.is_none(), "{}", replay.text());
        prop_assert_eq!(replay.exit_code(), 0);
    }
}

/// The header and what follows, each unit with the lines of what it carries.
type Units = Vec<Vec<Value>>;

/// A tape whose lines were changed: counters are put right, and it has no trailer any more.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Units)) -> Tape {
    Tape::read(&written_anew(bytes, change)).expect("a tape")
}

fn written_anew(bytes: &[u8], change: impl FnOnce(&mut Units)) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut lines = lines.map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
    let header = lines.next().expect("a header");
    // A unit and what it carries stay together.
    let mut units: Units = vec![vec![header]];
    for line in lines.filter(|line| line["k"] != "end") {
        match (line["k"].as_str(), units.last_mut()) {
            (Some("msg" | "body"), Some(unit)) => unit.push(line),
            _ => units.push(vec![line]),
        }
    }
    change(&mut units);
    let (mut n, mut t, mut text) = (0, 0, String::new());
    for mut unit in units {
        let first = n;
        for line in &mut unit {
            if line["k"] != "hdr" {
                n += 1;
                t = line["t"].as_u64().expect("a moment").max(t);
                (line["n"], line["t"]) = (json!(n), json!(t));
                if line["k"] == "msg" || line["k"] == "body" {
                    line["u"] = json!(first + 1);
                }
            }
            text.push_str(&format!("{line}\n"));
        }
    }
    text.into_bytes()
}

fn is(unit: &[Value], kind: &str) -> bool {
    unit[0]["k"] == kind
}

fn asks(unit: &[Value], operation: &str) -> bool {
    unit.len() > 1 && unit[1]["m"]["data"]["operation"] == operation
}

fn position(units: &[Vec<Value>], wanted: impl Fn(&[Value]) -> bool) -> usize {
    units.iter().position(|unit| wanted(unit)).expect("there is one")
}

/// Nothing is changed, and nothing is seen.
#[test]
fn a_tape_that_was_only_written_anew_is_exact_as_far_as_it_goes() {
    let bytes = World::new(Transport::WebSocket, troubled()).bytes();
    let replay = replayed(&changed(&bytes, |_| {}));
    assert_eq!((replay.departure.clone(), replay.exit_code()), (None, 3), "{}", replay.text());
}

#[rstest]
#[case::another_word("differs", |units: &mut Units| {
    let at = position(units, |unit| asks(unit, "sendMessage"));
    units[at][1]["m"]["data"]["message"] = json!("txt_0000000000~len=3~u8=3");
})]
#[case::another_key("differs", |units: &mut Units| {
    let at = position(units, |unit| asks(unit, "sendMessage"));
    units[at][1]["m"]["data"]["secureKey"] = json!("sk_0000000000");
})]
#[case::another_id("differs", |units: &mut Units| {
    let at = position(units, |unit| asks(unit, "sendMessage"));
    units[at][1]["m"]["id"] = json!("99");
})]
#[case::two_units_in_another_order("differs", |units: &mut Units| {
    let at = position(units, |unit| asks(unit, "sendMessage"));
    let other = at + 1 + position(&units[at + 1..], |unit| is(unit, "ws.msg") && unit[0]["type"] == "send");
    let moment = units[at][0]["t"].clone();
    units.swap(at, other);
    units[at][0]["t"] = moment;
})]
#[case::a_call_that_is_not_there("not-sent", |units: &mut Units| {
    units.remove(position(units, |unit| unit[0]["op"] == "sendMessage"));
})]
#[case::a_call_of_something_else("differs", |units: &mut Units| {
    let at = position(units, |unit| unit[0]["op"] == "sendMessage");
    units[at][0]["op"] = json!("customNotice");
})]
#[case::a_unit_of_the_client_that_is_not_there("unexpected", |units: &mut Units| {
    units.remove(position(units, |unit| asks(unit, "sendMessage")));
})]
#[case::a_unit_of_the_server_that_is_not_there("not-sent", |units: &mut Units| {
    units.remove(position(units, |unit| is(unit, "ws.msg") && unit[0]["type"] == "receive"));
})]
#[case::a_timer_that_is_not_there("not-sent", |units: &mut Units| {
    units.remove(position(units, |unit| is(unit, "timer")));
})]
#[case::a_timer_at_another_moment("timer", |units: &mut Units| {
    let at = position(units, |unit| is(unit, "timer"));
    units[at][0]["due"] = json!(1);
})]
#[case::another_timer("timer", |units: &mut Units| {
    let at = position(units, |unit| is(unit, "timer"));
    units[at][0]["name"] = json!("chat.gap");
})]
#[case::an_input_in_front_of_the_one_before_it("not-sent", |units: &mut Units| {
    let came = |unit: &[Value]| is(unit, "ws.msg") && unit[0]["type"] == "receive";
    let first = position(units, came);
    let second = first + 1 + position(&units[first + 1..], came);
    let unit = units.remove(second);
    units.insert(first, unit);
})]
#[case::a_client_that_backs_off_longer("timer", |units: &mut Units| {
    units[0][0]["env"]["backoffIncrement"] = json!("2000000");
})]
#[case::a_client_of_another_path("differs", |units: &mut Units| {
    units[0][0]["env"]["base"] = json!("/genesys/1/cometd");
})]
#[case::a_client_with_another_extension("differs", |units: &mut Units| {
    units[0][0]["env"]["ack"] = json!("true");
})]
#[case::a_client_with_credentials("differs", |units: &mut Units| {
    units[0][0]["env"]["auth"] = json!("given");
})]
#[case::a_client_that_does_not_restore("not-sent", |units: &mut Units| {
    units[0][0]["env"]["restoreAfterHandshake"] = json!("false");
})]
fn a_change_is_seen(#[case] what: &str, #[case] change: fn(&mut Units)) {
    let bytes = World::new(Transport::WebSocket, troubled()).bytes();
    let replay = replayed(&changed(&bytes, change));
    let seen = replay.departure.as_ref().map(|departure| departure.what.id());
    assert_eq!((seen, replay.exit_code()), (Some(what), 1), "{}", replay.text());
}

/// Cookies travel in header fields, which not every request has.
#[test]
fn a_cookie_more_is_seen() {
    let bytes = World::new(Transport::LongPolling, troubled()).bytes();
    let replay = replayed(&changed(&bytes, |units| {
        let at = position(units, |unit| is(unit, "http.res"));
        let fields = json!([{"name": "Set-Cookie", "value": "JSESSIONID=ck_0000000000"}]);
        units[at][0]["headers"] = fields;
    }));
    assert_eq!(
        (replay.departure.map(|departure| departure.what.id()), replay.status.to_string().as_str()),
        (Some("differs"), "interrupted")
    );
}

/// One message that is shorter than its tokens, and one that is longer.
#[test]
fn over_callback_polling_length_alone_departs_from_nothing() {
    let keys =
        (0_u8..46).map(|number| (format!("{}{}", char::from(b'a' + number % 26), number / 26), Value::from("x")));
    let many = Act::Call(Call::UpdateData(keys.collect()));
    let acts = |act: Act| vec![Act::Call(start()), Act::Wait(3_000), act, Act::Wait(3_000), Act::Call(Call::End)];
    let short = is_exact(&World::new(Transport::CallbackPolling, acts(many)).tape());
    assert!(short.is_unlimited, "{}", short.text());
    let long = World::new(Transport::CallbackPolling, acts(say(&"word ".repeat(800)))).tape();
    let replay = replayed(&long);
    assert_eq!((replay.doubt.is_some(), replay.exit_code()), (true, 3), "{}", replay.text());
}

#[test]
fn what_is_too_long_to_be_redacted_is_not_judged() {
    let acts = vec![Act::Call(start()), Act::Wait(3_000), say(&"a".repeat(1 << 20)), Act::Wait(1_000)];
    let replay = replayed(&World::new(Transport::WebSocket, acts).tape());
    assert_eq!((replay.doubt.is_some(), replay.exit_code()), (true, 3), "{}", replay.text());
}

/// The echo alone is too long, so that the client of the replay does not know what it heard.
#[test]
fn what_follows_from_a_unit_too_long_to_be_redacted_is_not_judged() {
    let limit = Limits::default().bytes;
    let acts = vec![Act::Call(start()), Act::Wait(3_000), say(&"a".repeat(limit - 300)), Act::Wait(1_000)];
    let tape = World { wide: true, ..World::new(Transport::LongPolling, acts) }.tape();
    let longest = |word: &str| {
        let bytes =
            tape.records().iter().filter(|record| record.kind.word() == word).filter_map(|record| match &record.kind {
                Kind::HttpReq { bytes, .. } | Kind::HttpRes { bytes, .. } => *bytes,
                _ => None,
            });
        bytes.max().expect("there are some")
    };
    assert!(longest("http.req") <= limit as u64 && longest("http.res") > limit as u64);
    let replay = replayed(&tape);
    assert!(replay.departure.is_some(), "{}", replay.text());
    assert_eq!((replay.doubt.is_some(), replay.exit_code()), (true, 3), "{}", replay.text());
}

#[test]
fn the_size_of_a_file_does_not_matter() {
    let file = Upload { name: "film".to_owned(), media_type: None, bytes: vec![7; 3 << 19] };
    let acts = vec![Act::Call(start()), Act::Wait(3_000), Act::Call(Call::Upload(file, None)), Act::Wait(2_000)];
    is_exact(&World::new(Transport::LongPolling, acts).tape());
}

#[test]
fn a_tape_that_breaks_off_is_replayed_as_far_as_it_goes() {
    let bytes = World::new(Transport::LongPolling, troubled()).bytes();
    for cut in (bytes.len() / 3..bytes.len()).step_by(997) {
        let replay = replayed(&Tape::read(&bytes[..cut]).expect("a tape"));
        assert_eq!((replay.departure.clone(), replay.exit_code()), (None, 3), "{cut}: {}", replay.text());
    }
}

#[test]
fn a_header_without_a_setting_is_named() {
    let bytes = World::new(Transport::WebSocket, vec![Act::Call(Call::Connect)]).bytes();
    let tape = changed(&bytes, |units| {
        units[0][0]["env"].as_object_mut().expect("an object").remove("maxBackoff");
    });
    assert_eq!(replay(&tape), Err(Unfit::Missing("maxBackoff")));
}

#[test]
fn a_client_that_was_never_started_says_nothing() {
    let replay = replayed(&World::new(Transport::WebSocket, Vec::new()).tape());
    assert_eq!((replay.statistics.sent, replay.exit_code()), (0, 3));
    assert_eq!(replay.statistics.time, Time::from_millis(90_000) - Time::ZERO);
}

/// A change of a tape by somebody who does not mean well.
#[derive(Clone, Debug)]
enum Harm {
    Remove(Index),
    Swap(Index, Index),
    Repeat(Index, Index),
    Setting(Index, String),
    /// Another value for a member of a `call` or a `timer`.
    Member(Index, &'static str, Value),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<Index>;
    let words =
        prop::sample::select(vec!["", "true", "0", "-1", "18446744073709551615", "9223372036854775807", "/", "x"]);
    let member = prop::sample::select(vec!["op", "args", "name", "due"]);
    let value = prop::sample::select(vec![
        json!("connect"),
        json!("requestChat"),
        json!("fileUpload"),
        json!("leave"),
        json!({}),
        json!({"message": "", "userData": {}, "contents": "", "fileId": "sk_0123456789"}),
        json!(0),
        json!(u64::MAX),
    ]);
    prop_oneof![
        place().prop_map(Harm::Remove),
        (place(), place()).prop_map(|(one, other)| Harm::Swap(one, other)),
        (place(), place()).prop_map(|(one, other)| Harm::Repeat(one, other)),
        (place(), words).prop_map(|(place, word)| Harm::Setting(place, word.to_owned())),
        (place(), member, value).prop_map(|(place, member, value)| Harm::Member(place, member, value)),
    ]
}

fn suffer(units: &mut Units, harm: &Harm) {
    // The header stays where it is.
    let behind = |place: &Index, units: &Units| 1 + place.index(units.len() - 1);
    match harm {
        _ if units.len() < 3 => {}
        Harm::Remove(place) => drop(units.remove(behind(place, units))),
        Harm::Swap(one, other) => {
            let (one, other) = (behind(one, units), behind(other, units));
            units.swap(one, other);
        }
        Harm::Repeat(one, other) => {
            let (unit, at) = (units[behind(one, units)].clone(), behind(other, units));
            units.insert(at, unit);
        }
        Harm::Setting(place, word) => {
            let env = units[0][0]["env"].as_object_mut().expect("an object");
            let name = env.keys().nth(place.index(env.len())).expect("it is below the length").clone();
            env.insert(name, Value::from(word.as_str()));
        }
        Harm::Member(place, member, value) => {
            let at = behind(place, units);
            // What is no line of the format any more cannot be read.
            let is_right = match *member {
                "op" | "name" => value.is_string(),
                "args" => value.is_object(),
                _ => value.is_u64(),
            };
            if units[at][0].get(*member).is_some() && is_right {
                units[at][0][*member] = value.clone();
            }
        }
    }
}

static TROUBLED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let tape = |transport: &Transport| World { ids: true, ack: true, ..World::new(*transport, troubled()) }.bytes();
    Transport::ALL.iter().map(tape).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_done_to_a_tape_its_replay_comes_to_an_end(
        tape in 0_usize..3,
        harms in prop::collection::vec(harm(), 1..6),
    ) {
        let bytes = written_anew(&TROUBLED[tape], |units| harms.iter().for_each(|harm| suffer(units, harm)));
        // Some of it cannot even be read.
        let Ok(tape) = Tape::read(&bytes) else { return Ok(()) };
        if let Ok(Some(replay)) = replay(&tape) {
            prop_assert!([1, 3].contains(&replay.exit_code()), "{}", replay.text());
            prop_assert_eq!(replay.json()["exit"].as_u64(), Some(u64::from(replay.exit_code())));
        }
    }
}
