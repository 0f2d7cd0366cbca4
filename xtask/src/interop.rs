//! `cargo xtask interop`: peers that nobody here wrote. The official CometD client of npm holds a whole chat with the
//! simulator, through the recorder, over both transports; the tapes must be right.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::{Outcome, root};

const CLIENT: &str = "tests/interop/cometd-js";
const TRANSPORTS: [&str; 2] = ["websocket", "long-polling"];
const SERVICE: &str = "customer-support";

pub(crate) fn run(shell: &Shell, record: bool) -> Outcome {
    let missing: Vec<&str> = ["node", "npm"]
        .into_iter()
        .filter(|program| cmd!(shell, "{program} --version").quiet().ignore_stdout().run().is_err())
        .collect();
    if !missing.is_empty() {
        println!("interop: not run: npm cometd 8.0.11, for want of {}", missing.join(" and "));
        return Ok(3);
    }
    {
        let _folder = shell.push_dir(CLIENT);
        cmd!(shell, "npm ci --no-fund --no-audit").quiet().ignore_stdout().run()?;
    }
    let tapestry = build(shell)?;
    let folder = shell.create_temp_dir()?;
    let mut serving =
        Listening::start(&tapestry, &["serve", "--listen", "127.0.0.1:0", "--service", SERVICE, "--seed", "2"])?;
    println!("peer                transport      direct  recorded  check  replay");
    for transport in TRANSPORTS {
        let tape = folder.path().join(format!("cometd-8.0.11-{transport}.tape.jsonl"));
        chat(&serving.url, transport).context("the client alone with the simulator")?;
        let output = tape.display().to_string();
        let mut recording = Listening::start(
            &tapestry,
            &["record", "--listen", "127.0.0.1:0", "--upstream", &serving.url, "--output", &output],
        )?;
        chat(&recording.url, transport).context("the client through the recorder")?;
        recording.end()?;
        cmd!(shell, "{tapestry} check {tape}").quiet().ignore_stdout().run()?;
        cmd!(shell, "{tapestry} replay {tape}").quiet().ignore_stdout().run()?;
        println!("npm cometd 8.0.11   {transport:<12}   pass    pass      pass   pass");
        if record {
            let kept = root().join("recordings").join(tape.file_name().context("a tape has a name")?);
            shell.copy_file(&tape, &kept)?;
            println!("kept {}", kept.display());
        }
    }
    serving.end()?;
    Ok(0)
}

/// Builds the program and gives its path.
pub(crate) fn build(shell: &Shell) -> Result<PathBuf> {
    cmd!(shell, "cargo build --release --locked --package cli").run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join("tapestry"))
}

fn chat(url: &str, transport: &str) -> Result<()> {
    let output = Command::new("node")
        .args(["chat.mjs", url, SERVICE, transport])
        .current_dir(root().join(CLIENT))
        .output()
        .context("failed to start node")?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("the chat over {transport} failed:\n{out}{err}");
    }
    Ok(())
}

/// A program of ours that listens.
struct Listening {
    child: Child,
    url: String,
}

impl Listening {
    /// Starts it and waits for its first line.
    fn start(tapestry: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(tapestry)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("failed to start `{}`", tapestry.display()))?;
        let stdout = child.stdout.take().context("its stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Self { url: url.to_owned(), child }),
            None => {
                let status = child.wait()?;
                bail!("`tapestry {}` did not listen ({status})", arguments.join(" "))
            }
        }
    }

    /// Asks it to end and demands that it does so properly.
    fn end(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().context("failed to start kill")?;
        let status = self.child.wait()?;
        if !asked.success() || !status.success() {
            bail!("the listener ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // After `end` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
