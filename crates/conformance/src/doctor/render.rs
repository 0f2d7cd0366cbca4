//! A diagnosis as text, as one line ahead of a run, and as JSON.

use serde_json::{Value, json};

use super::finding::{Finding, Level};
use super::{Diagnosis, Door};

/// The longest line of a text, in characters; a word that is longer stands alone.
const WIDTH: usize = 110;

impl Door {
    const fn word(self) -> &'static str {
        match self {
            Self::Untried => "not tried",
            Self::Open => "open",
            Self::Blocked => "blocked",
            Self::Closed => "closed",
        }
    }
}

impl Diagnosis {
    const fn doors(&self) -> [(&'static str, Door); 3] {
        [
            ("websocket", self.web_socket),
            ("long-polling", self.long_polling),
            ("callback-polling", self.callback_polling),
        ]
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.kind.level == level).count()
    }

    /// What it comes to, and the exit code.
    fn end(&self) -> String {
        let exit = self.exit();
        match self.gravest() {
            None => format!("READY: nothing found (exit {exit})"),
            Some(finding) => {
                let word = match finding.kind.level {
                    Level::Refusal => "REFUSED",
                    Level::Fault => "FAULTY",
                    Level::Note => "READY",
                };
                format!("{word}: {} (exit {exit})", finding.kind.id)
            }
        }
    }
}

/// The report of an examination.
#[must_use]
pub fn text(diagnosis: &Diagnosis, target: &str, service: Option<&str>) -> String {
    let service = service.map_or_else(|| "no service given".to_owned(), |service| format!("service {service}"));
    let mut text = format!("target {target}   {service}\n\n");
    let doors = diagnosis.doors().map(|(name, door)| format!("{name} {}", door.word()));
    let topics = diagnosis.facts.iter().map(|fact| (fact.topic, fact.says.clone()));
    for (topic, says) in topics.chain([("transports", doors.join(", "))]) {
        paragraph(&mut text, "  ", topic, 17, &says);
    }
    for finding in &diagnosis.findings {
        text.push_str(&format!("\n{} {}\n", finding.kind.level.word().to_uppercase(), finding.kind.id));
        for (label, says) in
            [("seen", finding.seen.as_str()), ("means", finding.kind.means), ("remedy", finding.remedy())]
        {
            paragraph(&mut text, "    ", label, 6, says);
        }
    }
    let counts = Level::ALL.map(|level| {
        let count = diagnosis.count(level);
        format!("{count} {}{}", level.word(), if count == 1 { "" } else { "s" })
    });
    text.push_str(&format!("\n{}\n{}\n", counts.join(", "), diagnosis.end()));
    text
}

/// A label and a text behind it, its further lines below its first.
fn paragraph(text: &mut String, indent: &str, label: &str, width: usize, says: &str) {
    let mut line = format!("{indent}{label:width$} ");
    let blank = " ".repeat(line.len());
    let mut is_first = true;
    for word in says.split_whitespace() {
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line.clone_from(&blank);
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The examination in one line, as it stands ahead of a run.
#[must_use]
pub fn line(diagnosis: &Diagnosis) -> String {
    let open: Vec<&str> =
        diagnosis.doors().iter().filter(|(_, door)| *door == Door::Open).map(|(name, _)| *name).collect();
    let open = if open.is_empty() { "no transport".to_owned() } else { open.join(" and ") };
    let dialect = diagnosis.facts.iter().find(|fact| fact.topic == "dialect").map_or("", |fact| fact.says.as_str());
    let found: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.kind.id).collect();
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let dialect = dialect.split(" (").next().filter(|words| !words.is_empty()).map(|words| format!("{words}; "));
    format!("doctor: {}{open} open; {found}", dialect.unwrap_or_default())
}

/// The report for a program.
#[must_use]
pub fn json(diagnosis: &Diagnosis, target: &str, service: Option<&str>) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "id": finding.kind.id,
            "level": finding.kind.level.word(),
            "seen": finding.seen,
            "means": finding.kind.means,
            "remedy": finding.remedy(),
        })
    };
    let doors: serde_json::Map<String, Value> =
        diagnosis.doors().iter().map(|(name, door)| ((*name).to_owned(), door.word().into())).collect();
    json!({
        "target": target,
        "service": service,
        "exit": diagnosis.exit(),
        "transports": doors,
        "facts": diagnosis.facts.iter().map(|fact| json!({"topic": fact.topic, "says": fact.says})).collect::<Vec<_>>(),
        "findings": diagnosis.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
