//! Runs a history: the real client machine, the fake GMS and the faulty network in virtual time, under the eyes of the
//! judge.
//!
//! First everything happens that the history says. Then all faults stop, and client and server have to come to terms
//! within a fixed time. Then the agent says one thing more, and last the application ends the chat and leaves.

use std::time::Duration;

use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config, Ended, Event, Safeguards};
use protocol::chat::files::Upload;
use protocol::chat::operation::RequestChat;
use protocol::chat::server::{ChatNumber, GmsSettings};
use protocol::machine::Machine;
use protocol::time::Time;
use protocol::wire::Entry;
use serde_json::{Map, Value};

use crate::gms::{Gms, Settings};
use crate::history::{Action, Deed, History, SERVICE, Trait};
use crate::judge::{Breach, Judge, Property};
use crate::link::Network;
use crate::pair::{Livelock, Pair};
use crate::script::Step;

/// What keeps a client right. Each can be taken away to see which property breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Those of the chat.
    pub chat: Safeguards,
    /// Whether a connect reply must carry the id of the outstanding connect.
    pub check_connect_id: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self { chat: Safeguards::default(), check_connect_id: true }
    }
}

/// What became of a history.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether every property held.
    pub verdict: Result<(), Breach>,
    /// What the client saw on the wire.
    pub entries: Vec<Entry>,
    /// What the client told its application.
    pub told: Vec<Event>,
    /// The moment at which it was over.
    pub over_at: Time,
}

/// How long client and server have to come to terms after the last fault. It is longer than a held connect, the patience
/// of the client and its longest back-off together, twice.
const TO_CONVERGE: Duration = Duration::from_secs(120);
/// How long a healthy connection has to show something that was said, restoring included.
const TO_SHOW: Duration = Duration::from_secs(5);
/// How long a client has to end a chat and leave over a healthy connection.
const TO_CLOSE: Duration = Duration::from_secs(30);
/// The longest back-off of the client.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// Runs a history. The same history gives the same run, byte for byte.
#[must_use]
pub fn run(history: &History, guards: Guards) -> Run {
    let mut world = World::new(history, guards);
    let verdict = world.live(history);
    Run {
        verdict,
        entries: world.pair.entries().to_vec(),
        told: world.judge.told().to_vec(),
        over_at: world.pair.now(),
    }
}

struct World {
    pair: Pair<Client, Gms>,
    judge: Judge,
}

impl World {
    fn new(history: &History, guards: Guards) -> Self {
        let mut bayeux = bayeux::Config::new("/genesys/cometd", history.transports.list());
        bayeux.max_backoff = MAX_BACKOFF;
        bayeux.check_connect_id = guards.check_connect_id;
        bayeux.extensions.ack = history.has(Trait::Acked);
        let client = Client::new(Config { safeguards: guards.chat, ..Config::new(bayeux, SERVICE) });
        let usual = GmsSettings::default();
        let settings = GmsSettings {
            index_gaps: history.has(Trait::Gapped),
            position_inclusive: !history.has(Trait::Exclusive),
            split_answers: history.has(Trait::Split),
            answer_delay_ms: if history.has(Trait::AtOnce) { 0 } else { usual.answer_delay_ms },
            ..usual
        };
        let mut settings = Settings { gms: settings, ..Settings::manual(SERVICE) };
        settings.dialect.options.extensions.ack = history.has(Trait::Acked);
        let gms = Gms::new(settings, history.seed);
        let network = Network { jitter: history.jitter, ..Network::default() };
        Self { pair: Pair::new(client, gms, network, history.seed), judge: Judge::new() }
    }

    fn live(&mut self, history: &History) -> Result<(), Breach> {
        for action in &history.actions {
            self.act(action);
            match action {
                Action::Wait(duration) => self.drive_for(*duration)?,
                _ => self.drive_for(Duration::ZERO)?,
            }
        }
        self.pair.link.heal();
        self.judge.on_stimulus(self.pair.now());
        self.drive_for(TO_CONVERGE)?;
        self.start_at_last()?;
        self.agent(&Step::Join { nickname: "Morgan".to_owned() });
        self.agent(&Step::Say("probe".to_owned()));
        self.drive_for(TO_SHOW)?;
        self.judge_convergence(history)?;
        self.end()
    }

    /// The application asks again if it was told that it may, and over a healthy connection that starts a chat.
    fn start_at_last(&mut self) -> Result<(), Breach> {
        if self.judge.key().is_some() || self.judge.ended().is_some() {
            return Ok(());
        }
        self.act(&Action::ClientStarts);
        self.drive_for(TO_SHOW)?;
        match self.judge.key() {
            Some(_) => Ok(()),
            None => Err(self.breach(Property::Converges, "no chat can be started")),
        }
    }

    /// Does what an action says. What cannot be done is skipped: the machines refuse it.
    fn act(&mut self, action: &Action) {
        let now = self.pair.now();
        if !matches!(action, Action::Wait(_)) {
            self.judge.on_stimulus(now);
        }
        let Pair { client, server, link, .. } = &mut self.pair;
        match action {
            Action::Wait(_) => {}
            Action::ClientStarts => {
                let request = RequestChat { nickname: Some("Ann".to_owned()), ..RequestChat::default() };
                if client.start(now, request).is_ok() {
                    self.judge.on_start();
                }
            }
            Action::ClientSays(word) => {
                if let Ok(id) = client.send(now, word) {
                    self.judge.on_send(id, word);
                }
            }
            Action::ClientDoes(deed) => self.does(*deed),
            Action::ClientEnds => drop(client.end(now)),
            Action::ClientLeaves => client.leave(now),
            Action::AgentJoins => self.agent(&Step::Join { nickname: "Morgan".to_owned() }),
            Action::AgentSays(word) => self.agent(&Step::Say(word.clone())),
            Action::AgentLeaves => self.agent(&Step::Leave),
            Action::AgentCloses => self.agent(&Step::End),
            Action::SessionForgotten => {
                if let Some(session) = self.judge.session() {
                    let _ = server.forget(now, session);
                }
            }
            Action::SessionDisconnected => {
                if let Some(session) = self.judge.session() {
                    let _ = server.disconnect(now, session);
                }
            }
            Action::ServerRestarts => {
                server.forget_all(now);
                link.break_all(now);
            }
            Action::ConnectionsBreak => link.break_all(now),
            Action::NetworkDown => link.set_down(now, true),
            Action::NetworkUp => link.set_down(now, false),
            Action::Strike(target, fault) => link.add(target.strike(*fault)),
        }
    }

    /// Does what the client lets the application do.
    fn does(&mut self, deed: Deed) {
        let (now, client) = (self.pair.now(), &mut self.pair.client);
        let file = self.judge.file().unwrap_or("no-such-file").to_owned();
        let data = || Map::from_iter([("mood".to_owned(), Value::from("good"))]);
        let note = || Upload { name: "note.txt".to_owned(), media_type: None, bytes: b"half \r\n--past".to_vec() };
        let (operation, sent) = match deed {
            Deed::StartTyping => ("startTyping", client.start_typing(now, None)),
            Deed::StopTyping => ("stopTyping", client.stop_typing(now, None)),
            Deed::CustomNotice => ("customNotice", client.custom_notice(now, "notice")),
            Deed::PushUrl => ("pushUrl", client.push_url(now, "https://shop.example/")),
            Deed::UpdateNickname => ("updateNickname", client.update_nickname(now, "Ann2")),
            Deed::UpdateData => ("updateData", client.update_data(now, data())),
            Deed::ReadReceipt => ("readReceipt", client.read_receipt(now)),
            Deed::FileLimits | Deed::Upload | Deed::Download | Deed::DeleteFile => {
                let job = match deed {
                    Deed::Upload => client.upload(now, note(), Some("a note")),
                    Deed::Download => client.download(now, file),
                    Deed::DeleteFile => client.delete_file(now, file),
                    _ => client.file_limits(now),
                };
                return job.into_iter().for_each(|job| self.judge.on_file_job(job));
            }
        };
        if let Ok(id) = sent {
            self.judge.on_deed(id, operation);
        }
    }

    /// The chat that the client is in.
    fn chat(&self) -> Option<ChatNumber> {
        self.pair.server.chats().chat_of_key(self.judge.key()?)
    }

    /// The agent acts in the client's chat, if there is one and the agent can.
    fn agent(&mut self, step: &Step) {
        if let Some(chat) = self.chat() {
            self.judge.on_stimulus(self.pair.now());
            let _ = self.pair.server.agent_in(self.pair.now(), chat, step);
        }
    }

    fn drive_for(&mut self, duration: Duration) -> Result<(), Breach> {
        let limit = self.pair.now() + duration;
        let Self { pair, judge } = self;
        let mut breach = None;
        let driven = pair.drive_until(limit, |pair| {
            breach = judge.observe(pair).err();
            breach.is_some()
        });
        match (breach, driven) {
            (Some(breach), _) => Err(breach),
            (None, Err(Livelock { at })) => {
                Err(Breach::new(Property::NoLivelock, at, "the machines do not come to rest"))
            }
            (None, Ok(_)) => Ok(()),
        }
    }

    fn breach(&self, property: Property, detail: impl Into<String>) -> Breach {
        Breach::new(property, self.pair.now(), detail)
    }

    fn judge_convergence(&self, history: &History) -> Result<(), Breach> {
        if let Some(what) = self.judge.untold() {
            return Err(self.breach(Property::OutcomeTold, format!("nobody told what became of {what}")));
        }
        let Some(chat) = self.chat() else { return Ok(()) };
        let (chats, shown) = (self.pair.server.chats(), self.judge.shown());
        if self.judge.ended().is_none() {
            if !chats.is_running(chat) {
                return Err(self.breach(Property::Converges, "the chat is over and the client does not know"));
            }
            for (index, event) in chats.transcript(chat) {
                let Some(text) = shown.get(&index) else {
                    return Err(self.breach(Property::NothingLost, format!("event {index} was never shown")));
                };
                let event = event.to_string();
                if *text != event {
                    return Err(self.breach(Property::NothingLost, format!("event {index} was not shown as it is")));
                }
            }
            if shown.len() != chats.transcript_length(chat) {
                return Err(self.breach(Property::NothingLost, "more was shown than the transcript holds"));
            }
            if !history.actions.iter().any(Action::disturbs_time)
                && let Some(word) = self.judge.undelivered_but_shown()
            {
                let detail = format!("`{word}` is in the transcript and was not told to be delivered");
                return Err(self.breach(Property::MissingIsMissing, detail));
            }
            let session = self.judge.session().and_then(|session| self.pair.server.bayeux().session(session));
            if session.is_none() || chats.attached_to(chat) != session {
                return Err(self.breach(Property::Converges, "the chat is not attached to the client's session"));
            }
        } else if !history.actions.iter().any(Action::is_fault)
            && matches!(self.judge.ended(), Some(Event::Ended(Ended::ByServer)))
        {
            // Nothing went wrong, so all was shown. The transcript is gone, but it ended with somebody leaving.
            let last = shown.last_key_value().map(|(index, text)| (*index, text.contains("ParticipantLeft")));
            let gapless = |index: u64| history.has(Trait::Gapped) || u64::try_from(shown.len()) == Ok(index);
            if !last.is_some_and(|(index, left)| left && gapless(index)) {
                return Err(self.breach(Property::NothingLost, "the chat ended and not all of it was shown"));
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Breach> {
        let running = self.chat().filter(|_| self.judge.ended().is_none());
        match running {
            Some(_) => {
                if self.pair.client.end(self.pair.now()).is_err() {
                    return Err(self.breach(Property::Closes, "the client does not know the chat that it started"));
                }
            }
            None => self.pair.client.leave(self.pair.now()),
        }
        self.judge.on_stimulus(self.pair.now());
        self.drive_for(TO_CLOSE)?;
        if let Some(chat) = running
            && (self.pair.server.chats().is_running(chat) || self.judge.ended() != Some(&Event::Ended(Ended::ByServer)))
        {
            return Err(self.breach(Property::Closes, "the end of the chat was not confirmed"));
        }
        if !self.pair.client.is_closed() || self.pair.client.deadline().is_some() {
            return Err(self.breach(Property::Closes, "the client does not come to its end"));
        }
        match self.judge.untold() {
            Some(what) => Err(self.breach(Property::OutcomeTold, format!("nobody told what became of {what}"))),
            None => Ok(()),
        }
    }
}
