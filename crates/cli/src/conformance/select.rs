//! Which entries run: every case on every transport, unless patterns, requirements, levels, tags or transports choose.

use std::collections::BTreeSet;

use ::conformance::cases::{self, Case, Needs};
use ::conformance::requirements::{Catalogue, Level};
use ::conformance::run::Settings;
use anyhow::anyhow;
use clap::ValueEnum;
use protocol::wire::Transport;

use crate::exit::Failure;
use crate::input::TransportName;

/// What the user chose. Of one kind any may match; of the kinds that are given all must.
#[derive(Default, clap::Args)]
pub(super) struct Choice {
    /// Only cases whose `ID@TRANSPORT` matches; `*` stands for anything. May be repeated.
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Only cases that judge this requirement, such as `BX-CN-04` or `CV-*`. May be repeated.
    #[arg(long = "requirement", value_name = "ID")]
    requirements: Vec<String>,
    /// Only cases that judge a requirement of this level. May be repeated.
    #[arg(long = "level", value_enum, value_name = "LEVEL")]
    levels: Vec<LevelName>,
    /// Only cases of this kind: `bayeux`, `chat`, `reconnect`, `client`, `agent`, `slow`. May be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only over this transport. May be repeated.
    #[arg(long = "transport", value_enum, value_name = "TRANSPORT")]
    transports: Vec<TransportName>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LevelName {
    Must,
    Should,
    May,
    Fact,
}

impl LevelName {
    const fn level(self) -> Level {
        match self {
            Self::Must => Level::Must,
            Self::Should => Level::Should,
            Self::May => Level::May,
            Self::Fact => Level::Fact,
        }
    }
}

/// What is to run, in order.
pub(super) type Plan = Vec<Planned>;

/// One entry of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// Its place in the table of all entries, so that its seed does not depend on what else runs.
    pub(super) number: u64,
    pub(super) entry: cases::Planned,
}

impl Planned {
    pub(super) fn name(&self) -> String {
        format!("{}@{}", self.entry.case.id, self.entry.transport)
    }

    /// Whether an agent has to do something for it.
    pub(super) fn needs_agent(&self) -> bool {
        matches!(self.entry.case.needs, Needs::Agent | Needs::Asked) && self.entry.not_applicable.is_none()
    }
}

/// Why a person is not asked again.
const ONE_TRANSPORT: &str = "a person plays the agent, over one transport alone";

/// Asks a person for each thing once: what an agent does depends on no transport of the client. Kept is long-polling, which
/// every server has, and where events wait for connects.
pub(super) fn spare_person(plan: &mut [Planned]) {
    let over_long_polling: BTreeSet<&str> = plan
        .iter()
        .filter(|planned| planned.entry.transport == Transport::LongPolling)
        .map(|planned| planned.entry.case.id)
        .collect();
    for planned in plan.iter_mut().filter(|planned| planned.needs_agent()) {
        let is_other = planned.entry.transport != Transport::LongPolling;
        if is_other && over_long_polling.contains(planned.entry.case.id) {
            planned.entry.not_applicable = Some(ONE_TRANSPORT);
        }
    }
}

/// An entry that may be chosen: its case, its transport if it is settled, and its names, of which the last is its id.
pub(super) trait Entry: Copy {
    fn case(&self) -> &'static Case;
    fn is_over(&self, transport: Transport) -> bool;
    fn names(&self) -> Vec<String>;
}

impl Entry for Planned {
    fn case(&self) -> &'static Case {
        self.entry.case
    }

    fn is_over(&self, transport: Transport) -> bool {
        self.entry.transport == transport
    }

    fn names(&self) -> Vec<String> {
        vec![self.name(), self.entry.case.id.to_owned()]
    }
}

impl Choice {
    /// The entries that are chosen, for a target that is said to have certain transports; none said means all.
    pub(super) fn plan(&self, settings: &Settings, declared: &[Transport]) -> Result<Plan, Failure> {
        let all = cases::plan(settings, &Transport::ALL);
        let all: Plan = (0..).zip(all).map(|(number, entry)| Planned { number, entry }).collect();
        self.of(&all, declared)
    }

    /// The choice of cases by patterns alone.
    #[cfg(test)]
    pub(super) fn of_cases(patterns: &[&str]) -> Self {
        Self { cases: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), ..Self::default() }
    }

    /// The same of entries of any kind.
    pub(super) fn of<E: Entry>(&self, all: &[E], declared: &[Transport]) -> Result<Vec<E>, Failure> {
        self.check(all)?;
        let chosen: Vec<E> = all.iter().copied().filter(|entry| self.chooses(entry, declared)).collect();
        if chosen.is_empty() {
            let error = anyhow!("no case is all that at once");
            return Err(Failure::usage(error).hint("leave one of the choices out; `--list` shows what there is"));
        }
        Ok(chosen)
    }

    /// Whether everything is chosen, because nothing in particular is.
    pub(super) fn is_everything(&self) -> bool {
        let Self { cases, requirements, levels, tags, transports } = self;
        cases.is_empty() && requirements.is_empty() && levels.is_empty() && tags.is_empty() && transports.is_empty()
    }

    /// The transports that somebody asked for by their names.
    pub(super) fn transports(&self) -> Vec<Transport> {
        self.transports.iter().map(|name| name.transport()).collect()
    }

    /// Whether somebody asked for WebSocket by its name.
    pub(super) fn wants_web_socket(&self) -> bool {
        self.transports.contains(&TransportName::Websocket)
    }

    /// Refuses a choice that chooses nothing by itself.
    fn check<E: Entry>(&self, all: &[E]) -> Result<(), Failure> {
        for pattern in &self.cases {
            if !all.iter().any(|entry| matches_name(pattern, entry)) {
                let error = anyhow!("no case matches `{pattern}`");
                let nearest = longest_common(pattern, all.iter().map(|entry| entry.case().id));
                let hint = format!("patterns match `ID@TRANSPORT` or `ID`, such as `{nearest}` or `chat.*@websocket`");
                return Err(Failure::usage(error).hint(hint));
            }
        }
        for pattern in &self.requirements {
            let known = Catalogue::get().requirements();
            let mut meant = known.iter().filter(|requirement| matches(pattern, &requirement.id)).peekable();
            if meant.peek().is_none() {
                let id = longest_common(pattern, known.iter().map(|requirement| requirement.id.as_str()));
                let hint = format!("an id is such as `{id}`; `tapestry requirements` lists them all");
                return Err(Failure::usage(anyhow!("there is no requirement `{pattern}`")).hint(hint));
            }
            if !all.iter().any(|entry| judges(entry.case(), pattern)) {
                let error = anyhow!("no case is about `{pattern}`");
                let hint = format!("`tapestry explain {pattern}` says what judges it, if anything does");
                return Err(Failure::usage(error).hint(hint));
            }
        }
        let tags: BTreeSet<&str> = all.iter().flat_map(|entry| entry.case().tags()).collect();
        if let Some(tag) = self.tags.iter().find(|tag| !tags.contains(tag.as_str())) {
            let known: Vec<&str> = tags.into_iter().collect();
            let hint = format!("the tags are {}", known.join(", "));
            return Err(Failure::usage(anyhow!("there is no tag `{tag}`")).hint(hint));
        }
        Ok(())
    }

    fn chooses(&self, entry: &impl Entry, declared: &[Transport]) -> bool {
        let case = entry.case();
        let has_level =
            |name: &LevelName| case.requirements().iter().any(|requirement| requirement.level == name.level());
        let declared = if self.transports.is_empty() { declared } else { &[] };
        any(&self.cases, |pattern| matches_name(pattern, entry))
            && any(&self.requirements, |pattern| judges(case, pattern))
            && any(&self.levels, has_level)
            && any(&self.tags, |tag| case.tags().contains(&tag.as_str()))
            && any(&self.transports, |name| entry.is_over(name.transport()))
            && any(declared, |transport| entry.is_over(*transport))
    }
}

/// Whether a case judges a requirement whose id matches.
fn judges(case: &Case, pattern: &str) -> bool {
    case.requirements().iter().any(|requirement| matches(pattern, &requirement.id))
}

/// Whether anything given matches; nothing given means no choice.
fn any<T>(given: &[T], matches: impl Fn(&T) -> bool) -> bool {
    given.is_empty() || given.iter().any(matches)
}

fn matches_name(pattern: &str, entry: &impl Entry) -> bool {
    entry.names().iter().any(|name| matches(pattern, name))
}

/// Whether a text matches a pattern in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, behind)) => text.strip_prefix(before).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| matches(behind, &rest[at..]))
        }),
    }
}

/// Of some names the one that shares the longest beginning with what was asked for.
pub(crate) fn longest_common<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> &'a str {
    let common = |name: &str| name.bytes().zip(asked.bytes()).take_while(|(a, b)| a == b).count();
    names.max_by_key(|name| common(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ::conformance::run::Agent;

    use super::*;

    #[test]
    fn everything_is_chosen_only_without_a_choice() {
        assert!(Choice::default().is_everything());
        assert!(!Choice::of_cases(&["*"]).is_everything());
        let of_transport = Choice { transports: vec![TransportName::Websocket], ..Choice::default() };
        assert!(!of_transport.is_everything());
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, matched) in [
            ("chat.*", "chat.end@websocket", true),
            ("*@websocket", "chat.end@websocket", true),
            ("*.end@*", "chat.end@websocket", true),
            ("chat.end", "chat.end@websocket", false),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    fn choice() -> Choice {
        Choice::default()
    }

    fn chosen(choice: &Choice) -> Result<Vec<String>, Failure> {
        let settings = Settings { base: "/".to_owned(), service: None, agent: Agent::None };
        Ok(choice.plan(&settings, &[])?.iter().map(Planned::name).collect())
    }

    #[test]
    fn an_id_alone_means_every_transport() {
        let names = chosen(&Choice { cases: vec!["chat.request.starts".to_owned()], ..choice() }).unwrap();
        assert_eq!(names, ["chat.request.starts@websocket", "chat.request.starts@long-polling"]);
    }

    #[test]
    fn a_pattern_without_a_match_is_refused_with_the_nearest_case() {
        let failure = chosen(&Choice { cases: vec!["chat.request.begins".to_owned()], ..choice() }).unwrap_err();
        assert!(failure.to_string().contains("`chat.request."), "{failure}");
    }

    #[test]
    fn kinds_of_choice_narrow_each_other() {
        let about_connect = Choice { requirements: vec!["BX-CN-*".to_owned()], ..choice() };
        let (all, connect) = (chosen(&choice()).unwrap(), chosen(&about_connect).unwrap());
        let over_socket = chosen(&Choice { transports: vec![TransportName::Websocket], ..about_connect }).unwrap();
        assert!(!over_socket.is_empty() && over_socket.len() < connect.len() && connect.len() < all.len());
        assert!(over_socket.iter().all(|name| name.ends_with("@websocket")), "{over_socket:?}");
    }

    #[test]
    fn a_level_and_a_tag_choose_by_what_the_case_is() {
        let musts = chosen(&Choice { levels: vec![LevelName::Must], tags: vec!["reconnect".to_owned()], ..choice() });
        assert!(musts.unwrap().iter().all(|name| name.starts_with("reconnect.")));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (choice, says) in [
            (Choice { requirements: vec!["BX-CN-99".to_owned()], ..choice() }, "there is no requirement `BX-CN-99`"),
            (Choice { tags: vec!["fast".to_owned()], ..choice() }, "there is no tag `fast`"),
            (
                Choice { tags: vec!["reconnect".to_owned()], cases: vec!["chat.*".to_owned()], ..choice() },
                "no case is all that at once",
            ),
        ] {
            let failure = chosen(&choice).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}
