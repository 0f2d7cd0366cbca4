//! Histories that broke a property once, or are worth keeping for another reason, as text.

use std::fs;
use std::path::{Path, PathBuf};

use simulator::history::History;
use simulator::run::{Guards, run};
use simulator::trace;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "history"));
    files.sort();
    files
}

fn read(file: &Path) -> History {
    fs::read_to_string(file).unwrap().parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn no_kept_history_breaks_a_property() {
    let files = files();
    assert!(!files.is_empty());
    for file in files {
        let run = run(&read(&file), Guards::default());
        if let Err(breach) = run.verdict {
            panic!("{}: {breach}\n\n{}", file.display(), trace::render(&run.entries));
        }
    }
}
