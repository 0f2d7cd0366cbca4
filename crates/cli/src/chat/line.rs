//! What the user types: something to say, or a command behind a slash.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::files;

/// What the commands are.
pub(super) const HELP: &str = "\
/file PATH          send a file
/get FILE-ID PATH   fetch a file of the chat
/url URL            show a page to the agent
/nick NAME          appear under another name
/data KEY=VALUE     attach data to the chat
/end                end the chat, as the end of input does
//TEXT              say a text that begins with a slash";

/// How many lines are read ahead.
const BACKLOG: usize = 16;

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Nothing,
    Say(String),
    File(PathBuf),
    Get(String, PathBuf),
    Url(String),
    Nick(String),
    Data(String, String),
    End,
    Help,
    /// It is no command; with what to say about it.
    Wrong(String),
}

impl Line {
    fn parse(text: &str) -> Self {
        let text = text.trim_end_matches(['\r', '\n']);
        let Some(command) = text.strip_prefix('/') else {
            return if text.trim().is_empty() { Self::Nothing } else { Self::Say(text.to_owned()) };
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let needs = |what: &str| Self::Wrong(format!("`/{word}` needs {what}: see `/help`"));
        match word {
            "file" if rest.is_empty() => needs("a path"),
            "file" => Self::File(PathBuf::from(rest)),
            "get" => match rest.split_once(char::is_whitespace) {
                Some((file_id, path)) => Self::Get(file_id.to_owned(), PathBuf::from(path.trim())),
                None => needs("a file id and a path"),
            },
            "url" if rest.is_empty() => needs("a URL"),
            "url" => Self::Url(rest.to_owned()),
            "nick" if rest.is_empty() => needs("a name"),
            "nick" => Self::Nick(rest.to_owned()),
            "data" => match pair(rest) {
                Ok((key, value)) => Self::Data(key, value),
                Err(_) => needs("KEY=VALUE"),
            },
            "end" => Self::End,
            "help" => Self::Help,
            _ => Self::Wrong("there is no such command: see `/help`, or say it with `//`".to_owned()),
        }
    }
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        Some(_) | None => Err("attached data is of the form KEY=VALUE".to_owned()),
    }
}

/// Reads stdin line by line, in a thread of its own since nothing else can wait for a terminal. The channel ends with the
/// input.
pub(super) fn read() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut bytes = Vec::new();
        while matches!(input.read_until(b'\n', &mut bytes), Ok(1..)) {
            if sender.blocking_send(Line::parse(&String::from_utf8_lossy(&bytes))).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    receiver
}

/// Reads a file to send and its name, or says why that cannot be.
pub(super) fn file(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    match name.filter(|_| path.is_file()) {
        // `-` would be stdin otherwise.
        Some(name) => match files::read(&Path::new(".").join(path)) {
            Ok(bytes) => Ok((name, bytes)),
            Err(failure) => Err(format!("{:#}", failure.error)),
        },
        None => Err(format!("`{}` is no file", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("hello /end\r\n", Line::Say("hello /end".to_owned()))]
    #[case("  \n", Line::Nothing)]
    #[case("//shrug", Line::Say("/shrug".to_owned()))]
    #[case("/file a b.txt\n", Line::File(PathBuf::from("a b.txt")))]
    #[case("/get F1 out/a b", Line::Get("F1".to_owned(), PathBuf::from("out/a b")))]
    #[case("/url  https://a.example/", Line::Url("https://a.example/".to_owned()))]
    #[case("/nick Anna Lee", Line::Nick("Anna Lee".to_owned()))]
    #[case("/data cart=a=b", Line::Data("cart".to_owned(), "a=b".to_owned()))]
    #[case("/end", Line::End)]
    #[case("/help", Line::Help)]
    fn reads_what_is_typed(#[case] text: &str, #[case] line: Line) {
        assert_eq!(Line::parse(text), line);
    }

    #[rstest]
    fn says_what_a_command_needs(
        #[values("/file", "/get F1", "/get", "/url ", "/nick", "/data cart", "/data =x", "/", "/ends")] text: &str,
    ) {
        let Line::Wrong(says) = Line::parse(text) else { panic!("`{text}` is no command") };
        assert!(says.contains("/help"), "{says}");
    }
}
