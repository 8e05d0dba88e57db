//! `cargo xtask docs`: the files of `docs/` that are made from code, written or compared.

use anyhow::Result;
use std::fs;

use crate::Arguments;
use crate::house::{House, output_of};

/// The name that `idlewild __docs NAME` knows a page by, and its file. That the files are fresh
/// is a test of the binary.
const GENERATED: &[(&str, &str)] =
    &[("rejects", "docs/rejects.md"), ("openapi", "docs/openapi.json"), ("cli", "docs/cli.md")];

/// Writes the generated files, or with `--check` says which of them are stale.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let stale = stale(house)?;
    for (file, fresh) in &stale {
        if arguments.has("--check") {
            eprintln!("{file}:1: differs from the code, run `cargo xtask docs`");
        } else {
            fs::write(house.root().join(file), fresh)?;
            eprintln!("wrote {file}");
        }
    }
    eprintln!("{} generated files, {} were stale", GENERATED.len(), stale.len());
    Ok(stale.is_empty() || !arguments.has("--check"))
}

/// Returns the generated files that differ from the code, with what they should hold.
fn stale(house: &House) -> Result<Vec<(&'static str, String)>> {
    let mut stale = Vec::new();
    for (name, file) in GENERATED {
        let run = ["run", "--quiet", "--profile", "ci", "-p", "idlewild", "--", "__docs", name];
        let fresh = output_of(&mut house.cargo(&run))?;
        if fs::read_to_string(house.root().join(file)).ok().as_ref() != Some(&fresh) {
            stale.push((*file, fresh));
        }
    }
    Ok(stale)
}

/// Returns whether the file is made from code, so that limits on hand-written text do not apply.
pub(crate) fn is_generated(path: &str) -> bool {
    GENERATED.iter().any(|(_, file)| *file == path)
}
