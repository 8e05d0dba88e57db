use proptest::{collection::vec, prelude::*};

use super::*;

/// Checks that the error of `text` is `at: expected | found | hint`.
fn check_error(text: &str, expected: &str) {
    let error = parse(text).expect_err(text);
    let ParseError { position, expected: wanted, found, hint } = error;
    assert_eq!(format!("{position}: {wanted} | {found} | {hint}"), expected, "{text}");
}

fn check(text: &str, printed: &str) {
    assert_eq!(parse(text).map(|it| it.to_string()).as_deref(), Ok(printed), "{text}");
}

#[test]
fn the_whole_language_parses() {
    let text = "gpu.vram >= 24GiB @measured && region == \"eu\" && age(gpu.vram) < 7d";
    check(text, text);
    check(" \t\na<1 ", "a < 1");
    check("a<1&&b>=-2||!has ( c )@attested", "a < 1 && b >= -2 || !has(c) @attested");
    check("a in[\"eu\" ,\"us\"]@measured", "a in [\"eu\", \"us\"] @measured");
    check("a != 0.50 || (b == true)", "a != 0.5 || b == true");
    check("agent.in == false", "agent.in == false");
    check("true", "true");
}

#[test]
fn and_binds_tighter_than_or() {
    let parts = |text: &str| match parse(text).unwrap().expression() {
        Expression::Or(parts) => parts.len(),
        _ => 0,
    };
    assert_eq!(parts("has(a) || has(b) && has(c) || has(d)"), 3);
    assert_eq!(parts("(has(a) || has(b)) && has(c)"), 0);
    assert_eq!(parse("!has(a) && has(b)"), parse("(!has(a)) && has(b)"));
}

#[test]
fn an_error_says_where_what_and_how() {
    for (text, expected) in ERRORS {
        check_error(text, expected);
    }
}

const ERRORS: [(&str, &str); 37] = [
    ("", "0: a claim key | the end | write `true` to accept every provider"),
    ("a = 1", "2: a comparison | `=` | write `==` for equality"),
    ("a => 1", "2: a comparison | `=>` | write `>=`"),
    ("a =< 1", "2: a comparison | `=<` | write `<=`"),
    (
        "has_gpu && a < 1",
        "8: a comparison | `&&` | write `key == true` to ask for a value, `has(key)` to ask \
         for a claim",
    ),
    ("a max 1", "2: a comparison | `max` | comparisons are < <= == != >= > and in"),
    ("max(a) < 1", "3: a comparison | `(` | the functions are `age` and `has`"),
    ("a not in [1]", "2: a comparison | `not` | write `!(key in [ … ])`"),
    (
        "a @measured > 1",
        "2: a comparison | `@` | the provenance follows the value: `key >= 1 @measured`",
    ),
    ("a <", "3: a value | the end | values look like 8, 24GiB, 0.5, 7d, true or \"eu\""),
    ("a == eu", "5: a value | `eu` | put text in double quotes: \"eu\""),
    ("a == 'eu'", "5: a value | `'` | text stands in double quotes: \"eu\""),
    (
        "a == \"eu",
        "5: a value | text without its closing quote | close the text with a double quote",
    ),
    (
        "a == \"\\n\"",
        "5: a value | text \"\\\\n\" | after a backslash comes a quote, a backslash or u{…} \
         with a hexadecimal code",
    ),
    (
        "a > 24gb",
        "4: a value | `24gb` | suffixes are B kB KiB MB MiB GB GiB TB TiB, and ms s min h d",
    ),
    ("a > 99%", "4: a value | `99%` | leave out the percent sign and write the plain number"),
    ("a == [1]", "5: a value | `[` | lists follow `in`"),
    ("a > \"b\"", "2: `==`, `!=` or `in` | `>` | text and booleans have no order"),
    ("a in 1", "5: `[` | `1` | a list looks like `region in [\"eu\", \"us\"]`"),
    ("a in []", "6: a value | `]` | a list has at least one value, and no comma at its end"),
    ("a in [1 2]", "8: `,` or `]` | `2` | a list looks like `region in [\"eu\", \"us\"]`"),
    (
        "a in [1, \"x\"]",
        "9: a value of the list's kind | text \"x\" | the values of a list are all text, all \
         numbers or all durations",
    ),
    ("24GiB < a", "0: a claim key | `24GiB` | put the claim key on the left: `gpu.vram >= 24GiB`"),
    ("Gpu > 1", "0: a claim key | `Gpu` | claim keys are in lower case"),
    (
        "a..b > 1",
        "0: a claim key | `a..b` | claim keys are dotted names of at most 64 bytes, such as \
         gpu.vram",
    ),
    ("not a > 1", "0: a claim key | `not` | write `!( … )` for not"),
    ("false", "0: a claim key | `false` | to match nothing, write `!true`"),
    ("age > 1", "0: a claim key | `age` | write `age(key)` or `has(key)`"),
    ("a < 1 and b < 2", "6: `&&`, `||` or the end | `and` | write `&&` for and"),
    ("a < 1 | b < 2", "6: `&&`, `||` or the end | `|` | write `||` for or"),
    (
        "a < 1 < 2",
        "6: `&&`, `||` or the end | `<` | comparisons do not chain: write `a > 1 && a < 5`",
    ),
    ("a < 1)", "5: `&&`, `||` or the end | `)` | there is no `(` for this `)`"),
    ("(a < 1", "6: `&&`, `||` or `)` | the end | a `(` is not closed"),
    (
        "a < 1 @verified",
        "7: a provenance | `verified` | weakest first: @declared, @measured, @attested",
    ),
    (
        "age(a) < 7",
        "9: a duration | `7` | ages are compared with durations, such as 7d, 12h or 30min",
    ),
    ("has(a, b)", "5: `)` | `,` | `age` and `has` take one claim key"),
    ("ä > 1", "0: a claim key | `ä` | a comparison looks like `gpu.vram >= 24GiB`"),
];

#[test]
fn text_takes_2048_bytes_and_not_2049() {
    let padded = |length: usize| format!("{:<length$}", "a < 1");
    assert!(parse(&padded(2_048)).is_ok());
    check_error(
        &padded(2_049),
        "2048: the end, after at most 2048 bytes | 2049 bytes | shorten the constraint",
    );
}

#[test]
fn text_within_the_bound_whose_canonical_text_is_not_is_refused() {
    let text = vec![format!("{}<1", "k".repeat(45)); 40].join("&&");
    assert!(text.len() <= CONSTRAINT_BYTES_MAX);
    let error = parse(&text).unwrap_err();
    assert_eq!(error.expected, "a constraint within bounds");
    assert!(error.found.starts_with("the canonical text takes 2116 bytes"), "{error}");
}

#[test]
fn a_text_has_64_atoms_and_not_65() {
    let atoms = |count: usize| vec!["has(a)"; count].join("||");
    assert!(parse(&atoms(64)).is_ok());
    check_error(&atoms(65), "512: at most 64 comparisons | `has` | use lists: `key in [1, 2, 3]`");
}

#[test]
fn a_text_nests_16_levels_and_not_17() {
    let hint = "take away parentheses, or split the constraint";
    for (open, close) in [("(", ")"), ("!", ""), ("!(", ")")] {
        let nested = |levels| format!("{}a<1{}", open.repeat(levels), close.repeat(levels));
        assert!(parse(&nested(16)).is_ok());
        let error = parse(&nested(17)).unwrap_err();
        assert_eq!(error.position, 16 * open.len());
        assert_eq!(error.hint, hint);
        assert_eq!(parse(&open.repeat(1_000)).unwrap_err(), error);
    }
}

#[test]
fn a_list_has_16_values_and_not_17() {
    let list = |count: usize| format!("a in [{}]", vec!["1"; count].join(","));
    assert!(parse(&list(16)).is_ok());
    check_error(&list(17), "38: at most 16 values | `1` | join two lists with `||`");
}

#[test]
fn keys_and_texts_have_64_bytes_and_not_65() {
    let key = |length: usize| format!("{} > 1", "k".repeat(length));
    let text = |length: usize| format!("a == \"{}\"", "x".repeat(length));
    assert!(parse(&key(64)).is_ok() && parse(&text(64)).is_ok());
    assert_eq!(parse(&key(65)).unwrap_err().position, 0);
    assert_eq!(parse(&text(65)).unwrap_err().hint, "text is at most 64 bytes");
}

#[test]
fn an_error_repeats_no_more_than_a_line_of_the_text() {
    let error = parse(&format!("{} > 1", "K".repeat(1_000))).unwrap_err();
    assert_eq!(error.found, format!("`{}…`", "K".repeat(32)));
}

proptest! {
    #[test]
    fn any_text_parses_to_what_prints_and_parses_again_or_fails_inside_it(text in ".{0,64}") {
        match parse(&text) {
            Ok(constraint) => prop_assert_eq!(parse(&constraint.to_string()), Ok(constraint)),
            Err(error) => prop_assert!(text.is_char_boundary(error.position)),
        }
    }

    #[test]
    fn any_tokens_parse_to_what_prints_and_parses_again_or_fail_inside_them(
        tokens in vec(prop::sample::select(TOKENS.to_vec()), 0..24),
    ) {
        let text = tokens.concat();
        match parse(&text) {
            Ok(constraint) => prop_assert_eq!(parse(&constraint.to_string()), Ok(constraint)),
            Err(error) => prop_assert!(text.is_char_boundary(error.position)),
        }
    }
}

const TOKENS: [&str; 36] = [
    "has(a)",
    "has(b.c)",
    "a<1",
    "b.c==2.50",
    "age(a)>7d",
    "r in [\"eu\",\"us\"]",
    "&&",
    "&&",
    "||",
    "||",
    "!",
    "!",
    "(",
    "(",
    ")",
    ")",
    " ",
    "@measured",
    "@",
    "<",
    "==",
    "in",
    "[",
    "]",
    ",",
    "24GiB",
    "-",
    "0.5",
    "\"",
    "\\",
    "é",
    "true",
    "a",
    "age",
    "=",
    "&",
];
