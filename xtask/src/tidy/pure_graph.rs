//! No pure crate reaches a runtime, a socket or a source of entropy, through however many others.

use super::Violation;
use super::tree::Tree;

/// Crates whose rules must give the same answer everywhere.
pub(super) const PURE: &[&str] = &["types", "classes", "ledger", "light"];

/// Packages that bring in what a pure crate must not have.
const DENIED: &[(&str, &str)] = &[
    ("async-io", "an async runtime"),
    ("async-std", "an async runtime"),
    ("fastrand", "entropy"),
    ("getrandom", "entropy"),
    ("hyper", "sockets"),
    ("mio", "sockets"),
    ("polling", "sockets"),
    ("rand", "entropy"),
    ("rayon-core", "threads"),
    ("reqwest", "sockets"),
    ("rusqlite", "files"),
    ("rustix", "system calls"),
    ("smol", "an async runtime"),
    ("socket2", "sockets"),
    ("tempfile", "files"),
    ("tokio", "an async runtime"),
];

/// Finds the ways from pure crates to denied packages.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in PURE {
        let ways = tree.graph.ways_from(name);
        for (denied, brings) in DENIED {
            if let Some(way) = ways.get(*denied) {
                let what = format!(
                    "a pure crate reaches {brings}: {}, drop a feature or the dependency",
                    way.join(" -> ")
                );
                violations.push(Violation::new(format!("crates/{name}/Cargo.toml"), 1, what));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::packages::Graph;

    #[test]
    fn a_denied_package_is_found_behind_others() {
        let graph = Graph::of(&[("types", "keys"), ("keys", "getrandom"), ("node", "tokio")]);
        let violations = check(&Tree { graph, ..Tree::default() });
        assert_eq!(violations.len(), 1);
        assert!(violations[0].what.contains("entropy: types -> keys -> getrandom"));
    }
}
