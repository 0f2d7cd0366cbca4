//! `cargo xtask tidy`: what no compiler checks. Who may depend on whom, module texts, leftovers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::Table;
use xshell::{Shell, cmd};

use crate::{Outcome, root};

/// A row of the dependency table: a crate, which of ours it may use, and which of others. Normal and build dependencies
/// alike; what tests use is free but for the edges below.
struct Row {
    name: &'static str,
    ours: &'static [&'static str],
    others: &'static [&'static str],
    pure: bool,
}

const TABLE: &[Row] = &[
    Row { name: "protocol", ours: &[], others: &["form_urlencoded", "serde", "serde_json", "thiserror"], pure: true },
    Row {
        name: "recording",
        ours: &["protocol"],
        others: &[
            "base64",
            "blake3",
            "flate2",
            "form_urlencoded",
            "hmac",
            "jiff",
            "json-patch",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "zstd",
        ],
        pure: true,
    },
    Row {
        name: "simulator",
        ours: &["protocol"],
        others: &["fastrand", "serde", "serde_json", "thiserror"],
        pure: true,
    },
    Row {
        name: "replayer",
        ours: &["protocol", "recording"],
        others: &["serde", "serde_json", "thiserror"],
        pure: true,
    },
    Row {
        name: "conformance",
        ours: &["protocol", "recording"],
        others: &["jsonschema", "maud", "quick-junit", "serde", "serde_json", "thiserror", "toml"],
        pure: true,
    },
    Row {
        name: "transport",
        ours: &["protocol"],
        others: &[
            "brotli-decompressor",
            "bytes",
            "flate2",
            "futures-util",
            "getrandom",
            "http-body-util",
            "hyper",
            "hyper-util",
            "rcgen",
            "rustls-native-certs",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tokio-tungstenite",
            "tracing",
            "zstd",
        ],
        pure: false,
    },
    Row {
        name: "recorder",
        ours: &["protocol", "recording", "transport"],
        others: &["thiserror", "tokio", "tracing"],
        pure: false,
    },
    Row {
        name: "cli",
        ours: &["conformance", "protocol", "recorder", "recording", "replayer", "simulator", "transport"],
        others: &[
            "anstream",
            "anyhow",
            "clap",
            "clap_complete",
            "humantime",
            "indicatif",
            "jiff",
            "rustix",
            "serde",
            "serde_json",
            "tokio",
            "toml",
            "toml_edit",
            "tracing",
            "tracing-subscriber",
        ],
        pure: false,
    },
    Row { name: "xtask", ours: &[], others: &["anyhow", "serde_json", "toml", "xshell"], pure: false },
];

/// Edges that no test may have either.
const FORBIDDEN_IN_TESTS: &[(&str, &str)] =
    &[("protocol", "transport"), ("recording", "transport"), ("simulator", "transport")];

/// Crates that mean input and output; a pure crate has none of them anywhere below it.
const IMPURE: &[&str] = &["async-std", "hyper", "mio", "reqwest", "socket2", "tokio"];

pub(crate) fn run(shell: &Shell) -> Outcome {
    let mut faults = faults(&root())?;
    for row in TABLE.iter().filter(|row| row.pure) {
        let name = row.name;
        let tree = cmd!(shell, "cargo tree --locked --package {name} --edges normal --prefix none").quiet().read()?;
        faults.extend(impure(name, &tree));
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    println!(
        "tidy: {}",
        if faults.is_empty() { "nothing to mend".to_owned() } else { format!("{} to mend", faults.len()) }
    );
    Ok(u8::from(!faults.is_empty()))
}

/// Everything that can be seen in the files.
fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut packages: BTreeSet<PathBuf> = BTreeSet::from([root.join("xtask")]);
    for entry in fs::read_dir(root.join("crates"))? {
        packages.insert(entry?.path());
    }
    let ours: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    for package in &packages {
        let name = package.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let manifest = fs::read_to_string(package.join("Cargo.toml")).with_context(|| format!("`{name}`"))?;
        let manifest: Table = manifest.parse().with_context(|| format!("`{name}/Cargo.toml`"))?;
        match TABLE.iter().find(|row| row.name == name) {
            Some(row) => faults.extend(wrong_dependencies(row, &manifest, &ours)),
            None => faults.push(format!("crate `{name}` is not in the dependency table")),
        }
        if TABLE.iter().any(|row| row.name == name && row.pure) && !package.join("clippy.toml").exists() {
            faults.push(format!("pure crate `{name}` has no clippy.toml that bans clocks and hash maps"));
        }
    }
    for file in files(root)? {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if shown.ends_with(".rs") {
            faults.extend(wrong_source(&shown, &fs::read_to_string(&file)?));
        }
        if shown.ends_with(".snap.new") || shown.ends_with(".pending-snap") {
            faults.push(format!("{shown}: a snapshot that nobody has reviewed"));
        }
        if shown.ends_with(".snap") && is_orphan(&file)? {
            faults.push(format!("{shown}: no test of that file asserts this snapshot"));
        }
    }
    Ok(faults)
}

/// What a section names, for every system and for some.
fn names<'a>(manifest: &'a Table, section: &str) -> Vec<&'a str> {
    let table = |value: &'a toml::Value| value.as_table();
    let systems = manifest.get("target").and_then(table).into_iter().flat_map(Table::values).filter_map(table);
    let sections = std::iter::once(manifest).chain(systems).filter_map(|part| part.get(section).and_then(table));
    sections.flat_map(Table::keys).map(String::as_str).collect()
}

fn wrong_dependencies(row: &Row, manifest: &Table, ours: &BTreeSet<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    for section in ["dependencies", "build-dependencies"] {
        for dependency in names(manifest, section) {
            let allowed = if ours.contains(dependency) { row.ours } else { row.others };
            if !allowed.contains(&dependency) {
                faults.push(format!("crate `{}` must not depend on `{dependency}`", row.name));
            }
        }
    }
    for dependency in names(manifest, "dev-dependencies") {
        if FORBIDDEN_IN_TESTS.contains(&(row.name, dependency)) {
            faults.push(format!("the tests of crate `{}` must not depend on `{dependency}`", row.name));
        }
    }
    faults
}

fn impure(name: &str, tree: &str) -> Vec<String> {
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let found = IMPURE.iter().filter(|impure| crates.contains(**impure));
    found.map(|impure| format!("pure crate `{name}` has `{impure}` below it")).collect()
}

fn wrong_source(shown: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{shown}: a module begins with `//!` and says what it is for"));
    }
    if shown.ends_with("/mod.rs") {
        faults.push(format!("{shown}: a module `foo` stands in `foo.rs`, not in `foo/mod.rs`"));
    }
    if text.lines().count() > 1_000 {
        faults.push(format!("{shown}: more than 1000 lines; split it by concept"));
    }
    faults
}

/// Whether the source file that a snapshot names has no test by its name, or is gone.
fn is_orphan(snapshot: &Path) -> Result<bool> {
    let text = fs::read_to_string(snapshot)?;
    let source = text.lines().find_map(|line| line.strip_prefix("source: ")).map(|source| source.trim_matches('"'));
    let Some(source) = source else { return Ok(true) };
    let Ok(source) = fs::read_to_string(root().join(source)) else { return Ok(true) };
    let name = snapshot.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = name.rsplit("__").next().unwrap_or_default();
    // Names that a test builds at run time end with `@` and what was built.
    let name = name.split('@').next().unwrap_or_default();
    let numbered = name.rsplit_once('-').filter(|(_, digits)| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let test = numbered.map_or(name, |(test, _)| test);
    let asserted = source.contains(&format!("fn {test}(")) || source.contains(&format!("\"{test}\""));
    Ok(!asserted)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !["target", "node_modules", ".git"].contains(&name) {
                    folders.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        assert_eq!(faults(&root()).unwrap(), Vec::<String>::new());
    }

    fn row(name: &str) -> &'static Row {
        TABLE.iter().find(|row| row.name == name).unwrap()
    }

    fn wrong(name: &str, manifest: &str) -> Vec<String> {
        let ours = TABLE.iter().map(|row| row.name).collect();
        wrong_dependencies(row(name), &manifest.parse().unwrap(), &ours)
    }

    #[test]
    fn a_dependency_outside_the_table_is_found() {
        assert_eq!(wrong("protocol", "[dependencies]\nserde.workspace = true\n"), Vec::<String>::new());
        assert_eq!(
            wrong("protocol", "[dependencies]\ntokio.workspace = true\n"),
            ["crate `protocol` must not depend on `tokio`"]
        );
        assert_eq!(
            wrong("protocol", "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n"),
            ["crate `protocol` must not depend on `tokio`"]
        );
        assert_eq!(
            wrong("conformance", "[dependencies]\nsimulator.workspace = true\n"),
            ["crate `conformance` must not depend on `simulator`"]
        );
        assert_eq!(
            wrong("simulator", "[dev-dependencies]\ntransport.workspace = true\n"),
            ["the tests of crate `simulator` must not depend on `transport`"]
        );
    }

    #[test]
    fn input_and_output_below_a_pure_crate_is_found() {
        assert_eq!(impure("protocol", "protocol v0.1.0\nserde v1.0.0\n"), Vec::<String>::new());
        assert_eq!(
            impure("protocol", "protocol v0.1.0\ntokio v1.0.0\n"),
            ["pure crate `protocol` has `tokio` below it"]
        );
    }

    #[test]
    fn a_source_without_a_text_is_found() {
        assert_eq!(wrong_source("a/b.rs", "//! What it is.\n"), Vec::<String>::new());
        assert_eq!(wrong_source("a/mod.rs", "fn f() {}\n").len(), 2);
    }
}
