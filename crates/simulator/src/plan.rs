//! What happens of its own accord in a fake GMS, as data and as text: what agents do, and what befalls the server.
//!
//! Times count from the start of each chat, so the same plan serves every chat that begins.

mod text;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::chat::server::{ChatNumber, Event};
use protocol::time::Time;

pub use self::text::{Unreadable, Wrong};
pub(crate) use self::text::{lines, number, split};
use crate::script::{Script, Step};

/// Something that befalls the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Chat Server goes away.
    ChatServerLost,
    /// Chat Server is back.
    ChatServerBack,
    /// Another Chat Server takes the chats over.
    ChatServerFailsOver,
    /// All CometD sessions are forgotten, as by a restart: the next message of each gets 402.
    SessionsForgotten,
    /// A node stops, with all its sessions and connections.
    NodeDown(usize),
    /// A node is back.
    NodeUp(usize),
}

/// One thing in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Somebody in the chat does something.
    Step(Step),
    /// The server is befallen by something.
    Happening(Happening),
}

/// What comes after a message of the client.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The client's word, whatever its case; without one it is for every message that no other reply is for.
    pub on: Option<String>,
    /// How long after it.
    pub after: Duration,
    /// What is done.
    pub act: ReplyAct,
}

/// What is done after a message of the client.
#[derive(Clone, PartialEq, Eq)]
pub enum ReplyAct {
    /// What could stand in a plan by itself.
    Act(Act),
    /// The agent says the client's words again, with these before them.
    Echo(String),
}

/// Shows when alone, since words are personal.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply(after {} ms)", self.after.as_millis())
    }
}

/// What happens of its own accord. See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// When, counted from the start of the chat, and what. Things of one moment happen in this order.
    pub timed: Vec<(Duration, Act)>,
    /// What comes after messages of the client, but not before the first agent has joined.
    pub replies: Vec<Reply>,
}

impl Plan {
    /// When the first agent joins.
    fn present_after(&self) -> Duration {
        let joins = self.timed.iter().filter(|(_, act)| matches!(act, Act::Step(step) if step.is_join()));
        joins.map(|(after, _)| *after).min().unwrap_or_default()
    }
}

impl From<Script> for Plan {
    fn from(script: Script) -> Self {
        let say = |text: String| (!text.is_empty()).then_some(Act::Step(Step::Say(text)));
        let joins_after = Duration::from_millis(script.joins_after_ms);
        let after = Duration::from_millis(script.answers_after_ms);
        let join = Act::Step(Step::Join { nickname: script.nickname });
        let timed = [Some(join), say(script.greeting)].into_iter().flatten().map(|act| (joins_after, act)).collect();
        let word = script.closes_on.trim().to_owned();
        let closing = [say(script.farewell), Some(Act::Step(Step::End))].into_iter().flatten();
        let closing = closing.filter(|_| !word.is_empty());
        let mut replies: Vec<Reply> =
            closing.map(|act| Reply { on: Some(word.clone()), after, act: ReplyAct::Act(act) }).collect();
        replies.push(Reply { on: None, after, act: ReplyAct::Echo(script.answer) });
        Self { timed, replies }
    }
}

/// How much of the client's words an echo repeats, in characters.
const REPEATED: usize = 200;

/// The plan at work in all chats.
#[derive(Clone, Debug)]
pub(crate) struct Agenda {
    plan: Plan,
    /// When the first agent of each running chat has joined or will.
    present_from: BTreeMap<ChatNumber, Time>,
    due: BTreeMap<Time, VecDeque<(ChatNumber, Act)>>,
}

impl Agenda {
    pub(crate) const fn new(plan: Plan) -> Self {
        Self { plan, present_from: BTreeMap::new(), due: BTreeMap::new() }
    }

    /// Plans what an event calls for.
    pub(crate) fn handle_event(&mut self, now: Time, event: &Event) {
        match event {
            Event::Started(chat) => {
                self.present_from.insert(*chat, now + self.plan.present_after());
                for (after, act) in self.plan.timed.clone() {
                    self.plan_at(now + after, *chat, act);
                }
            }
            Event::ClientSaid(chat, words) => {
                let Some(present) = self.present_from.get(chat) else { return };
                let (from, words) = (now.max(*present), words.expose());
                let said =
                    |reply: &&Reply| reply.on.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(words.trim()));
                let mut replies: Vec<Reply> = self.plan.replies.iter().filter(said).cloned().collect();
                if replies.is_empty() {
                    replies = self.plan.replies.iter().filter(|reply| reply.on.is_none()).cloned().collect();
                }
                for Reply { after, act, .. } in replies {
                    let act = match act {
                        ReplyAct::Act(act) => act,
                        ReplyAct::Echo(before) => {
                            let repeated: String = words.chars().take(REPEATED).collect();
                            Act::Step(Step::Say(format!("{before}{repeated}")))
                        }
                    };
                    self.plan_at(from + after, *chat, act);
                }
            }
            Event::Ended(chat, _) => self.dismiss(*chat),
            Event::Attached(..)
            | Event::AgentJoined(_)
            | Event::AgentLeft(_)
            | Event::Pushed(_)
            | Event::Failed(..)
            | Event::FilesFailed(_)
            | Event::Lost
            | Event::Back => {}
        }
    }

    /// Takes the next thing that is due. The caller carries it out; what has become impossible is skipped there.
    pub(crate) fn next_due(&mut self, now: Time) -> Option<(ChatNumber, Act)> {
        let mut first = self.due.first_entry().filter(|entry| *entry.key() <= now)?;
        let act = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        act
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    fn plan_at(&mut self, at: Time, chat: ChatNumber, act: Act) {
        self.due.entry(at).or_default().push_back((chat, act));
    }

    /// Nobody does anything more in a chat that has ended; what befalls the server comes all the same.
    fn dismiss(&mut self, chat: ChatNumber) {
        self.present_from.remove(&chat);
        for acts in self.due.values_mut() {
            acts.retain(|(of, act)| *of != chat || matches!(act, Act::Happening(_)));
        }
        self.due.retain(|_, acts| !acts.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use protocol::chat::server::EndedBy;
    use protocol::secret::Secret;

    use super::*;

    const CHAT: ChatNumber = ChatNumber(1);

    fn steps(agenda: &mut Agenda, until: u64) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        while let Some(at) = agenda.deadline().filter(|at| *at <= Time::from_millis(until)) {
            let (_, act) = agenda.next_due(at).unwrap();
            let Act::Step(step) = act else { panic!("nothing befalls the server") };
            steps.push((at.as_millis(), step));
        }
        steps
    }

    fn started() -> Agenda {
        let mut agenda = Agenda::new(Script::default().into());
        agenda.handle_event(Time::ZERO, &Event::Started(CHAT));
        agenda
    }

    #[test]
    fn joins_and_greets_after_a_while() {
        let script = Script::default();
        let expected = [(300, Step::Join { nickname: script.nickname }), (300, Step::Say(script.greeting))];
        assert_eq!(steps(&mut started(), 10_000), expected);
    }

    #[test]
    fn answers_what_came_before_the_join_only_after_it() {
        let mut agenda = started();
        agenda.handle_event(Time::from_millis(10), &Event::ClientSaid(CHAT, Secret::new("hi")));
        assert_eq!(steps(&mut agenda, 10_000).last(), Some(&(500, Step::Say("You wrote: hi".to_owned()))));
    }

    #[test]
    fn closes_on_the_word() {
        let mut agenda = started();
        steps(&mut agenda, 300);
        agenda.handle_event(Time::from_millis(1_000), &Event::ClientSaid(CHAT, Secret::new(" Bye ")));
        assert_eq!(steps(&mut agenda, 10_000), [(1_200, Step::Say("Goodbye.".to_owned())), (1_200, Step::End)]);
    }

    #[test]
    fn does_nothing_more_once_the_chat_has_ended() {
        let mut agenda = started();
        agenda.handle_event(Time::from_millis(1), &Event::Ended(CHAT, EndedBy::Client));
        agenda.handle_event(Time::from_millis(2), &Event::ClientSaid(CHAT, Secret::new("hi")));
        assert_eq!(agenda.deadline(), None);
    }
}
