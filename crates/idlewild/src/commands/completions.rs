//! `idlewild completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Context;
use crate::cli::Cli;
use crate::failure::Outcome;

/// Print completions for a shell
///
/// For bash: `idlewild completions bash > ~/.local/share/bash-completion/completions/idlewild`
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "idlewild", &mut script);
    if context.output.json {
        let text = String::from_utf8_lossy(&script);
        let shell = arguments.shell.to_string();
        context.output.show("", &serde_json::json!({ "shell": shell, "script": text }))?;
    } else {
        context.output.raw(&script)?;
    }
    Ok(0)
}
