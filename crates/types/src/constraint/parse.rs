//! The parser: one token of lookahead, one function a level of precedence.
//!
//! It descends only through `!` and parentheses and counts each level before it goes deeper, so
//! the stack it needs is bounded whatever the text. Each error has the byte where the text stops
//! making sense, what would have made sense there, and a hint at the likely intention.

use thiserror::Error;

use super::{
    ATOMS_MAX, Atom, CONSTRAINT_BYTES_MAX, Comparison, Constraint, Expression, InvalidConstraint,
    LIST_VALUES_MAX, NESTING_MAX, Test, value,
};
use crate::{ClaimKey, List, Provenance, Value};

/// Characters of the offending text that an error repeats.
const FOUND_CHARS_MAX: usize = 32;

/// Where and why text is not a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at byte {position}: expected {expected}, found {found}")]
pub struct ParseError {
    /// The byte of the text, from zero, at which the expected thing is missing.
    pub position: usize,
    /// What would have made sense there.
    pub expected: &'static str,
    /// What is there instead, shortened.
    pub found: String,
    /// What the writer may have meant.
    pub hint: String,
}

/// Reads a constraint.
///
/// # Errors
/// The first [`ParseError`] in the text.
///
/// # Examples
/// ```
/// use types::constraint::parse;
///
/// let constraint = parse("gpu.vram>=24GiB@measured && (region==\"eu\")").unwrap();
/// assert_eq!(constraint.to_string(), "gpu.vram >= 24GiB @measured && region == \"eu\"");
///
/// let error = parse("gpu.vram = 24GiB").unwrap_err();
/// assert_eq!(error.to_string(), "at byte 9: expected a comparison, found `=`");
/// assert_eq!(error.hint, "write `==` for equality");
/// ```
pub fn parse(text: &str) -> Result<Constraint, ParseError> {
    if text.len() > CONSTRAINT_BYTES_MAX {
        return Err(ParseError {
            position: CONSTRAINT_BYTES_MAX,
            expected: "the end, after at most 2048 bytes",
            found: format!("{} bytes", text.len()),
            hint: "shorten the constraint".to_owned(),
        });
    }
    let mut parser = Parser::new(text);
    let expression = parser.any(0)?;
    if parser.token != Token::End {
        let hint = parser.joint_hint();
        return Err(parser.error("`&&`, `||` or the end", hint));
    }
    Constraint::new(expression).map_err(|error| {
        let hint = match error {
            InvalidConstraint::TooLong { .. } => "shorten the constraint",
            _ => "split the constraint",
        };
        ParseError { found: error.to_string(), ..parser.error("a constraint within bounds", hint) }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Number(&'a str),
    /// What stands between two quotes.
    Text(&'a str),
    Unclosed,
    Symbol(&'static str),
    Other(char),
    End,
}

/// Every symbol, a longer one before its prefix; those the language lacks are here to be named
/// whole in errors.
const SYMBOLS: [&str; 20] = [
    "===", "&&", "||", "<=", "==", "!=", ">=", "=<", "=>", "<", ">", "!", "(", ")", "[", "]", ",",
    "@", "=", "'",
];

/// Returns the first token of `rest`, which does not start with white space, and its length.
fn scan(rest: &str) -> (Token<'_>, usize) {
    let Some(first) = rest.chars().next() else {
        return (Token::End, 0);
    };
    let while_in = |more: &[u8]| {
        let ends = |byte: u8| !byte.is_ascii_alphanumeric() && !more.contains(&byte);
        rest.bytes().skip(1).position(ends).map_or(rest.len(), |end| end.saturating_add(1))
    };
    let digit_follows = || rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if first.is_ascii_alphabetic() || first == '_' {
        let end = while_in(b"_.-");
        return (rest.get(..end).map_or(Token::End, Token::Word), end);
    }
    if first.is_ascii_digit() || (first == '-' && digit_follows()) {
        let end = while_in(b"_.%");
        return (rest.get(..end).map_or(Token::End, Token::Number), end);
    }
    if first == '"' {
        return scan_text(rest);
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => (Token::Symbol(symbol), symbol.len()),
        None => (Token::Other(first), first.len_utf8()),
    }
}

fn scan_text(rest: &str) -> (Token<'_>, usize) {
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => {
                let end = index.saturating_add(1);
                return (rest.get(1..index).map_or(Token::Unclosed, Token::Text), end);
            }
            _ => {}
        }
    }
    (Token::Unclosed, rest.len())
}

struct Parser<'a> {
    text: &'a str,
    /// The token looked at.
    token: Token<'a>,
    /// The byte where that token starts.
    start: usize,
    /// The text after that token.
    rest: &'a str,
    atoms: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut parser = Self { text, token: Token::End, start: 0, rest: text, atoms: 0 };
        parser.advance();
        parser
    }

    /// Moves to the next token.
    fn advance(&mut self) {
        let rest = self.rest.trim_ascii_start();
        let (token, length) = scan(rest);
        self.start = self.text.len().saturating_sub(rest.len());
        self.token = token;
        self.rest = rest.get(length..).unwrap_or("");
    }

    /// Moves past `symbol` if it is there.
    fn take(&mut self, symbol: &str) -> bool {
        let there = matches!(self.token, Token::Symbol(found) if found == symbol);
        if there {
            self.advance();
        }
        there
    }

    /// Returns the word ahead if `(` follows it directly or after white space.
    fn call_ahead(&self) -> Option<&'a str> {
        match self.token {
            Token::Word(word) if self.rest.trim_ascii_start().starts_with('(') => Some(word),
            _ => None,
        }
    }

    fn any(&mut self, nesting: usize) -> Result<Expression, ParseError> {
        let mut any = self.all(nesting)?;
        while self.take("||") {
            any = any.or(self.all(nesting)?);
        }
        Ok(any)
    }

    fn all(&mut self, nesting: usize) -> Result<Expression, ParseError> {
        let mut all = self.not(nesting)?;
        while self.take("&&") {
            all = all.and(self.not(nesting)?);
        }
        Ok(all)
    }

    fn not(&mut self, nesting: usize) -> Result<Expression, ParseError> {
        match self.token {
            Token::Symbol("!") => {
                let nesting = self.enter(nesting)?;
                self.advance();
                let part = match self.token {
                    Token::Symbol("(") => self.group(nesting)?,
                    _ => self.not(nesting)?,
                };
                Ok(Expression::Not(Box::new(part)))
            }
            Token::Symbol("(") => {
                let nesting = self.enter(nesting)?;
                self.group(nesting)
            }
            _ => self.leaf(),
        }
    }

    /// Returns the level below `nesting`, if the language has one.
    fn enter(&self, nesting: usize) -> Result<usize, ParseError> {
        if nesting >= NESTING_MAX {
            let hint = "take away parentheses, or split the constraint";
            return Err(self.error("at most 16 levels of `!` and parentheses", hint));
        }
        Ok(nesting.saturating_add(1))
    }

    fn group(&mut self, nesting: usize) -> Result<Expression, ParseError> {
        self.advance();
        let inner = self.any(nesting)?;
        if !self.take(")") {
            let hint = self.joint_hint();
            return Err(self.error("`&&`, `||` or `)`", hint));
        }
        Ok(inner)
    }

    fn leaf(&mut self) -> Result<Expression, ParseError> {
        if self.atoms >= ATOMS_MAX {
            return Err(self.error("at most 64 comparisons", "use lists: `key in [1, 2, 3]`"));
        }
        self.atoms = self.atoms.saturating_add(1);
        if self.token == Token::Word("true") {
            self.advance();
            return Ok(Expression::True);
        }
        let (key, test) = match self.call_ahead() {
            Some("age") => self.age()?,
            Some("has") => (self.argument()?, Test::Has),
            _ => {
                let key = self.key()?;
                (key, self.test()?)
            }
        };
        let minimum = self.provenance()?;
        Ok(Expression::Atom(Atom { key, test, minimum }))
    }

    fn age(&mut self) -> Result<(ClaimKey, Test), ParseError> {
        let key = self.argument()?;
        let comparison = self.comparison()?;
        let start = self.start;
        match self.value()? {
            Value::Duration(age) => Ok((key, Test::Age(comparison, age))),
            other => Err(ParseError {
                position: start,
                expected: "a duration",
                found: format!("`{other}`"),
                hint: "ages are compared with durations, such as 7d, 12h or 30min".to_owned(),
            }),
        }
    }

    /// Reads the key in `age(key)` or `has(key)`, from the word before the parenthesis on.
    fn argument(&mut self) -> Result<ClaimKey, ParseError> {
        self.advance();
        self.advance();
        let key = self.key()?;
        if !self.take(")") {
            return Err(self.error("`)`", "`age` and `has` take one claim key"));
        }
        Ok(key)
    }

    fn key(&mut self) -> Result<ClaimKey, ParseError> {
        let hint = match self.token {
            Token::Word("false") => "to match nothing, write `!true`",
            Token::Word("not") => "write `!( … )` for not",
            Token::Word("and") => "write `&&` for and",
            Token::Word("or") => "write `||` for or",
            Token::Word("age" | "has") => "write `age(key)` or `has(key)`",
            Token::Word(word) => match ClaimKey::new(word) {
                Ok(key) => {
                    self.advance();
                    return Ok(key);
                }
                Err(_) if word.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                    "claim keys are in lower case"
                }
                Err(_) => "claim keys are dotted names of at most 64 bytes, such as gpu.vram",
            },
            Token::Number(_) | Token::Text(_) => {
                "put the claim key on the left: `gpu.vram >= 24GiB`"
            }
            Token::End if self.start == 0 => "write `true` to accept every provider",
            _ => "a comparison looks like `gpu.vram >= 24GiB`",
        };
        Err(self.error("a claim key", hint))
    }

    fn test(&mut self) -> Result<Test, ParseError> {
        if self.token == Token::Word("in") {
            self.advance();
            return self.list().map(Test::In);
        }
        let operator = (self.token, self.start);
        let comparison = self.comparison()?;
        let value = self.value()?;
        if comparison.needs_order() && !value.is_ordered() {
            (self.token, self.start) = operator;
            let hint = "text and booleans have no order";
            return Err(self.error("`==`, `!=` or `in`", hint));
        }
        Ok(Test::Compare(comparison, value))
    }

    fn comparison(&mut self) -> Result<Comparison, ParseError> {
        if let Token::Symbol(symbol) = self.token
            && let Some(found) = Comparison::ALL.into_iter().find(|it| it.as_str() == symbol)
        {
            self.advance();
            return Ok(found);
        }
        let hint = match self.token {
            Token::Symbol("=" | "===") => "write `==` for equality",
            Token::Symbol("=<") => "write `<=`",
            Token::Symbol("=>") => "write `>=`",
            Token::Symbol("@") => "the provenance follows the value: `key >= 1 @measured`",
            Token::Symbol("(") => "the functions are `age` and `has`",
            Token::Word("not") => "write `!(key in [ … ])`",
            Token::End | Token::Symbol("&&" | "||" | ")") => {
                "write `key == true` to ask for a value, `has(key)` to ask for a claim"
            }
            _ => "comparisons are < <= == != >= > and in",
        };
        Err(self.error("a comparison", hint))
    }

    fn list(&mut self) -> Result<List<Value, LIST_VALUES_MAX>, ParseError> {
        let hint = "a list looks like `region in [\"eu\", \"us\"]`";
        if !self.take("[") {
            return Err(self.error("`[`", hint));
        }
        let mut values: Vec<Value> = Vec::new();
        loop {
            if values.len() >= LIST_VALUES_MAX {
                return Err(self.error("at most 16 values", "join two lists with `||`"));
            }
            let at = (self.token, self.start);
            let value = self.value()?;
            if values.first().is_some_and(|first| first.compare(&value).is_none()) {
                (self.token, self.start) = at;
                let hint = "the values of a list are all text, all numbers or all durations";
                return Err(self.error("a value of the list's kind", hint));
            }
            values.push(value);
            if self.take("]") {
                return Ok(List::new(values).expect("the loop stops at the bound"));
            }
            if !self.take(",") {
                return Err(self.error("`,` or `]`", hint));
            }
        }
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        let parsed = match self.token {
            Token::Word("true") => Ok(Value::Bool(true)),
            Token::Word("false") => Ok(Value::Bool(false)),
            Token::Number(number) => value::parse_number(number),
            Token::Text(quoted) => value::parse_text(quoted),
            other => {
                let hint = match other {
                    Token::Word(_) => "put text in double quotes: \"eu\"",
                    Token::Symbol("'") => "text stands in double quotes: \"eu\"",
                    Token::Unclosed => "close the text with a double quote",
                    Token::Symbol("[") => "lists follow `in`",
                    Token::Symbol("]") => "a list has at least one value, and no comma at its end",
                    _ => "values look like 8, 24GiB, 0.5, 7d, true or \"eu\"",
                };
                return Err(self.error("a value", hint));
            }
        };
        let value = parsed.map_err(|error| self.error("a value", &error.to_string()))?;
        self.advance();
        Ok(value)
    }

    fn provenance(&mut self) -> Result<Provenance, ParseError> {
        if !self.take("@") {
            return Ok(Provenance::Declared);
        }
        let found = match self.token {
            Token::Word(word) => Provenance::ALL.into_iter().find(|it| it.as_str() == word),
            _ => None,
        };
        let hint = "weakest first: @declared, @measured, @attested";
        let found = found.ok_or_else(|| self.error("a provenance", hint))?;
        self.advance();
        Ok(found)
    }

    /// Returns the hint for a token that stands where `&&` or `||` should.
    fn joint_hint(&self) -> &'static str {
        match self.token {
            Token::Word("and" | "AND") | Token::Other('&') => "write `&&` for and",
            Token::Word("or" | "OR") | Token::Other('|') => "write `||` for or",
            Token::Symbol("<" | "<=" | "==" | "!=" | ">=" | ">") => {
                "comparisons do not chain: write `a > 1 && a < 5`"
            }
            Token::Symbol("@") => "a comparison takes one provenance, at its end",
            Token::Symbol(")") => "there is no `(` for this `)`",
            Token::End => "a `(` is not closed",
            _ => "join comparisons with `&&` or `||`",
        }
    }

    /// Returns the error that `expected` is missing at the token looked at.
    fn error(&self, expected: &'static str, hint: &str) -> ParseError {
        let shortened = |text: &str| {
            let short: String = text.chars().take(FOUND_CHARS_MAX).collect();
            let rest = if short.len() < text.len() { "…" } else { "" };
            format!("{short}{rest}")
        };
        let found = match self.token {
            Token::End => "the end".to_owned(),
            Token::Word(text) | Token::Number(text) => format!("`{}`", shortened(text)),
            Token::Text(quoted) => format!("text \"{}\"", shortened(quoted).escape_debug()),
            Token::Unclosed => "text without its closing quote".to_owned(),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::Other(other) => format!("`{}`", other.escape_debug()),
        };
        ParseError { position: self.start, expected, found, hint: hint.to_owned() }
    }
}

#[cfg(test)]
mod tests;
