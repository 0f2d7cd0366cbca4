//! A whole tape replayed: every client on it, and what came out.

use std::time::Duration;

use protocol::time::Time;
use protocol::wire::Side;
use recording::compare::Namer;
use recording::tape::{Mark, Status, Tape};
use serde_json::Value;

use crate::chains::chains;
use crate::difference::{Shown, compare_events};
use crate::player::Player;
use crate::score::{Recorded, Score};

/// How the client under replay departs from the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The client on the tape sent it, ours does not.
    NotSent,
    /// The application on the tape did it, and our client says why it cannot.
    Refused(String),
    /// Our client sends it, the one on the tape did not.
    Unexpected,
    /// Both send it, not quite the same.
    Differs,
    /// The server delivered an event and our client does not show it.
    NotShown,
    /// Our client shows an event that is not next on the tape.
    ShownToo,
    /// Our client shows another event under the same index.
    ShownOtherwise,
    /// The server answers what nobody sent.
    ReplyToNothing,
    /// The transcript has words of the client that it never sent.
    NeverSaid,
    /// Our client does not come to rest.
    Restless,
}

/// A place where the client departs from the tape, with both messages in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of the client on the tape, from 1.
    pub client: usize,
    /// The line of the tape: of the recorded message if there is one, else of what happened before.
    pub line: usize,
    /// The moment of virtual time.
    pub at: Time,
    /// What is different.
    pub what: What,
    /// What the tape has.
    pub recorded: Option<Value>,
    /// What the client did.
    pub live: Option<Value>,
    /// JSON pointers to the members that differ, if both are there.
    pub members: Vec<String>,
}

/// Something that may differ and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The number of the client on the tape, from 1; 0 for the tape as a whole.
    pub client: usize,
    /// The line of the tape that was performed last.
    pub line: usize,
    /// What it is.
    pub text: String,
}

/// What was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Clients that were replayed.
    pub clients: usize,
    /// Clients that cannot be replayed.
    pub left_out: usize,
    /// Sessions that were opened.
    pub sessions: usize,
    /// Messages of the client that were held against the tape.
    pub messages: usize,
    /// Events of the transcript that were held against the tape.
    pub events: usize,
    /// Virtual time, of all clients together.
    pub time: Duration,
}

/// What came out of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Where the client departs from the tape, by client and line.
    pub divergences: Vec<Divergence>,
    /// What may differ and did.
    pub notes: Vec<Note>,
    /// What was replayed.
    pub statistics: Statistics,
    /// Whether the tape is whole.
    pub status: Status,
    /// What the tape says is missing on it: a divergence may come of that.
    pub losses: Vec<Mark>,
    /// Its last complete line.
    pub last_line: usize,
}

impl Replay {
    /// The exit code of the command: 1 for a divergence, 3 if nothing is surely wrong but not all could be judged, else 0.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        let judged = self.statistics.messages > 0 && self.statistics.left_out == 0;
        match (self.divergences.is_empty(), self.status) {
            _ if !self.losses.is_empty() => 3,
            (false, _) => 1,
            (true, Status::Complete) if judged => 0,
            (true, Status::Complete | Status::GoesOn { .. } | Status::Aborted | Status::Interrupted) => 3,
        }
    }
}

/// Replays the server side of a tape to the chat client, for each client that the tape holds.
#[must_use]
pub fn replay(tape: &Tape) -> Replay {
    let (chains, outside) = chains(tape);
    let mut replay = Replay {
        divergences: Vec::new(),
        notes: Vec::new(),
        statistics: Statistics::default(),
        status: tape.status(),
        losses: tape.losses(),
        last_line: tape.records().last().map_or(1, |record| record.line),
    };
    if outside > 0 {
        let text = format!("{outside} requests, responses or frames belong to no client and are left out");
        replay.notes.push(Note { client: 0, line: 1, text });
    }
    let mut namer = Namer::of(tape);
    for (position, chain) in chains.iter().enumerate() {
        let score = Score::of(chain);
        let (client, line) = (position + 1, chain.units.first().map_or(1, |unit| unit.line));
        if score.resumes() {
            replay.statistics.left_out += 1;
            let text = "the chat began before the tape or in another page; the client cannot be replayed".to_owned();
            replay.notes.push(Note { client, line, text });
            continue;
        }
        perform(client, &score, &mut namer, &mut replay);
    }
    replay
}

/// The events that the client has to show. Of several chats it shows one: of each other one, a request must tell how it
/// came about.
fn due_transcript<'a>(score: &'a Score, shown: &[(u64, Value)]) -> Vec<&'a Recorded> {
    let is_shown = |chat: usize| {
        let mut events = score.transcript.iter().filter(|event| event.chat == chat);
        events.any(|event| shown.iter().any(|(index, value)| *index == event.index && *value == event.value))
    };
    let unseen: Vec<usize> = (0..score.chats).filter(|chat| !is_shown(*chat)).collect();
    let excused = unseen.len().min(score.requests().saturating_sub(1));
    score.transcript.iter().filter(|event| !unseen[..excused].contains(&event.chat)).collect()
}

fn perform(client: usize, score: &Score, namer: &mut Namer, replay: &mut Replay) {
    let mut outcome = Player::new(score).perform();
    let at = score.begins + outcome.took;
    let mut found = |what, line, recorded: Option<Value>, live: Option<Value>, members| {
        outcome.divergences.push(Divergence { client, line, at, what, recorded, live, members });
    };
    for orphan in &score.orphans {
        let recorded = serde_json::from_str(orphan.message.text()).ok();
        found(What::ReplyToNothing, orphan.line, recorded, None, Vec::new());
    }
    for unsaid in &score.unsaid {
        found(What::NeverSaid, unsaid.line, Some(unsaid.value.clone()), None, Vec::new());
    }
    let mut transcript = due_transcript(score, &outcome.shown);
    transcript.sort_by_key(|recorded| recorded.index);
    let recorded: Vec<(u64, Value)> = transcript.iter().map(|event| (event.index, event.value.clone())).collect();
    let mut last = transcript.first().map_or(1, |event| event.line);
    for shown in compare_events(&recorded, &outcome.shown) {
        match shown {
            Shown::Missing(event) if transcript[event].after_end => {}
            Shown::Missing(event) => {
                last = transcript[event].line;
                found(What::NotShown, last, Some(recorded[event].1.clone()), None, Vec::new());
            }
            Shown::Extra(event) => found(What::ShownToo, last, None, Some(outcome.shown[event].1.clone()), Vec::new()),
            Shown::Differs(event, live, members) => {
                last = transcript[event].line;
                let (recorded, live) = (recorded[event].1.clone(), outcome.shown[live].1.clone());
                found(What::ShownOtherwise, last, Some(recorded), Some(live), members);
            }
        }
    }
    outcome.divergences.sort_by_key(|divergence| divergence.line);
    let mut canonical = |value: Option<Value>| value.map(|value| namer.show(Side::Client, &value.to_string()));
    replay.divergences.extend(outcome.divergences.into_iter().map(|divergence| Divergence {
        client,
        recorded: canonical(divergence.recorded),
        live: canonical(divergence.live),
        ..divergence
    }));
    replay.notes.extend(outcome.notes.into_iter().map(|note| Note { client, ..note }));
    let statistics = &mut replay.statistics;
    statistics.clients += 1;
    statistics.sessions += outcome.sessions;
    statistics.messages += outcome.messages;
    statistics.events += recorded.len();
    statistics.time += outcome.took;
}
