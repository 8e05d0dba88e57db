//! Every target on random and on damaged valid bytes, from a printed seed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use executors::wasm::instrument::{ModuleLimits, instrument};
use fuzzing::{Mutator, TARGETS};

/// Returns the seed from `IDLEWILD_SEED`, else one that differs from run to run.
fn seed() -> u64 {
    let given = std::env::var("IDLEWILD_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.expect("the clock is after 1970").subsec_nanos().into()
        },
        |seed| seed.parse().expect("IDLEWILD_SEED is a number"),
    )
}

#[test]
fn no_bytes_break_a_decoder() {
    let factor = if std::env::var_os("IDLEWILD_LONG").is_some() { 200 } else { 1 };
    for target in TARGETS {
        let seed = seed();
        println!("{}: IDLEWILD_SEED={seed} repeats this", target.name);
        let mut mutator = Mutator::new(seed);
        let seeds = (target.seeds)();
        for _ in 0..target.rounds * factor {
            (target.run)(&mutator.random(600));
            (target.run)(&mutator.damaged(&seeds));
        }
    }
}

#[test]
fn every_seed_is_accepted() {
    for seed in (TARGETS.iter().find(|target| target.name == "constraint").unwrap().seeds)() {
        let text = String::from_utf8(seed).unwrap();
        text.parse::<types::Constraint>().unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let limits = ModuleLimits { memory_pages: 16, fuel: u64::MAX };
    for seed in (TARGETS.iter().find(|target| target.name == "wasm_module").unwrap().seeds)() {
        instrument(&seed, &limits).unwrap();
    }
    for target in TARGETS {
        assert!(!(target.seeds)().is_empty(), "{} has no seeds", target.name);
        for seed in (target.seeds)() {
            (target.run)(&seed);
        }
    }
}

#[test]
fn every_target_has_its_program() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let programs: BTreeSet<String> = fs::read_dir(fuzz.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.into()).collect();
    assert_eq!(programs, targets);
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
        let path = fuzz.join(format!("fuzz_targets/{name}.rs"));
        let program = fs::read_to_string(path).unwrap();
        assert!(program.contains(&format!("fuzzing::{name}(data)")), "{name} runs another target");
        let plants = format!("fuzzing::plant(\"{name}\")");
        assert!(program.contains(&plants), "{name} begins with other seeds");
    }
}
