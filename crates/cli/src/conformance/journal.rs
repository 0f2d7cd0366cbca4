//! What a run comes to while it goes on: of each entry the worst of its results, and its tape in the folder of the report as
//! soon as it is over. Repetitions are added up here, so that none of their tapes is kept in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::conformance::conclude::CaseResult;
use ::conformance::expectations::Expectations;
use ::conformance::report::{About, Cut, Report, Tally};
use ::conformance::run::Chats;

use super::folder::Folder;
use super::witness::Done;
use crate::exit::Failure;

/// Keeps account of a run. Several threads may.
pub(super) struct Journal {
    folder: Option<Folder>,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    /// By place in the plan.
    entries: BTreeMap<usize, Tally>,
    /// The names of entries that were cut short, and their chats.
    cut_short: BTreeSet<String>,
    unfinished: Chats,
    /// What could not be written.
    lost: Vec<String>,
}

impl Journal {
    /// A journal of a run whose report goes to a folder, if it goes anywhere.
    pub(super) fn new(folder: Option<Folder>) -> Self {
        Self { folder, so_far: Mutex::default() }
    }

    /// Begins: from here on the folder is that of this run.
    pub(super) fn begin(&self, about: &About) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let nothing = Report::new(about.clone(), Vec::new(), Some(Cut::Interrupted), &Expectations::default(), "");
        folder.begin(&nothing)
    }

    /// Enters what an entry of the plan came to.
    pub(super) fn enter(&self, place: usize, done: Done) {
        let Done { result, tape } = done;
        let stands = Tally::enter(&mut self.so_far().entries, place, result.clone());
        if stands {
            match tape {
                Some(tape) => self.keep_tape(&result, &tape),
                // The tape of a better time would be no evidence of this one.
                None => self.folder.iter().for_each(|folder| folder.drop_tape(&result)),
            }
        }
    }

    /// Enters an entry that was cut short. Its tape is kept, unless there is one of a time when it was not.
    pub(super) fn cut_short(&self, done: Done) {
        let Done { result, tape } = done;
        let is_new = self.folder.as_ref().is_some_and(|folder| !folder.has_tape(&result));
        if let Some(tape) = tape.filter(|_| is_new) {
            self.keep_tape(&result, &tape);
        }
        let mut so_far = self.so_far();
        so_far.unfinished = [so_far.unfinished, result.chats].into_iter().sum();
        so_far.cut_short.insert(result.name());
    }

    /// The report of everything that was entered, written to the folder. The exit code of it takes into account what could
    /// not be written.
    pub(super) fn close(&self, about: About, cut: Option<Cut>, known: &Expectations, today: &str) -> Report {
        let so_far = std::mem::take(&mut *self.so_far());
        let (results, unsteady): (Vec<_>, Vec<_>) = so_far.entries.into_values().map(Tally::close).unzip();
        let mut report = Report::new(about, results, cut, known, today);
        report.unsteady = unsteady.into_iter().flatten().collect();
        report.unfinished = so_far.unfinished;
        report.shortfalls.extend(so_far.cut_short.iter().map(|name| format!("{name} was cut short")));
        report.shortfalls.extend(so_far.lost);
        if let Some(folder) = &self.folder {
            folder.keep(&mut report);
        }
        report
    }

    fn keep_tape(&self, result: &CaseResult, tape: &[u8]) {
        let Some(folder) = &self.folder else { return };
        if let Err(failure) = folder.keep_tape(result, tape) {
            self.so_far().lost.push(format!("{:#}", failure.error));
        }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        // Whoever panicked has entered nothing by halves.
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use ::conformance::cases::case;
    use ::conformance::report::Again;
    use ::conformance::run::Agent;
    use ::conformance::verdict::Kind;
    use protocol::wire::Transport;
    use tempfile::TempDir;

    use super::*;

    fn about() -> About {
        About {
            version: "0".to_owned(),
            target: "nobody".to_owned(),
            service: None,
            agent: Agent::None,
            agent_name: None,
            seed: 1,
            started: None,
            took: Duration::ZERO,
            again: Again::Run { command: "tapestry".to_owned(), tapes: None },
        }
    }

    fn done(id: &str, verdict: Kind, opened: usize, tape: &str) -> Done {
        let result = CaseResult::error(case(id).unwrap(), Transport::WebSocket, "made up");
        let chats = Chats { opened, ended: 0, at_once: 1 };
        Done { result: CaseResult { verdict, chats, ..result }, tape: Some(tape.as_bytes().to_vec()) }
    }

    const CASE: &str = "bayeux.meta.id-echoed";
    const OTHER: &str = "bayeux.handshake.succeeds";

    fn close(journal: &Journal, cut: Option<Cut>) -> Report {
        journal.close(about(), cut, &Expectations::default(), "2026-01-01")
    }

    fn journal() -> (TempDir, Journal) {
        let directory = TempDir::new().unwrap();
        let journal = Journal::new(Some(Folder::create(directory.path()).unwrap()));
        journal.begin(&about()).unwrap();
        (directory, journal)
    }

    fn tape_of(directory: &TempDir, id: &str) -> Option<String> {
        fs::read_to_string(directory.path().join(format!("tapes/{id}.websocket.tape.jsonl"))).ok()
    }

    #[test]
    fn a_tape_is_written_when_its_entry_ends() {
        let (directory, journal) = journal();
        journal.enter(0, done(CASE, Kind::Pass, 0, "first"));
        assert_eq!(tape_of(&directory, CASE).as_deref(), Some("first"));
    }

    #[test]
    fn of_several_times_the_tape_of_the_first_of_the_worst_is_kept() {
        let (directory, journal) = journal();
        for (verdict, tape) in [(Kind::Pass, "1"), (Kind::Fail, "2"), (Kind::Fail, "3"), (Kind::Pass, "4")] {
            journal.enter(0, done(CASE, verdict, 0, tape));
        }
        assert_eq!(tape_of(&directory, CASE).as_deref(), Some("2"));
        let report = close(&journal, None);
        assert_eq!(report.results[0].verdict, Kind::Fail);
        assert_eq!(report.unsteady[0].counts(), "2 pass, 2 fail");
    }

    #[test]
    fn chats_of_every_repetition_are_counted_a_short_one_and_what_was_cut_short_among_them() {
        let journal = Journal::new(None);
        for place in 0..2 {
            journal.enter(place, done([CASE, OTHER][place], Kind::Pass, 2, ""));
        }
        journal.enter(0, done(CASE, Kind::Pass, 2, ""));
        journal.cut_short(done(OTHER, Kind::Error, 1, ""));
        assert_eq!(close(&journal, Some(Cut::Interrupted)).chats().opened, 7);
    }

    #[test]
    fn what_a_short_repetition_found_counts() {
        let journal = Journal::new(None);
        for place in 0..2 {
            journal.enter(place, done([CASE, OTHER][place], Kind::Pass, 0, ""));
        }
        journal.enter(1, done(OTHER, Kind::Fail, 0, ""));
        let report = close(&journal, Some(Cut::Interrupted));
        assert_eq!([report.results[0].verdict, report.results[1].verdict], [Kind::Pass, Kind::Fail]);
    }

    #[test]
    fn what_was_cut_short_keeps_its_tape_and_is_named() {
        let (directory, journal) = journal();
        journal.enter(0, done(CASE, Kind::Pass, 0, "whole"));
        journal.cut_short(done(CASE, Kind::Error, 0, "torn"));
        journal.cut_short(done(OTHER, Kind::Error, 0, "torn"));
        let report = close(&journal, Some(Cut::Interrupted));
        assert_eq!(tape_of(&directory, CASE).as_deref(), Some("whole"));
        assert_eq!(tape_of(&directory, OTHER).as_deref(), Some("torn"));
        let named = [OTHER, CASE].map(|id| format!("{id}@websocket was cut short"));
        assert_eq!(report.shortfalls, named);
        assert_eq!(report.results.len(), 1);
    }

    #[test]
    fn a_tape_that_cannot_be_written_keeps_nothing_else_from_it() {
        let (directory, journal) = journal();
        fs::create_dir(directory.path().join(format!("tapes/{CASE}.websocket.tape.jsonl"))).unwrap();
        journal.enter(0, done(CASE, Kind::Pass, 0, "lost"));
        journal.enter(1, done(OTHER, Kind::Pass, 0, "kept"));
        let report = close(&journal, None);
        assert_eq!(tape_of(&directory, OTHER).as_deref(), Some("kept"));
        assert!(report.last_line().starts_with("INCOMPLETE: failed to write `"), "{}", report.last_line());
        let written = fs::read_to_string(directory.path().join("result.json")).unwrap();
        assert!(written.contains("\"code\": 3"), "{written}");
    }
}
