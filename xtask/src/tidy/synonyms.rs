//! One concept, one word: public types of the market use the glossary's.

use super::Violation;
use super::pure_graph::PURE;
use super::rust::{camel_words, line_of, words};
use super::tree::Tree;

/// Words that the glossary has another word for.
const SYNONYMS: &[(&str, &str)] = &[
    ("agreement", "lease"),
    ("bond", "stake"),
    ("buyer", "tenant"),
    ("client", "tenant"),
    ("collateral", "stake"),
    ("consumer", "tenant"),
    ("contract", "lease"),
    ("customer", "tenant"),
    ("host", "provider"),
    ("invoice", "receipt"),
    ("miner", "provider"),
    ("requestor", "tenant"),
    ("requester", "tenant"),
    ("seller", "provider"),
    ("user", "tenant"),
    ("voucher", "receipt"),
    ("worker", "provider"),
];

/// Finds public types with a word that is not the glossary's.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_test) {
        let Some(rust) =
            PURE.iter().find_map(|name| file.rust_below(&format!("crates/{name}/src/")))
        else {
            continue;
        };
        for (at, name) in public_types(&rust.code) {
            if let Some((word, better)) = synonym(name) {
                let line = line_of(&rust.code, at);
                let what = format!("type `{name}` says {word}, the glossary says {better}");
                violations.push(Violation::new(&file.path, line, what));
            }
        }
    }
    violations
}

fn public_types(code: &str) -> Vec<(usize, &str)> {
    let mut types = Vec::new();
    let mut last = ["", ""];
    for (place, word) in words(code) {
        if last[0] == "pub" && matches!(last[1], "struct" | "enum" | "trait" | "type" | "union") {
            types.push((place.start, word));
        }
        last = [last[1], word];
    }
    types
}

fn synonym(name: &str) -> Option<(&'static str, &'static str)> {
    camel_words(name).iter().find_map(|word| {
        let word = word.to_lowercase();
        SYNONYMS
            .iter()
            .find(|(synonym, _)| word == *synonym || word.strip_suffix('s') == Some(*synonym))
            .copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_of_public_types_are_compared() {
        let text = "pub struct WorkerKey;\npub enum Hosts {}\npub struct Unbonding;\n\
                    struct Miner;\npub fn client() {}\npub trait Lease {}\n";
        let tree = Tree::of(&[("crates/types/src/a.rs", text), ("crates/node/src/a.rs", text)]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/types/src/a.rs:1: type `WorkerKey` says worker, the glossary says provider",
                "crates/types/src/a.rs:2: type `Hosts` says host, the glossary says provider",
            ]
        );
    }
}
