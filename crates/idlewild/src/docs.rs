//! Pages of the documentation that are made from the code.

use std::fmt::Write;

use clap::{Command, CommandFactory};
use types::Reject;

use crate::cli::Cli;

/// Returns `docs/rejects.md`: every rejection with its meaning.
pub(crate) fn rejects() -> String {
    let mut page = String::from(
        "# Rejections\n\nWhy the ledger refuses a transaction. A code never changes its meaning; \
         a refused\ntransaction changes nothing, not even its signer's nonce.\n\n\
         | code | meaning |\n|---|---|\n",
    );
    for reject in Reject::ALL {
        add(&mut page, format_args!("| `{}` | {} |\n", reject.code(), reject.meaning()));
    }
    page
}

/// Returns `docs/openapi.json`: the node's API.
pub(crate) fn openapi() -> String {
    let text = serde_json::to_string_pretty(&api::openapi());
    format!("{}\n", text.expect("a JSON value is written as JSON"))
}

/// Returns `docs/cli.md`: the help of every command.
pub(crate) fn cli() -> String {
    let mut page = String::from("# The command line\n\nThe help of every command.\n");
    let mut command = Cli::command().term_width(100);
    command.build();
    section(&mut page, &mut command, "idlewild");
    page
}

fn section(page: &mut String, command: &mut Command, name: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    add(page, format_args!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for below in command.get_subcommands_mut() {
        if !below.is_hide_set() {
            let name = format!("{name} {}", below.get_name());
            section(page, below, &name);
        }
    }
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_is_listed() {
        let page = rejects();
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), Reject::ALL.len());
        assert!(
            page.contains("| `funds/short` | the signer's wallet holds less than this needs |")
        );
    }

    #[test]
    fn every_command_has_help() {
        let page = cli();
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(page.contains(&format!("\n## idlewild {}\n", command.get_name())));
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
        assert!(!page.contains("__worker"));
    }
}
