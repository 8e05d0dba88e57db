//! A job to do, with the content that it reads, and a look at what came of it.

pub(crate) mod guests;

use std::collections::BTreeMap;
use std::sync::Arc;

use classes::job::{Limits, Spec};
use executors::wasm::specification::METERING_VERSION;
use types::manifest::{Entry, EntryKind, RelativePath};
use types::{ContentHash, Encode, Hash, List, Manifest, Text, Time};

/// When all the jobs of these tests were matched.
pub(crate) const CREATED: Time = Time::from_ms(1_700_000_000_000);

/// A job and its content.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) spec: Spec,
    pub(crate) contents: BTreeMap<ContentHash, Arc<[u8]>>,
}

impl Work {
    /// Returns a job that runs `program` with limits that suit a small one.
    pub(crate) fn new(program: &[u8]) -> Self {
        let limits = Limits { fuel: 1_000_000_000, memory_pages: 256, output_bytes: 1 << 20 };
        let spec = Spec {
            metering: METERING_VERSION,
            program: ContentHash::of(program),
            input: None,
            stdin: None,
            arguments: List::default(),
            environment: List::default(),
            seed: Hash::ZERO,
            limits,
        };
        let mut work = Self { spec, contents: BTreeMap::new() };
        work.add(program);
        work
    }

    /// Returns a job that runs a program written as text.
    pub(crate) fn of_text(program: &str) -> Self {
        Self::new(&wat::parse_str(program).unwrap())
    }

    /// Adds content without naming it.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> ContentHash {
        let hash = ContentHash::of(bytes);
        self.contents.insert(hash, bytes.into());
        hash
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.spec.arguments = texts(arguments);
        self
    }

    pub(crate) fn environment(mut self, variables: &[&str]) -> Self {
        self.spec.environment = texts(variables);
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.spec.stdin = Some(self.add(bytes));
        self
    }

    /// Gives the job files, sorted by path.
    pub(crate) fn input(self, files: &[(&str, &[u8])]) -> Self {
        self.input_tree(files, &[])
    }

    /// Gives the job files and empty directories.
    pub(crate) fn input_tree(mut self, files: &[(&str, &[u8])], directories: &[&str]) -> Self {
        let mut entries = Vec::new();
        for (path, bytes) in files {
            let hash = self.add(bytes);
            let kind = EntryKind::File { hash, bytes: u64::try_from(bytes.len()).unwrap() };
            entries.push(Entry { path: RelativePath::new(*path).unwrap(), kind });
        }
        for path in directories {
            let path = RelativePath::new(*path).unwrap();
            entries.push(Entry { path, kind: EntryKind::Directory {} });
        }
        entries.sort_by(|a, b| a.path.as_str().split('/').cmp(b.path.as_str().split('/')));
        let manifest = Manifest::new(entries).unwrap().to_bytes();
        self.spec.input = Some(self.add(&manifest));
        self
    }
}

fn texts<const BYTES: usize, const MAX: usize>(texts: &[&str]) -> List<Text<BYTES>, MAX> {
    List::new(texts.iter().map(|text| Text::new(*text).unwrap()).collect()).unwrap()
}

/// Returns the content of a file that a job wrote.
pub(crate) fn content_of<B: AsRef<[u8]>>(
    manifest: &Manifest,
    contents: &BTreeMap<ContentHash, B>,
    path: &str,
) -> Vec<u8> {
    let entry = manifest.entries().iter().find(|entry| entry.path.as_str() == path);
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::File { hash, .. }) => contents[hash].as_ref().to_vec(),
        other => panic!("{path} is {other:?}"),
    }
}
