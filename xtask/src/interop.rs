//! `cargo xtask interop`: peers that nobody here wrote. Clients hold a whole chat with the simulator; the official one also
//! is a client under test, and chats through the recorder, whose tapes must be right; the suite judges servers that others
//! wrote.

mod peers;
mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use self::peers::{
    CLIENTS, HarMaker, Kit, OFFICIAL, Origins, PAGE, SERVERS, SERVICE, Server, Transport, open_in_devtools,
};
use self::process::{CHAT, Listening, SUITE, finish};
use crate::{Outcome, root};

/// Why peers of a kit cannot run on this machine.
type Obstacles = BTreeMap<Kit, String>;

pub(crate) fn run(shell: &Shell, record: bool) -> Outcome {
    let tapestry = build(shell)?;
    let obstacles = prepare(shell);
    let mut table = Table::default();
    let serving = serve(&tapestry, &[])?;
    let serving_all = serve(&tapestry, &["--cors", "*"])?;
    table.head("clients, a whole chat with `tapestry serve`");
    for client in CLIENTS {
        let server = match client.origins {
            Origins::Own => &serving,
            Origins::All => &serving_all,
        };
        table.row(client.name, client.version, obstacles.get(&client.kit), |transport| {
            let chat = || finish(&mut client.chat(server.url(), transport)?, CHAT);
            client.transports.contains(&transport).then(chat)
        });
    }
    table.head("browser, a whole chat through `tapestry record`, and its HAR imported: one conversation");
    let folder = shell.create_temp_dir()?;
    for maker in HarMaker::ALL {
        table.row(maker.name(), "", obstacles.get(&PAGE.kit), |transport| {
            Some(import_chat(&tapestry, serving_all.url(), transport, maker, folder.path()))
        });
    }
    table.head("developer tools of Chromium, which open the HAR of a tape and show all of it");
    table.row(PAGE.name, PAGE.version, obstacles.get(&PAGE.kit), |transport| {
        Some(open_chat(&tapestry, serving_all.url(), transport, folder.path()))
    });
    serving_all.end()?;
    table.head("clients under test, judged by `tapestry conformance --client`");
    table.row(OFFICIAL.name, OFFICIAL.version, obstacles.get(&OFFICIAL.kit), |transport| {
        OFFICIAL.transports.contains(&transport).then(|| judge_client(&tapestry, transport))
    });
    table.head("recorder, a whole chat through `tapestry record`, then check and replay");
    let folder = shell.create_temp_dir()?;
    table.row(OFFICIAL.name, OFFICIAL.version, obstacles.get(&OFFICIAL.kit), |transport| {
        let tape = folder.path().join(format!("cometd-{}-{}.tape.jsonl", OFFICIAL.version, transport.name()));
        let recorded = || {
            record_chat(&tapestry, serving.url(), transport, &tape)?;
            if record { keep(shell, &tape) } else { Ok(()) }
        };
        OFFICIAL.transports.contains(&transport).then(recorded)
    });
    serving.end()?;
    table.head("servers, tried with the official client, then judged by the suite");
    for server in SERVERS {
        let obstacle = obstacles.get(&server.kit).or_else(|| obstacles.get(&OFFICIAL.kit));
        table.row(server.name, server.version, obstacle, |transport| {
            server.transports.contains(&transport).then(|| try_server(&tapestry, server, transport))
        });
    }
    Ok(table.code())
}

/// Installs all kits that the machine has the tools for.
fn prepare(shell: &Shell) -> Obstacles {
    let mut obstacles = Obstacles::new();
    for kit in Kit::ALL {
        if let Some(missing) = kit.missing(shell) {
            obstacles.insert(kit, format!("for want of {missing}"));
        } else if let Err(error) = kit.install() {
            eprintln!("{error:#}");
            obstacles.insert(kit, "it could not be installed".to_owned());
        }
    }
    obstacles
}

/// Starts the simulator.
fn serve(tapestry: &Path, more: &[&str]) -> Result<Listening> {
    let mut serve = Command::new(tapestry);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--service", SERVICE, "--seed", "2"]).args(more);
    Listening::start(&mut serve)
}

/// Builds the program and gives its path.
pub(crate) fn build(shell: &Shell) -> Result<PathBuf> {
    cmd!(shell, "cargo build --release --locked --package cli").run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join("tapestry"))
}

/// Every scenario for clients, with the official client below a layer that is meant to be right: nothing is to be found.
fn judge_client(tapestry: &Path, transport: Transport) -> Result<()> {
    let mut suite = Command::new(tapestry);
    suite.args(["conformance", "--client", "--listen", "127.0.0.1:0", "--service", SERVICE, "--seed", "1"]);
    suite.args(["--transport", transport.name(), "--command", "exec node driven.mjs"]);
    finish(suite.current_dir(OFFICIAL.kit.folder()), SUITE)
}

/// Records a chat; the tape must pass the rules and replay.
fn record_chat(tapestry: &Path, upstream: &str, transport: Transport, tape: &Path) -> Result<()> {
    through_recorder(tapestry, upstream, tape, |url| OFFICIAL.chat(url, transport))?;
    finish(Command::new(tapestry).arg("check").arg(tape), CHAT)?;
    finish(Command::new(tapestry).arg("replay").arg(tape), CHAT)
}

/// Records a chat while somebody in the browser writes a HAR of it; both must tell the same conversation.
fn import_chat(tapestry: &Path, upstream: &str, transport: Transport, maker: HarMaker, folder: &Path) -> Result<()> {
    let file = |name: &str| folder.join(format!("{}.{}.{name}", maker.name(), transport.name()));
    let (recorded, har, imported) = (file("recorded.tape.jsonl"), file("har"), file("imported.tape.jsonl"));
    through_recorder(tapestry, upstream, &recorded, |url| {
        let mut chat = PAGE.chat(url, transport)?;
        chat.arg("--har").arg(&har).args(["--by", maker.name()]);
        Ok(chat)
    })?;
    finish(Command::new(tapestry).args(["import", "har"]).arg(&har).arg("--output").arg(&imported), CHAT)?;
    finish(Command::new(tapestry).arg("check").arg(&imported), CHAT)?;
    finish(Command::new(tapestry).arg("compare").arg(&recorded).arg(&imported), CHAT)
}

/// Records a chat and exports its tape; the developer tools must show what is on it.
fn open_chat(tapestry: &Path, upstream: &str, transport: Transport, folder: &Path) -> Result<()> {
    let file = |name: &str| folder.join(format!("opened.{}.{name}", transport.name()));
    let (tape, har) = (file("tape.jsonl"), file("har"));
    through_recorder(tapestry, upstream, &tape, |url| PAGE.chat(url, transport))?;
    finish(Command::new(tapestry).args(["export", "har"]).arg(&tape).arg("--output").arg(&har), CHAT)?;
    finish(&mut open_in_devtools(&tape, &har)?, CHAT)
}

fn through_recorder(
    tapestry: &Path,
    upstream: &str,
    tape: &Path,
    chat: impl FnOnce(&str) -> Result<Command>,
) -> Result<()> {
    let mut record = Command::new(tapestry);
    record.args(["record", "--listen", "127.0.0.1:0", "--upstream", upstream, "--output"]).arg(tape);
    let recording = Listening::start(&mut record)?;
    finish(&mut chat(recording.url())?, CHAT)?;
    recording.end()
}

fn keep(shell: &Shell, tape: &Path) -> Result<()> {
    let kept = root().join("recordings").join(tape.file_name().context("a tape has a name")?);
    shell.copy_file(tape, &kept)?;
    println!("kept {}", kept.display());
    Ok(())
}

/// The official client holds a chat, or shakes hands where there is no Chat V2; then the suite finds nothing that is not
/// known of the server.
fn try_server(tapestry: &Path, server: &Server, transport: Transport) -> Result<()> {
    let mut listening = server.start()?;
    listening.serve(|url| {
        finish(&mut server.trial(url, transport)?, CHAT)?;
        let mut suite = Command::new(tapestry);
        suite.args(["conformance", "--target", url, "--transport", transport.name(), "--seed", "1"]);
        suite.arg("--expect").arg(root().join("tests/interop/expectations").join(server.known));
        if server.chats {
            suite.args(["--service", SERVICE, "--agent", "simulated"]);
            suite.args(KNOWN_TO_THE_SMALL_SERVICE.iter().flat_map(|pattern| ["--case", *pattern]));
        }
        finish(&mut suite, SUITE)
    })?;
    listening.end()
}

/// The cases for what the small Chat V2 service behind the Java servers knows: chats, messages, notifications, keys and ends.
const KNOWN_TO_THE_SMALL_SERVICE: &[&str] = &[
    "bayeux.*",
    "reconnect.*",
    "chat.request.starts",
    "chat.request.own-join-comes-first",
    "chat.request.without-name-refused",
    "chat.request.unknown-service",
    "chat.request.unknown-operation",
    "chat.message.echoed-once",
    "chat.message.label-echoed",
    "chat.message.order-kept",
    "chat.notifications.repeat-the-transcript",
    "chat.notifications.from-position",
    "chat.notifications.at-position",
    "chat.notifications.negative-position",
    "chat.notifications.position-as-text",
    "chat.key.wrong-refused",
    "chat.key.missing-refused",
    "chat.key.two-chats-do-not-mix",
    "chat.end.disconnect-ends-chat",
    "chat.end.session-stays",
    "chat.end.message-refused",
    "chat.end.notifications-refused",
    "chat.agent.joins-and-greets",
    "chat.agent.answers",
    "chat.agent.closes",
    "chat.file.limits-told",
];

/// What is printed, and what it comes to.
#[derive(Default)]
struct Table {
    failed: bool,
    missing: bool,
}

impl Table {
    fn head(&self, title: &str) {
        println!("\n{title}");
        println!("  {:<32}  {:<9}  {:<12}  callback-polling", "peer", "websocket", "long-polling");
    }

    /// Runs a peer over each transport, unless something stands in the way. `None` means that it has no such transport.
    fn row(
        &mut self,
        name: &str,
        version: &str,
        obstacle: Option<&String>,
        run: impl Fn(Transport) -> Option<Result<()>>,
    ) {
        let peer = format!("{name} {version}").trim_end().to_owned();
        if let Some(reason) = obstacle {
            self.missing = true;
            println!("  {peer:<32}  not run: {reason}");
            return;
        }
        let mut words = Vec::new();
        for transport in Transport::ALL {
            words.push(match run(transport) {
                None => "-",
                Some(Ok(())) => "pass",
                Some(Err(error)) => {
                    self.failed = true;
                    eprintln!("{peer} over {}: {error:#}", transport.name());
                    "FAIL"
                }
            });
        }
        println!("  {peer:<32}  {:<9}  {:<12}  {}", words[0], words[1], words[2]);
    }

    /// A failure weighs more than a peer that was not there.
    const fn code(&self) -> u8 {
        match (self.failed, self.missing) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_peer_that_was_not_there_is_never_a_pass() {
        let mut table = Table::default();
        table.row("peer", "1", None, |_| Some(Ok(())));
        assert_eq!(table.code(), 0);
        table.row("peer", "2", Some(&"for want of node".to_owned()), |_| Some(Ok(())));
        assert_eq!(table.code(), 3);
        table.row("peer", "3", None, |transport| match transport {
            Transport::WebSocket => None,
            Transport::LongPolling => Some(Err(anyhow!("no answer"))),
            Transport::CallbackPolling => Some(Ok(())),
        });
        assert_eq!(table.code(), 1);
    }
}
