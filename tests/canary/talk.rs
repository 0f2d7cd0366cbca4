//! Conversations in virtual time with a server whose every id, name and extra is a canary: a chat of the client machine, and
//! cases of the suite.

use std::collections::VecDeque;
use std::time::Duration;

use conformance::cases::Planned;
use conformance::conclude::CaseResult;
use conformance::run::{self, Agent, Run};
use conformance::testimony::{Label, Testimony};
use protocol::bayeux::batch::Batch;
use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config};
use protocol::chat::operation::RequestChat;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport};
use recording::capture::Source;
use serde_json::{Map, Value};
use simulator::control;
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::pair::Pair;

use super::search::MARKER;
use super::voice::Voice;
use super::{GIT, START, VERSION, key};

pub(crate) const SERVICE: &str = "customer-support";

/// A simulator that puts a canary into everything that it says, and takes it out of what it hears.
pub(crate) struct Talkative {
    gms: Gms,
    voice: Voice,
}

impl Talkative {
    pub(crate) fn new(seed: u64) -> Self {
        let mut settings = gms::Settings::new(SERVICE);
        settings.gms.files.max_file_size = 1_000;
        settings.dialect.options.extensions.ack = true;
        let canary = format!("s{seed:x}{MARKER}");
        Self { gms: Gms::new(settings, seed), voice: Voice::new(canary.clone(), canary) }
    }
}

impl Machine for Talkative {
    type Timer = <Gms as Machine>::Timer;
    type Event = gms::Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        let input = match input {
            Input::Wire(wire) => Input::Wire(self.voice.hears(wire)),
            Input::Timeout => Input::Timeout,
        };
        self.gms.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<gms::Event>> {
        Some(match self.gms.poll_output()? {
            Output::Wire(wire) => Output::Wire(self.voice.says(wire)),
            event @ Output::Event(_) => event,
        })
    }

    fn deadline(&self) -> Option<(Time, Self::Timer)> {
        self.gms.deadline()
    }
}

/// What a client with canaries in all that it says and the talkative server put on the wire.
pub(crate) fn chat(seed: u64) -> Vec<Entry> {
    let transport = Transport::ALL[(seed % 3) as usize];
    let mut said = 0;
    let mut canary = |what: &str| {
        said += 1;
        format!("c{seed:x}{MARKER}{said} {what}")
    };
    let config = Config::new(bayeux::Config::new("/genesys/cometd", &[transport]), SERVICE);
    let mut pair = Pair::new(Client::new(config), Talkative::new(seed), Network::default(), seed);
    let user_data = Map::from_iter([(canary("name"), Value::from(canary("value")))]);
    let request = RequestChat {
        nickname: Some(canary("nickname")),
        subject: Some(canary("subject")),
        first_name: Some(canary("first name")),
        last_name: Some(canary("last name")),
        email_address: Some(canary("").replace(' ', "@example.org")),
        text: Some(canary("text")),
        user_data: Some(user_data.clone()),
    };
    // Whoever has no chat at the moment does without.
    let _ = pair.client.start(Time::ZERO, request);
    let mut texts: VecDeque<String> =
        ["said", "typed", "half", "notice", "http://example.org/page", "name"].map(&mut canary).into();
    let mut next = || texts.pop_front().unwrap_or_default();
    for turn in 0..8 {
        // What does not come to rest was seen so far.
        let _ = pair.drive_for(Duration::from_secs(1));
        let now = pair.now();
        let client = &mut pair.client;
        let _ = match turn {
            0 => client.send(now, next()).map(drop),
            1 => client.start_typing(now, Some(next())).map(drop),
            2 => client.stop_typing(now, Some(next())).map(drop),
            3 => client.custom_notice(now, next()).map(drop),
            4 => client.push_url(now, next()).map(drop),
            5 => client.update_nickname(now, next()).map(drop),
            6 => client.update_data(now, user_data.clone()).map(drop),
            _ => client.end(now),
        };
    }
    let _ = pair.drive_for(Duration::from_secs(2));
    pair.entries().to_vec()
}

/// The same without the first thing that the client said in the chat, so that a replay has something to tell.
pub(crate) fn torn(entries: &[Entry]) -> Vec<Entry> {
    let is_said = |entry: &&Entry| {
        entry.from == Side::Client
            && Batch::carried(&entry.wire).iter().any(|message| message.text().contains("sendMessage"))
    };
    let at = entries.iter().find(is_said).map(|entry| entry.at);
    entries.iter().filter(|entry| Some(entry.at) != at).cloned().collect()
}

/// The settings with which the talkative server is judged.
pub(crate) fn settings() -> run::Settings {
    run::Settings { base: "/genesys/cometd".to_owned(), service: Some(SERVICE.to_owned()), agent: Agent::Simulated }
}

/// Judges the talkative server by a case; gives what it came to and its tape.
pub(crate) fn case(planned: &Planned, seed: u64) -> (CaseResult, Vec<u8>) {
    let Planned { case, transport, .. } = *planned;
    let settings = settings();
    let run = Run::new(case, transport, &settings, seed);
    let mut pair = Pair::new(run, Talkative::new(seed), Network::default(), seed);
    let limit = Time::ZERO + case.at_most + Duration::from_secs(60);
    let label = Label {
        version: VERSION.to_owned(),
        git: GIT.to_owned(),
        source: Source::Sim,
        start: START.to_owned(),
        id: format!("{seed:032x}"),
        key: key(seed),
        embedded: false,
    };
    let mut testimony = Testimony::new(case, transport, &settings, seed, label);
    let mut seen = 0;
    // A case that does not come to its end has a tape all the same.
    while let Ok(true) = pair.drive_until(limit, |pair| !pair.client_events.is_empty()) {
        for entry in &pair.entries()[seen..] {
            testimony.see(entry);
        }
        seen = pair.entries().len();
        match pair.client_events.pop_front() {
            Some((now, run::Event::Asked(request))) => {
                testimony.ask(now, &request);
                // The simulator says in the chat what it cannot do.
                drop(control::answer(&mut pair.server.gms, now, &request.to_control()));
            }
            Some((now, run::Event::Finished(outcome))) => {
                testimony.learn(outcome);
                return testimony.conclude(now);
            }
            None => break,
        }
    }
    testimony.cut_short(pair.now())
}
