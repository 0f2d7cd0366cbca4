//! `tapestry explain`: what a requirement, a case or a rule is; for a requirement with an exchange that breaks it.

mod example;

use ::conformance::explain;
use ::conformance::requirements::Catalogue;
use anyhow::anyhow;

use crate::conformance::select;
use crate::exit::{Exit, Failure};
use crate::output;

/// Explain a requirement, a case or a rule: what it says, where it comes from, what judges it, and how it looks when a
/// requirement is broken.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The id of a requirement, a case or a rule.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let explained: Result<Vec<String>, Failure> = args.ids.iter().map(|id| one(id)).collect();
    output::print(&explained?.join("\n"))?;
    Ok(Exit::Success)
}

fn one(id: &str) -> Result<String, Failure> {
    // A report names entries with their transport.
    let bare = id.split_once('@').map_or(id, |(bare, _)| bare);
    let text = explain::explain(bare).ok_or_else(|| {
        let nearest = select::longest_common(id, explain::ids());
        let hint = format!("an id is such as `{nearest}`; `tapestry requirements` lists them");
        Failure::usage(anyhow!("nothing has the id `{id}`")).hint(hint)
    })?;
    let example = Catalogue::get().requirement(bare).map(example::example).unwrap_or_default();
    Ok(text + &example)
}
