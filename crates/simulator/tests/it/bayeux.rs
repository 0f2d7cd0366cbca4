//! The Bayeux client against the Bayeux server, without a chat: extensions, subscriptions, callback-polling.

use std::time::Duration;

use pretty_assertions::assert_eq;
use protocol::bayeux::batch::Batch;
use protocol::bayeux::client::{Client, Closed, Config, Event, Extensions, Outcome};
use protocol::bayeux::dialect::{self, Activity};
use protocol::bayeux::message::Message;
use protocol::bayeux::server::{self, Server, SessionId, Settings};
use protocol::time::Time;
use protocol::wire::{Side, Transport, Wire};
use rstest::rstest;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use simulator::link::{Fault, Network, Rule, Unit};
use simulator::pair::Pair;

const BASE: &str = "/cometd";
const CHANNEL: &str = "/service/numbers";

struct Talk {
    pair: Pair<Client, Server>,
    session: SessionId,
}

impl Talk {
    /// A client that is connected and has its connect held.
    fn new(config: Config, settings: Settings, seed: u64) -> Self {
        let mut pair = Pair::new(Client::new(config), Server::new(settings, seed), Network::default(), seed);
        pair.client.start(Time::ZERO).unwrap();
        let mut talk = Self { pair, session: SessionId(1) };
        talk.wait(100);
        assert!(talk.pair.client.is_connected());
        talk.session = talk.pair.server.sessions().last().expect("a session");
        talk
    }

    fn wait(&mut self, millis: u64) {
        self.pair.drive_for(Duration::from_millis(millis)).expect("the machines come to rest");
    }

    /// The server has the next number for the client.
    fn deliver(&mut self, number: u64) {
        let data = RawValue::from_string(number.to_string()).expect("a number is JSON");
        self.pair.server.deliver(self.pair.now(), self.session, CHANNEL, data).expect("the session is there");
    }

    /// The numbers that reached the application.
    fn delivered(&self) -> Vec<u64> {
        let events = self.pair.client_events.iter();
        events
            .filter_map(|(_, event)| match event {
                Event::Delivered(message) => message.value("data")?.as_u64(),
                _ => None,
            })
            .collect()
    }

    /// The messages that a side sent on a channel, as the client saw them.
    fn messages(&self, from: Side, channel: &str) -> Vec<Message> {
        let entries = self.pair.entries().iter().filter(|entry| entry.from == from);
        entries.flat_map(|entry| Batch::carried(&entry.wire)).filter(|m| m.channel() == Some(channel)).collect()
    }
}

/// Both sides with or without acknowledgement, and sessions that outlive every outage.
fn sides(transport: Transport, ack: bool) -> (Config, Settings) {
    let mut config = Config::new(BASE, &[transport]);
    config.extensions.ack = ack;
    config.max_backoff = Duration::from_secs(2);
    let mut settings = Settings::new(BASE);
    settings.dialect.options.extensions.ack = ack;
    settings.dialect.max_interval_ms = 600_000;
    (config, settings)
}

/// What a run over a bad network brought.
struct Bad {
    sent: u64,
    delivered: Vec<u64>,
    /// How many events came to the client, those that came again included.
    came: usize,
    lost_connections: usize,
}

/// Numbers come at odd moments while connect replies and connections are lost.
fn over_a_bad_network(transport: Transport, ack: bool, seed: u64) -> Bad {
    let (config, settings) = sides(transport, ack);
    let mut talk = Talk::new(config, settings, seed);
    let replies = || Unit::Channel(Side::Server, "/meta/connect".to_owned());
    talk.pair.link.add(Rule::sometimes(30, replies(), Fault::Lose));
    talk.pair.link.add(Rule::sometimes(10, replies(), Fault::Break { after: Duration::from_millis(3) }));
    talk.pair.link.add(Rule::sometimes(10, Unit::From(Side::Client), Fault::Lose));
    let mut state = seed;
    let mut random = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let sent = 60;
    for number in 1..=sent {
        talk.deliver(number);
        match random(8) {
            0 => talk.pair.link.break_all(talk.pair.now()),
            1..=3 => {}
            _ => talk.wait(random(700)),
        }
    }
    talk.pair.link.heal();
    talk.wait(120_000);
    let delivered = talk.delivered();
    let came = talk.messages(Side::Server, CHANNEL).len();
    let lost = talk.pair.client_events.iter().filter(|(_, event)| *event == Event::ConnectionLost).count();
    assert!(!talk.pair.client_events.iter().any(|(_, event)| *event == Event::SessionLost), "seed {seed}");
    Bad { sent, delivered, came, lost_connections: lost }
}

#[rstest]
fn with_ack_nothing_is_lost_and_nothing_doubled_over_a_bad_network(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let (mut again, mut lost_connections) = (0, 0);
    for seed in 1..=300 {
        let bad = over_a_bad_network(transport, true, seed);
        assert_eq!(bad.delivered, (1..=bad.sent).collect::<Vec<_>>(), "seed {seed}");
        again += bad.came - bad.delivered.len();
        lost_connections += bad.lost_connections;
    }
    // The proof is worth something only if connections broke. Over HTTP a response arrives whole or not at all, so only
    // on a WebSocket does the client see events again.
    assert!(lost_connections > 300, "{lost_connections}");
    assert_eq!(again > 100, transport == Transport::WebSocket, "{again}");
}

#[rstest]
fn without_ack_the_same_network_loses_events(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let losing = (1..=50).filter(|seed| {
        let bad = over_a_bad_network(transport, false, *seed);
        bad.delivered.len() < usize::try_from(bad.sent).unwrap()
    });
    assert!(losing.count() > 25);
}

#[test]
fn the_same_seed_gives_the_same_deliveries() {
    let look = || over_a_bad_network(Transport::WebSocket, true, 7);
    let (one, two) = (look(), look());
    assert_eq!((one.delivered, one.came), (two.delivered, two.came));
}

#[rstest]
fn the_client_acknowledges_each_batch(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let (config, settings) = sides(transport, true);
    let mut talk = Talk::new(config, settings, 1);
    for number in 1..=3 {
        talk.deliver(number);
        talk.wait(100);
    }
    let acks = |from: Side| -> Vec<Value> {
        talk.messages(from, "/meta/connect").iter().map(|message| message.ext().unwrap()["ack"].clone()).collect()
    };
    assert_eq!(acks(Side::Client), [0, 1, 2, 3, 4]);
    assert_eq!(acks(Side::Server), [1, 2, 3, 4]);
    assert_eq!(talk.delivered(), [1, 2, 3]);
}

#[rstest]
fn events_in_the_handshake_response_are_delivered_once_under_ack(
    #[values(Transport::LongPolling, Transport::WebSocket)] transport: Transport,
) {
    let (config, mut settings) = sides(transport, true);
    settings.dialect.options.deliver_during_handshake = true;
    let mut talk = Talk::new(config, settings, 1);
    talk.deliver(1);
    talk.wait(100);
    assert_eq!(talk.delivered(), [1]);
}

#[test]
fn the_clients_stamp_reaches_the_server_with_every_message() {
    let mut config = Config::new(BASE, &[Transport::LongPolling]);
    config.extensions.timestamp = true;
    let mut talk = Talk::new(config, Settings::new(BASE), 1);
    talk.pair.client.publish(talk.pair.now(), "/a", json!(1)).unwrap();
    talk.wait(61_000);
    let sent = talk.pair.entries().iter().filter(|entry| entry.from == Side::Client);
    let stamps: Vec<(u64, String)> = sent
        .flat_map(|entry| {
            Batch::carried(&entry.wire).into_iter().map(|message| (entry.at.as_millis() / 1_000, message))
        })
        .map(|(second, message)| (second, message.value("timestamp").unwrap().as_str().unwrap().to_owned()))
        .collect();
    // 1 700 000 000 s after the epoch it was 22:13:20 in Greenwich.
    let expected: Vec<(u64, String)> = stamps
        .iter()
        .map(|(second, _)| {
            let of_day = 80_000 + second;
            let clock = format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
            (*second, format!("Tue, 14 Nov 2023 {clock} GMT"))
        })
        .collect();
    assert_eq!(stamps, expected);
    assert!(stamps.len() >= 6 && stamps.last().unwrap().0 >= 60);
    let published = talk.pair.server_events.iter().find_map(|(_, event)| match event {
        server::Event::Published(_, message) => message.value("timestamp"),
        _ => None,
    });
    assert_eq!(published, Some(json!("Tue, 14 Nov 2023 22:13:20 GMT")));
}

#[rstest]
fn a_stamping_server_does_not_break_the_count_of_events(
    #[values(Transport::LongPolling, Transport::WebSocket)] transport: Transport,
) {
    let (config, mut settings) = sides(transport, true);
    settings.dialect.options.extensions.timestamp = true;
    let mut talk = Talk::new(config, settings, 1);
    talk.pair.link.add(Rule::once(Unit::Channel(Side::Server, "/meta/connect".to_owned()), Fault::Lose));
    talk.deliver(1);
    talk.wait(5_000);
    talk.deliver(2);
    talk.wait(5_000);
    assert_eq!(talk.delivered(), [1, 2]);
}

#[rstest]
#[case(5_000)]
#[case(0)]
#[case(-86_400_000)]
fn timesync_finds_how_far_the_server_is_ahead(
    #[case] ahead: i64,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut config = Config::new(BASE, &[transport]);
    config.extensions.timesync = true;
    let mut settings = Settings::new(BASE);
    settings.dialect.options.extensions.timesync = true;
    settings.start_utc = config.start_utc + ahead;
    let mut talk = Talk::new(config, settings, 1);
    talk.wait(200_000);
    // Each way takes 10 ms; what the server holds does not count. A handshake that waits for its socket takes 20 ms
    // longer on the way there, and the server takes 10 ms for near enough and does not answer again.
    let late = if transport == Transport::WebSocket { 10 } else { 0 };
    let (lag, offset) = (10 + late, ahead + late);
    let client = &talk.pair.client;
    assert_eq!((client.clock_offset(), client.network_lag()), (offset, lag));
    let questions = talk.messages(Side::Client, "/meta/connect");
    let last = questions.last().unwrap().ext().unwrap();
    assert_eq!((&last["timesync"]["o"], &last["timesync"]["l"]), (&json!(offset), &json!(lag)));
}

#[rstest]
fn an_idle_client_is_disconnected_by_the_activity_extension_and_stays_away(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut settings = Settings::new(BASE);
    settings.dialect.options.extensions = dialect::Extensions {
        activity: Some(Activity { server_counts: false, max_inactivity_ms: 50_000 }),
        ..dialect::Extensions::default()
    };
    let mut talk = Talk::new(Config::new(BASE, &[transport]), settings, 1);
    talk.wait(300_000);
    let closed: Vec<&Event> = talk
        .pair
        .client_events
        .iter()
        .map(|(_, event)| event)
        .filter(|event| matches!(event, Event::Closed(_)))
        .collect();
    assert_eq!(closed, [&Event::Closed(Closed::ByServer)]);
    assert_eq!(talk.pair.server.sessions().count(), 0);
    let last = talk.pair.entries().last().unwrap().at;
    assert!(last < Time::from_millis(70_000), "{last}");
}

#[rstest]
fn a_reloaded_client_goes_on_with_its_session(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
    #[values(false, true)] ack: bool,
) {
    let (config, settings) = sides(transport, ack);
    let mut talk = Talk::new(config.clone(), settings, 1);
    talk.pair.client.subscribe(talk.pair.now(), "/a").unwrap();
    talk.deliver(1);
    talk.wait(100);
    let text = serde_json::to_string(&talk.pair.client.save().unwrap()).unwrap();
    talk.pair.link.break_all(talk.pair.now());
    talk.pair.client = Client::restore(config, serde_json::from_str(&text).unwrap());
    talk.pair.client.start(talk.pair.now()).unwrap();
    talk.wait(200);
    assert!(talk.pair.client.is_connected());
    talk.deliver(2);
    let other = Message::draft("/a").finish();
    talk.pair.client.publish(talk.pair.now(), other.channel().unwrap(), json!(3)).unwrap();
    talk.wait(40_000);
    assert_eq!(talk.delivered(), [1, 2, 3]);
    assert_eq!(talk.messages(Side::Client, "/meta/handshake").len(), 1);
    assert_eq!(talk.messages(Side::Client, "/meta/subscribe").len(), 1);
    assert_eq!(talk.pair.server.sessions().collect::<Vec<_>>(), [talk.session]);
    talk.pair.server.forget(talk.session).unwrap();
    talk.wait(1_000);
    assert_eq!(talk.messages(Side::Client, "/meta/handshake").len(), 2);
    assert!(talk.pair.client.is_connected());
}

#[rstest]
fn subscriptions_stand_again_in_a_new_session(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(Config::new(BASE, &[transport]), Settings::new(BASE), 1);
    for to in ["/a/*", "/a/**"] {
        talk.pair.client.subscribe(talk.pair.now(), to).unwrap();
    }
    talk.wait(100);
    for number in 1..=2 {
        talk.pair.client.publish(talk.pair.now(), "/a/b", json!(number)).unwrap();
        talk.wait(100);
        if number == 1 {
            talk.pair.server.forget(talk.session).unwrap();
            talk.wait(1_000);
        }
    }
    assert_eq!(talk.delivered(), [1, 2]);
    talk.pair.client.unsubscribe(talk.pair.now(), "/a/*").unwrap();
    talk.pair.client.unsubscribe(talk.pair.now(), "/a/**").unwrap();
    talk.wait(100);
    talk.pair.client.publish(talk.pair.now(), "/a/b", json!(3)).unwrap();
    talk.wait(1_000);
    assert_eq!(talk.delivered(), [1, 2]);
    let told = talk
        .pair
        .client_events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Subscribed(_) | Event::Unsubscribed(_, Outcome::Acknowledged)));
    assert_eq!(told.count(), 6);
}

#[test]
fn publishes_over_callback_polling_arrive_in_order_however_they_are_split() {
    let mut talk = Talk::new(Config::new(BASE, &[Transport::CallbackPolling]), Settings::new(BASE), 1);
    let sizes = [10, 900, 700, 5, 1_500, 300, 300, 1_700, 1];
    for size in sizes {
        talk.pair.client.publish(talk.pair.now(), "/service/echo", json!("x".repeat(size))).unwrap();
    }
    talk.wait(1_000);
    let arrived: Vec<usize> = talk
        .pair
        .server_events
        .iter()
        .filter_map(|(_, event)| match event {
            server::Event::Published(_, message) => message.value("data")?.as_str().map(str::len),
            _ => None,
        })
        .collect();
    assert_eq!(arrived, sizes);
    let acknowledged =
        talk.pair.client_events.iter().filter(|(_, event)| matches!(event, Event::Published(_, Outcome::Acknowledged)));
    assert_eq!(acknowledged.count(), sizes.len());
}

#[test]
fn all_extensions_together() {
    let extensions = Extensions { ack: true, timestamp: true, timesync: true };
    let (config, mut settings) = sides(Transport::WebSocket, true);
    settings.dialect.options.extensions.timestamp = true;
    settings.dialect.options.extensions.timesync = true;
    let mut talk = Talk::new(Config { extensions, ..config }, settings, 1);
    talk.deliver(1);
    talk.wait(31_000);
    assert_eq!((talk.delivered(), talk.pair.client.network_lag()), (vec![1], 20));
}

#[test]
fn a_reloaded_client_handshakes_where_a_session_belongs_to_its_socket() {
    let (config, mut settings) = sides(Transport::WebSocket, true);
    settings.dialect.options.handshake_per_socket = true;
    let mut talk = Talk::new(config.clone(), settings, 1);
    let saved = talk.pair.client.save().unwrap();
    talk.pair.link.break_all(talk.pair.now());
    talk.pair.client = Client::restore(config, saved);
    talk.pair.client.start(talk.pair.now()).unwrap();
    talk.wait(1_000);
    assert!(talk.pair.client.is_connected());
    assert_eq!(talk.messages(Side::Client, "/meta/handshake").len(), 2);
}

#[test]
fn a_new_session_goes_over_the_same_socket() {
    let mut talk = Talk::new(Config::new(BASE, &[Transport::WebSocket]), Settings::new(BASE), 1);
    for _ in 0..3 {
        let session = talk.pair.server.sessions().last().unwrap();
        talk.pair.server.forget(session).unwrap();
        talk.wait(10_000);
    }
    let upgrades = talk.pair.entries().iter().filter(|entry| matches!(entry.wire, Wire::Upgrade(..)));
    assert_eq!((upgrades.count(), talk.messages(Side::Client, "/meta/handshake").len()), (1, 4));
}
