//! The ways from the clients to the server.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::process::{Process, recorder};

pub(crate) enum Way {
    Direct,
    Recorder,
    /// The program; without one there is nothing to compare with.
    Mitmproxy(Option<PathBuf>),
}

/// A way in use.
pub(crate) struct Open {
    /// Where the clients are to connect.
    pub(crate) authority: String,
    proxy: Option<(Process, TempDir)>,
}

/// What a proxy came to.
pub(crate) struct Recorded {
    /// The most memory that it had, in KiB; `None` where the system does not tell.
    pub(crate) peak: Option<u64>,
    /// Whether it says that it has written down everything.
    pub(crate) complete: bool,
}

impl Way {
    /// All of them, the direct one first. Says what is to be compared with what.
    pub(crate) fn all() -> [Self; 3] {
        println!("tapestry {}, `record` as it is by default: redaction on, tape on disk", env!("CARGO_PKG_VERSION"));
        let mitmdump = mitmdump();
        match &mitmdump {
            Some((path, version)) => {
                println!("{version} ({}), `--mode reverse:URL -w FILE --flow-detail 0`", path.display())
            }
            None => {
                println!("mitmproxy is missing: no `mitmdump` on PATH or in TAPESTRY_MITMDUMP; its rows are dashes")
            }
        }
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{cores} cores for clients, server and proxy together\n");
        [Self::Direct, Self::Recorder, Self::Mitmproxy(mitmdump.map(|(path, _)| path))]
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Recorder => "tapestry",
            Self::Mitmproxy(_) => "mitmproxy",
        }
    }

    /// Starts the proxy, if there is to be one; `None` if its program is missing.
    pub(crate) fn open(&self, server: &str) -> Result<Option<Open>> {
        let folder = TempDir::new()?;
        let (mut command, mark) = match self {
            Self::Direct => return Ok(Some(Open { authority: server.to_owned(), proxy: None })),
            Self::Recorder => (recorder(server, &folder.path().join("load.tape.jsonl")), "http://"),
            Self::Mitmproxy(None) => return Ok(None),
            Self::Mitmproxy(Some(program)) => {
                let mut command = Command::new(program);
                command.args(["--mode", &format!("reverse:http://{server}"), "--listen-host", "127.0.0.1"]);
                command.args(["--listen-port", "0", "--flow-detail", "0", "-w"]).arg(folder.path().join("flows"));
                command.arg("--set").arg(format!("confdir={}", folder.path().display())).env("PYTHONUNBUFFERED", "1");
                (command, "listening at ")
            }
        };
        let process = Process::start(&mut command, mark)?;
        Ok(Some(Open { authority: process.authority.clone(), proxy: Some((process, folder)) }))
    }
}

impl Open {
    /// Ends the proxy, if there is one.
    pub(crate) fn close(self) -> Result<Option<Recorded>> {
        let Some((process, _folder)) = self.proxy else { return Ok(None) };
        let peak = process.peak();
        let (status, said) = process.stop()?;
        ensure!(matches!(status.code(), Some(0 | 3)), "it ended with {status}: {said}");
        Ok(Some(Recorded { peak, complete: status.success() }))
    }
}

/// The program and what it says its version is.
fn mitmdump() -> Option<(PathBuf, String)> {
    let path = std::env::var_os("TAPESTRY_MITMDUMP").map_or_else(|| PathBuf::from("mitmdump"), PathBuf::from);
    let output = Command::new(&path).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
    Some((path, version))
}
