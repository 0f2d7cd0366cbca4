//! `--mutation` and `--list-mutations`: the simulator with a defect on purpose.

use anyhow::anyhow;
use protocol::bayeux::dialect::distance;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Request, Response};
use simulator::control;
use simulator::gms::{Event, Gms, Settings};
use simulator::mutation::{Mutant, Mutation, mutations};

use crate::exit::Failure;

/// The mutation with this name.
pub(super) fn find(name: &str) -> Result<&'static Mutation, Failure> {
    Mutation::by_name(name).ok_or_else(|| {
        let nearest = mutations().map(|known| known.name).min_by_key(|known| distance(known, name)).unwrap_or_default();
        Failure::usage(anyhow!("there is no mutation `{name}`"))
            .hint(format!("the nearest one is `{nearest}`; `tapestry serve --list-mutations` shows them all"))
    })
}

/// The table of the mutations: the requirements that each breaks, and what it does.
pub(super) fn list() -> String {
    let rows: Vec<[String; 3]> = mutations()
        .map(|known| [known.name.to_owned(), known.requirements.join(" "), known.about.to_owned()])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[name, breaks, about]| format!("{name:first$}  {breaks:second$}  {about}\n")).collect()
}

/// What is served.
pub(crate) enum Served {
    /// The simulator as it is.
    Sound(Box<Gms>),
    /// The simulator with a mutation.
    Mutated(Box<Mutant>),
}

impl Served {
    pub(crate) fn new(settings: Settings, mutation: Option<&Mutation>, seed: u64) -> Self {
        match mutation {
            Some(mutation) => Self::Mutated(Box::new(Mutant::planted(*mutation, settings, seed))),
            None => Self::Sound(Box::new(Gms::new(settings, seed))),
        }
    }

    /// Does what the control API is asked for, and gives the answer.
    pub(crate) fn answer(&mut self, now: Time, request: &Request) -> Response {
        match self {
            Self::Sound(gms) => control::answer(gms, now, request),
            Self::Mutated(mutant) => mutant.control(now, request),
        }
    }
}

impl Machine for Served {
    type Timer = ();
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        match self {
            Self::Sound(gms) => gms.handle_input(now, input),
            Self::Mutated(mutant) => mutant.handle_input(now, input),
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        match self {
            Self::Sound(gms) => gms.poll_output(),
            Self::Mutated(mutant) => mutant.poll_output(),
        }
    }

    fn deadline(&self) -> Option<(Time, ())> {
        match self {
            Self::Sound(gms) => gms.deadline().map(|(at, _)| (at, ())),
            Self::Mutated(mutant) => mutant.deadline(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_mutation_is_refused_with_the_nearest_one() {
        let failure = find("eco-lost").unwrap_err();
        assert!(failure.to_string().contains("`echo-lost`"), "{failure}");
    }
}
