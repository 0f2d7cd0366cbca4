//! Known bugs of CometD as data: what went wrong, and what of the suite would show it.
//!
//! The list is complete, not the suite: what nothing shows says why.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;

/// One bug, or several with one symptom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Numbers of CometD's issue tracker, or `lab-` numbers of what was seen on real servers.
    pub numbers: Vec<String>,
    /// What went wrong, in one sentence.
    pub symptom: String,
    /// The releases without it.
    pub fixed: String,
    /// The cases that show it.
    #[serde(default)]
    pub cases: Vec<String>,
    /// The rules that show it.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The tests that show that our own client does not have it: of crate `protocol`, or those of crate `simulator` that
    /// begin with `it`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// The mutations of the simulator that are such a bug.
    #[serde(default)]
    pub planted: Vec<String>,
    /// Why nothing shows it.
    pub untestable: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    regression: Vec<Regression>,
}

static REGRESSIONS: LazyLock<Vec<Regression>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../requirements/regressions.toml"))
        .expect("a test reads the embedded list of regressions");
    file.regression
});

/// Every known bug, in the order of its number.
#[must_use]
pub fn regressions() -> &'static [Regression] {
    &REGRESSIONS
}

const HEAD: &str = "# Known bugs of CometD, and what shows them

Numbers are those of CometD's issue tracker; `lab-` numbers were seen on real servers and have no issue. The list is
rendered from `crates/conformance/requirements/regressions.toml`, and a test keeps the two together.

| # | What went wrong | Fixed in | What shows it |
|---|---|---|---|
";

/// The list as a document for people, `docs/known-cometd-bugs.md`.
#[must_use]
pub fn render() -> String {
    let mut text = HEAD.to_owned();
    for bug in regressions() {
        let shown = match &bug.untestable {
            Some(why) => format!("not shown: {why}"),
            None => {
                let named = [("case", &bug.cases), ("rule", &bug.rules), ("test of our client", &bug.tests)];
                let parts: Vec<String> = named
                    .iter()
                    .filter(|(_, names)| !names.is_empty())
                    .map(|(what, names)| format!("{what} `{}`", names.join("`, `")))
                    .collect();
                parts.join("; ")
            }
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {shown} |", bug.numbers.join(", "), bug.symptom, bug.fixed);
    }
    text
}
