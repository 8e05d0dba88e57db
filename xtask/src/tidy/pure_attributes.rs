//! The pure crates switch on, in so many words, the lints that keep them pure.

use super::Violation;
use super::pure_graph::PURE;
use super::rust::{line_of, words};
use super::tree::Tree;

/// The attribute that a pure crate's `lib.rs` must hold.
const FORBID: &str = "#![forbid(unsafe_code)]";
/// The lints that `#![deny(…)]` in a pure crate's `lib.rs` must name, in any order.
const DENY: [&str; 5] = [
    "arithmetic_side_effects",
    "disallowed_methods",
    "disallowed_types",
    "float_arithmetic",
    "indexing_slicing",
];

/// Finds pure crates without those attributes, and floating-point types in them.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in PURE {
        let path = format!("crates/{name}/src/lib.rs");
        let code = tree.file(&path).and_then(|file| file.rust.as_ref()).map(|rust| &rust.code);
        let code = code.map(String::as_str).unwrap_or_default();
        if !code.contains(FORBID) {
            violations.push(Violation::new(&path, 1, format!("add the line `{FORBID}`")));
        }
        let denied: Vec<&str> = denied(code);
        for lint in DENY.iter().filter(|lint| !denied.contains(lint)) {
            let what = format!("a pure crate denies `clippy::{lint}`, add it to `#![deny(…)]`");
            violations.push(Violation::new(&path, 1, what));
        }
        violations.extend(floats(tree, &format!("crates/{name}/src/")));
    }
    violations
}

/// Returns the words of the crate's `#![deny(…)]` attributes.
fn denied(code: &str) -> Vec<&str> {
    code.split("#![deny(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(lints, _)| words(lints).map(|(_, word)| word))
        .collect()
}

fn floats(tree: &Tree, folder: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        let Some(rust) = file.rust_below(folder) else { continue };
        for (place, word) in words(&rust.code) {
            let is_float = matches!(word, "f32" | "f64")
                || (word.starts_with(|letter: char| letter.is_ascii_digit())
                    && (word.ends_with("f32") || word.ends_with("f64"))
                    && !word.starts_with("0x"));
            let line = line_of(&rust.code, place.start);
            if is_float && !file.is_test_line(line) {
                let what = "a float in a pure crate, use integers";
                violations.push(Violation::new(&file.path, line, what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_attribute_is_named() {
        let lints = DENY.map(|lint| format!("clippy::{lint},\n")).concat();
        let whole = format!("{FORBID}\n#![deny(\n{lints})]\n");
        let tree = Tree::of(&[
            ("crates/types/src/lib.rs", &whole),
            ("crates/classes/src/lib.rs", &whole.replace("clippy::float_arithmetic,", "")),
            ("crates/ledger/src/lib.rs", &whole.replace(FORBID, "// #![forbid(unsafe_code)]")),
            ("crates/light/src/lib.rs", &whole),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|found| found.what).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("float_arithmetic") && found[1].contains(FORBID));
    }

    #[test]
    fn floats_are_found_outside_tests_and_text() {
        let text = "fn a(x: f64) {}\nconst B: u8 = 0xf32;\n// f32\nlet c = 1_f32;\n\
                    #[cfg(test)]\nmod tests { fn d(x: f32) {} }\n";
        let tree = Tree::of(&[("crates/types/src/a.rs", text)]);
        let lines: Vec<_> =
            floats(&tree, "crates/types/src/").into_iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 4]);
    }
}
