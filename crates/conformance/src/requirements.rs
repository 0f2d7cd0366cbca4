//! The catalogue of requirements, as data: what is required, who is bound, on what evidence, and what judges it.
//!
//! The catalogue alone maps cases and rules to requirements. How bad a broken requirement is follows from its level and
//! evidence here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::verdict::Kind;

/// The version of the catalogue. It grows when a requirement changes its meaning.
pub const VERSION: &str = "2026.1";

/// The files of the catalogue, by name.
const FILES: &[(&str, &str)] = &[
    ("bayeux.toml", include_str!("../requirements/bayeux.toml")),
    ("carriers.toml", include_str!("../requirements/carriers.toml")),
    ("channels.toml", include_str!("../requirements/channels.toml")),
    ("sessions.toml", include_str!("../requirements/sessions.toml")),
    ("chat.toml", include_str!("../requirements/chat.toml")),
    ("operations.toml", include_str!("../requirements/operations.toml")),
    ("files.toml", include_str!("../requirements/files.toml")),
    ("reconnect.toml", include_str!("../requirements/reconnect.toml")),
    ("clients.toml", include_str!("../requirements/clients.toml")),
];

/// Why the requirements matter, by the beginnings of their ids.
const WHY: &str = include_str!("../requirements/why.toml");

/// How strongly something is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// MUST or MUST NOT.
    Must,
    /// SHOULD or SHOULD NOT.
    Should,
    /// MAY.
    May,
    /// Behaviour that follows from the text or that is documented without such a word.
    Fact,
}

impl Level {
    /// The word in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
            Self::Fact => "fact",
        }
    }
}

/// Who is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binds {
    /// The server.
    Server,
    /// The client.
    Client,
    /// Both.
    Both,
}

impl Binds {
    /// The word in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }
}

/// How well something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The Bayeux text, or what Genesys publishes.
    Specified,
    /// Seen in real traffic.
    Captured,
    /// Real clients rely on it, or CometD servers behave so.
    Client,
    /// Inferred; nobody says so.
    Inferred,
}

impl Evidence {
    /// The word in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Specified => "specified",
            Self::Captured => "captured",
            Self::Client => "client",
            Self::Inferred => "inferred",
        }
    }

    /// What the word means.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Specified => "the specification or its vendor says so",
            Self::Captured => "seen in real traffic",
            Self::Client => "real clients rely on it, or CometD servers behave so",
            Self::Inferred => "nobody says so",
        }
    }
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its id, never reused.
    pub id: String,
    /// Where it comes from, with the section.
    pub source: String,
    /// How strong it is.
    pub level: Level,
    /// Who is bound.
    pub binds: Binds,
    /// How well it is known.
    pub evidence: Evidence,
    /// What is required, in one sentence.
    pub text: String,
    /// The cases that judge it; the first one is told by its sentence.
    #[serde(default)]
    pub cases: Vec<String>,
    /// The rules that judge it.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The requirements without which it cannot hold: where one of those is broken, what breaks this one follows from it.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Who is known to break it; then breaking it is a deviation.
    pub departure: Option<String>,
    /// Why it cannot be judged from outside.
    pub untestable: Option<String>,
}

impl Requirement {
    /// What it means for chats if it is broken, for somebody who operates the server.
    #[must_use]
    pub fn why(&self) -> Option<&'static str> {
        let about = |why: &&Why| {
            let rest = self.id.strip_prefix(why.of.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        WHYS.iter().filter(about).max_by_key(|why| why.of.len()).map(|why| why.says.as_str())
    }

    /// What it amounts to when a peer breaks it: only what is specified or was captured fails a peer, and only if it is
    /// more than a recommendation and no deployed server is known to break it.
    #[must_use]
    pub const fn kind_if_broken(&self) -> Kind {
        match (self.evidence, self.level) {
            (Evidence::Inferred, _) => Kind::Observed,
            (Evidence::Specified | Evidence::Captured, Level::Must | Level::Fact) if self.departure.is_none() => {
                Kind::Fail
            }
            (Evidence::Specified | Evidence::Captured | Evidence::Client, _) => Kind::Deviation,
        }
    }

    /// What it amounts to when a peer keeps it.
    #[must_use]
    pub const fn kind_if_held(&self) -> Kind {
        match self.evidence {
            Evidence::Inferred => Kind::Observed,
            Evidence::Specified | Evidence::Captured | Evidence::Client => Kind::Pass,
        }
    }
}

/// What is wrong with the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// A file is no catalogue.
    #[error("`{file}`: {says}")]
    File {
        /// Which.
        file: String,
        /// What is wrong, with the line.
        says: String,
    },
    /// Two requirements have one id.
    #[error("`{file}`: requirement `{id}` is there already")]
    Repeated {
        /// Which file has the second one.
        file: String,
        /// The id.
        id: String,
    },
    /// A requirement that nobody judges does not say why.
    #[error("`{file}`: requirement `{id}` has neither a case nor a rule, and does not say why it is untestable")]
    Unjudged {
        /// Which file.
        file: String,
        /// The id.
        id: String,
    },
    /// A requirement says that it cannot be judged, and is.
    #[error("`{file}`: requirement `{id}` is called untestable, but something judges it")]
    JudgedAfterAll {
        /// Which file.
        file: String,
        /// The id.
        id: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    of: String,
    says: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whys {
    why: Vec<Why>,
}

static WHYS: LazyLock<Vec<Why>> =
    LazyLock::new(|| toml::from_str::<Whys>(WHY).expect("a test reads the embedded reasons").why);

/// All requirements.
#[derive(Clone, Debug)]
pub struct Catalogue {
    requirements: Vec<Requirement>,
    by_id: BTreeMap<String, usize>,
}

impl Catalogue {
    /// The catalogue of this program.
    #[must_use]
    pub fn get() -> &'static Self {
        static CATALOGUE: LazyLock<Catalogue> =
            LazyLock::new(|| Catalogue::parse(FILES).expect("a test reads the embedded catalogue"));
        &CATALOGUE
    }

    /// Reads the files of a catalogue, each with its name.
    ///
    /// # Errors
    ///
    /// [`CatalogueError`], the first thing that is wrong.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        let (mut requirements, mut by_id) = (Vec::new(), BTreeMap::new());
        for (name, text) in files {
            let name = (*name).to_owned();
            let file: File = toml::from_str(text)
                .map_err(|error| CatalogueError::File { file: name.clone(), says: error.to_string() })?;
            for requirement in file.requirement {
                let judged = !requirement.cases.is_empty() || !requirement.rules.is_empty();
                let (file, id) = (name.clone(), requirement.id.clone());
                match (judged, requirement.untestable.is_some()) {
                    (false, false) => return Err(CatalogueError::Unjudged { file, id }),
                    (true, true) => return Err(CatalogueError::JudgedAfterAll { file, id }),
                    (true, false) | (false, true) => {}
                }
                if by_id.insert(id.clone(), requirements.len()).is_some() {
                    return Err(CatalogueError::Repeated { file, id });
                }
                requirements.push(requirement);
            }
        }
        Ok(Self { requirements, by_id })
    }

    /// Every requirement, in the order of the files.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Where a requirement stands among all of them; those that are not there stand last.
    #[must_use]
    pub fn place(&self, id: &str) -> usize {
        self.by_id.get(id).copied().unwrap_or(usize::MAX)
    }

    /// The requirement with this id.
    #[must_use]
    pub fn requirement(&self, id: &str) -> Option<&Requirement> {
        self.by_id.get(id).map(|position| &self.requirements[*position])
    }

    /// What a case judges, in the order of the files.
    pub fn of_case<'a>(&'a self, case: &'a str) -> impl Iterator<Item = &'a Requirement> {
        self.requirements.iter().filter(move |requirement| requirement.cases.iter().any(|name| name == case))
    }

    /// What a rule judges.
    pub fn of_rule<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a Requirement> {
        self.requirements.iter().filter(move |requirement| requirement.rules.iter().any(|name| name == rule))
    }

    /// Every case that is named.
    #[must_use]
    pub fn cases(&self) -> BTreeSet<&str> {
        self.requirements.iter().flat_map(|requirement| &requirement.cases).map(String::as_str).collect()
    }

    /// Every rule that is named.
    #[must_use]
    pub fn rules(&self) -> BTreeSet<&str> {
        self.requirements.iter().flat_map(|requirement| &requirement.rules).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HEAD: &str = "[[requirement]]\nid='A-1'\nsource='s'\nbinds='server'\ntext='t'\n";

    fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
        Catalogue::parse(&[("a.toml", text)])
    }

    #[rstest]
    #[case("must", "specified", "", Kind::Fail)]
    #[case("fact", "captured", "", Kind::Fail)]
    #[case("should", "specified", "", Kind::Deviation)]
    #[case("may", "captured", "", Kind::Deviation)]
    #[case("must", "client", "", Kind::Deviation)]
    #[case("must", "inferred", "", Kind::Observed)]
    #[case("must", "specified", "departure='CometD'\n", Kind::Deviation)]
    fn evidence_and_level_limit_the_verdict(
        #[case] level: &str,
        #[case] evidence: &str,
        #[case] more: &str,
        #[case] kind: Kind,
    ) {
        let text = format!("{HEAD}level='{level}'\nevidence='{evidence}'\ncases=['c.a.b']\n{more}");
        let catalogue = parse(&text).unwrap();
        assert_eq!(catalogue.requirement("A-1").unwrap().kind_if_broken(), kind);
    }

    #[test]
    fn every_requirement_says_why_it_matters_and_every_reason_is_of_one() {
        let all = Catalogue::get().requirements();
        for requirement in all {
            assert!(requirement.why().is_some_and(|why| why.ends_with('.')), "{}", requirement.id);
        }
        for why in WHYS.iter().filter(|why| why.of.contains('-')) {
            assert!(
                all.iter().any(|requirement| requirement.why() == Some(why.says.as_str())),
                "{} is used by none",
                why.of
            );
        }
    }

    #[test]
    fn what_a_requirement_needs_is_another_one() {
        for requirement in Catalogue::get().requirements() {
            for need in &requirement.needs {
                assert!(Catalogue::get().requirement(need).is_some() && *need != requirement.id, "{}", requirement.id);
            }
        }
    }

    #[test]
    fn refuses_what_is_unknown_repeated_or_unjudged() {
        let ok = format!("{HEAD}level='must'\nevidence='specified'\n");
        let judged = format!("{ok}cases=['c.a.b']\n");
        let says = |text: &str| parse(text).unwrap_err().to_string();
        assert!(says(&format!("{judged}owner='me'\n")).contains("unknown field `owner`"));
        assert_eq!(says(&format!("{judged}{judged}")), "`a.toml`: requirement `A-1` is there already");
        assert!(says(&ok).ends_with("does not say why it is untestable"));
        assert!(says(&format!("{judged}untestable='x'\n")).ends_with("but something judges it"));
        assert!(parse(&format!("{ok}untestable='only inside'\n")).is_ok());
    }
}
