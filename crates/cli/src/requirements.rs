//! `tapestry requirements`: the catalogue, and what a run said of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::conformance::explain::bound;
use ::conformance::requirements::{Catalogue, Requirement, VERSION};
use anyhow::anyhow;
use serde_json::{Value, json};

use crate::conformance::select;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output;
use crate::tapes::Format;

/// List the requirements with their level, evidence and what judges them; with a result, what each came to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only requirements whose id matches; `*` stands for anything. May be repeated.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// A `result.json`: tell what each requirement came to on each entry of that run.
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What the entries of a run said of one requirement.
type Verdicts = BTreeMap<String, Value>;

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let known = Catalogue::get().requirements();
    if let Some(id) = args.ids.iter().find(|id| !known.iter().any(|other| select::matches(id, &other.id))) {
        let nearest = select::longest_common(id, known.iter().map(|requirement| requirement.id.as_str()));
        let hint = format!("an id is such as `{nearest}`; a pattern such as `BX-*`");
        return Err(Failure::usage(anyhow!("there is no requirement `{id}`")).hint(hint));
    }
    let chosen: Vec<&Requirement> = known
        .iter()
        .filter(|requirement| args.ids.is_empty() || args.ids.iter().any(|id| select::matches(id, &requirement.id)))
        .collect();
    let verdicts = args.result.as_deref().map(verdicts).transpose()?;
    match args.format {
        Format::Text => output::print(&text(&chosen, verdicts.as_ref()))?,
        Format::Json => output::print_json(&json(&chosen, verdicts.as_ref()))?,
    }
    Ok(Exit::Success)
}

/// What a result says of each requirement.
fn verdicts(file: &Path) -> Result<Verdicts, Failure> {
    let wrong = |says: &str| {
        let hint = "`tapestry conformance --report DIR` writes `DIR/result.json`";
        Failure::usage(anyhow!("`{}` is no result of this suite: {says}", file.display())).hint(hint)
    };
    let result: Value = serde_json::from_str(&files::read_text(file)?).map_err(|error| wrong(&error.to_string()))?;
    let coverage = result["coverage"].as_array().ok_or_else(|| wrong("it has no `coverage`"))?;
    let one = |entry: &Value| Some((entry["requirement"].as_str()?.to_owned(), entry.clone()));
    Ok(coverage.iter().filter_map(one).collect())
}

fn text(chosen: &[&Requirement], verdicts: Option<&Verdicts>) -> String {
    let mut text = String::new();
    for requirement in chosen {
        let judged = match (&requirement.untestable, requirement.cases.len(), requirement.rules.len()) {
            (Some(_), ..) => "untestable".to_owned(),
            (None, cases, rules) => format!("{cases} cases {rules} rules"),
        };
        text.push_str(&format!(
            "{:<12} {:<6} {:<9} {:<17} {judged:<17} {}\n",
            requirement.id,
            requirement.level.name(),
            requirement.evidence.name(),
            bound(requirement.binds),
            requirement.text
        ));
        let said = verdicts.and_then(|verdicts| verdicts.get(&requirement.id));
        for case in said.and_then(|said| said["cases"].as_array()).into_iter().flatten() {
            let (entry, verdict) = (case["entry"].as_str(), case["verdict"].as_str());
            text.push_str(&format!("    {:<14} {}\n", verdict.unwrap_or("-"), entry.unwrap_or("-")));
        }
        for (rule, times) in said.and_then(|said| said["brokenRules"].as_object()).into_iter().flatten() {
            text.push_str(&format!("    {:<14} {rule}, in {times} entries\n", "broken"));
        }
    }
    let testable = chosen.iter().filter(|requirement| requirement.untestable.is_none()).count();
    let untestable = chosen.len() - testable;
    text.push_str(&format!(
        "{} requirements: {testable} are judged, {untestable} cannot be from outside\n",
        chosen.len()
    ));
    text
}

fn json(chosen: &[&Requirement], verdicts: Option<&Verdicts>) -> Value {
    let one = |requirement: &&Requirement| {
        let mut value = json!({
            "id": requirement.id,
            "source": requirement.source,
            "level": requirement.level.name(),
            "evidence": requirement.evidence.name(),
            "binds": requirement.binds.name(),
            "text": requirement.text,
            "cases": requirement.cases,
            "rules": requirement.rules,
            "untestable": requirement.untestable,
        });
        if let Some(said) = verdicts.and_then(|verdicts| verdicts.get(&requirement.id)) {
            value["verdict"] = said["verdict"].clone();
            value["entries"] = said["cases"].clone();
        }
        value
    };
    json!({"catalogue": VERSION, "requirements": chosen.iter().map(one).collect::<Vec<_>>()})
}
