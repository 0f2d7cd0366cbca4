//! `cargo xtask selftest`: what the suite is worth. The tests that measure it run against mutations of the simulator and
//! against peers that do nothing; what they measured is printed when they pass.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::{Outcome, root};

/// Every mutation is caught by what judges the requirement that it breaks, and named first in the report.
pub(crate) fn mutants(shell: &Shell) -> Outcome {
    tests(shell, "it", &["kill::"])?;
    tests(shell, "selftest", &[])?;
    for name in ["matrix__kill_matrix", "matrix__numbers", "diagnosis__diagnosis"] {
        println!("{}", measured(shell, "selftest", name)?);
    }
    Ok(0)
}

/// No case passes against a peer that does nothing.
pub(crate) fn null_peers(shell: &Shell) -> Outcome {
    tests(shell, "it", &["null::"])?;
    for name in ["null__null_peers", "null__yes_men"] {
        println!("{}", measured(shell, "it", name)?);
    }
    Ok(0)
}

/// No canary of a hundred thousand sessions is seen anywhere, and none of what the program does with files, logs and sockets.
pub(crate) fn canaries(shell: &Shell) -> Outcome {
    tests(shell, "e2e", &["secrets::"])?;
    let _sessions = shell.push_env("TAPESTRY_SESSIONS", "100000");
    let _fast = shell.push_env("CARGO_PROFILE_TEST_OPT_LEVEL", "2");
    tests(shell, "canary", &[])?;
    println!("100000 sessions: no canary in anything that is written or shown");
    Ok(0)
}

/// A recorder that is killed at a thousand moments leaves a thousand tapes that can be read.
pub(crate) fn kills(shell: &Shell) -> Outcome {
    let _kills = shell.push_env("TAPESTRY_KILLS", "1000");
    tests(shell, "e2e", &["kill::"])?;
    println!("1000 kills: every tape reads to its last whole unit");
    Ok(0)
}

/// Nothing that a thousand clients at once say through the recorder is lost, and its memory stays bounded.
pub(crate) fn load(shell: &Shell) -> Outcome {
    let _sessions = shell.push_env("TAPESTRY_LOAD", "1000");
    // What the tests print is how much memory it took.
    tests(shell, "load", &["--nocapture", "--test-threads", "1"])?;
    println!("1000 clients at once: clients, server and tape agree on every message");
    Ok(0)
}

fn tests(shell: &Shell, target: &str, filters: &[&str]) -> Result<()> {
    // A snapshot that differs must fail, not leave a pending file behind.
    let _update = shell.push_env("INSTA_UPDATE", "no");
    // A filter that matches nothing, such as the name of a module that has another one now, would pass.
    let listed = cmd!(shell, "cargo test --locked --workspace --test {target} -- {filters...} --list").read()?;
    ensure!(listed.lines().any(|line| line.ends_with(": test")), "no test of `{target}` is called {filters:?}");
    cmd!(shell, "cargo test --locked --workspace --test {target} -- {filters...}").run()?;
    Ok(())
}

/// What a test measured: the snapshot that it was held against.
fn measured(shell: &Shell, target: &str, name: &str) -> Result<String> {
    let path = root().join(format!("crates/conformance/tests/{target}/snapshots/{target}__{name}.snap"));
    let text = shell.read_file(&path)?;
    let (_, body) = text
        .strip_prefix("---\n")
        .and_then(|text| text.split_once("\n---\n"))
        .with_context(|| format!("{} has no head", path.display()))?;
    Ok(body.to_owned())
}
