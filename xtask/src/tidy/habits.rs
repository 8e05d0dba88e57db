//! Marks of unfinished or silenced code, and tests that wait or do not run.

use super::Violation;
use super::rust::{Rust, line_of, words};
use super::tree::{File, Tree};

/// Comment words that put work off.
const MARKS: &[&str] = &["TODO", "FIXME", "XXX"];
/// Macros that stand for code.
const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Finds such marks in Rust files.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        let Some(rust) = &file.rust else { continue };
        let found = in_code(file, rust).into_iter().chain(in_comments(rust));
        violations.extend(found.map(|(line, what)| Violation::new(&file.path, line, what)));
    }
    violations
}

fn in_comments(rust: &Rust) -> Vec<(usize, String)> {
    words(&rust.comments)
        .filter(|(_, word)| MARKS.contains(word))
        .map(|(place, word)| {
            (line_of(&rust.comments, place.start), format!("{word}, finish it or say why not"))
        })
        .collect()
}

fn in_code(file: &File, rust: &Rust) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (place, word) in words(&rust.code) {
        let before = &rust.code[..place.start];
        let after = &rust.code[place.end..];
        let line = line_of(&rust.code, place.start);
        let is_attribute = before.ends_with("#[") || before.ends_with("#![");
        let what = match word {
            "allow" if is_attribute => "`allow`, use `expect` with a reason".to_string(),
            "ignore" if is_attribute => "an ignored test does not hold anything".to_string(),
            "sleep" if is_call(before, after) && file.is_test_line(line) => {
                "a test that sleeps, wait for what it waits for".to_string()
            }
            _ if MACROS.contains(&word) && after.starts_with('!') => {
                format!("`{word}!`, write the code")
            }
            _ => continue,
        };
        found.push((line, what));
    }
    found
}

/// Returns whether a word between these texts is called as a function; a method is another's.
fn is_call(before: &str, after: &str) -> bool {
    after.starts_with('(') && !before.ends_with('.') && !before.ends_with("fn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|found| found.line).collect()
    }

    #[test]
    fn each_habit_is_found_in_code_and_not_in_text() {
        let text = "#[allow(dead_code)]\n// TODO later\nfn a() { todo!() }\n#[ignore]\n\
                    #[ignore = \"slow\"]\nlet b = \"#[allow(x)] todo!() TODO\";\n\
                    #[expect(dead_code, reason = \"b\")]\nlet c = dbg!(1);\n";
        let mut found = lines("crates/a/src/lib.rs", text);
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, 4, 5, 8]);
    }

    #[test]
    fn only_tests_must_not_sleep() {
        let text = "fn a() { sleep(b) }\n#[cfg(test)]\nmod tests { fn c() { sleep(d) } }\n";
        assert_eq!(lines("crates/a/src/lib.rs", text), [3]);
        assert_eq!(lines("crates/a/tests/whole.rs", "fn a() { thread::sleep(b) }"), [1]);
        assert_eq!(lines("crates/a/tests/whole.rs", "fn sleep() { guest.sleep(b) }"), [0; 0]);
    }
}
