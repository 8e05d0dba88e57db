//! The ledger knows no class by name: a new class is a file and a table line elsewhere.

use super::Violation;
use super::rust::{Rust, closing, is_word, line_of, words};
use super::tree::Tree;

/// The classes.
const CLASSES: &[&str] = &[
    "bandwidth",
    "cdn",
    "coverage",
    "data",
    "inference",
    "job",
    "machine",
    "render",
    "service",
    "training",
];

/// Finds names of classes in the ledger, tests left out.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_test) {
        let Some(rust) = file.rust_below("crates/ledger/src/") else { continue };
        for (line, found) in names(rust) {
            if !rust.is_test_line(line) {
                let what = format!("the ledger names a class: `{found}`, ask the class table");
                violations.push(Violation::new(&file.path, line, what));
            }
        }
    }
    violations
}

fn names(rust: &Rust) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut add = |at: usize, what: String| found.push((line_of(&rust.code, at), what));
    for (place, word) in words(&rust.code) {
        let before = &rust.code[..place.start];
        if before.ends_with("ClassId::") && is_constant(word) {
            add(place.start, format!("ClassId::{word}"));
        } else if before.ends_with("classes::") && CLASSES.contains(&word) {
            add(place.start, format!("classes::{word}"));
        } else if is_named_after_class(word) {
            add(place.start, word.to_string());
        }
    }
    for (at, path) in rust.code.match_indices("classes::{") {
        let open = at + path.len() - 1;
        let end = closing(&rust.code, open).unwrap_or(rust.code.len());
        for (place, word) in words(&rust.code[open..end]) {
            if CLASSES.contains(&word) {
                add(open + place.start, format!("classes::{word}"));
            }
        }
    }
    for class in CLASSES {
        for (at, text) in rust.literals.match_indices(&format!("\"{class}\"")) {
            let before = at.checked_sub(1).map(|before| rust.literals.as_bytes()[before]);
            if before.is_none_or(|before| !is_word(before)) {
                add(at, text.to_string());
            }
        }
    }
    found
}

/// Returns whether a constant of `ClassId` names a class; limits of the type are not classes.
fn is_constant(word: &str) -> bool {
    CLASSES.contains(&word.to_lowercase().as_str())
}

/// Returns whether a type is one class's own, like `JobOrder`.
fn is_named_after_class(word: &str) -> bool {
    CLASSES.iter().filter(|class| !matches!(**class, "data" | "machine" | "service")).any(|class| {
        let (first, rest) = class.split_at(1);
        word.strip_prefix(&first.to_uppercase())
            .and_then(|tail| tail.strip_prefix(rest))
            .is_some_and(|tail| tail.starts_with(|letter: char| letter.is_ascii_uppercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut found: Vec<_> = names(&Rust::new(text)).into_iter().map(|(_, what)| what).collect();
        found.sort();
        found
    }

    #[test]
    fn every_way_to_name_a_class_is_found() {
        assert_eq!(found("ClassId::JOB"), ["ClassId::JOB"]);
        assert_eq!(found("let a = \"job\";"), ["\"job\""]);
        assert_eq!(found("classes::render::units(1)"), ["classes::render"]);
        assert_eq!(found("use classes::{Class, job};"), ["classes::job"]);
        assert_eq!(found("fn a(b: JobOrder)"), ["JobOrder"]);
    }

    #[test]
    fn words_that_only_look_like_classes_pass() {
        assert_eq!(found("ClassId::LENGTH_MAX"), [""; 0]);
        assert_eq!(found("struct Machine; fn job(data: Data) { \"a job\" } // \"job\""), [""; 0]);
        assert_eq!(found("Jobs"), [""; 0]);
    }

    #[test]
    fn tests_of_the_ledger_may_name_classes() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { const A: ClassId = ClassId::JOB; }\n";
        let tree = Tree::of(&[
            ("crates/ledger/src/lib.rs", text),
            ("crates/ledger/tests/whole.rs", "ClassId::JOB"),
            ("crates/node/src/lib.rs", "ClassId::JOB"),
        ]);
        assert_eq!(check(&tree), []);
    }
}
