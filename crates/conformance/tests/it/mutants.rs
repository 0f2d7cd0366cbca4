//! The suite against the mutations of the simulator. It runs once, on every processor, and all tests of it look at that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use conformance::cases::{Planned, case, plan};
use conformance::conclude::{CaseResult, conclude};
use conformance::requirements::{Binds, Catalogue, Requirement};
use conformance::run::Outcome;
use conformance::verdict::Kind;
use protocol::wire::{Entry, Transport};
use simulator::mutation::{Mutation, mutations};

use crate::drive::{Lasting, SEED, drive, healthy, mutant, settings};
use crate::shared::redacted;

/// What one entry came to with a mutation.
pub(crate) struct Tried {
    /// As it stands in a report.
    pub(crate) result: CaseResult,
    /// The requirements by which the case itself notices the mutation, in the order in which it does.
    pub(crate) by_case: Vec<String>,
    /// Those that rules find broken.
    pub(crate) by_rules: BTreeSet<String>,
}

/// The whole suite against one mutation, in the order of the plan.
pub(crate) struct Tries {
    /// The mutation.
    pub(crate) mutation: &'static Mutation,
    /// Every entry.
    pub(crate) tried: Vec<Tried>,
}

impl Tries {
    /// Whether a requirement was seen to be broken, by a case or a rule that judges it.
    pub(crate) fn catch(&self, requirement: &Requirement) -> bool {
        self.tried.iter().any(|tried| Self::by(tried, requirement))
    }

    /// An entry that catches what the mutation is for.
    pub(crate) fn catcher(&self) -> Option<&'static Planned> {
        let broken = Catalogue::get().requirement(self.mutation.requirements.first()?)?;
        let caught = &self.tried.iter().find(|tried| Self::by(tried, broken))?.result;
        entries().iter().find(|entry| entry.case.id == caught.case.id && entry.transport == caught.transport)
    }

    fn by(tried: &Tried, requirement: &Requirement) -> bool {
        let by_rule = |id: &String| {
            // Of several requirements that a rule judges a result names one.
            let found = Catalogue::get().requirement(id);
            found.is_some_and(|found| found.id == requirement.id || shares_a_rule(found, requirement))
        };
        tried.by_case.contains(&requirement.id) || tried.by_rules.iter().any(by_rule)
    }
}

fn shares_a_rule(one: &Requirement, other: &Requirement) -> bool {
    one.rules.iter().any(|rule| other.rules.contains(rule))
}

/// Every entry that the mutations are tried with.
pub(crate) fn entries() -> &'static [Planned] {
    static ENTRIES: LazyLock<Vec<Planned>> = LazyLock::new(|| plan(&settings(), &Transport::ALL));
    &ENTRIES
}

/// What every mutation came to with the entries that judge what it breaks, and with others until it was caught.
pub(crate) fn tries() -> &'static [Tries] {
    static TRIES: LazyLock<Vec<Tries>> = LazyLock::new(|| try_all(try_some));
    &TRIES
}

/// What every mutation came to with every entry.
pub(crate) fn all_tries() -> &'static [Tries] {
    static TRIES: LazyLock<Vec<Tries>> = LazyLock::new(|| try_all(try_each));
    &TRIES
}

/// The entries that judge a requirement which a mutation breaks.
pub(crate) fn judges_of(mutation: &Mutation) -> impl Iterator<Item = &'static Planned> {
    let cases = mutation.requirements.iter().filter_map(|id| Catalogue::get().requirement(id));
    let cases: BTreeSet<&str> = cases.flat_map(|requirement| requirement.cases.iter().map(String::as_str)).collect();
    entries().iter().filter(move |entry| cases.contains(entry.case.id))
}

/// What an entry came to without a mutation.
type Sound = (Outcome, CaseResult);

fn try_all(try_one: fn(&'static Mutation, &[Sound]) -> Tries) -> Vec<Tries> {
    let sound: Vec<Sound> = entries()
        .iter()
        .map(|entry| {
            let (outcome, seen) = drive(entry.case, entry.transport, &settings(), healthy(SEED), SEED);
            let result = conclude(&outcome, &redacted(&seen, SEED));
            (outcome, result)
        })
        .collect();
    let all: Vec<&'static Mutation> = mutations().collect();
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut tries = BTreeMap::new();
    thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(mutation) = all.get(place) else { return mine };
                mine.push((place, try_one(mutation, &sound)));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| tries.extend(worker.join().expect("no case panics")));
    });
    tries.into_values().collect()
}

fn try_each(mutation: &'static Mutation, sound: &[Sound]) -> Tries {
    let tried = entries().iter().zip(sound).map(|(entry, sound)| try_one(mutation, entry, sound));
    Tries { mutation, tried: tried.collect() }
}

fn try_some(mutation: &'static Mutation, sound: &[Sound]) -> Tries {
    let broken: Vec<&Requirement> =
        mutation.requirements.iter().filter_map(|id| Catalogue::get().requirement(id)).collect();
    let judges =
        |entry: &Planned| broken.iter().any(|requirement| requirement.cases.iter().any(|id| id == entry.case.id));
    let (own, others): (Vec<_>, Vec<_>) = entries().iter().zip(sound).partition(|(entry, _)| judges(entry));
    let tried = own.into_iter().map(|(entry, sound)| try_one(mutation, entry, sound)).collect();
    let mut tries = Tries { mutation, tried };
    for (entry, sound) in others {
        if broken.iter().all(|requirement| tries.catch(requirement)) {
            break;
        }
        tries.tried.push(try_one(mutation, entry, sound));
    }
    tries
}

/// Cases that a server may have behind it: chats, a session that is lost, and one whose connection is.
const BEFORE: [(&str, Transport); 4] = [
    ("chat.message.echoed-once", Transport::LongPolling),
    ("reconnect.connection.lost-then-resumed", Transport::WebSocket),
    ("reconnect.connection.lost-then-resumed", Transport::LongPolling),
    ("chat.end.session-stays", Transport::WebSocket),
];

/// Each mutation with the entry that catches what it is for, as it comes out at a server that has other cases behind it.
pub(crate) fn late_tries() -> Vec<Tries> {
    let late = |tries: &Tries| {
        let entry = tries.catcher()?;
        let (sound, seen) = drive(entry.case, entry.transport, &settings(), healthy(SEED), SEED);
        let result = conclude(&sound, &redacted(&seen, SEED));
        let mut server = Lasting::new(mutant(tries.mutation, SEED));
        for (number, (id, transport)) in (1..).zip(BEFORE) {
            let case = case(id).expect("the case is there");
            server = server.drive(case, transport, SEED + number).2;
        }
        let (outcome, seen, _) = server.drive(entry.case, entry.transport, SEED);
        Some(Tries { mutation: tries.mutation, tried: vec![judged(&outcome, &seen, &(sound, result))] })
    };
    tries().iter().filter_map(late).collect()
}

fn try_one(mutation: &Mutation, entry: &Planned, sound: &Sound) -> Tried {
    let (outcome, seen) = drive(entry.case, entry.transport, &settings(), mutant(mutation, SEED), SEED);
    assert!(outcome.kind() != Kind::Error, "{}: {outcome:#?}", mutation.name);
    judged(&outcome, &seen, sound)
}

fn judged(outcome: &Outcome, seen: &[Entry], (before, sound): &Sound) -> Tried {
    let result = conclude(outcome, &redacted(seen, SEED));
    let by_case = noticed(before, outcome);
    let by_rules = result.clauses.iter().filter(|(id, kind)| {
        let worse = sound.clauses.get(*id).is_none_or(|known| *kind < known);
        let by_case = outcome.judged.iter().any(|judged| judged.requirement().id == **id && judged.kind() == **kind);
        let broken = Catalogue::get().requirement(id).map(Requirement::kind_if_broken);
        worse && !by_case && broken == Some(**kind)
    });
    let by_rules = by_rules.map(|(id, _)| id.clone()).collect();
    Tried { result, by_case, by_rules }
}

/// The requirements by which a case notices a mutation: those that are broken, then those of which something else is
/// observed.
pub(crate) fn noticed(sound: &Outcome, mutated: &Outcome) -> Vec<String> {
    let known = |id: &str| sound.judged.iter().any(|judged| judged.requirement().id == id && judged.seen().is_some());
    let broken = mutated.judged.iter().filter(|judged| matches!(judged.kind(), Kind::Fail | Kind::Deviation));
    let broken = broken.map(|judged| judged.requirement().id.as_str()).filter(|id| !known(id));
    let observations = |outcome: &Outcome| -> BTreeMap<&'static str, Option<String>> {
        let observed = outcome.judged.iter().filter(|judged| judged.kind() == Kind::Observed);
        observed.map(|judged| (judged.requirement().id.as_str(), judged.seen().map(str::to_owned))).collect()
    };
    let (before, after) = (observations(sound), observations(mutated));
    let other = after.into_iter().filter(|(id, seen)| before.get(id).is_some_and(|known| known != seen));
    broken.chain(other.map(|(id, _)| id)).map(str::to_owned).collect()
}

/// The requirements that a server can be seen to break.
pub(crate) fn testable() -> impl Iterator<Item = &'static Requirement> {
    let all = Catalogue::get().requirements().iter();
    all.filter(|requirement| requirement.binds != Binds::Client && requirement.untestable.is_none())
}
