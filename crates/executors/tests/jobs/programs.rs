//! Programs that nobody here wrote: each case of `tests/programs/cases.toml`, on both engines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use classes::job::Exit;
use executors::job::Outcome;
use executors::wasm::instrument::{ModuleLimits, instrument};
use serde::Deserialize;
use types::ContentHash;
use types::manifest::EntryKind;

use crate::engines::{assert_same, compiled, house, interpreted, is_long, script, text};
use crate::work::{Work, content_of};

/// What a job may use at its everyday size on the slower engine, in fuel beyond the compilation.
const INTERPRETED_FUEL_MAX: u64 = 400_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    modules: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    program: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    #[serde(default)]
    inputs: Vec<Input>,
    exit: u32,
    work_root: String,
    stdout: Option<String>,
    stdout_sha256: Option<String>,
    #[serde(default)]
    stderr_has: Vec<String>,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    path: String,
    text: Option<String>,
    #[serde(default = "once")]
    repeat: usize,
    hex: Option<String>,
}

const fn once() -> usize {
    1
}

impl Input {
    fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.hex) {
            (Some(text), None) => text.repeat(self.repeat).into_bytes(),
            (None, Some(hex)) => (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect(),
            _ => panic!("{} has either text or hex", self.path),
        }
    }
}

impl Case {
    fn work(&self, program: &[u8]) -> Work {
        let arguments: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let variables: Vec<String> =
            self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        let mut work = Work::new(program).arguments(&arguments).environment(&variables);
        if let Some(stdin) = &self.stdin {
            work = work.stdin(stdin.as_bytes());
        }
        let files: Vec<_> =
            self.inputs.iter().map(|input| (input.path.as_str(), input.bytes())).collect();
        let files: Vec<_> = files.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
        if !files.is_empty() {
            work = work.input(&files);
        }
        work.spec.limits.fuel = 50_000_000_000;
        work.spec.limits.memory_pages = 4096;
        work.spec.limits.output_bytes = 64 << 20;
        work
    }

    /// Checks what every build of the program must give.
    fn check(&self, outcome: &Outcome) {
        let name = &self.name;
        let content = |path: &str| content_of(&outcome.manifest, &outcome.contents, path);
        let stderr = text(outcome, "stderr");
        assert_eq!(outcome.usage.exit, Exit::Code(self.exit), "{name}: {stderr}");
        if let Some(stdout) = &self.stdout {
            assert_eq!(&text(outcome, "stdout"), stdout, "{name}");
        }
        if let Some(hash) = &self.stdout_sha256 {
            assert_eq!(&sha256(&content("stdout")), hash, "{name}");
        }
        for part in &self.stderr_has {
            assert!(stderr.contains(part), "{name}: {stderr}");
        }
        let mut outputs = BTreeMap::new();
        for entry in outcome.manifest.entries() {
            let path = entry.path.as_str();
            if let (Some(below), EntryKind::File { .. }) = (path.strip_prefix("out/"), &entry.kind)
            {
                outputs.insert(below.to_owned(), sha256(&content(path)));
            }
        }
        assert_eq!(outputs, self.outputs, "{name}");
    }
}

/// Returns a SHA-256 as text, computed by the example program.
fn sha256(bytes: &[u8]) -> String {
    let program = fs::read(house().join("examples/sha256.wasm")).unwrap();
    let mut work = Work::new(&program).stdin(bytes);
    work.spec.limits.fuel = 50_000_000_000;
    let line = text(&compiled(&work), "stdout");
    line.split(' ').next().unwrap().to_owned()
}

/// Returns where built programs are kept: outside the clone, so that the next one has them too.
fn kept() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = |cache: PathBuf| cache.join("idlewild/programs");
    cache.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("programs"), folder)
}

#[test]
fn programs_from_elsewhere_give_what_they_must() {
    let folder = kept();
    if !script(Command::new(house().join("tests/programs/build.sh")).arg(&folder)) {
        return;
    }
    let cases = fs::read_to_string(house().join("tests/programs/cases.toml")).unwrap();
    let cases: Cases = toml::from_str(&cases).unwrap();
    assert!(!cases.case.is_empty());
    let mut programs = BTreeMap::new();
    for (name, pinned) in &cases.modules {
        let bytes = fs::read(folder.join(format!("{name}.wasm"))).unwrap();
        let found = ContentHash::of(&bytes).to_string();
        if found != *pinned {
            println!("{name}: this compiler builds {found}, of which no roots are pinned");
        }
        let limits = ModuleLimits { memory_pages: 4096, fuel: u64::MAX };
        let compile_fuel = instrument(&bytes, &limits).unwrap().compile_fuel;
        programs.insert(name.as_str(), (bytes, compile_fuel, found == *pinned));
    }
    let mut differing = Vec::new();
    for case in &cases.case {
        let (program, compile_fuel, is_pinned) = &programs[case.program.as_str()];
        let work = case.work(program);
        let began = Instant::now();
        let first = compiled(&work);
        let compiled_in = began.elapsed();
        case.check(&first);
        if *is_pinned && first.digest().to_string() != case.work_root {
            differing.push(format!("{}: {}", case.name, first.digest()));
        }
        assert_same(&first, &compiled(&work));
        let began = Instant::now();
        let is_interpreted = is_long() || first.usage.fuel - compile_fuel <= INTERPRETED_FUEL_MAX;
        if is_interpreted {
            assert_same(&first, &interpreted(&work));
        }
        println!(
            "{}: {} Mfuel, compiler {compiled_in:?}, interpreter {}",
            case.name,
            first.usage.fuel / 1_000_000,
            if is_interpreted { format!("{:?}", began.elapsed()) } else { "(long)".to_owned() }
        );
    }
    assert!(differing.is_empty(), "work roots other than the pinned ones: {differing:#?}");
}
