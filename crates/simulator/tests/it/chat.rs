//! Whole chats, one trouble at a time.

use std::time::Duration;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config, Ended, Event, SendId, Sent};
use protocol::chat::operation::RequestChat;
use protocol::wire::{Side, Transport};
use rstest::rstest;
use simulator::gms::{Gms, Settings};
use simulator::link::{Fault, Network, Rule, Unit};
use simulator::pair::Pair;
use simulator::plan::Happening;
use simulator::script::Step;
use simulator::trace;

const SERVICE_CHANNEL: &str = "/service/chatV2/support";

/// A client and a GMS whose agent acts by command, and what the client told.
pub(crate) struct Talk {
    pub(crate) pair: Pair<Client, Gms>,
    pub(crate) told: Vec<Event>,
}

impl Talk {
    pub(crate) fn config(transports: &[Transport]) -> Config {
        Config::new(bayeux::Config::new("/genesys/cometd", transports), "support")
    }

    pub(crate) fn new(transports: &[Transport], settings: Settings) -> Self {
        let client = Client::new(Self::config(transports));
        Self { pair: Pair::new(client, Gms::new(settings, 7), Network::default(), 7), told: Vec::new() }
    }

    /// A chat with an agent in it: three events were shown.
    pub(crate) fn chatting(transport: Transport) -> Self {
        Self::chatting_with(transport, Settings::manual("support"))
    }

    /// The same at a server with settings.
    pub(crate) fn chatting_with(transport: Transport, settings: Settings) -> Self {
        let mut talk = Self::new(&[transport], settings);
        talk.start();
        talk.agent(&Step::Join { nickname: "Morgan".to_owned() });
        assert_eq!(talk.take_shown(), [1, 2, 3]);
        talk
    }

    pub(crate) fn start(&mut self) {
        let request = RequestChat { nickname: Some("Ann".to_owned()), ..RequestChat::default() };
        self.pair.client.start(self.pair.now(), request).unwrap();
        self.rest();
    }

    pub(crate) fn say(&mut self, text: &str) -> SendId {
        let id = self.pair.client.send(self.pair.now(), text).unwrap();
        self.rest();
        id
    }

    pub(crate) fn end(&mut self) {
        self.pair.client.end(self.pair.now()).unwrap();
        self.rest();
    }

    pub(crate) fn agent(&mut self, step: &Step) {
        self.pair.server.agent(self.pair.now(), "Ann", step).unwrap();
        self.rest();
    }

    /// Lets everything happen that happens within five seconds of something else.
    pub(crate) fn rest(&mut self) {
        assert!(self.pair.settle(Duration::from_secs(5)).unwrap());
        self.told.extend(self.pair.client_events.drain(..).map(|(_, event)| event));
    }

    pub(crate) fn take_shown(&mut self) -> Vec<u64> {
        let shown = self.told.iter().filter_map(|event| match event {
            Event::Shown(event) => event.index,
            _ => None,
        });
        let shown = shown.collect();
        self.told.clear();
        shown
    }

    pub(crate) fn sent_operations(&self, name: &str) -> usize {
        let unit = Unit::Operation(name.to_owned());
        self.pair.entries().iter().filter(|entry| unit.matches(entry.from, &entry.wire)).count()
    }
}

fn whole_chat(transport: Transport) -> Talk {
    let mut talk = Talk::new(&[transport], Settings::new("support"));
    talk.start();
    for text in ["one", "two", "three"] {
        talk.say(text);
    }
    talk.end();
    talk
}

#[test]
fn shows_the_same_chat_over_either_transport() {
    let [over_web_socket, over_long_polling] = Transport::USUAL.map(|transport| {
        let talk = whole_chat(transport);
        assert!(talk.pair.client.is_closed());
        assert_eq!(talk.pair.next_wake(), None);
        talk.told.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(over_web_socket, over_long_polling);
    assert_snapshot!(over_web_socket, @"
    Started
    Shown(1:ParticipantJoined by Client 1)
    Shown(2:Message by External 2)
    Shown(3:ParticipantJoined by Agent 3)
    Shown(4:Message by Agent 3)
    Shown(5:Message by Client 1)
    Sent(SendId(1), Delivered)
    Shown(6:Message by Agent 3)
    Shown(7:Message by Client 1)
    Sent(SendId(2), Delivered)
    Shown(8:Message by Agent 3)
    Shown(9:Message by Client 1)
    Sent(SendId(3), Delivered)
    Shown(10:Message by Agent 3)
    Shown(11:ParticipantLeft by Client 1)
    Ended(ByServer)
    ");
}

#[test]
fn trace_of_a_chat_over_web_socket() {
    assert_snapshot!(trace::render(whole_chat(Transport::WebSocket).pair.entries()));
}

#[test]
fn trace_of_a_chat_over_long_polling() {
    assert_snapshot!(trace::render(whole_chat(Transport::LongPolling).pair.entries()));
}

#[rstest]
fn same_seed_gives_the_same_bytes(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    assert_eq!(whole_chat(transport).pair.entries(), whole_chat(transport).pair.entries());
}

#[rstest]
fn restores_the_chat_in_a_new_session(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut talk = Talk::chatting(transport);
    talk.pair.server.forget_all(talk.pair.now());
    talk.agent(&Step::Say("Are you there?".to_owned()));
    assert_eq!(talk.told.first(), Some(&Event::ConnectionLost));
    assert_eq!(talk.told.last(), Some(&Event::Restored));
    assert_eq!(talk.take_shown(), [4]);
    talk.agent(&Step::Say("Good.".to_owned()));
    assert_eq!(talk.take_shown(), [5]);
    assert_eq!(talk.sent_operations("requestChat"), 1);
}

#[rstest]
fn survives_a_restart_of_the_server(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut talk = Talk::chatting(transport);
    let now = talk.pair.now();
    talk.pair.server.forget_all(now);
    talk.pair.link.set_down(now, true);
    talk.pair.server.agent(now, "Ann", &Step::Say("Are you there?".to_owned())).unwrap();
    talk.pair.drive_for(Duration::from_secs(10)).unwrap();
    talk.pair.link.set_down(talk.pair.now(), false);
    talk.rest();
    assert_eq!(talk.take_shown(), [4]);
    let id = talk.say("Back again.");
    assert!(talk.told.contains(&Event::Sent(id, Sent::Delivered)));
    assert_eq!(talk.take_shown(), [5]);
}

#[rstest]
#[case(Transport::WebSocket, 0)]
#[case(Transport::LongPolling, 1)]
fn reports_the_lost_answer_to_request_chat_and_asks_again_only_on_demand(
    #[case] transport: Transport,
    #[case] acknowledged: u32,
) {
    let mut talk = Talk::new(&[transport], Settings::manual("support"));
    let answers = Unit::Channel(Side::Server, SERVICE_CHANNEL.to_owned());
    talk.pair.link.add(Rule::always(answers, Fault::Lose).after(acknowledged));
    talk.start();
    talk.pair.drive_for(Duration::from_secs(60)).unwrap();
    talk.rest();
    assert_eq!(talk.told, [Event::ConnectionLost, Event::StartOutcomeUnknown]);
    assert_eq!(talk.sent_operations("requestChat"), 1);
    talk.pair.link.heal();
    talk.start();
    assert!(talk.told.contains(&Event::Started));
    assert_eq!(talk.sent_operations("requestChat"), 2);
}

#[rstest]
fn finds_the_chat_again_at_another_node(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let settings = Settings { nodes: 2, ..Settings::manual("support") };
    let mut talk = Talk::new(&[transport], settings);
    talk.start();
    talk.agent(&Step::Join { nickname: "Morgan".to_owned() });
    assert_eq!(talk.take_shown(), [1, 2, 3]);
    talk.pair.server.befall(talk.pair.now(), Happening::NodeDown(0));
    talk.agent(&Step::Say("Are you there?".to_owned()));
    assert_eq!(talk.told.last(), Some(&Event::Restored));
    assert_eq!(talk.take_shown(), [4]);
    assert_eq!(talk.sent_operations("requestChat"), 1);
    talk.pair.server.befall(talk.pair.now(), Happening::NodeDown(1));
    talk.pair.drive_for(Duration::from_secs(5)).unwrap();
    talk.pair.server.befall(talk.pair.now(), Happening::NodeUp(0));
    talk.pair.drive_for(Duration::from_secs(20)).unwrap();
    let id = talk.say("Back at the first.");
    assert!(talk.told.contains(&Event::Sent(id, Sent::Delivered)));
}

#[rstest]
fn outlives_the_absence_of_chat_server(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut talk = Talk::chatting(transport);
    talk.pair.server.befall(talk.pair.now(), Happening::ChatServerLost);
    talk.rest();
    assert_eq!(talk.told, [Event::ChatServerLost]);
    talk.pair.client.send(talk.pair.now(), "Is anybody there?").unwrap();
    talk.pair.drive_for(Duration::from_secs(7)).unwrap();
    talk.pair.server.befall(talk.pair.now(), Happening::ChatServerFailsOver);
    talk.pair.drive_for(Duration::from_secs(10)).unwrap();
    talk.rest();
    assert!(talk.told.contains(&Event::ChatServerBack), "{:?}", talk.told);
    assert!(talk.told.contains(&Event::Sent(SendId(1), Sent::Delivered)), "{:?}", talk.told);
    assert_eq!(talk.take_shown(), [4, 5]);
}

#[rstest]
fn ends_when_the_agent_closes(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    let mut talk = Talk::chatting(transport);
    talk.agent(&Step::End);
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::ByServer)));
    assert_eq!(talk.take_shown(), [4, 5]);
    assert!(talk.pair.client.is_closed());
}

#[test]
fn falls_back_to_long_polling_when_the_upgrade_is_refused() {
    let mut talk = Talk::new(&Transport::USUAL, Settings::manual("support"));
    talk.pair.link.add(Rule::always(Unit::Upgrade, Fault::Refuse(404)));
    talk.start();
    assert_eq!(talk.take_shown(), [1, 2]);
    assert_eq!(talk.pair.client.bayeux().transport(), Transport::LongPolling);
}

#[rstest]
fn tells_what_became_of_every_message_when_the_chat_ends(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut talk = Talk::chatting(transport);
    let now = talk.pair.now();
    let first = talk.pair.client.send(now, "one").unwrap();
    let second = talk.pair.client.send(now, "two").unwrap();
    talk.agent(&Step::End);
    let told: Vec<&Event> = talk.told.iter().filter(|event| matches!(event, Event::Sent(..))).collect();
    assert_eq!(told, [&Event::Sent(first, Sent::Unknown), &Event::Sent(second, Sent::Unsent)]);
}
