//! What the checks look at: the files of the project and its packages.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::packages::{self, Graph, Package};
use super::rust::{Rust, Start, item_start, line_of, words};
use crate::house::House;

/// Text above this is not looked into, in bytes; `length` refuses such files anyway.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The project on disk, or a small one made up in a test.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
    pub(super) packages: Vec<Package>,
    pub(super) graph: Graph,
}

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// The path from the root, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// The content, or nothing where it is not text.
    pub(super) text: String,
    pub(super) rust: Option<Rust>,
    /// Whether the whole file is compiled for tests or measurements only.
    pub(super) is_test: bool,
}

impl File {
    fn new(path: &str, bytes: u64, text: String) -> Self {
        let rust = path.ends_with(".rs").then(|| Rust::new(&text));
        let is_test = path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "fuzz_targets" | "tests.rs"));
        Self { path: path.into(), bytes, text, rust, is_test }
    }

    /// Returns whether the line, counted from 1, is test code.
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.rust.as_ref().is_some_and(|rust| rust.is_test_line(line))
    }

    /// Returns the source and its masks, of files below the folder, if they are Rust.
    pub(super) fn rust_below(&self, folder: &str) -> Option<&Rust> {
        self.rust.as_ref().filter(|_| self.path.starts_with(folder))
    }
}

impl Tree {
    /// Reads the files and asks cargo for the packages.
    pub(super) fn read(house: &House) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths(house)? {
            let place = house.root().join(&path);
            let facts = fs::symlink_metadata(&place)?;
            let is_text = facts.is_file() && facts.len() <= TEXT_BYTES_MAX;
            let content = if is_text { fs::read(&place)? } else { Vec::new() };
            files.push(File::new(
                &path,
                facts.len(),
                String::from_utf8(content).unwrap_or_default(),
            ));
        }
        mark_test_modules(&mut files);
        let packages = packages::read(house)?;
        Ok(Self { files, packages, graph: packages::read_graph(house, super::pure_graph::PURE)? })
    }

    /// Makes up a project of these files, for tests.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| {
            let bytes = u64::try_from(text.len()).unwrap();
            File::new(path, bytes, (*text).to_string())
        };
        let mut files: Vec<File> = files.iter().map(file).collect();
        mark_test_modules(&mut files);
        Self { files, ..Self::default() }
    }

    /// Returns the file at a path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Returns what git would commit, or without git every file that no build made, sorted.
fn paths(house: &House) -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = house.command(Path::new("git"), &list).output();
    let mut paths = BTreeSet::new();
    match output {
        Ok(output) if output.status.success() => {
            let list = String::from_utf8(output.stdout).context("a file's name is no text")?;
            paths.extend(list.split_terminator('\0').map(String::from));
            paths.retain(|path| house.root().join(path).symlink_metadata().is_ok());
        }
        _ => walk(house.root(), "", &mut paths)?,
    }
    Ok(paths.into_iter().collect())
}

fn walk(root: &Path, folder: &str, paths: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a file's name is no text")?;
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !entry.file_type()?.is_dir() {
            paths.insert(path);
        } else if !matches!(name.as_str(), "target" | ".git") {
            walk(root, &path, paths)?;
        }
    }
    Ok(())
}

/// A module declared without a body: where it is declared and which files may hold it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) line: usize,
    pub(super) candidates: [String; 2],
}

/// Returns the modules that a file declares without a body.
pub(super) fn declared_modules(file: &File) -> Vec<Declared> {
    let Some(rust) = &file.rust else { return Vec::new() };
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let is_root = matches!(name, "lib.rs" | "main.rs" | "mod.rs")
        || ["tests", "benches", "examples", "bin", "fuzz_targets"]
            .iter()
            .any(|root| folder.rsplit('/').next() == Some(root));
    let home = if is_root { folder } else { file.path.trim_end_matches(".rs") };
    let mut declared = Vec::new();
    let mut words = words(&rust.code);
    while let Some((place, word)) = words.next() {
        if word != "mod" {
            continue;
        }
        let Some((name_place, name)) = words.next() else { break };
        if item_start(&rust.code, place.start) == Some(Start::Semicolon(name_place.end)) {
            declared.push(Declared {
                line: line_of(&rust.code, place.start),
                candidates: [format!("{home}/{name}.rs"), format!("{home}/{name}/mod.rs")],
            });
        }
    }
    declared
}

/// Marks the files whose module is declared under `#[cfg(test)]`, and what they declare.
fn mark_test_modules(files: &mut [File]) {
    loop {
        let mut homes = BTreeSet::new();
        for file in files.iter() {
            let declared = declared_modules(file).into_iter();
            let of_tests = declared.filter(|module| file.is_test_line(module.line));
            homes.extend(of_tests.flat_map(|module| module.candidates));
        }
        let fresh = files.iter_mut().filter(|file| !file.is_test && homes.contains(&file.path));
        if fresh.map(|file| file.is_test = true).count() == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_declared_for_tests_are_tests_with_what_they_declare() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod book;\n#[cfg(test)]\nmod naive;\nmod x { mod y {} }"),
            ("crates/a/src/book.rs", ""),
            ("crates/a/src/naive.rs", "mod deep;"),
            ("crates/a/src/naive/deep.rs", ""),
            ("crates/a/tests/whole.rs", ""),
        ]);
        let tests: Vec<_> = tree.files.iter().filter(|file| file.is_test).collect();
        let paths: Vec<_> = tests.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            ["crates/a/src/naive.rs", "crates/a/src/naive/deep.rs", "crates/a/tests/whole.rs"]
        );
    }
}
