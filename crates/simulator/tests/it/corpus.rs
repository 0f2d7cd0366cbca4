//! The kept inputs of the fuzz targets, as they are and mutated: what a fuzzer would try, with the stable toolchain.

use std::fs;
use std::path::Path;

use rstest::rstest;
use simulator::hostile::{self, Fault};

type Target = fn(&[u8]) -> Result<(), Fault>;

/// How many mutations each kept input gets.
const MUTATIONS: u32 = 30;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&file).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

#[rstest]
#[case::codec("codec", hostile::codec)]
#[case::client("client", hostile::client)]
#[case::server("server", hostile::server)]
fn every_kept_input_is_survived(#[case] name: &str, #[case] target: Target) {
    let inputs = corpus(name);
    assert!(inputs.len() > 20, "the corpus of {name} is there");
    for (file, input) in inputs {
        if let Err(fault) = target(&input) {
            panic!("fuzz/corpus/{name}/{file}: {fault}");
        }
    }
}

#[rstest]
#[case::codec("codec", hostile::codec)]
#[case::client("client", hostile::client)]
#[case::server("server", hostile::server)]
fn every_mutation_of_a_kept_input_is_survived(#[case] name: &str, #[case] target: Target) {
    let inputs = corpus(name);
    let mut random = fastrand::Rng::with_seed(0x7a9e);
    for (file, input) in &inputs {
        for round in 0..MUTATIONS {
            let other = &inputs[random.usize(..inputs.len())].1;
            let mutated = mutate(input, other, &mut random);
            if let Err(fault) = target(&mutated) {
                panic!("mutation {round} of fuzz/corpus/{name}/{file}: {fault}\n\n{}", mutated.escape_ascii());
            }
        }
    }
}

/// Words that mean something to a reader or a machine.
const WORDS: &[&str] = &[
    "9223372036854775807",
    "-1",
    "1e999",
    "null",
    "{}",
    "[]",
    "\"\"",
    "$client",
    "$other",
    "$file",
    "fileDownload",
    "--b|",
    "$id",
    "\"advice\":{\"reconnect\":\"none\"},",
    "\"advice\":{\"interval\":-5,\"timeout\":1},",
    "\"id\":\"1\",",
    "\"successful\":false,",
    "/meta/connect",
    "/meta/disconnect",
    "/**",
    "\\u0000",
    "\"",
    "\u{fffd}",
];

/// One to four changes: of a byte, of a word, of whole lines.
fn mutate(input: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.u8(1..=4) {
        let at = random.usize(..=bytes.len());
        match random.u8(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, random.choice(WORDS).unwrap().bytes())),
            4 => {
                let end = (at + random.usize(1..20)).min(bytes.len());
                bytes.splice(at..end, random.choice(WORDS).unwrap().bytes());
            }
            5 => {
                let from = random.usize(..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
            change => {
                let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
                let from = random.usize(..lines.len());
                let line = lines[from];
                if change == 6 {
                    lines.insert(random.usize(..=lines.len()), line);
                } else {
                    lines.remove(from);
                }
                bytes = lines.join(&b'\n');
            }
        }
    }
    bytes
}
