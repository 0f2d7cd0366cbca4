//! `cargo xtask selftest`: what the suite is worth. The tests that measure it run against mutations of the simulator and
//! against peers that do nothing; what they measured is printed when they pass.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{Outcome, root};

/// Every mutation is caught by what judges the requirement that it breaks, and named first in the report.
pub(crate) fn mutants(shell: &Shell) -> Outcome {
    tests(shell, &["kill::", "diagnosis::"])?;
    for name in ["kill__kill_matrix", "kill__numbers", "diagnosis__diagnosis"] {
        println!("{}", measured(shell, name)?);
    }
    Ok(0)
}

/// No case passes against a peer that does nothing.
pub(crate) fn null_peers(shell: &Shell) -> Outcome {
    tests(shell, &["null::"])?;
    for name in ["null__null_peers", "null__yes_men"] {
        println!("{}", measured(shell, name)?);
    }
    Ok(0)
}

fn tests(shell: &Shell, filters: &[&str]) -> Result<()> {
    // A snapshot that differs must fail, not leave a pending file behind.
    let _update = shell.push_env("INSTA_UPDATE", "no");
    cmd!(shell, "cargo test --locked --package conformance --test it -- {filters...}").run()?;
    Ok(())
}

/// What a test measured: the snapshot that it was held against.
fn measured(shell: &Shell, name: &str) -> Result<String> {
    let path = root().join("crates/conformance/tests/it/snapshots").join(format!("it__{name}.snap"));
    let text = shell.read_file(&path)?;
    let (_, body) = text
        .strip_prefix("---\n")
        .and_then(|text| text.split_once("\n---\n"))
        .with_context(|| format!("{} has no head", path.display()))?;
    Ok(body.to_owned())
}
