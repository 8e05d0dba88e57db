//! `idlewild __docs`

use clap::{Args, ValueEnum};

use super::Context;
use crate::docs;
use crate::failure::Outcome;

/// Print a page of the documentation that is made from the code
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The page
    #[arg(value_enum)]
    name: Name,
}

/// A page.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// docs/rejects.md
    Rejects,
    /// docs/openapi.json
    Openapi,
    /// docs/cli.md
    Cli,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome<u8> {
    let page = match arguments.name {
        Name::Rejects => docs::rejects(),
        Name::Openapi => docs::openapi(),
        Name::Cli => docs::cli(),
    };
    context.output.raw(page.as_bytes())?;
    Ok(0)
}
