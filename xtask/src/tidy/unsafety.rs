//! `unsafe` stands in listed files only, and each says why it is sound.

use super::Violation;
use super::rust::{Rust, line_of, words};
use super::tree::Tree;

/// Files that may be unsafe, with the reason.
const LISTED: &[(&str, &str)] = &[
    (
        "crates/executors/src/worker/sandbox.rs",
        "unshare(2), by which a process leaves the network of its parent",
    ),
    ("crates/light/examples/browser.rs", "names of exports, by which a page calls the module"),
    (
        "crates/executors/tests/worker/calls.rs",
        "system calls that no library offers, tried to show that they are refused",
    ),
];

/// Finds `unsafe` in files that are not listed, or without its reason.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    check_listed(tree, LISTED)
}

fn check_listed(tree: &Tree, listed: &[(&str, &str)]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        let Some(rust) = &file.rust else { continue };
        let is_listed = listed.iter().any(|(path, _)| *path == file.path);
        for (place, _) in words(&rust.code).filter(|(_, word)| *word == "unsafe") {
            let line = line_of(&rust.code, place.start);
            if !is_listed {
                let what = "`unsafe` in a file that xtask/src/tidy/unsafety.rs does not list";
                violations.push(Violation::new(&file.path, line, what));
            }
            if !is_explained(rust, line) {
                let what = "`unsafe` without a `SAFETY:` comment above";
                violations.push(Violation::new(&file.path, line, what));
            }
        }
    }
    for (path, _) in listed.iter().filter(|(path, _)| tree.file(path).is_none()) {
        violations.push(Violation::new(*path, 1, "listed as unsafe, and not here"));
    }
    violations
}

/// Returns whether the comment on the line, or the one right above, says `SAFETY:`.
fn is_explained(rust: &Rust, line: usize) -> bool {
    let comments: Vec<&str> = rust.comments.lines().collect();
    let code: Vec<&str> = rust.code.lines().collect();
    let says = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    if comments.get(line - 1).is_some_and(|line| says(line)) {
        return true;
    }
    (0..line - 1)
        .rev()
        .take_while(|above| {
            let code = code[*above].trim();
            code.starts_with("#[") || (code.is_empty() && !comments[*above].trim().is_empty())
        })
        .any(|above| says(comments[above]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "// SAFETY: it is\n// sound\n#[inline]\nunsafe fn a() {}\n";

    fn found(text: &str, listed: &[(&str, &str)]) -> usize {
        check_listed(&Tree::of(&[("a.rs", text)]), listed).len()
    }

    #[test]
    fn a_listed_and_explained_file_passes() {
        assert_eq!(found(GOOD, &[("a.rs", "why")]), 0);
        assert_eq!(found("/// # Safety\n/// x\nunsafe fn a() {}", &[("a.rs", "why")]), 0);
        assert_eq!(found("#![forbid(unsafe_code)]\n// unsafe\n", &[]), 0);
    }

    #[test]
    fn an_unlisted_unexplained_or_missing_file_does_not() {
        assert_eq!(found(GOOD, &[]), 1);
        assert_eq!(found("// SAFETY: far\n\nunsafe {}", &[("a.rs", "why")]), 1);
        assert_eq!(found("", &[("b.rs", "why")]), 1);
    }
}
