//! `cargo xtask tidy`: what no compiler checks, one line for each violation.
//!
//! A check is a pure function of the tree to violations, a file and a line of [`CHECKS`].

mod dead;
mod habits;
mod layering;
mod ledger_words;
mod length;
pub(crate) mod packages;
mod promises;
mod pure_attributes;
mod pure_graph;
mod rust;
mod synonyms;
mod tree;
mod unsafety;
mod workplace;

use anyhow::Result;
use std::fmt;

use crate::Arguments;
use crate::house::House;
use tree::Tree;

/// Something that the house does not allow, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    what: String,
}

impl Violation {
    fn new(path: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

const CHECKS: &[fn(&Tree) -> Vec<Violation>] = &[
    dead::check,
    habits::check,
    layering::check,
    ledger_words::check,
    length::check,
    promises::check,
    pure_attributes::check,
    pure_graph::check,
    synonyms::check,
    unsafety::check,
    workplace::check,
];

/// Prints every violation and returns whether there was none.
pub(crate) fn run(house: &House, _: &Arguments) -> Result<bool> {
    check(house)
}

/// Prints every violation and returns whether there was none.
pub(crate) fn check(house: &House) -> Result<bool> {
    let tree = Tree::read(house)?;
    let mut violations: Vec<Violation> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    eprintln!("tidy: {} files, {} violations", tree.files.len(), violations.len());
    Ok(violations.is_empty())
}
