//! A chat of a session: what is asked, what is told, and the events of its transcript.

use std::time::Duration;

use protocol::bayeux::message::Message;
use protocol::chat::notification::{Event, EventType, Notification, ParticipantType, Status};
use protocol::chat::operation::{Operation, Request, RequestChat};
use protocol::secret::Secret;
use serde_json::Value;

use super::describe::{describe_event, describe_notification};
use super::net::{Arrival, Fate, Net, OpenChat};
use super::{Check, PATIENCE, Received, Sent, Session, Sign, notification};
use crate::actor::{self, Step, Turn};
use crate::run::Agent;
use crate::verdict::{AGENT_ROOT, Frame, Stop, Verdict, agent_who_did_not};

/// A notification that came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    received: Received,
    pub(crate) notification: Notification,
}

impl Answer {
    pub(crate) const fn received(&self) -> &Received {
        &self.received
    }

    pub(crate) const fn frame(&self) -> Frame {
        self.received.frame()
    }

    /// A clause that the case is about.
    pub(crate) fn must(&self, clause: &str, holds: bool, expected: &str) -> Verdict {
        self.received.must(clause, holds, expected)
    }

    /// A clause on which the case stands.
    pub(crate) fn need(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.received.need(clause, holds, expected)
    }

    /// A clause that is judged and does not end the case.
    pub(crate) fn should(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.received.should(clause, holds, expected)
    }

    /// What it says, in words of the protocol.
    pub(crate) fn describe(&self) -> String {
        describe_notification(&self.notification)
    }

    /// The same without the places of events, which differ from run to run.
    pub(crate) fn outline(&self) -> String {
        let events = self.notification.events().iter().map(describe_event);
        let kinds: Vec<String> =
            events.filter_map(|event| event.split_once(':').map(|(_, kind)| kind.to_owned())).collect();
        match self.notification.status {
            Some(status) if !kinds.is_empty() => format!("statusCode {}, {}", status.code(), kinds.join(" ")),
            _ => self.describe(),
        }
    }

    /// Whether its envelope has a member of that name.
    pub(crate) fn has_member(&self, name: &str) -> bool {
        self.received.message().value("data").is_some_and(|data| data.get(name).is_some())
    }
}

/// How a chat began: what was asked, and what was answered.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) sent: Sent,
    pub(crate) answer: Answer,
}

/// What became of the wish for a chat.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is made")]
pub(crate) enum Asked {
    /// It began.
    Started(Chat, Started),
    /// It did not.
    Refused(Answer),
}

/// An event of the transcript that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) answer: Answer,
    pub(crate) event: Event,
}

impl Seen {
    /// `4:Message by Client`
    pub(crate) fn describe(&self) -> String {
        describe_event(&self.event)
    }

    pub(crate) fn is_by(&self, kind: &ParticipantType) -> bool {
        self.event.from.as_ref().is_some_and(|from| from.kind == *kind)
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.event.kind.as_deref() == Some(kind)
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.is("Message") && self.event.text.as_deref() == Some(text)
    }

    /// A clause that the case is about.
    pub(crate) fn must(&self, clause: &str, holds: bool, expected: &str) -> Verdict {
        let received = &self.answer.received;
        received.peer.must(clause, received.frame(), Check { expected, holds, observed: self.describe() })
    }
}

impl Seen {
    /// What came before this event came once. If it did not, every copy is shown.
    pub(crate) fn comes_behind_one(&self, clause: &str, what: &str, copies: &[Self]) -> Verdict {
        let (expected, observed) = (format!("{what} once"), format!("{what} came {} times", copies.len()));
        let received = self.answer.received();
        if copies.len() > 1 {
            let frames = copies.iter().map(|copy| copy.answer.frame()).collect();
            return Err(received.peer.broken(clause, expected, observed, frames));
        }
        received.must_show(clause, copies.len() == 1, &expected, observed)
    }
}

/// The `data` of a request with an operation of the protocol.
pub(crate) fn ask(operation: Operation, key: Option<&Secret>) -> Value {
    Request { operation, secure_key: key.cloned() }.to_value()
}

/// A chat, as seen from one session.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub(crate) session: Session,
    pub(crate) key: Secret,
    chat_id: Option<Secret>,
    pub(crate) nickname: String,
    /// How many messages had come when it began.
    mark: usize,
}

impl super::Peer {
    /// A chat on a session of its own that stays connected.
    pub(crate) async fn chat(&self) -> Result<Chat, Stop> {
        let session = self.session().await?;
        session.keep_connected();
        session.start_chat().await.map(|(chat, _)| chat)
    }
}

impl Session {
    /// Starts a chat and gives the answer that brought its key.
    pub(crate) async fn start_chat(&self) -> Result<(Chat, Started), Stop> {
        let nickname = self.peer().word("Wren").replace(' ', "-");
        let request = RequestChat {
            nickname: Some(nickname.clone()),
            subject: Some("Tapestry conformance".to_owned()),
            ..RequestChat::default()
        };
        let asked = self.ask_for_chat(ask(Operation::RequestChat(request), None), &nickname, "CV-RC-01").await?;
        match asked {
            Asked::Started(chat, started) => Ok((chat, started)),
            Asked::Refused(answer) => {
                answer.need("CV-RC-01", false, WITH_KEY)?;
                Err(Stop::Error("a chat was refused and begins".to_owned()))
            }
        }
    }

    /// Asks for a chat that may be refused. That it is answered is the clause.
    pub(crate) async fn ask_for_chat(&self, data: Value, nickname: &str, clause: &'static str) -> Result<Asked, Stop> {
        let sent = self.publish(data).await?;
        let number = self.browser.number;
        let known: Vec<Secret> = self
            .peer()
            .with(|net| net.chats.iter().filter(|open| open.browser == number).map(|open| open.key.clone()).collect());
        // An earlier chat on this session may still have something to say.
        let is_new = |key: &Secret| !known.contains(key);
        let answer = self
            .told(&sent, clause, WITH_KEY, |answer| {
                answer.status == Some(Status::Failed) || answer.secure_key.as_ref().is_some_and(is_new)
            })
            .await?;
        let key = answer.notification.secure_key.clone().filter(|key| !key.expose().is_empty());
        let Some(key) = key.filter(|_| answer.notification.status == Some(Status::Ok)) else {
            return Ok(Asked::Refused(answer));
        };
        self.owes_end_of(&key);
        let chat_id = answer.notification.chat_id.clone();
        let chat = Chat { session: self.clone(), key, chat_id, nickname: nickname.to_owned(), mark: sent.mark };
        Ok(Asked::Started(chat, Started { sent, answer }))
    }

    /// The first answer to a request that may get none. What happens in the chat meanwhile without it is no answer.
    pub(crate) async fn answer_if_any(&self, sent: &Sent) -> Option<Answer> {
        let until = self.peer().now() + DOUBT;
        let number = self.browser.number;
        let found = self.peer().wait(until, |net| {
            let own = net.arrivals(number, sent.mark);
            let answers = own.filter_map(|arrival| Some((arrival.clone(), notification(&arrival.message)?)));
            // The join may still be under way when the next thing is asked, and answers nothing but `requestChat`.
            let is_own = |event: &Event| {
                let by_client = event.from.as_ref().is_none_or(|from| from.kind == ParticipantType::Client);
                by_client && event.event_type() != Some(EventType::ParticipantJoined)
            };
            let is_answer = |answer: &Notification| answer.events().is_empty() || answer.events().iter().any(is_own);
            answers.into_iter().find(|(_, answer)| is_answer(answer))
        });
        let (arrival, notification) = found.await?;
        Some(Answer { received: self.browser.received(arrival), notification })
    }

    /// A chat with this key is open and is to be ended at last.
    pub(crate) fn owes_end_of(&self, key: &Secret) {
        let open = OpenChat { browser: self.browser.number, client_id: self.client_id.clone(), key: key.clone() };
        self.peer().with(|net| {
            net.chats.push(open);
            let ended = |chat: &&OpenChat| net.inbox.iter().any(|arrival| says_ended(&arrival.message, &chat.key));
            net.at_once = net.at_once.max(net.chats.len() - net.chats.iter().filter(ended).count());
        });
    }

    /// Waits for the first notification after a request for which a condition holds. That it comes is the clause.
    pub(crate) async fn told(
        &self,
        sent: &Sent,
        clause: &'static str,
        expected: &str,
        mut holds: impl FnMut(&Notification) -> bool,
    ) -> Result<Answer, Stop> {
        let find = |arrival: &Arrival| {
            let notification = notification(&arrival.message).filter(|answer| holds(answer))?;
            Some((arrival.clone(), notification))
        };
        let (arrival, notification) = self.await_arrival(sent, clause, expected, find).await?;
        let answer = Answer { received: self.browser.received(arrival), notification };
        answer.need(clause, true, expected)?;
        Ok(answer)
    }

    /// Waits for the first message after a request in which something is found.
    async fn await_arrival<T>(
        &self,
        sent: &Sent,
        clause: &'static str,
        expected: &str,
        mut find: impl FnMut(&Arrival) -> Option<T>,
    ) -> Result<T, Stop> {
        let (peer, browser) = (self.peer(), self.browser.number);
        let until = peer.now() + PATIENCE;
        let mut looked = sent.mark;
        let found = peer
            .wait(until, |net| {
                while let Some(arrival) = net.inbox.get(looked) {
                    looked += 1;
                    if arrival.browser == browser
                        && let Some(found) = find(arrival)
                    {
                        return Some(Some(found));
                    }
                }
                // Nothing is open on which more could come, and nothing is about to be.
                (!net.is_listening(browser) && net.poll_deadline().is_none()).then_some(None)
            })
            .await
            .flatten();
        match found {
            Some(found) => Ok(found),
            None => Err(self.nothing_told(sent, clause, expected).await),
        }
    }

    async fn nothing_told(&self, sent: &Sent, clause: &'static str, expected: &str) -> Stop {
        let frames = vec![sent.frame];
        let (end, unavailable) = self.peer().with(|net| {
            let end = net.last_end(self.browser.number).cloned();
            (end, self.browser_was_told(net, sent.mark, |answer| answer.status == Some(Status::Unavailable)))
        });
        if unavailable {
            let says = "statusCode 1: the Chat Server behind the peer is not available".to_owned();
            return Stop::Inconclusive { says, frames };
        }
        match end {
            Some(Fate::Closed { code, .. }) => {
                Stop::Inconclusive { says: format!("the peer closed the socket with code {code}"), frames }
            }
            Some(Fate::Broken { failure, .. }) => {
                Stop::Inconclusive { says: format!("the connection broke: {failure}"), frames }
            }
            Some(Fate::Answered { status, .. }) if status != 200 => {
                Stop::Inconclusive { says: format!("a request was answered with HTTP status {status}"), frames }
            }
            Some(Fate::Opening | Fate::Open | Fate::Answered { .. } | Fate::Dropped) | None => {
                self.silence(clause, expected, sent.frame, Sign::OfSession).await
            }
        }
    }

    fn browser_was_told(&self, net: &Net, mark: usize, mut holds: impl FnMut(&Notification) -> bool) -> bool {
        net.arrivals(self.browser.number, mark)
            .filter_map(|arrival| notification(&arrival.message))
            .any(|answer| holds(&answer))
    }

    /// Every notification that has come since a mark.
    pub(crate) fn answers_since(&self, mark: usize) -> Vec<Answer> {
        let arrivals: Vec<Arrival> = self.peer().with(|net| net.arrivals(self.browser.number, mark).cloned().collect());
        let answer = |arrival: Arrival| {
            let notification = notification(&arrival.message)?;
            Some(Answer { received: self.browser.received(arrival), notification })
        };
        arrivals.into_iter().filter_map(answer).collect()
    }
}

impl Chat {
    /// The same chat, seen from another session.
    pub(crate) fn on(&self, session: &Session) -> Self {
        self.session.peer().with(|net| {
            for open in net.chats.iter_mut().filter(|open| open.key == self.key) {
                open.browser = session.browser.number;
                open.client_id = session.client_id.clone();
            }
        });
        Self { session: session.clone(), mark: session.peer().mark(), ..self.clone() }
    }

    /// The same chat with another key, if an answer brought one.
    pub(crate) fn adopting(&self, answer: &Answer) -> Self {
        let Some(key) = answer.notification.secure_key.clone() else { return self.clone() };
        self.session.peer().with(|net| {
            net.chats.iter_mut().filter(|open| open.key == self.key).for_each(|open| open.key = key.clone());
        });
        Self { key, ..self.clone() }
    }

    /// Asks something with the key of this chat.
    pub(crate) async fn ask(&self, operation: Operation) -> Result<Sent, Stop> {
        self.session.publish(ask(operation, Some(&self.key))).await
    }

    /// Says something.
    pub(crate) async fn say(&self, text: &str) -> Result<Sent, Stop> {
        self.ask(Operation::SendMessage { message: text.to_owned(), message_type: None }).await
    }

    /// Says something and waits for its echo. That it comes is the clause.
    pub(crate) async fn say_and_see(&self, text: &str, clause: &'static str) -> Result<Seen, Stop> {
        let sent = self.say(text).await?;
        self.event(&sent, clause, "an event with the text of the message", |event| event.says(text)).await
    }

    /// Asks for events from a position.
    pub(crate) async fn request_notifications(&self, position: Option<i64>) -> Result<Sent, Stop> {
        self.ask(Operation::RequestNotifications { transcript_position: position }).await
    }

    /// Ends the chat and waits until the peer says so. That it does is the clause.
    pub(crate) async fn end(&self, clause: &'static str) -> Result<Answer, Stop> {
        let sent = self.ask(Operation::Disconnect).await?;
        self.answer(&sent, clause, "an answer with chatEnded true", |answer| answer.chat_ended == Some(true)).await
    }

    /// Waits for a notification of this chat after a request. That it comes is the clause.
    pub(crate) async fn answer(
        &self,
        sent: &Sent,
        clause: &'static str,
        expected: &str,
        mut holds: impl FnMut(&Notification) -> bool,
    ) -> Result<Answer, Stop> {
        self.session.told(sent, clause, expected, |answer| self.owns(answer) && holds(answer)).await
    }

    /// Waits for an event of this chat after a request. That it comes is the clause.
    pub(crate) async fn event(
        &self,
        sent: &Sent,
        clause: &'static str,
        expected: &str,
        mut holds: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Stop> {
        let find = |arrival: &Arrival| self.seen_in(arrival).into_iter().find(|seen| holds(seen));
        let seen = self.session.await_arrival(sent, clause, expected, find).await?;
        let received = &seen.answer.received;
        let check = Check { expected, holds: true, observed: String::new() };
        received.peer.need(clause, received.frame(), check)?;
        Ok(seen)
    }

    /// Waits for an event of this chat, on whatever session it comes. That it comes is the clause.
    pub(crate) async fn event_anywhere(
        &self,
        sent: &Sent,
        clause: &'static str,
        expected: &str,
        mut holds: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Stop> {
        let peer = self.session.peer();
        let until = peer.now() + PATIENCE;
        let find = |net: &Net| {
            net.inbox[sent.mark..].iter().flat_map(|arrival| self.seen_in(arrival)).find(|seen| holds(seen))
        };
        match peer.wait(until, find).await {
            Some(seen) => {
                seen.answer.need(clause, true, expected)?;
                Ok(seen)
            }
            None => Err(self.session.silence(clause, expected, sent.frame, Sign::OfSession).await),
        }
    }

    /// Says beforehand what the agent of this chat is going to be asked for, so that a person can be told of it at once.
    pub(crate) fn brief(&self, turns: impl IntoIterator<Item = Turn>) {
        self.session.peer().with(|net| net.briefing = turns.into_iter().collect());
    }

    /// Lets an agent do what a script does by itself: only one who follows none is asked for it.
    pub(crate) fn let_agent(&self, step: Step) {
        if let Agent::Asked { .. } = self.session.peer().agent() {
            self.ask_agent(step);
        }
    }

    /// Asks the agent for a step, and waits for the event that shows it. Gives that event.
    pub(crate) async fn agent(&self, step: Step) -> Result<Seen, Stop> {
        self.agent_until(step.clone(), |seen| step.is_shown_by(seen)).await
    }

    /// Asks the agent for a step, and waits for an event.
    pub(crate) async fn agent_until(&self, step: Step, holds: impl FnMut(&Seen) -> bool) -> Result<Seen, Stop> {
        let deed = step.deed();
        let asked = self.ask_agent(step);
        self.agent_event_since(asked, deed, holds).await
    }

    /// Asks the agent for a step, and waits for nothing. Gives the place behind which it shows: whoever was told of the step
    /// beforehand may have done it already.
    pub(crate) fn ask_agent(&self, step: Step) -> usize {
        let within = self.session.peer().agent().patience();
        self.session.peer().with(|net| {
            let is_known = net.briefing.front().is_some_and(|turn| turn.step == step);
            if is_known {
                net.briefing.pop_front();
            }
            let is_announced = is_known && net.is_briefed;
            let then = if is_known && !net.is_briefed { net.briefing.iter().cloned().collect() } else { Vec::new() };
            net.is_briefed |= is_known;
            net.asked += 1;
            let (id, chat) = (net.asked, self.nickname.clone());
            net.requests.push(actor::Request { id, chat, step, within, then, is_announced });
            if is_announced { net.agent_seen } else { net.inbox.len() }
        })
    }

    /// Waits for what an agent does, at most for a while. An agent who does not come blocks the case.
    pub(crate) async fn agent_event(
        &self,
        sent: &Sent,
        deed: &str,
        holds: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Stop> {
        self.await_agent(sent.mark, vec![sent.frame], deed, holds).await
    }

    /// The same with what has come since a mark.
    pub(crate) async fn agent_event_since(
        &self,
        mark: usize,
        deed: &str,
        holds: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Stop> {
        self.await_agent(mark, Vec::new(), deed, holds).await
    }

    async fn await_agent(
        &self,
        mark: usize,
        frames: Vec<Frame>,
        deed: &str,
        mut holds: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Stop> {
        let patience = self.session.peer().agent().patience();
        let until = self.session.peer().now() + patience;
        let mut find = |net: &Net| {
            net.arrivals(self.session.browser.number, mark)
                .flat_map(|arrival| self.seen_in(arrival))
                .find(|seen| holds(seen))
        };
        if let Some(seen) = self.session.peer().wait(until, &mut find).await {
            self.session.peer().with(|net| net.agent_seen = seen.answer.received.mark_behind());
            seen.answer.need("CV-TR-03", true, "each event is delivered when it happens")?;
            return Ok(seen);
        }
        // What stands in the transcript was done, and was not delivered; what was delivered before is something else.
        let delivered: Vec<Option<u64>> = self.events().iter().map(|seen| seen.event.index).collect();
        let replay = self.request_notifications(None).await?;
        let replayed = self.answer(&replay, "CV-RN-01", "the transcript", |answer| !answer.events().is_empty()).await?;
        let undelivered =
            self.events_since(mark).into_iter().find(|seen| holds(seen) && !delivered.contains(&seen.event.index));
        match undelivered {
            Some(seen) => Err(self.session.peer().broken(
                "CV-TR-03",
                "each event is delivered when it happens",
                format!("{} stands in the transcript and was never delivered", seen.describe()),
                with(frames, seen.answer.frame()),
            )),
            None => {
                // One who has come may lack this step alone.
                let joined = |seen: &Seen| Step::Join.is_shown_by(seen);
                let root =
                    if self.events().iter().any(joined) { agent_who_did_not(deed) } else { AGENT_ROOT.to_owned() };
                Err(Stop::Blocked {
                    root,
                    says: format!("the agent did not {deed} within {} s", patience.as_secs()),
                    frames: with(frames, replayed.frame()),
                })
            }
        }
    }

    /// Every event of this chat since a mark, in the order in which they came.
    pub(crate) fn events_since(&self, mark: usize) -> Vec<Seen> {
        let arrivals: Vec<Arrival> =
            self.session.peer().with(|net| net.arrivals(self.session.browser.number, mark).cloned().collect());
        arrivals.iter().flat_map(|arrival| self.seen_in(arrival)).collect()
    }

    /// Every event of this chat on this session.
    pub(crate) fn events(&self) -> Vec<Seen> {
        self.events_since(self.mark)
    }

    /// The events that came behind the message that ended the chat and should not have: all but a last ParticipantLeft
    /// that was not seen before, and but what a response brought that was under way at the same time (BX-DL-09).
    pub(crate) fn events_after_end(&self, ended: &Answer) -> Vec<Seen> {
        let behind = ended.received.mark_behind();
        let before = self.events().len() - self.events_since(behind).len();
        let known: Vec<Option<u64>> = self.events().iter().take(before).map(|seen| seen.event.index).collect();
        let mut late = self.events_since(behind);
        late.retain(|seen| !overtook(ended, seen));
        if late.first().is_some_and(|seen| seen.is("ParticipantLeft") && !known.contains(&seen.event.index)) {
            late.remove(0);
        }
        late
    }

    /// The events of this chat in a message.
    fn seen_in(&self, arrival: &Arrival) -> Vec<Seen> {
        let Some(notification) = notification(&arrival.message).filter(|answer| self.owns(answer)) else {
            return Vec::new();
        };
        let answer = Answer { received: self.session.browser.received(arrival.clone()), notification };
        let events = answer.notification.events().to_vec();
        events.into_iter().map(|event| Seen { answer: answer.clone(), event }).collect()
    }

    /// Whether a notification is about this chat; one that names none may be.
    fn owns(&self, answer: &Notification) -> bool {
        match (&answer.secure_key, &answer.chat_id, &self.chat_id) {
            // A chat may get a new key.
            (Some(key), Some(id), Some(own)) => *key == self.key || id == own,
            (Some(key), ..) => *key == self.key,
            (None, Some(id), Some(own)) => id == own,
            (None, ..) => true,
        }
    }
}

fn with(mut frames: Vec<Frame>, last: Frame) -> Vec<Frame> {
    frames.push(last);
    frames
}

/// Whether a message says that the chat with this key is over.
pub(crate) fn says_ended(message: &Message, key: &Secret) -> bool {
    notification(message)
        .is_some_and(|answer| answer.chat_ended == Some(true) && answer.secure_key.as_ref() == Some(key))
}

/// What starts a chat.
const WITH_KEY: &str = "an answer with a `secureKey`";

/// How long an answer may take that need not come.
const DOUBT: Duration = Duration::from_secs(2);

/// How long nothing may come after the end of something.
pub(crate) const AFTERGLOW: Duration = Duration::from_millis(500);

/// Whether the end of a chat may have overtaken an event: the event came in another response, asked for before the end
/// came, and has an earlier place in the transcript.
fn overtook(ended: &Answer, seen: &Seen) -> bool {
    let (end, late) = (ended.received(), seen.answer.received());
    let beside = late.carrier() != end.carrier() && late.carried_for() > late.at() - end.at();
    let places = seen.event.index.and_then(|index| i64::try_from(index).ok()).zip(ended.notification.next_position);
    beside && places.is_some_and(|(index, next)| index < next)
}
