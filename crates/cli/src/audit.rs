//! `tapestry audit`: does a tape hold anything that may be a secret?

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use recording::audit::{self, Audit};
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

fn text(audit: &Audit, name: &str) -> String {
    let mut text = String::new();
    for finding in &audit.findings {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name}: {finding}");
    }
    let hints: BTreeSet<&str> = audit.findings.iter().map(audit::Finding::hint).collect();
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
