//! No text of the project speaks of the machine that it was written on.

use super::Violation;
use super::rust::is_word;
use super::tree::Tree;

/// Folders that only a workplace has; `/tmp` by itself is a guest's.
const FOLDERS: &[&str] = &["/work/", "/farm/", "/tmp/"];

/// Finds absolute paths below such folders.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(path) = private_path(line) {
                let what = format!("a path of one machine: `{path}`, name it by its purpose");
                violations.push(Violation::new(&file.path, at + 1, what));
            }
        }
    }
    violations
}

fn private_path(line: &str) -> Option<&str> {
    FOLDERS.iter().find_map(|folder| {
        line.match_indices(folder).find_map(|(at, _)| {
            let before = line[..at].bytes().last();
            let starts = before.is_none_or(|byte| !is_word(byte) && !matches!(byte, b'.' | b'}'));
            let name = line.as_bytes().get(at + folder.len())?;
            let tail = &line[at..];
            let end = tail.find([' ', '"', '`', ')', '\'', ',']).unwrap_or(tail.len());
            (starts && name.is_ascii_lowercase()).then_some(&tail[..end])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(folder: &str, line: &str, expected: Option<&str>) {
        let line = line.replace("DIR", folder);
        let expected = expected.map(|path| path.replace("DIR", folder));
        assert_eq!(private_path(&line), expected.as_deref(), "of {line}");
    }

    #[test]
    fn only_absolute_paths_below_a_folder_are_private() {
        check_line("/work", "see `DIR/main`.", Some("DIR/main"));
        check_line("/tmp", "open(\"DIR/a.b\", 1)", Some("DIR/a.b"));
        check_line("/tmp", "a guest's \"DIR\" and DIR/ alone", None);
        check_line("/work", "target DIR/", None);
        check_line("/tmp", "guestDIR/a", None);
    }
}
