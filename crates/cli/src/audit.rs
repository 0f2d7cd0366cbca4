//! `tapestry audit`: does a tape hold anything that may be a secret?

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use recording::audit::{self, Audit, Finding};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::tapes::{self, Format};

/// Prove that tapes hold nothing but words of the protocol, tokens and numbers.
///
/// Whatever is not known to be harmless is named with its place, what it may be, and what to do; the text itself is not printed.
/// Run it before a tape leaves your hands. Exit code 1 means that there is something.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Tapes; `-` reads stdin.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A word that says nothing about anybody, such as the name of a service; may be repeated.
    #[arg(long, value_name = "WORD")]
    allow: Vec<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let allowed = tapes::harmless(&args.allow);
    let judge = |file: &Path| {
        let bytes = tapes::bytes(file)?;
        let audit = audit::audit(&bytes, &allowed).map_err(|error| tapes::no_tape(file, error))?;
        let exit = if audit.findings.is_empty() { Exit::Success } else { Exit::Unexpected };
        Ok((audit, exit))
    };
    tapes::judge_each(&args.files, args.format, judge, text, report)
}

/// The first finding of each kind, and how many more lines have one like it: the same word stands in every message of a tape.
fn grouped(findings: &[Finding]) -> Vec<(&Finding, usize)> {
    let mut groups: Vec<(&Finding, BTreeSet<usize>)> = Vec::new();
    for finding in findings {
        let is_alike = |it: &Finding| {
            (it.place.as_str(), it.guess, it.characters) == (&finding.place, finding.guess, finding.characters)
        };
        match groups.iter_mut().find(|(first, _)| is_alike(first)) {
            Some((_, lines)) => drop(lines.insert(finding.line)),
            None => groups.push((finding, BTreeSet::from([finding.line]))),
        }
    }
    groups.into_iter().map(|(first, lines)| (first, lines.len() - 1)).collect()
}

fn text(audit: &Audit, name: &str) -> String {
    let mut text = String::new();
    for (finding, more) in grouped(&audit.findings) {
        // Writing to a text cannot fail.
        let _ = match more {
            0 => writeln!(text, "{name}: {finding}"),
            1 => writeln!(text, "{name}: {finding}; so does 1 more line"),
            more => writeln!(text, "{name}: {finding}; so do {more} more lines"),
        };
    }
    let hints: BTreeSet<&str> = audit.findings.iter().map(Finding::hint).collect();
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    let kept = match audit.kept {
        0 => String::new(),
        kept => format!(", {kept} of them kept on purpose"),
    };
    let found = match audit.findings.len() {
        0 => "nothing that may be a secret".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    let _ = writeln!(text, "{name}: {} texts audited{kept}: {found}", audit.texts);
    text
}

fn report(audit: &Audit, name: &str) -> Value {
    let findings: Vec<Value> = audit
        .findings
        .iter()
        .map(|finding| {
            json!({
                "line": finding.line,
                "place": finding.place,
                "guess": finding.guess,
                "characters": finding.characters,
                "hint": finding.hint(),
            })
        })
        .collect();
    json!({"tape": name, "texts": audit.texts, "kept": audit.kept, "findings": findings})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_word_in_many_lines_is_told_once() {
        let at = |line, place: &str| Finding { line, place: place.to_owned(), guess: "a word", characters: 3 };
        let findings = vec![at(4, "m.id"), at(4, "m.x"), at(6, "m.id"), at(9, "m.x"), at(9, "m.x"), at(12, "m.id")];
        let text = text(&Audit { findings, texts: 20, kept: 0 }, "T");
        let expected = "T: line 4: `m.id` may hold a word (3 characters); so do 2 more lines\n\
                        T: line 4: `m.x` may hold a word (3 characters); so does 1 more line\n";
        assert!(text.starts_with(expected) && text.ends_with("T: 20 texts audited: 6 findings\n"), "{text}");
    }
}
