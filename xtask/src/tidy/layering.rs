//! Dependencies point downward, and versions and lints are the workspace's.

use super::Violation;
use super::packages::Package;
use super::tree::{File, Tree};

/// Which crates of the workspace a crate may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("bench", &[]),
    ("types", &[]),
    ("exact", &["types"]),
    ("classes", &["types", "exact"]),
    ("ledger", &["types", "exact", "classes"]),
    ("light", &["types", "ledger"]),
    ("chain", &[]),
    ("faults", &["chain"]),
    ("transport", &["types"]),
    ("content", &["types"]),
    ("api", &["types"]),
    ("executors", &["types", "exact", "classes"]),
    ("node", &["types", "exact", "classes", "ledger", "chain", "api", "transport", "content"]),
    ("provider", &["types", "exact", "classes", "executors", "api", "transport", "content"]),
    ("gateway", &["types", "classes", "api", "transport", "content"]),
    ("explorer", &["types", "api"]),
    ("sim", &["types", "exact", "classes", "ledger"]),
    ("fuzzing", &EVERYTHING),
    ("idlewild", &EVERYTHING),
    ("xtask", &["bench"]),
];

/// What the top of the house may use.
const EVERYTHING: [&str; 14] = [
    "types",
    "exact",
    "classes",
    "ledger",
    "light",
    "chain",
    "transport",
    "content",
    "api",
    "executors",
    "node",
    "provider",
    "gateway",
    "explorer",
];

/// What the tests and measurements of every crate may use besides.
const FOR_TESTS: &[&str] = &["bench", "faults", "ledger"];

/// Finds edges that are not in the table and manifests that go their own way.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &tree.packages {
        let Some(file) = manifest(tree, package) else { continue };
        violations.extend(edges(package, file));
        violations.extend(inheritance(file));
    }
    violations
}

fn manifest<'a>(tree: &'a Tree, package: &Package) -> Option<&'a File> {
    let mut files = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    files.find(|file| package.manifest_path.ends_with(&format!("/{}", file.path)))
}

fn edges(package: &Package, file: &File) -> Vec<Violation> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
        let what =
            format!("crate `{}` has no layer, add it to xtask/src/tidy/layering.rs", package.name);
        return vec![Violation::new(&file.path, 1, what)];
    };
    let mut violations = Vec::new();
    for dependency in package.dependencies.iter().filter(|used| used.path.is_some()) {
        let name = dependency.name.as_str();
        let for_tests = dependency.kind.as_deref() == Some("dev") && FOR_TESTS.contains(&name);
        if !for_tests && !allowed.contains(&name) {
            let line = line_with(&file.text, name);
            let what = format!(
                "`{}` must not depend on `{name}`, dependencies point downward",
                package.name
            );
            violations.push(Violation::new(&file.path, line, what));
        }
    }
    violations
}

fn line_with(text: &str, word: &str) -> usize {
    text.lines().position(|line| line.starts_with(word)).map_or(1, |at| at + 1)
}

fn inheritance(file: &File) -> Vec<Violation> {
    let mut violations = Vec::new();
    let sections = sections(&file.text);
    let has_lints = sections
        .iter()
        .any(|section| section.name == "lints" && section.entries.iter().any(is_workspace));
    if !has_lints {
        let what = "the workspace's lints are not used, add `[lints]` `workspace = true`";
        violations.push(Violation::new(&file.path, 1, what));
    }
    for section in &sections {
        if section.name.ends_with("dependencies") {
            for (line, entry) in section.entries.iter().filter(|entry| !is_workspace(entry)) {
                let name = entry.split(['=', '.', ' ']).next().unwrap_or_default();
                let what = format!("`{name}` has its own version, use `{name}.workspace = true`");
                violations.push(Violation::new(&file.path, *line, what));
            }
        } else if section.name.contains("dependencies.")
            && !section.entries.iter().any(is_workspace)
        {
            let what = format!("[{}] has its own version, use the workspace's", section.name);
            violations.push(Violation::new(&file.path, section.line, what));
        }
    }
    violations
}

fn is_workspace((_, entry): &(usize, String)) -> bool {
    entry.contains("workspace = true")
}

/// A `[section]` of a manifest with its entries and their lines.
struct Section {
    name: String,
    line: usize,
    entries: Vec<(usize, String)>,
}

/// Splits a manifest; lines that continue a list or table belong to the entry above.
fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { name: String::new(), line: 1, entries: Vec::new() }];
    let mut depth = 0_i32;
    for (at, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default().trim();
        let section = sections.last_mut().expect("the list begins with one section");
        if depth > 0 {
            if let Some((_, entry)) = section.entries.last_mut() {
                entry.push_str(code);
            }
        } else if code.starts_with('[') {
            let name = code.trim_matches(['[', ']']).trim().to_string();
            sections.push(Section { name, line: at + 1, entries: Vec::new() });
            continue;
        } else if !code.is_empty() {
            section.entries.push((at + 1, code.to_string()));
        }
        depth += code.chars().fold(0, |sum, letter| match letter {
            '[' | '{' => sum + 1,
            ']' | '}' => sum - 1,
            _ => sum,
        });
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::packages::Dependency;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn check_manifest(name: &str, uses: &[(&str, Option<&str>)], manifest: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        let mut tree = Tree::of(&[(&path, &format!("{LINTS}{manifest}"))]);
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).to_string(),
            kind: kind.map(String::from),
            path: Some(String::new()),
        };
        tree.packages = vec![Package {
            name: name.to_string(),
            manifest_path: format!("/root/{path}"),
            dependencies: uses.iter().map(dependency).collect(),
            targets: Vec::new(),
        }];
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_upward_edge_is_refused_at_its_line() {
        let up = "[dependencies]\nnode.workspace = true\n";
        assert_eq!(
            check_manifest("ledger", &[("types", None), ("node", None)], up),
            ["crates/ledger/Cargo.toml:4: `ledger` must not depend on `node`, \
              dependencies point downward"]
        );
        assert!(check_manifest("node", &[("ledger", None), ("chain", None)], "").is_empty());
    }

    #[test]
    fn tests_may_use_the_ledger_where_the_crate_may_not() {
        assert!(check_manifest("provider", &[("ledger", Some("dev"))], "").is_empty());
        assert_eq!(check_manifest("provider", &[("ledger", None)], "").len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_refused() {
        assert!(check_manifest("misc", &[], "")[0].contains("has no layer"));
    }

    #[test]
    fn versions_are_the_workspaces() {
        let own = "[dependencies]\na = \"1\"\nb = { workspace = true, features = [\n  \"x\",\n] }\n\
                   [target.'cfg(unix)'.dependencies]\nc.workspace = true\n\
                   [dev-dependencies.d]\nversion = \"1\"\n";
        let found = check_manifest("types", &[], own);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(":4: `a` has its own version"), "{found:?}");
        assert!(found[1].contains("[dev-dependencies.d]"), "{found:?}");
    }

    #[test]
    fn a_manifest_without_the_workspaces_lints_is_refused() {
        let file = Tree::of(&[("crates/types/Cargo.toml", "[lints.rust]\nx = \"warn\"\n")]);
        assert_eq!(inheritance(&file.files[0]).len(), 1);
    }
}
