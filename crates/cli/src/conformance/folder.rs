//! The directory of a report: `result.json`, `junit.xml`, and a tape of each entry in `tapes`.
//!
//! It tells of one run alone: what an earlier one left there goes when the next one begins. Files that no run wrote stay.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use ::conformance::cases;
use ::conformance::conclude::CaseResult;
use ::conformance::report::{Report, TAPE, json, junit, tape_name};
use anyhow::{Context, bail};
use protocol::wire::Transport;
use serde_json::Value;

use super::quoted;
use crate::exit::Failure;
use crate::files;

/// The report itself.
const RESULT: &str = "result.json";
/// The report for a continuous integration.
const JUNIT: &str = "junit.xml";

/// Where the report goes.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the directory and sees that everything can be written there, before anything runs: a wrong path costs nothing.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let folder = Self(path.to_path_buf());
        folder
            .prove()
            .with_context(|| format!("no report can be written to `{}`", path.display()))
            .map_err(|error| Failure::usage(error).hint("give another directory with `--report`"))?;
        Ok(folder)
    }

    fn prove(&self) -> anyhow::Result<()> {
        let tapes = self.0.join("tapes");
        fs::create_dir_all(&tapes).with_context(|| format!("failed to create directory `{}`", tapes.display()))?;
        for directory in [&self.0, &tapes] {
            let trial = directory.join(format!(".{}.new", std::process::id()));
            let written = fs::write(&trial, "tried");
            // It may never have been made.
            let _ = fs::remove_file(&trial);
            written.with_context(|| format!("failed to write to directory `{}`", directory.display()))?;
        }
        let tapes = self.files().into_iter().filter(|name| name.to_string_lossy().ends_with(TAPE));
        let files = [RESULT, JUNIT].map(|name| self.0.join(name)).into_iter().chain(tapes.map(|name| self.tape(name)));
        for file in files {
            if file.is_dir() {
                bail!("`{}` is a directory", file.display());
            }
        }
        Ok(())
    }

    /// Where the tapes go, as a word for a shell.
    pub(super) fn tapes(&self) -> String {
        quoted(&self.0.join("tapes").display().to_string())
    }

    /// Begins a run: its report so far takes the place of an earlier one, whose tapes are removed. If the run is killed, this
    /// is what says that it was not over.
    pub(super) fn begin(&self, so_far: &Report) -> Result<(), Failure> {
        let earlier = self.earlier();
        self.write(RESULT, &json::render(so_far))?;
        self.write_junit(so_far)?;
        for tape in earlier {
            fs::remove_file(&tape)
                .with_context(|| format!("failed to remove `{}`, the tape of an earlier run", tape.display()))
                .map_err(Failure::usage)?;
        }
        Ok(())
    }

    /// Writes the tape of an entry.
    pub(super) fn keep_tape(&self, result: &CaseResult, tape: &[u8]) -> Result<(), Failure> {
        files::write(&self.tape(tape_name(result)), tape)
    }

    /// Whether there is a tape of an entry.
    pub(super) fn has_tape(&self, result: &CaseResult) -> bool {
        self.tape(tape_name(result)).exists()
    }

    /// Removes the tape of an entry, if there is one.
    pub(super) fn drop_tape(&self, result: &CaseResult) {
        // What cannot be removed is older than what it stands beside, and no more.
        let _ = fs::remove_file(self.tape(tape_name(result)));
    }

    /// Writes the report. What cannot be written is a shortfall of it, and keeps nothing else from being written.
    pub(super) fn keep(&self, report: &mut Report) {
        if let Err(failure) = self.write_junit(report) {
            report.shortfalls.push(format!("{:#}", failure.error));
        }
        if let Err(failure) = self.write(RESULT, &json::render(report)) {
            report.shortfalls.push(format!("{:#}", failure.error));
            // It would say less than what is told.
            let _ = self.write_junit(report);
        }
    }

    fn write_junit(&self, report: &Report) -> Result<(), Failure> {
        let junit = junit::render(report).context("failed to render junit.xml").map_err(Failure::internal)?;
        self.write(JUNIT, &junit)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        files::replace(&self.0.join(name), text)
    }

    fn tape(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join("tapes").join(name)
    }

    /// The names in the folder of tapes.
    fn files(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.0.join("tapes")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    }

    /// The tapes of an earlier run: those of entries that its result names, whatever version wrote it, and those of entries
    /// that were cut short, which are among no results.
    fn earlier(&self) -> Vec<PathBuf> {
        let result = fs::read(self.0.join(RESULT)).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let Some(result) = result.filter(|result| result["tool"]["name"] == "tapestry") else { return Vec::new() };
        let named: BTreeSet<(&str, &str)> = result["cases"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|case| Some((case["id"].as_str()?, case["transport"].as_str()?)))
            .collect();
        let is_tape = |name: &OsString| {
            let entry = name.to_str().and_then(|name| name.strip_suffix(TAPE)).and_then(|entry| entry.rsplit_once('.'));
            entry.is_some_and(|(id, transport)| {
                let is_known = || cases::case(id).is_some() && Transport::by_name(transport).is_some();
                named.contains(&(id, transport)) || is_known()
            })
        };
        self.files().into_iter().filter(is_tape).map(|name| self.tape(name)).collect()
    }
}
