//! Every source file is part of a program: cargo or a `mod` line leads to it.

use std::collections::BTreeSet;

use super::Violation;
use super::tree::{File, Tree, declared_modules};

/// Finds files below a `src` folder that nothing leads to.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut declared = BTreeSet::new();
    for file in &tree.files {
        declared.extend(declared_modules(file).into_iter().flat_map(|module| module.candidates));
    }
    let is_dead = |file: &&File| {
        let Some((folder, name)) = file.path.rsplit_once('/') else { return false };
        file.rust.is_some()
            && folder.split('/').any(|part| part == "src")
            && !(matches!(name, "lib.rs" | "main.rs") || folder.ends_with("src/bin"))
            && !declared.contains(&file.path)
            && !is_mentioned(tree, name)
    };
    let what = "nothing leads to this file, declare it with `mod` or delete it";
    tree.files.iter().filter(is_dead).map(|file| Violation::new(&file.path, 1, what)).collect()
}

/// Returns whether a manifest, a `#[path]` or an `include!` names the file.
fn is_mentioned(tree: &Tree, name: &str) -> bool {
    tree.files.iter().any(|file| match &file.rust {
        Some(rust) => rust.literals.contains(&format!("/{name}\"")),
        None => file.path.ends_with("Cargo.toml") && file.text.contains(&format!("/{name}\"")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_without_a_mod_line_is_dead() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod book;\npub mod deep;\n#[cfg(test)]\nmod naive;"),
            ("crates/a/src/book.rs", "// mod lost;"),
            ("crates/a/src/lost.rs", ""),
            ("crates/a/src/naive.rs", ""),
            ("crates/a/src/deep/mod.rs", "mod one;"),
            ("crates/a/src/deep/one.rs", ""),
            ("crates/a/tests/whole.rs", ""),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|found| found.path).collect();
        assert_eq!(found, ["crates/a/src/lost.rs"]);
    }
}
