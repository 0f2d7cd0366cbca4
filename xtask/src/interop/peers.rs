//! The peers of interop as data: what they are, what they need, how they are installed and started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::interop::process::{Listening, finish};
use crate::root;

/// The Chat V2 service that all servers offer.
pub(crate) const SERVICE: &str = "customer-support";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    LongPolling,
    CallbackPolling,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::WebSocket, Self::LongPolling, Self::CallbackPolling];
    /// Those that do not need a browser.
    pub(crate) const USUAL: &[Self] = &[Self::WebSocket, Self::LongPolling];

    /// The connection type of Bayeux.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::LongPolling => "long-polling",
            Self::CallbackPolling => "callback-polling",
        }
    }
}

/// A folder of peers that are installed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kit {
    CometdJs,
    Browser,
    Faye,
    CometdNodejsServer,
    Aiocometd,
    CometdJava,
}

/// How long each command may take that installs peers, with nothing fetched yet.
const INSTALL: Duration = Duration::from_secs(600);

/// A program that has to be on the machine, in at least this version.
struct Tool {
    program: &'static str,
    least: (u32, u32),
}

const NODE: &[Tool] = &[Tool { program: "node", least: (20, 0) }, Tool { program: "npm", least: (8, 0) }];
const BROWSER: &[Tool] = &[
    Tool { program: "node", least: (20, 0) },
    Tool { program: "npm", least: (8, 0) },
    Tool { program: "chromium", least: (110, 0) },
];
const PYTHON: &[Tool] = &[Tool { program: "python3", least: (3, 11) }];
const JAVA: &[Tool] = &[
    Tool { program: "java", least: (17, 0) },
    Tool { program: "javac", least: (17, 0) },
    Tool { program: "mvn", least: (3, 6) },
];

impl Kit {
    pub(crate) const ALL: [Self; 6] =
        [Self::CometdJs, Self::Browser, Self::Faye, Self::CometdNodejsServer, Self::Aiocometd, Self::CometdJava];

    const fn name(self) -> &'static str {
        match self {
            Self::CometdJs => "cometd-js",
            Self::Browser => "browser",
            Self::Faye => "faye",
            Self::CometdNodejsServer => "cometd-nodejs-server",
            Self::Aiocometd => "aiocometd",
            Self::CometdJava => "cometd-java",
        }
    }

    pub(crate) fn folder(self) -> PathBuf {
        root().join("tests/interop").join(self.name())
    }

    const fn tools(self) -> &'static [Tool] {
        match self {
            Self::CometdJs | Self::Faye | Self::CometdNodejsServer => NODE,
            Self::Browser => BROWSER,
            Self::Aiocometd => PYTHON,
            Self::CometdJava => JAVA,
        }
    }

    /// The commands that install the kit. What they find already there they do not fetch again.
    const fn installation(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::CometdJs | Self::Browser | Self::Faye | Self::CometdNodejsServer => {
                &[&["npm", "ci", "--prefer-offline", "--no-fund", "--no-audit"]]
            }
            Self::Aiocometd => &[
                &["python3", "-m", "venv", ".venv"],
                &[".venv/bin/python", "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"],
            ],
            Self::CometdJava => &[&["mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "package"]],
        }
    }

    /// What the kit's peers need and the machine lacks.
    pub(crate) fn missing(self, shell: &Shell) -> Option<String> {
        let tools = self.tools().iter().filter(|tool| !tool.is_there(shell));
        let missing: Vec<String> = tools.map(Tool::to_string).collect();
        (!missing.is_empty()).then(|| missing.join(" and "))
    }

    pub(crate) fn install(self) -> Result<()> {
        self.installation().iter().try_for_each(|words| finish(&mut self.command(words)?, INSTALL))
    }

    /// A command of words, of which the first may be a path in the kit's folder.
    fn command(self, words: &[&str]) -> Result<Command> {
        let (program, arguments) = words.split_first().context("a command has words")?;
        let program = if program.contains('/') { self.folder().join(program) } else { PathBuf::from(program) };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder());
        Ok(command)
    }
}

impl Tool {
    fn is_there(&self, shell: &Shell) -> bool {
        let program = self.program;
        let output = cmd!(shell, "{program} --version").quiet().ignore_stderr().read();
        output.is_ok_and(|text| version(&text).is_some_and(|found| found >= self.least))
    }
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}.{} or newer", self.program, self.least.0, self.least.1)
    }
}

/// The first word in a text that is a version, such as in `Python 3.11.7` or `v20.20.2`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
    let number = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let mut parts = number.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

/// A client, which holds a whole chat.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kit: Kit,
    /// The command; URL, service and transport follow.
    words: &'static [&'static str],
    /// What comes after them.
    more: &'static [&'static str],
    pub(crate) transports: &'static [Transport],
    /// Which of our servers it talks to.
    pub(crate) origins: Origins,
}

/// Pages of which origins the server of a client serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    /// None but its own, as CometD itself: it sends no CORS headers.
    Own,
    /// All of them.
    All,
}

const fn cometd_js(version: &'static str, more: &'static [&'static str]) -> Client {
    Client { more, ..client("npm cometd", version, Kit::CometdJs, &["node", "chat.mjs"]) }
}

const fn client(name: &'static str, version: &'static str, kit: Kit, words: &'static [&'static str]) -> Client {
    Client { name, version, kit, words, more: &[], transports: Transport::USUAL, origins: Origins::Own }
}

/// The client whose chats are recorded and kept, and with which servers are tried.
pub(crate) const OFFICIAL: Client = cometd_js("8.0.11", &[]);

/// Who keeps the chats of the browser as a HAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HarMaker {
    Playwright,
    DevTools,
}

impl HarMaker {
    pub(crate) const ALL: [Self; 2] = [Self::Playwright, Self::DevTools];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Playwright => "playwright",
            Self::DevTools => "devtools",
        }
    }
}

/// The command that opens a HAR in the developer tools of the browser, and holds what they show against its tape.
pub(crate) fn open_in_devtools(tape: &Path, har: &Path) -> Result<Command> {
    let mut command = Kit::Browser.command(&["node", "open.mjs"])?;
    command.arg(tape).arg(har);
    Ok(command)
}

/// The client whose chats the browser keeps as a HAR, too.
pub(crate) const PAGE: Client = Client {
    transports: &Transport::ALL,
    origins: Origins::All,
    ..client("npm cometd in Chromium", "8.0.11", Kit::Browser, &["node", "chat.mjs"])
};

pub(crate) const CLIENTS: &[Client] = &[
    cometd_js("3.1.14", &["cometd-3.1"]),
    cometd_js("4.0.9", &["cometd-4.0"]),
    cometd_js("5.0.23", &["cometd-5.0"]),
    cometd_js("7.0.19", &["cometd-7.0"]),
    OFFICIAL,
    cometd_js("9.0.0", &["cometd-9.0"]),
    PAGE,
    // What CometD calls cross-domain needs no permission: only long-polling asks for it.
    Client {
        more: &["refused"],
        transports: &[Transport::LongPolling],
        ..client("foreign page, refused", "8.0.11", Kit::Browser, &["node", "chat.mjs"])
    },
    client("npm faye", "1.4.3", Kit::Faye, &["node", "chat.mjs"]),
    client("PyPI aiocometd-ng", "0.5.6", Kit::Aiocometd, &[".venv/bin/python", "chat.py"]),
    client("CometD Java client", "8.0.10", Kit::CometdJava, &["java", "-jar", "client/target/client.jar"]),
];

impl Client {
    /// The command that holds a whole chat with a server.
    pub(crate) fn chat(&self, url: &str, transport: Transport) -> Result<Command> {
        let mut command = self.kit.command(self.words)?;
        command.args([url, SERVICE, transport.name()]).args(self.more);
        Ok(command)
    }
}

/// A server. It takes port 0 and says in its first line where it listens.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kit: Kit,
    /// The command; the port follows.
    words: &'static [&'static str],
    pub(crate) transports: &'static [Transport],
    /// Whether it offers the Chat V2 service, or Bayeux alone.
    pub(crate) chats: bool,
    /// The file of its known departures, in `tests/interop/expectations`.
    pub(crate) known: &'static str,
}

const fn cometd_java(version: &'static str, words: &'static [&'static str], known: &'static str) -> Server {
    Server {
        name: "CometD Java server",
        version,
        kit: Kit::CometdJava,
        words,
        transports: Transport::USUAL,
        chats: true,
        known,
    }
}

pub(crate) const SERVERS: &[Server] = &[
    cometd_java("3.1.5", &["java", "-jar", "server-3.1/target/server.jar"], "cometd-java-3.1.toml"),
    cometd_java("4.0.9", &["java", "-jar", "server-4.0/target/server.jar"], "cometd-java-4.0.toml"),
    cometd_java("5.0.14", &["java", "-jar", "server-5.0/target/server.jar"], "cometd-java-5.0.toml"),
    cometd_java("7.0.17", &["java", "-jar", "server-7.0/target/server.jar"], "cometd-java-5.0.toml"),
    cometd_java("8.0.10", &["java", "-jar", "server-8.0/target/server.jar"], "cometd-java-5.0.toml"),
    cometd_java("9.0.0", &["java", "-jar", "server-9.0/target/server.jar"], "cometd-java-5.0.toml"),
    Server {
        name: "npm cometd-nodejs-server",
        version: "1.2.1",
        kit: Kit::CometdNodejsServer,
        words: &["node", "server.mjs"],
        transports: &[Transport::LongPolling],
        chats: false,
        known: "cometd-nodejs-server.toml",
    },
    Server {
        name: "npm faye",
        version: "1.4.3",
        kit: Kit::Faye,
        words: &["node", "server.mjs"],
        transports: Transport::USUAL,
        chats: false,
        known: "faye.toml",
    },
];

impl Server {
    /// Starts the server on a port that is free.
    pub(crate) fn start(&self) -> Result<Listening> {
        Listening::start(self.kit.command(self.words)?.arg("0"))
    }

    /// The command by which the official client tries a server at this URL: a whole chat, or what Bayeux alone allows.
    pub(crate) fn trial(&self, url: &str, transport: Transport) -> Result<Command> {
        if self.chats {
            return OFFICIAL.chat(url, transport);
        }
        let mut command = OFFICIAL.kit.command(&["node", "handshake.mjs"])?;
        command.args([url, transport.name()]);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What names the versions in a kit.
    fn manifests(kit: Kit) -> String {
        let mut folders = vec![kit.folder()];
        folders.extend(fs::read_dir(kit.folder()).unwrap().map(|entry| entry.unwrap().path()));
        let files = folders.iter().flat_map(|folder| {
            ["package.json", "requirements.txt", "pom.xml"].map(|name| fs::read_to_string(folder.join(name)))
        });
        files.flatten().collect()
    }

    #[test]
    fn versions_are_those_of_the_manifests() {
        let clients = CLIENTS.iter().map(|client| (client.kit, client.version));
        let servers = SERVERS.iter().map(|server| (server.kit, server.version));
        for (kit, version) in clients.chain(servers) {
            let found =
                ["\"", "@", "==", ">"].iter().any(|before| manifests(kit).contains(&format!("{before}{version}")));
            assert!(found, "{kit:?} does not install {version}");
        }
    }

    #[test]
    fn versions_of_tools_are_read() {
        assert_eq!(version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("openjdk 17 2021-09-14"), Some((17, 0)));
        assert_eq!(version("\u{1b}[1mApache Maven 3.8.7\u{1b}[m"), Some((3, 8)));
        assert_eq!(version("Chromium 156.0.8078.79 built on Debian"), Some((156, 0)));
        assert_eq!(version("none"), None);
    }
}
