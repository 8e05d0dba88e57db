//! Rust source told apart into code, comments and literals, byte for byte.
//!
//! No parser: a lexer that knows where strings and comments end is enough for checks of words,
//! lengths and the extent of items, and it also reads code that does not compile.

use std::ops::{Range, RangeInclusive};

/// What a byte of the source belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// A string or character literal, its quotes included.
    Text,
    /// A raw string literal.
    Raw,
}

/// A Rust file. The masks have the length and the line ends of the source; what is not of their
/// kind is blank.
#[derive(Debug, Clone)]
pub(crate) struct Rust {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) code: String,
    pub(crate) comments: String,
    pub(crate) literals: String,
    /// The lines, counted from 1, of items under `#[cfg(test)]`.
    pub(crate) test_lines: Vec<RangeInclusive<usize>>,
}

impl Rust {
    /// Reads a source.
    pub(crate) fn new(text: &str) -> Self {
        let kinds = classify(text.as_bytes());
        let code = mask(text, &kinds, &[Kind::Code]);
        Self {
            comments: mask(text, &kinds, &[Kind::Comment]),
            literals: mask(text, &kinds, &[Kind::Text, Kind::Raw]),
            test_lines: test_lines(&code),
            code,
            kinds,
        }
    }

    /// Returns whether the line stands in an item under `#[cfg(test)]`.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }
}

fn classify(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (length, kind) = token(&text[at..]);
        let end = (at + length).min(text.len());
        kinds[at..end].fill(kind);
        at = end;
    }
    kinds
}

/// Returns the length and kind of the token that `rest` begins with.
fn token(rest: &[u8]) -> (usize, Kind) {
    let first = rest[0];
    if rest.starts_with(b"//") {
        return (until(rest, b"\n").unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with(b"/*") {
        return (block_comment(rest), Kind::Comment);
    }
    if first == b'"' {
        return (string(rest), Kind::Text);
    }
    if first == b'\'' {
        return character(rest).map_or((1, Kind::Code), |length| (length, Kind::Text));
    }
    let word = rest.iter().take_while(|byte| is_word(**byte)).count();
    if matches!(&rest[..word], b"r" | b"br" | b"cr")
        && let Some(length) = raw_string(&rest[word..])
    {
        return (word + length, Kind::Raw);
    }
    (word.max(1), Kind::Code)
}

/// Returns whether the byte may stand in a name.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn until(rest: &[u8], end: &[u8]) -> Option<usize> {
    rest.windows(end.len()).position(|window| window == end)
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Returns the length of a raw string after its prefix, or `None` for a raw name.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let end = [b"\"".as_slice(), &rest[..hashes]].concat();
    let body = &rest[hashes + 1..];
    Some(hashes + 1 + until(body, &end).map_or(body.len(), |at| at + end.len()))
}

/// Returns the length of a character literal, or `None` for a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return rest.get(3..).and_then(|tail| until(tail, b"'")).map(|at| at + 4);
    }
    let width = match rest.get(1)? {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

fn mask(text: &str, kinds: &[Kind], wanted: &[Kind]) -> String {
    let bytes = text
        .bytes()
        .zip(kinds)
        .map(|(byte, kind)| if byte == b'\n' || wanted.contains(kind) { byte } else { b' ' });
    String::from_utf8(bytes.collect()).expect("kinds change at ASCII bytes only")
}

fn test_lines(code: &str) -> Vec<RangeInclusive<usize>> {
    let mut lines: Vec<RangeInclusive<usize>> = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        if let Some(end) = item_end(code, at + attribute.len()) {
            lines.push(line_of(code, at)..=line_of(code, end));
        }
    }
    lines
}

/// Returns where the item ends that begins at or after `from`: its `;` or its closing brace.
pub(crate) fn item_end(code: &str, from: usize) -> Option<usize> {
    match item_start(code, from)? {
        Start::Semicolon(at) => Some(at),
        Start::Brace(at) => closing(code, at),
    }
}

/// How an item's head ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Semicolon(usize),
    Brace(usize),
}

/// Returns where the head of an item ends, brackets skipped.
pub(crate) fn item_start(code: &str, from: usize) -> Option<Start> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return Some(Start::Semicolon(at)),
            b'{' if depth == 0 => return Some(Start::Brace(at)),
            _ => {}
        }
    }
    None
}

/// Returns where the brace that opens at `open` closes.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns the line, counted from 1, of a place in the text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// Returns the names and numbers of a mask with their places.
pub(crate) fn words(mask: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let bytes = mask.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().take_while(|byte| !is_word(**byte)).count();
        let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
        let place = at..at + length;
        at = place.end;
        (length > 0).then(|| (place.clone(), &mask[place]))
    })
}

/// Returns the words of a name in `CamelCase`; a run of capitals is one word.
pub(crate) fn camel_words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let starts = letter.is_uppercase()
            && (before.is_none_or(|before| !before.is_uppercase())
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        match words.last_mut() {
            Some(word) if !starts && *letter != '_' => word.push(*letter),
            _ => words.push(letter.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str) {
        assert_eq!(Rust::new(text).code, code, "of {text}");
    }

    #[test]
    fn literals_and_comments_are_blank_in_the_code() {
        check("a // b", "a     ");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x\"y", z)"#, "f(        z)".replace("        z", "      , z").as_str());
        check(r##"f(r#"a"b"#, z)"##, "f(        , z)");
        check("let c = '\"'; x", "let c =    ; x");
        check(r"let c = '\''; x", "let c =     ; x");
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
        check("r#type + b\"x\"", "r#type + b   ");
    }

    #[test]
    fn masks_keep_lines_and_other_alphabets() {
        let rust = Rust::new("a // ä\n\"ö\" 'ü' b");
        assert_eq!(rust.comments.trim_end(), "  // ä\n".trim_end());
        assert!(rust.literals.contains("\"ö\" 'ü'"));
        assert_eq!(line_of(&rust.code, rust.code.find('b').unwrap()), 2);
    }

    #[test]
    fn test_items_are_found_to_their_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n";
        let rust = Rust::new(text);
        assert_eq!(rust.test_lines, [2..=5]);
        assert!(rust.is_test_line(4) && !rust.is_test_line(6));
        assert_eq!(Rust::new("#[cfg(test)]\nuse a::[u8; 3];\nfn c() {}").test_lines, [1..=2]);
    }

    #[test]
    fn names_come_apart_into_words() {
        assert_eq!(camel_words("JobOrderV2"), ["Job", "Order", "V2"]);
        assert_eq!(camel_words("HTTPClient"), ["HTTP", "Client"]);
        let found: Vec<_> = words("a::b_c(1)").map(|(_, word)| word).collect();
        assert_eq!(found, ["a", "b_c", "1"]);
    }
}
