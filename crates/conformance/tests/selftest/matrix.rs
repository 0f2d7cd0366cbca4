//! The whole matrix: every mutation with every case. It is as it was reviewed.

use std::collections::{BTreeMap, BTreeSet};

use conformance::requirements::Catalogue;

use crate::mutants::{Tries, all_tries, testable};

#[test]
fn the_kill_matrix_is_as_it_was_reviewed() {
    let matrix: String = all_tries().iter().map(row).collect();
    insta::assert_snapshot!("kill_matrix", matrix);
}

/// A mutation, and by which requirements it was noticed where.
fn row(tries: &Tries) -> String {
    let mut noticed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut by_rules: BTreeMap<&str, usize> = BTreeMap::new();
    for tried in &tries.tried {
        if let Some(first) = tried.by_case.first() {
            noticed.entry(first).or_default().push(tried.result.name());
        }
        tried.by_rules.iter().for_each(|id| *by_rules.entry(id).or_default() += 1);
    }
    let mut row = format!("{}: {}\n", tries.mutation.name, tries.mutation.requirements.join(", "));
    for (id, count) in by_rules {
        row.push_str(&format!("    {id:<11} by a rule in {count} entries\n"));
    }
    for (id, names) in noticed {
        names.iter().for_each(|name| row.push_str(&format!("    {id:<11} {name}\n")));
    }
    row
}

#[test]
fn the_numbers_are_as_they_were_reviewed() {
    let caught = |tries: &&Tries| {
        let mut requirements = tries.mutation.requirements.iter().filter_map(|id| Catalogue::get().requirement(id));
        requirements.all(|requirement| tries.catch(requirement))
    };
    let named: BTreeSet<&str> = all_tries().iter().flat_map(|tries| tries.mutation.requirements).copied().collect();
    let broken = testable().filter(|known| named.contains(known.id.as_str())).count();
    let (all, requirements) = (all_tries().len(), testable().count());
    let numbers = format!(
        "{} of {all} mutations are caught by every requirement that they break\n\
         {} of {requirements} requirements of servers are broken by a mutation\n",
        all_tries().iter().filter(caught).count(),
        broken,
    );
    insta::assert_snapshot!("numbers", numbers);
}
