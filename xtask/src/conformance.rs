//! `cargo xtask conformance`: the suite against the simulator over both transports, the snapshots, and every tape in
//! `recordings/`, which must pass the rules, hold no secret and replay twice to the same bytes.

use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::interop::build;
use crate::{Outcome, root};

pub(crate) fn run(shell: &Shell) -> Outcome {
    let tapestry = build(shell)?;
    let report = root().join("target").join("conformance");
    cmd!(shell, "{tapestry} conformance --report {report}").run()?;
    let tapes = recordings(shell)?;
    for tape in &tapes {
        cmd!(shell, "{tapestry} check {tape}").run()?;
        cmd!(shell, "{tapestry} audit {tape}").run()?;
        replay_twice(shell, &tapestry, tape)?;
    }
    println!("recordings: {} tapes pass the rules, replay without divergence and hold no secret", tapes.len());
    let _update = shell.push_env("INSTA_UPDATE", "no");
    // Of the whole workspace, so that nothing is compiled anew with other features.
    cmd!(shell, "cargo test --locked --workspace --test it -- suite:: golden:: profiles:: kill::").run()?;
    Ok(0)
}

fn recordings(shell: &Shell) -> Result<Vec<std::path::PathBuf>> {
    let mut tapes = shell.read_dir(root().join("recordings"))?;
    tapes.retain(|path| path.to_string_lossy().ends_with(".tape.jsonl"));
    if tapes.is_empty() {
        bail!("there is no tape in recordings/");
    }
    Ok(tapes)
}

fn replay_twice(shell: &Shell, tapestry: &Path, tape: &Path) -> Result<()> {
    let replay = || -> Result<Vec<u8>> {
        let output = cmd!(shell, "{tapestry} replay {tape}").output()?;
        Ok([output.stdout, output.stderr].concat())
    };
    let (first, second) = (replay()?, replay()?);
    if first != second {
        bail!("two replays of {} differ", tape.display());
    }
    print!("{}", String::from_utf8(first).context("a replay prints text")?);
    Ok(())
}
