//! What the simulated agent does by itself, as data.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::chat::server::{ChatNumber, Event};
use protocol::time::Time;
use serde::{Deserialize, Serialize};

/// What an agent can do. The words are those of every agent: scripted, commanded or a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Joins the chat.
    Join {
        /// Under this name.
        nickname: String,
    },
    /// Says something.
    Say(String),
    /// Leaves; the chat goes on.
    Leave,
    /// Leaves and closes the chat.
    End,
}

/// Shows the verb alone, since names and words are personal.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Join { .. } => "join",
            Self::Say(_) => "say",
            Self::Leave => "leave",
            Self::End => "end",
        })
    }
}

/// The script of an agent. Times are in milliseconds; an empty text is not said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Script {
    /// The agent's name.
    pub nickname: String,
    /// How long after the start of a chat the agent joins.
    pub joins_after_ms: u64,
    /// What the agent says on joining.
    pub greeting: String,
    /// How long after a message of the client the agent answers.
    pub answers_after_ms: u64,
    /// What comes before the client's own words in an answer.
    pub answer: String,
    /// The word of the client, whatever its case, on which the agent closes the chat; empty for none.
    pub closes_on: String,
    /// What the agent says before closing.
    pub farewell: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            nickname: "Morgan".to_owned(),
            joins_after_ms: 300,
            greeting: "Hello, this is Morgan. How can I help?".to_owned(),
            answers_after_ms: 200,
            answer: "You wrote: ".to_owned(),
            closes_on: "bye".to_owned(),
            farewell: "Goodbye.".to_owned(),
        }
    }
}

/// How much of the client's words an answer repeats, in characters.
const REPEATED: usize = 200;

/// The agents of all chats, each following the one script.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    script: Script,
    /// When the agent of each running chat has joined or will.
    present_from: BTreeMap<ChatNumber, Time>,
    due: BTreeMap<Time, VecDeque<(ChatNumber, Step)>>,
}

impl Agents {
    pub(crate) const fn new(script: Script) -> Self {
        Self { script, present_from: BTreeMap::new(), due: BTreeMap::new() }
    }

    /// Plans what an event calls for.
    pub(crate) fn handle_event(&mut self, now: Time, event: &Event) {
        match event {
            Event::Started(chat) => {
                let at = now + Duration::from_millis(self.script.joins_after_ms);
                self.present_from.insert(*chat, at);
                self.plan(at, *chat, Step::Join { nickname: self.script.nickname.clone() });
                self.say(at, *chat, self.script.greeting.clone());
            }
            Event::ClientSaid(chat, words) => {
                let Some(present) = self.present_from.get(chat) else { return };
                let at = now.max(*present) + Duration::from_millis(self.script.answers_after_ms);
                let closes_on = self.script.closes_on.trim();
                if !closes_on.is_empty() && words.expose().trim().eq_ignore_ascii_case(closes_on) {
                    self.say(at, *chat, self.script.farewell.clone());
                    self.plan(at, *chat, Step::End);
                } else {
                    let repeated: String = words.expose().chars().take(REPEATED).collect();
                    self.say(at, *chat, format!("{}{repeated}", self.script.answer));
                }
            }
            Event::Ended(chat, _) => self.dismiss(*chat),
            Event::Attached(..) | Event::AgentJoined(_) | Event::AgentLeft(_) | Event::Failed(..) => {}
        }
    }

    /// Takes the next step that is due. The caller carries it out; one that has become impossible is skipped there.
    pub(crate) fn next_due(&mut self, now: Time) -> Option<(ChatNumber, Step)> {
        let mut first = self.due.first_entry().filter(|entry| *entry.key() <= now)?;
        let step = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        step
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.first_key_value().map(|(at, _)| *at)
    }

    fn say(&mut self, at: Time, chat: ChatNumber, text: String) {
        if !text.is_empty() {
            self.plan(at, chat, Step::Say(text));
        }
    }

    fn plan(&mut self, at: Time, chat: ChatNumber, step: Step) {
        self.due.entry(at).or_default().push_back((chat, step));
    }

    fn dismiss(&mut self, chat: ChatNumber) {
        self.present_from.remove(&chat);
        for steps in self.due.values_mut() {
            steps.retain(|(of, _)| *of != chat);
        }
        self.due.retain(|_, steps| !steps.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use protocol::chat::server::EndedBy;
    use protocol::secret::Secret;

    use super::*;

    const CHAT: ChatNumber = ChatNumber(1);

    fn steps(agents: &mut Agents, until: u64) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        while let Some(at) = agents.deadline().filter(|at| *at <= Time::from_millis(until)) {
            let (_, step) = agents.next_due(at).unwrap();
            steps.push((at.as_millis(), step));
        }
        steps
    }

    fn started() -> Agents {
        let mut agents = Agents::new(Script::default());
        agents.handle_event(Time::ZERO, &Event::Started(CHAT));
        agents
    }

    #[test]
    fn joins_and_greets_after_a_while() {
        let script = Script::default();
        let expected = [(300, Step::Join { nickname: script.nickname }), (300, Step::Say(script.greeting))];
        assert_eq!(steps(&mut started(), 10_000), expected);
    }

    #[test]
    fn answers_what_came_before_the_join_only_after_it() {
        let mut agents = started();
        agents.handle_event(Time::from_millis(10), &Event::ClientSaid(CHAT, Secret::new("hi")));
        assert_eq!(steps(&mut agents, 10_000).last(), Some(&(500, Step::Say("You wrote: hi".to_owned()))));
    }

    #[test]
    fn closes_on_the_word() {
        let mut agents = started();
        steps(&mut agents, 300);
        agents.handle_event(Time::from_millis(1_000), &Event::ClientSaid(CHAT, Secret::new(" Bye ")));
        assert_eq!(steps(&mut agents, 10_000), [(1_200, Step::Say("Goodbye.".to_owned())), (1_200, Step::End)]);
    }

    #[test]
    fn does_nothing_more_once_the_chat_has_ended() {
        let mut agents = started();
        agents.handle_event(Time::from_millis(1), &Event::Ended(CHAT, EndedBy::Client));
        agents.handle_event(Time::from_millis(2), &Event::ClientSaid(CHAT, Secret::new("hi")));
        assert_eq!(agents.deadline(), None);
    }
}
