//! Files, functions and lines stay short; nothing big is committed.

use super::Violation;
use super::rust::{Kind, Rust, Start, closing, item_start, line_of, words};
use super::tree::{File, Tree};
use crate::docs::is_generated;

const FILE_CODE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// A run without a space this long cannot be broken: an address, a hash.
const UNBREAKABLE_COLUMNS: usize = 64;
const FILE_BYTES_MAX: u64 = 256 << 10;
const WASM_BYTES_MAX: u64 = 1 << 20;

/// Text files whose lines are held to the limit; in the last three only comments can be broken.
/// Prose in `.md` files is wrapped by whoever reads it.
const PROSE: &[&str] = &[".rs", ".toml", ".sh", ".ci/run"];

/// Finds files, functions and lines that are too long.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        violations.extend(size(file));
        if let Some(rust) = &file.rust {
            violations.extend(code_lines(file, rust));
            violations.extend(functions(file, rust));
        }
        if !is_generated(&file.path) && PROSE.iter().any(|end| file.path.ends_with(end)) {
            violations.extend(lines(file));
        }
    }
    violations
}

fn size(file: &File) -> Option<Violation> {
    let limit = match file.path.rsplit(['/', '.']).next() {
        Some("wasm") => WASM_BYTES_MAX,
        Some("lock") => u64::MAX,
        _ => FILE_BYTES_MAX,
    };
    let what = format!("{} bytes, at most {limit}, make it in a test or build", file.bytes);
    (file.bytes > limit).then(|| Violation::new(&file.path, 1, what))
}

fn code_lines(file: &File, rust: &Rust) -> Option<Violation> {
    let of_code = rust.code.lines().zip(rust.literals.lines()).enumerate();
    let count = of_code
        .filter(|(at, (code, literals))| {
            let is_blank = code.trim().is_empty() && literals.trim().is_empty();
            !is_blank && !rust.is_test_line(at + 1)
        })
        .count();
    let what = format!("{count} code lines, at most {FILE_CODE_LINES_MAX}, split by subject");
    (count > FILE_CODE_LINES_MAX).then(|| Violation::new(&file.path, 1, what))
}

fn functions(file: &File, rust: &Rust) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut last = "";
    for (place, word) in words(&rust.code) {
        let is_function = last == "fn" && rust.code[..place.start].ends_with("fn ");
        last = word;
        if !is_function {
            continue;
        }
        let Some(Start::Brace(open)) = item_start(&rust.code, place.end) else { continue };
        let Some(close) = closing(&rust.code, open) else { continue };
        let first = line_of(&rust.code, place.start);
        let count = line_of(&rust.code, close) + 1 - first;
        if count > FUNCTION_LINES_MAX {
            let what = format!(
                "fn {word} has {count} lines, at most {FUNCTION_LINES_MAX}, pull helpers out"
            );
            violations.push(Violation::new(&file.path, first, what));
        }
    }
    violations
}

fn lines(file: &File) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut start = 0;
    for (at, line) in file.text.split_inclusive('\n').enumerate() {
        let text = line.trim_end();
        let columns = text.chars().count();
        if columns > COLUMNS_MAX && is_breakable(file, text, start) {
            let what = format!("{columns} columns, at most {COLUMNS_MAX}");
            violations.push(Violation::new(&file.path, at + 1, what));
        }
        start += line.len();
    }
    violations
}

/// Returns whether an author could break the long line that starts at this byte.
fn is_breakable(file: &File, text: &str, start: usize) -> bool {
    let code = text.trim_start();
    let is_table =
        code.trim_start_matches(['/', '!', ' ']).starts_with('|') && code.starts_with("//");
    let is_script = [".toml", ".sh", "run"].iter().any(|end| file.path.ends_with(end));
    if is_table || (is_script && !code.starts_with('#')) {
        return false;
    }
    let last = text.char_indices().nth(COLUMNS_MAX).map_or(text.len(), |(at, _)| at);
    // A literal is one word to whoever searches for it.
    let is_literal = |kind: &Kind| matches!(kind, Kind::Text | Kind::Raw);
    if file.rust.as_ref().is_some_and(|rust| is_literal(&rust.kinds[start + last])) {
        return false;
    }
    let from = text[..last].rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let run = text[from..].split_whitespace().next().unwrap_or_default();
    run.chars().count() < UNBREAKABLE_COLUMNS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn code_lines_count_up_to_the_limit_and_no_comment_or_test_does() {
        let lines = |count: usize| {
            let code = "const A: u8 = 1;\n".repeat(count);
            format!("//! Tour.\n\n{code}\n#[cfg(test)]\nmod tests {{\n    use a;\n}}\n")
        };
        assert_eq!(check_file("a.rs", &lines(600)), [""; 0]);
        let expected = ["601 code lines, at most 600, split by subject"];
        assert_eq!(check_file("a.rs", &lines(601)), expected);
    }

    #[test]
    fn a_function_counts_from_its_name_to_its_brace() {
        let function = |lines: usize| {
            let body = "    a();\n".repeat(lines - 2);
            format!("fn long(a: [u8; 3])\n{{\n{body}}}\n").replacen("\n{", " {", 1)
        };
        assert_eq!(check_file("a.rs", &function(70)), [""; 0]);
        let expected = ["fn long has 71 lines, at most 70, pull helpers out"];
        assert_eq!(check_file("a.rs", &function(71)), expected);
        assert_eq!(check_file("a.rs", "type A = fn(u8);\ntrait B { fn c(); }\n"), [""; 0]);
    }

    #[test]
    fn only_lines_that_can_break_are_too_long() {
        let words = "word ".repeat(21);
        assert_eq!(check_file("a.md", &words), [""; 0]);
        assert_eq!(check_file("a.rs", &format!("// {words}")), ["107 columns, at most 100"]);
        assert_eq!(check_file("a.rs", &format!("f({words})")), ["108 columns, at most 100"]);
        assert_eq!(check_file("a.rs", &format!("let a = \"{words}\";")), [""; 0]);
        assert_eq!(check_file("a.rs", &format!("let a = r\"{words}\";")), [""; 0]);
        assert_eq!(check_file("a.rs", &format!("//! | {words} |")), [""; 0]);
        assert_eq!(check_file("a.rs", &format!("// see {}", "x".repeat(100))), [""; 0]);
        assert_eq!(check_file("a.toml", &format!("a = [{words}]")), [""; 0]);
        assert_eq!(check_file("a.toml", &format!("# {words}")).len(), 1);
    }

    #[test]
    fn big_files_are_refused_by_kind() {
        let refused = |path: &str, bytes: u64| {
            let mut tree = Tree::of(&[(path, "")]);
            tree.files[0].bytes = bytes;
            !check(&tree).is_empty()
        };
        assert!(!refused("a.png", FILE_BYTES_MAX) && refused("a.png", FILE_BYTES_MAX + 1));
        assert!(!refused("a.wasm", WASM_BYTES_MAX) && refused("a.wasm", WASM_BYTES_MAX + 1));
        assert!(!refused("Cargo.lock", 1 << 30));
    }
}
