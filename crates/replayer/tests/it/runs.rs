//! Chats of the client with the fake GMS, in virtual time, as tapes.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config, Event};
use protocol::chat::operation::RequestChat;
use protocol::time::Time;
use protocol::wire::{Entry, Transport};
use recording::capture::{self, Capture, Source};
use recording::tape::{Finish, Tape};
use recording::token::Key;
use simulator::gms::{Gms, Settings};
use simulator::link::{Network, Rule};
use simulator::pair::Pair;

/// What a test does to the pair at a moment.
pub(crate) type Trouble = (u64, fn(&mut Pair<Client, Gms>));

/// A chat to record.
pub(crate) struct Run {
    pub(crate) transports: Vec<Transport>,
    pub(crate) seed: u64,
    pub(crate) settings: Settings,
    pub(crate) rules: Vec<Rule>,
    pub(crate) troubles: Vec<Trouble>,
    /// When the client says what, in milliseconds.
    pub(crate) says: Vec<(u64, String)>,
    pub(crate) ends: Option<u64>,
    pub(crate) leaves: Option<u64>,
    pub(crate) until: u64,
}

impl Run {
    pub(crate) fn new(transport: Transport, seed: u64) -> Self {
        let says = (1..=3).map(|number| (number * 2_000, format!("message {number} of {seed}"))).collect();
        Self {
            transports: vec![transport],
            seed,
            settings: Settings::new("support"),
            rules: Vec::new(),
            troubles: Vec::new(),
            says,
            ends: Some(8_000),
            leaves: None,
            until: 9_500,
        }
    }

    /// What the client saw on the wire.
    pub(crate) fn entries(self) -> Vec<Entry> {
        let config = Config::new(bayeux::Config::new("/genesys/cometd", &self.transports), "support");
        let network = Network { jitter: Duration::from_millis(self.seed % 40), ..Network::default() };
        let mut pair = Pair::new(Client::new(config), Gms::new(self.settings, self.seed), network, self.seed);
        for rule in self.rules {
            pair.link.add(rule);
        }
        let mut deeds: BTreeMap<u64, Vec<Deed>> = BTreeMap::new();
        deeds.entry(0).or_default().push(Deed::Start);
        for (at, text) in self.says {
            deeds.entry(at).or_default().push(Deed::Say(text));
        }
        for (at, trouble) in self.troubles {
            deeds.entry(at).or_default().push(Deed::Trouble(trouble));
        }
        for (at, deed) in [(self.ends, Deed::End), (self.leaves, Deed::Leave), (Some(self.until), Deed::Nothing)] {
            deeds.entry(at.unwrap_or(self.until)).or_default().extend(at.map(|_| deed));
        }
        for (at, deeds) in deeds {
            drive(&mut pair, Time::from_millis(at));
            for deed in deeds {
                let now = pair.now();
                // Whoever has no chat at the moment does without.
                match deed {
                    Deed::Start => drop(pair.client.start(now, request())),
                    Deed::Say(text) => drop(pair.client.send(now, text)),
                    Deed::End => drop(pair.client.end(now)),
                    Deed::Leave => pair.client.leave(now),
                    Deed::Trouble(trouble) => trouble(&mut pair),
                    Deed::Nothing => {}
                }
            }
        }
        pair.entries().to_vec()
    }

    pub(crate) fn tape(self) -> Tape {
        let seed = self.seed;
        tape(seed, &self.entries(), Some(Finish::Complete))
    }
}

enum Deed {
    Start,
    Say(String),
    End,
    Leave,
    Trouble(fn(&mut Pair<Client, Gms>)),
    Nothing,
}

pub(crate) fn request() -> RequestChat {
    let mut user_data = serde_json::Map::new();
    user_data.insert("TimeZone".to_owned(), (-60).into());
    RequestChat {
        nickname: Some("Ann".to_owned()),
        subject: Some("a lost parcel".to_owned()),
        user_data: Some(user_data),
        ..RequestChat::default()
    }
}

/// Drives to a moment; a chat whose outcome is unknown is asked for again.
fn drive(pair: &mut Pair<Client, Gms>, until: Time) {
    loop {
        let told = pair.drive_until(until, |pair| !pair.client_events.is_empty()).expect("the machines come to rest");
        while let Some((_, event)) = pair.client_events.pop_front() {
            if event == Event::StartOutcomeUnknown {
                let now = pair.now();
                let _ = pair.client.start(now, request());
            }
        }
        if !told {
            return;
        }
    }
}

pub(crate) fn tape(seed: u64, entries: &[Entry], finish: Option<Finish>) -> Tape {
    Tape::read(&bytes(seed, entries, finish)).expect("a written tape is readable")
}

pub(crate) fn bytes(seed: u64, entries: &[Entry], finish: Option<Finish>) -> Vec<u8> {
    let (mut capture, mut bytes) = Capture::new(capture::Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: format!("{seed:032x}"),
        key: Key::from_bytes([u8::try_from(seed % 251).expect("below 251"); 32]),
        source: Source::Sim,
        scenario: None,
        seed: Some(seed),
        env: BTreeMap::new(),
    });
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let last = entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(finish.map(|finish| capture.finish(last, finish)).unwrap_or_default());
    bytes
}
