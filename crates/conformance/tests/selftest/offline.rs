//! The tape of a case comes to the same verdict offline, whatever is wrong with the server.

use simulator::mutation::mutations;

use crate::drive::{SEED, difference, mutant, settings, testify};
use crate::mutants::judges_of;

#[test]
fn every_mutation_comes_to_the_same_offline_in_every_case_that_judges_it() {
    let settings = settings();
    let mut different = Vec::new();
    for mutation in mutations() {
        for entry in judges_of(mutation) {
            let (then, tape) = testify(entry.case, entry.transport, &settings, mutant(mutation, SEED), SEED);
            different.extend(difference(&then, &tape).map(|difference| format!("{}: {difference}", mutation.name)));
        }
    }
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
}
