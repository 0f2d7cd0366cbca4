//! Every mutation is caught by what judges the requirement that it breaks, every requirement of servers has a mutation, and
//! every case catches one.
//!
//! What counts for a case is what it judges itself: what only a rule notices is no merit of the case. Here each mutation is
//! tried with the cases that judge what it breaks, and with others until it is caught; `tests/selftest` tries all of them.

use std::collections::BTreeSet;

use conformance::cases::case;
use conformance::conclude::conclude;
use conformance::requirements::{Binds, Catalogue};
use conformance::verdict::Kind;
use protocol::wire::{Close, Wire};
use simulator::mutation::{Mutation, mutations};

use crate::drive::{Lasting, SEED, drive, healthy, mutant, settings};
use crate::mutants::{Tries, entries, late_tries, noticed, testable, tries};
use crate::shared::redacted;

/// Requirements that no mutation breaks, and why.
const WITHOUT_MUTATION: &[(&str, &str)] = &[
    ("BX-HS-12", "the simulator breaks it, as every CometD does"),
    ("BX-CH-50", "the simulator breaks it, as every CometD from 3.0 to 5.0 does"),
    ("BX-CN-60", "the simulator breaks it, as CometD 3.1 does"),
    ("BX-SVC-03", "a permission: a server that does not use it breaks CV-CH-01, which ends the case before"),
];

/// Cases that need no mutation.
const BROKEN_BY_THE_SIMULATOR: &[&str] = &[
    // The simulator itself departs here, as CometD does.
    "bayeux.handshake.without-common-type-refused",
    "bayeux.subscribe.to-nothing-answered",
];

/// What is no breach of anything, though a server had better not do it: a closed socket proves nothing, and neither does a
/// peer that says nothing more.
const NO_BREACH: &[Mutation] = &[
    Mutation::named("torn-array-kills").input(|memory, wire| {
        let torn = match &wire {
            Wire::Request(_, request) => request.body.ends_with(br#"{"channel":"#),
            Wire::Text(_, text) => text.ends_with(r#"{"channel":"#),
            _ => false,
        };
        memory.flag |= torn;
        if memory.flag { (None, Vec::new()) } else { (Some(wire), Vec::new()) }
    }),
    Mutation::named("socket-closed-early").input(|memory, wire| {
        memory.count += 1;
        match &wire {
            Wire::Text(socket, _) if memory.count == 4 => {
                (None, vec![Wire::Close(*socket, Close { code: 1001, reason: String::new() })])
            }
            _ => (Some(wire), Vec::new()),
        }
    }),
];

#[test]
fn every_mutation_says_what_it_does_and_what_it_breaks() {
    let mut names = BTreeSet::new();
    for mutation in mutations() {
        let name = mutation.name;
        assert!(names.insert(name), "{name} is there twice");
        let about = mutation.about;
        assert!(about.ends_with('.') && about.starts_with(|c: char| !c.is_lowercase()), "{name}: {about}");
        assert!(!mutation.requirements.is_empty(), "{name} breaks nothing");
        for id in mutation.requirements {
            let known = Catalogue::get().requirement(id).unwrap_or_else(|| panic!("{name}: no requirement `{id}`"));
            assert!(known.binds != Binds::Client && known.untestable.is_none(), "{name}: {id} cannot be seen broken");
        }
    }
    assert!(names.len() >= 150, "{} mutations", names.len());
}

#[test]
fn every_mutation_is_caught_by_each_requirement_that_it_breaks() {
    let missed: Vec<String> = tries()
        .iter()
        .flat_map(|tries| tries.mutation.requirements.iter().map(move |id| (tries, *id)))
        .filter(|(tries, id)| !Catalogue::get().requirement(id).is_some_and(|requirement| tries.catch(requirement)))
        .map(|(tries, id)| format!("{} is not caught by {id}", tries.mutation.name))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_mutation_is_caught_too_at_a_server_that_has_other_cases_behind_it() {
    let late = late_tries();
    let is_caught = |tries: &Tries| {
        let broken = tries.mutation.requirements.first().and_then(|id| Catalogue::get().requirement(id));
        broken.is_some_and(|requirement| tries.catch(requirement))
    };
    let missed: Vec<String> = late
        .iter()
        .filter(|tries| !is_caught(tries))
        .map(|tries| format!("{} by {}", tries.mutation.name, tries.tried[0].result.name()))
        .collect();
    assert!(late.len() > 250, "{} mutations were tried", late.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Mutations that end a session, or a chat, and others not.
const END_ONE: [&str; 11] = [
    "connection-is-session",
    "torn-array-ends-session",
    "odd-body-ends-session",
    "odd-types-end-session",
    "new-socket-unknown",
    "1006-connect-ends-with-old-socket",
    "session-ends-with-chat",
    "chat-ends-with-session",
    "background-ends-chat",
    "expired-session-ends-chat",
    "wrong-key-ends-chat",
];

#[test]
fn what_a_mutation_ends_for_one_session_goes_on_for_others() {
    for name in END_ONE {
        let tries = tries().iter().find(|tries| tries.mutation.name == name).expect("the mutation is there");
        let catcher = tries.catcher().expect("it is caught");
        let server = Lasting::new(mutant(tries.mutation, SEED));
        let (_, _, server) = server.drive(catcher.case, catcher.transport, SEED);
        let other = case("chat.message.echoed-once").expect("the case is there");
        let (outcome, _, _) = server.drive(other, catcher.transport, SEED + 1);
        assert_eq!(outcome.kind(), Kind::Pass, "{name}: {outcome:#?}");
    }
}

#[test]
fn every_requirement_of_servers_has_a_mutation_that_breaks_it() {
    let broken: BTreeSet<&str> = mutations().flat_map(|mutation| mutation.requirements).copied().collect();
    let excused: BTreeSet<&str> = WITHOUT_MUTATION.iter().map(|(id, _)| *id).collect();
    let lacking: Vec<&str> =
        testable().map(|known| known.id.as_str()).filter(|id| !broken.contains(id) && !excused.contains(id)).collect();
    assert!(lacking.is_empty(), "nothing breaks {lacking:?}");
    for (id, why) in WITHOUT_MUTATION {
        assert!(testable().any(|known| known.id == *id) && !broken.contains(id) && !why.is_empty(), "{id}");
    }
}

#[test]
fn every_case_catches_a_mutation() {
    let caught: BTreeSet<String> = tries()
        .iter()
        .flat_map(|tries| &tries.tried)
        .filter(|tried| !tried.by_case.is_empty())
        .map(|tried| tried.result.name())
        .collect();
    let idle: Vec<String> = entries()
        .iter()
        .filter(|entry| !BROKEN_BY_THE_SIMULATOR.contains(&entry.case.id))
        .map(|entry| format!("{}@{}", entry.case.id, entry.transport))
        .filter(|name| !caught.contains(name))
        .collect();
    assert!(idle.is_empty(), "no mutation fails {idle:#?}");
}

#[test]
fn what_is_no_breach_is_not_noticed() {
    for mutation in NO_BREACH {
        for entry in entries() {
            let run = |server| drive(entry.case, entry.transport, &settings(), server, SEED);
            let (sound, _) = drive(entry.case, entry.transport, &settings(), healthy(SEED), SEED);
            let (outcome, seen) = run(mutant(mutation, SEED));
            let by_rule = conclude(&outcome, &redacted(&seen, SEED)).reason.and_then(|reason| reason.rule);
            let by_case = noticed(&sound, &outcome);
            assert!(by_case.is_empty() && by_rule.is_none(), "{}: {by_case:?} {by_rule:?}", mutation.name);
            assert!(outcome.kind() != Kind::Error, "{}: {outcome:#?}", mutation.name);
        }
    }
}
