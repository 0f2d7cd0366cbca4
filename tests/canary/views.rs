//! Everything that is shown of a tape, and that is written of it.

use conformance::check::check;
use conformance::conclude::CaseResult;
use conformance::expectations::Expectations;
use conformance::replay::Recorded;
use conformance::report::{About, Again, Report, json, junit, text};
use recording::audit::audit;
use recording::compare::{self, compare};
use recording::har;
use recording::show::show;
use recording::stats::{Stats, head};
use recording::tape::Tape;

use super::talk;

/// How wide the lines of a text are, in columns.
const WIDTH: usize = 100;

/// Names of views, each with its text.
pub(crate) type Views = Vec<(&'static str, String)>;

/// What the commands `tape`, `audit`, `check`, `replay` and `export` say of a tape, and the tape itself.
pub(crate) fn of_tape(bytes: &[u8]) -> Views {
    let tape = Tape::read(bytes).expect("what was captured is a tape");
    let (stats, checked, replayed) = (Stats::of(&tape), check(&tape), replayer::replay(&tape));
    let audited = audit(bytes, &[]).expect("a tape can be audited");
    vec![
        ("tape", String::from_utf8_lossy(bytes).into_owned()),
        ("tape show", show(&tape, WIDTH)),
        ("tape head", head(&tape)),
        ("tape stats", stats.text()),
        ("tape stats --format json", stats.json().to_string()),
        ("audit", audited.findings.iter().map(|finding| format!("{finding} {finding:?}\n")).collect()),
        ("export har", har::export(&tape, super::VERSION)),
        ("check", checked.text("a.tape.jsonl")),
        ("check --format json", checked.json("a.tape.jsonl").to_string()),
        ("debugged check", format!("{checked:?}")),
        ("replay", replayed.text(WIDTH)),
        ("replay --format json", replayed.json().to_string()),
        ("debugged replay", format!("{replayed:?}")),
    ]
}

/// What `compare` says of two tapes.
pub(crate) fn of_comparison(before: &[u8], after: &[u8]) -> Views {
    let read = |bytes: &[u8]| Tape::read(bytes).expect("what was captured is a tape");
    let differences = compare(&read(before), &read(after));
    vec![
        ("compare", compare::render::text(&differences, WIDTH)),
        ("compare --format json", compare::render::json(&differences).to_string()),
        ("debugged comparison", format!("{differences:?}")),
    ]
}

/// The reports of a case, and those of its tape judged again.
pub(crate) fn of_case(result: &CaseResult, tape: &[u8], seed: u64) -> Views {
    let tape = Tape::read(tape).expect("a case leaves a tape");
    let recorded = Recorded::read(tape.header()).expect("its header says how it ran").expect("it is of a case");
    let again = conformance::replay::replay(&recorded, &tape);
    let mut views = vec![("debugged replay of a case", format!("{again:?}"))];
    views.extend(reports(vec![result.clone(), again.result], seed));
    views
}

/// `result.json`, `junit.xml` and what stands on the terminal.
fn reports(results: Vec<CaseResult>, seed: u64) -> Views {
    let settings = talk::settings();
    let about = About {
        version: super::VERSION.to_owned(),
        target: "http://gms.example/genesys/cometd".to_owned(),
        service: settings.service,
        agent: settings.agent,
        agent_name: None,
        seed,
        started: None,
        took: results.iter().map(|result| result.took).sum(),
        again: Again::Run { command: "tapestry conformance".to_owned(), tapes: Some("tapes".to_owned()) },
    };
    let report = Report::new(about, results, None, &Expectations::default(), "2026-01-01");
    vec![
        ("result.json", json::render(&report)),
        ("junit.xml", junit::render(&report).expect("a report is XML")),
        ("report", text::render(&report)),
        ("debugged report", format!("{report:?}")),
    ]
}
