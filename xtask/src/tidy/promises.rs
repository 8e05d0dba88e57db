//! Every numbered promise of SPECIFICATION.md has a figure and a test that exists.
//!
//! A promise is a list item, table row or heading that begins with a number; it goes on to the
//! next one, the next heading or a blank line that no indented text follows. It names its test in
//! backticks, as a function or a path, or says `[test pending]`.

use std::collections::BTreeSet;

use super::Violation;
use super::rust::{line_of, words};
use super::tree::Tree;

const PATH: &str = "SPECIFICATION.md";
const PENDING: &str = "[test pending]";

/// Finds promises without a figure, without a test, or with a name that nothing has.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(file) = tree.file(PATH) else {
        return vec![Violation::new(PATH, 1, "missing, it numbers what the project promises")];
    };
    let promises = promises(&file.text);
    if promises.is_empty() {
        return vec![Violation::new(PATH, 1, "no numbered promise")];
    }
    let known = Known::of(tree);
    let mut violations = Vec::new();
    let mut numbers = BTreeSet::new();
    for promise in &promises {
        let mut fault = |what: String| {
            let what = format!("promise {}: {what}", promise.number);
            violations.push(Violation::new(PATH, promise.line, what));
        };
        if !numbers.insert(promise.number) {
            fault("the number stands twice".into());
        }
        let (prose, names) = apart(&promise.text);
        if !prose.contains(|letter: char| letter.is_ascii_digit()) {
            fault("no figure".into());
        }
        let is_pending = promise.text.contains(PENDING);
        if !is_pending && !names.iter().any(|name| known.is_test(tree, name)) {
            fault(format!("names no test that exists, name one in backticks or say {PENDING}"));
        }
        for name in names.iter().filter(|name| is_function_like(name)) {
            if !known.names.contains(last_part(name)) {
                fault(format!("`{name}` is nowhere in the code"));
            }
        }
    }
    violations
}

struct Promise {
    number: u32,
    line: usize,
    text: String,
}

fn promises(text: &str) -> Vec<Promise> {
    let mut promises: Vec<Promise> = Vec::new();
    let mut is_open = false;
    let mut after_blank = false;
    for (at, line) in text.lines().enumerate() {
        let is_inner = line.starts_with(' ');
        if let Some((number, rest)) = numbered(line).filter(|_| !is_inner) {
            promises.push(Promise { number, line: at + 1, text: rest.to_string() });
            is_open = true;
        } else if line.starts_with('#') || (after_blank && !is_inner && !line.is_empty()) {
            is_open = false;
        } else if let Some(promise) = promises.last_mut().filter(|_| is_open) {
            promise.text.push('\n');
            promise.text.push_str(line);
        }
        after_blank = line.trim().is_empty();
    }
    promises
}

/// Reads `12. text`, `| 12 | text`, `### 12. text`.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let is_row = line.starts_with('|');
    let start = line.trim_start_matches(['#', '|', ' ', '*']);
    let digits = start.bytes().take_while(u8::is_ascii_digit).count();
    let number = start[..digits].parse().ok()?;
    let rest = start[digits..].trim_start();
    let rest = if is_row { rest.strip_prefix('|')? } else { rest.strip_prefix('.')? };
    Some((number, rest))
}

/// Returns the prose and the names in backticks.
fn apart(text: &str) -> (String, Vec<&str>) {
    let mut prose = String::new();
    let mut names = Vec::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 0 {
            prose.push_str(part);
        } else {
            names.push(part.trim_end_matches("()"));
        }
    }
    (prose, names)
}

fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// Returns whether the name can only be meant for something in the code.
fn is_function_like(name: &str) -> bool {
    let part = last_part(name);
    let is_name = part.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_'));
    is_name && part.matches('_').count() >= 2
}

/// The names of the code: all of them, and those of test functions.
struct Known<'a> {
    names: BTreeSet<&'a str>,
    tests: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut known = Self { names: BTreeSet::new(), tests: BTreeSet::new() };
        for file in &tree.files {
            let Some(rust) = &file.rust else { continue };
            let mut last = "";
            for (place, word) in words(&rust.code) {
                known.names.insert(word);
                if last == "fn" && file.is_test_line(line_of(&rust.code, place.start)) {
                    known.tests.insert(word);
                }
                last = word;
            }
        }
        known
    }

    /// Returns whether the name is a test's function, or the path of a file of tests.
    fn is_test(&self, tree: &Tree, name: &str) -> bool {
        self.tests.contains(last_part(name)) || tree.file(name).is_some_and(|file| file.is_test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(specification: &str) -> Vec<String> {
        let code = "fn plain_helper_here() {}\n#[cfg(test)]\nmod tests {\n\
                    #[test]\nfn value_is_conserved() {}\n}\n";
        let tree = Tree::of(&[
            (PATH, specification),
            ("crates/a/src/lib.rs", code),
            ("crates/a/tests/crash.rs", ""),
        ]);
        check(&tree).into_iter().map(|found| format!("{}: {}", found.line, found.what)).collect()
    }

    #[test]
    fn a_promise_with_figure_and_test_passes_in_every_form() {
        assert_eq!(found("1. 0 lost. `tests::value_is_conserved`\n"), [""; 0]);
        assert_eq!(found("| 1 | at most 5 ms | `crates/a/tests/crash.rs` |\n"), [""; 0]);
        assert_eq!(
            found("### 1. Crash\n\nx\n"),
            [
                "1: promise 1: no figure".to_string(),
                format!(
                    "1: promise 1: names no test that exists, name one in backticks or say \
                     {PENDING}"
                )
            ]
        );
        assert_eq!(found("1. At 99 %. [test pending]\n"), [""; 0]);
        assert_eq!(found("1. Long,\n   0 lost.\n\n   `value_is_conserved`\n\nEnd.\n"), [""; 0]);
    }

    #[test]
    fn names_that_are_no_test_or_nowhere_are_found() {
        assert_eq!(found("1. 0 lost. `plain_helper_here`\n").len(), 1);
        let gone = "1. 0 lost. `value_is_conserved` and `value_was_conserved_once`\n";
        assert_eq!(
            found(gone),
            ["1: promise 1: `value_was_conserved_once` is nowhere in the code"]
        );
        assert_eq!(found("1. `value_is_conserved` 1\n1. `value_is_conserved` 1\n").len(), 1);
        assert_eq!(found("Words.\n"), ["1: no numbered promise"]);
    }
}
