//! What a client-side case holds: the client under test, as seen from the server's side.
//!
//! The client is not ours, so a case first sees that its stimulus takes place; if not, it says what to do in the client.
//! Everything is awaited with a bound. That a client does not do something is judged only by what it does do later.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::time::Time;
use protocol::wire::Side;

use super::Step;
use super::house::{Heard, House};
use crate::cases::Case;
use crate::requirements::{Catalogue, Requirement};
use crate::verdict::{Frame, Judged, Pass, Stop, Verdict};

/// How long a client may take to do by itself what it has to do: longer than the longest wait of the known clients after a
/// few failures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// The house, shared between a visit and its case. It is locked for moments only and never across an await.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<House>>);

impl Shared {
    pub(crate) fn new(house: House) -> Self {
        Self(Arc::new(Mutex::new(house)))
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut House) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The client under test. See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    shared: Shared,
    case: &'static Case,
}

/// A chat that runs, an agent in it.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// The request for it.
    pub(crate) request: Heard,
    pub(crate) key: String,
}

impl Guest {
    pub(crate) const fn new(shared: Shared, case: &'static Case) -> Self {
        Self { shared, case }
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut House) -> R) -> R {
        self.shared.with(look)
    }

    pub(crate) fn now(&self) -> Time {
        self.with(|house| house.now)
    }

    /// How many messages were heard so far.
    pub(crate) fn mark(&self) -> usize {
        self.with(|house| house.heard.len())
    }

    /// Waits until something is found, at most for a while.
    pub(crate) async fn wait<T>(&self, within: Duration, mut find: impl FnMut(&House) -> Option<T>) -> Option<T> {
        let until = self.now() + within;
        poll_fn(|_| {
            self.with(|house| {
                let found = find(house);
                if found.is_some() || house.now >= until {
                    return Poll::Ready(found);
                }
                house.wake = Some(house.wake.map_or(until, |wake| wake.min(until)));
                Poll::Pending
            })
        })
        .await
    }

    /// Lets time pass.
    pub(crate) async fn pause(&self, duration: Duration) {
        let _: Option<()> = self.wait(duration, |_| None).await;
    }

    /// The first message behind a mark for which something holds; waits for it.
    pub(crate) async fn hears(
        &self,
        mark: usize,
        within: Duration,
        mut holds: impl FnMut(&Heard) -> bool,
    ) -> Option<Heard> {
        self.wait(within, |house| house.heard[mark..].iter().find(|heard| holds(heard)).cloned()).await
    }

    /// What was heard behind a mark.
    pub(crate) fn heard(&self, mark: usize) -> Vec<Heard> {
        self.with(|house| house.heard[mark..].to_vec())
    }

    /// The next connect behind a mark: the client is there, and does what clients do.
    pub(crate) async fn connects(&self, mark: usize) -> Result<Heard, Stop> {
        self.hears(mark, PATIENCE, |heard| heard.is(channel::CONNECT)).await.ok_or_else(|| {
            self.inconclusive("the client sent no connect any more; leave it running until the scenario is over")
        })
    }

    /// The last frame of all, for what nothing came behind.
    pub(crate) fn last_frame(&self) -> Frame {
        let entry = self.with(|house| house.entries.len().saturating_sub(1));
        Frame { entry, message: None }
    }

    /// The last frame of ours.
    pub(crate) fn last_told(&self) -> Frame {
        self.with(|house| house.entries.iter().rposition(|entry| entry.from == Side::Server))
            .map_or_else(|| self.last_frame(), |entry| Frame { entry, message: None })
    }

    pub(crate) fn inconclusive(&self, says: &str) -> Stop {
        let frames = if self.with(|house| house.entries.is_empty()) { Vec::new() } else { vec![self.last_frame()] };
        Stop::Inconclusive { says: says.to_owned(), frames }
    }

    /// Waits until the client has a session, over a transport that the case is about.
    pub(crate) async fn session(&self) -> Result<Heard, Stop> {
        let patience = self.with(|house| house.settings.patience);
        let Some(handshake) = self.hears(0, patience, |heard| heard.is(channel::HANDSHAKE)).await else {
            return Err(self.inconclusive("no handshake came; point the client at the URL of the scenario"));
        };
        let (used, wanted) = (handshake.transport, self.with(|house| house.settings.transport));
        if wanted.is_some_and(|wanted| wanted != used) {
            let wanted = wanted.map_or("another transport", protocol::wire::Transport::name);
            let says = format!("the client came over {used}; let it use {wanted} alone");
            return Err(Stop::Inconclusive { says, frames: vec![handshake.frame] });
        }
        if !self.case.transports.contains(&used) {
            let says = format!("the client came over {used}, which the scenario is not about");
            return Err(Stop::NotApplicable { says, frames: vec![handshake.frame] });
        }
        let granted = self.wait(PATIENCE, |house| house.granted().cloned()).await;
        let connect = self.hears(0, PATIENCE, |heard| heard.is(channel::CONNECT)).await;
        match (granted, connect) {
            (Some(_), Some(_)) => Ok(handshake),
            (Some(_), None) => Err(self.inconclusive("the client has a session and sent no connect")),
            (None, _) => Err(self.inconclusive("no handshake of the client's could be granted")),
        }
    }

    /// Waits until the client has a chat.
    pub(crate) async fn requests_chat(&self) -> Result<Heard, Stop> {
        self.session().await?;
        let (patience, service) = self.with(|house| (house.settings.patience, house.settings.service.clone()));
        let Some(request) = self.hears(0, patience, |heard| heard.asks("requestChat")).await else {
            return Err(self.inconclusive("the client has a session and asked for no chat; start one in the client"));
        };
        if !request.is(&protocol::chat::channel(&service)) {
            let says = format!("the client asked another service for a chat; let it use `{service}`");
            return Err(Stop::Inconclusive { says, frames: vec![request.frame] });
        }
        Ok(request)
    }

    /// Waits until the client is in a chat with the agent, its connect held.
    pub(crate) async fn chat(&self) -> Result<Talk, Stop> {
        let request = self.requests_chat().await?;
        let Some(key) = self.wait(PATIENCE, House::key).await else {
            return Err(self.inconclusive("the chat was not granted"));
        };
        self.with(House::join);
        self.with(|house| house.say("Hello, this is Morgan. How can I help?"));
        let greeted = self.wait(PATIENCE, |house| (house.last_index() >= 3 && house.holds()).then_some(())).await;
        if greeted.is_none() {
            return Err(self.inconclusive("the client has a chat and no connect of it is held"));
        }
        self.settles().await;
        Ok(Talk { request, key })
    }

    /// A moment for the client to take in what is under way.
    pub(crate) async fn settles(&self) {
        self.pause(Duration::from_millis(500)).await;
        let _: Option<()> = self.wait(PATIENCE, |house| house.holds().then_some(())).await;
    }

    /// Has the client's user say something, and waits for the message. `None` means that it did not come.
    pub(crate) async fn may_say(&self) -> Option<Heard> {
        let mark = self.mark();
        self.with(|house| house.asked.push_back(Step::Say("hello")));
        let patience = self.with(|house| house.settings.patience);
        self.hears(mark, patience, |heard| heard.asks("sendMessage")).await
    }

    /// The same as a prerequisite.
    pub(crate) async fn says(&self) -> Result<Heard, Stop> {
        self.may_say().await.ok_or_else(|| self.inconclusive("no message came; send one in the client when asked"))
    }

    /// Has the client's user end the chat, and waits for the request.
    pub(crate) async fn ends(&self) -> Result<Heard, Stop> {
        let mark = self.mark();
        self.with(|house| house.asked.push_back(Step::End));
        let patience = self.with(|house| house.settings.patience);
        let end = self.hears(mark, patience, |heard| heard.asks("disconnect")).await;
        end.ok_or_else(|| self.inconclusive("the chat was not ended; end it in the client when asked"))
    }

    /// The second half of a recovery: the client shakes hands again and takes its chat up where it was.
    pub(crate) async fn restores(&self, mark: usize, talk: &Talk) -> Verdict {
        self.shakes_hands_again(mark).await?;
        self.asks_for_notifications(mark, talk).await
    }

    /// The client shakes hands again by itself.
    pub(crate) async fn shakes_hands_again(&self, mark: usize) -> Result<Heard, Stop> {
        let told = self.last_told();
        let again = self.hears(mark, PATIENCE, |heard| heard.is(channel::HANDSHAKE)).await;
        let expected = "a new handshake by itself";
        let Some(again) = again else {
            let seconds = PATIENCE.as_secs();
            return Err(self.broken("RC-51", expected, format!("none within {seconds} s"), vec![told]));
        };
        self.must("RC-51", again.frame, true, expected, "")?;
        Ok(again)
    }

    /// In its new session the client asks for the notifications of its chat, by its key and from where it was, and for
    /// no second chat.
    pub(crate) async fn asks_for_notifications(&self, mark: usize, talk: &Talk) -> Verdict {
        let (told, last) = (self.last_told(), self.with(|house| house.last_index()));
        let is_either = |heard: &Heard| heard.asks("requestNotifications") || heard.asks("requestChat");
        let expected = "requestNotifications in the new session";
        let Some(asked) = self.hears(mark, PATIENCE, is_either).await else {
            return Err(self.broken("RC-52", expected, "no request for the chat came", vec![told]));
        };
        self.no_second_chat(mark, &asked, talk).await?;
        let key = asked.member("secureKey");
        let known = self.with(|house| key.as_ref().is_some_and(|key| house.keys().contains(key)));
        self.must("RC-52", asked.frame, known, "requestNotifications with the key of the chat", "another key or none")?;
        self.right_position(&asked, last)?;
        // A second request would stand behind the first: the connect behind both shows that the client is done.
        let behind = self.mark();
        self.pause(Duration::from_millis(1_500)).await;
        let sign = self.connects(behind).await?;
        if let Some(second) = self.heard(mark).iter().find(|heard| heard.asks("requestChat")) {
            self.no_second_chat(mark, second, talk).await?;
        }
        self.must("RC-53", sign.frame, true, "no second chat", "")
    }

    /// A request that is not for a second chat.
    async fn no_second_chat(&self, mark: usize, asked: &Heard, talk: &Talk) -> Result<(), Stop> {
        if !asked.asks("requestChat") {
            return Ok(());
        }
        // Some ask for both, from two handlers.
        let both = self.hears(mark, Duration::from_secs(3), |heard| heard.asks("requestNotifications")).await;
        let observed = match &both {
            Some(_) => "requestChat and requestNotifications, while the chat runs",
            None => "requestChat, while the chat runs",
        };
        let frames = [talk.request.frame, asked.frame].into_iter().chain(both.map(|both| both.frame)).collect();
        Err(self.broken("RC-53", "no second chat", observed, frames))
    }

    /// The position asked for is the index that the client got last, or the one before, for servers that count otherwise.
    pub(crate) fn right_position(&self, asked: &Heard, last: i64) -> Result<(), Stop> {
        let position = asked.position();
        let right = position.is_some_and(|position| (last - 1..=last).contains(&position));
        let observed = position.map_or_else(|| "no `transcriptPosition`".to_owned(), |position| position.to_string());
        self.should("RC-54", asked.frame, right, &format!("`transcriptPosition` {last}"), observed)
    }

    fn requirement(&self, clause: &str) -> Result<&'static Requirement, Stop> {
        let requirement = Catalogue::get()
            .requirement(clause)
            .ok_or_else(|| Stop::Error(format!("requirement `{clause}` is not in the catalogue")))?;
        if requirement.cases.iter().any(|case| case == self.case.id) {
            return Ok(requirement);
        }
        Err(Stop::Error(format!("the catalogue does not say that `{}` judges `{clause}`", self.case.id)))
    }

    /// The end of a case that saw a clause broken.
    pub(crate) fn broken(&self, clause: &str, expected: &str, observed: impl Into<String>, frames: Vec<Frame>) -> Stop {
        match self.requirement(clause) {
            Ok(requirement) => Stop::Broken(Judged::broken(requirement, expected, observed, frames)),
            Err(stop) => stop,
        }
    }

    /// A clause that the case is about.
    pub(crate) fn must(
        &self,
        clause: &str,
        frame: Frame,
        holds: bool,
        expected: &str,
        observed: impl Into<String>,
    ) -> Verdict {
        if !holds {
            return Err(self.broken(clause, expected, observed, vec![frame]));
        }
        let judged = Judged::held(self.requirement(clause)?, expected, frame);
        self.enter(judged);
        Ok(Pass::witnessed(frame))
    }

    /// A clause that is judged and does not end the case.
    pub(crate) fn should(
        &self,
        clause: &str,
        frame: Frame,
        holds: bool,
        expected: &str,
        observed: impl Into<String>,
    ) -> Result<(), Stop> {
        match self.must(clause, frame, holds, expected, observed) {
            Err(Stop::Broken(judged)) => self.enter(judged),
            Err(stop) => return Err(stop),
            Ok(_) => {}
        }
        Ok(())
    }

    /// What the client does where nobody says what it should.
    pub(crate) fn observe(&self, clause: &str, says: &str, frame: Frame) -> Verdict {
        let judged = Judged::observed(self.requirement(clause)?, says, vec![frame]);
        self.enter(judged);
        Ok(Pass::witnessed(frame))
    }

    fn enter(&self, judged: Judged) {
        self.with(|house| {
            if !house.ledger.contains(&judged) {
                house.ledger.push(judged);
            }
        });
    }
}
