//! `idlewild keys`

use clap::{Args, Subcommand};
use provider::keystore::{KeyEntry, Protection, Words, generate};
use serde_json::{Value, json};

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::keyring::{NewPassphrase, key_name, read_words};
use crate::output::Table;

/// Make, show and restore keys
///
/// A key is kept encrypted in the data directory, under a passphrase that is asked for or taken
/// from IDLEWILD_PASSPHRASE. Its 24 words are enough to restore it; whoever knows them has its
/// funds.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key
    New {
        /// Its name [default: main]
        name: Option<String>,
        /// Keep it without a passphrase
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Show all keys
    List,
    /// Show a key's address
    Show {
        /// Its name [default: main]
        name: Option<String>,
    },
    /// Restore a key from its 24 words, read from standard input
    Restore {
        /// The name to give it [default: main]
        name: Option<String>,
        /// Keep it without a passphrase
        #[arg(long)]
        no_passphrase: bool,
    },
    /// Show a key's 24 words, to be written down
    Export {
        /// Its name [default: main]
        name: Option<String>,
    },
    /// Give a key another passphrase
    Protect {
        /// Its name [default: main]
        name: Option<String>,
        /// Take its passphrase away
        #[arg(long)]
        no_passphrase: bool,
    },
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let keyring = context.keyring()?;
    let named = |name: Option<String>| name.unwrap_or_else(|| context.settings.key.clone());
    let wanted = |none: bool| if none { NewPassphrase::None } else { NewPassphrase::Wanted };
    let output = context.output;
    match arguments.command {
        Command::New { name, no_passphrase } => {
            let name = key_name(&named(name))?;
            let key = generate().map_err(|error| {
                let hint = error.hint();
                Failure::from(error).hint(hint)
            })?;
            let entry = keyring.make(&name, &key, wanted(no_passphrase))?;
            show(context, &entry)?;
            output.say(format_args!(
                "write down its 24 words: `idlewild keys export {name}` shows them"
            ));
        }
        Command::List => {
            let entries = keyring.list()?;
            let mut table = Table::new(&["NAME", "ADDRESS", "PASSPHRASE"]);
            for entry in &entries {
                let protected = if entry.protection == Protection::None { "no" } else { "yes" };
                table.row([entry.name.to_string(), entry.address.to_string(), protected.into()]);
            }
            let text = match entries.is_empty() {
                true => "no keys\n".to_owned(),
                false => table.to_string(),
            };
            let entries: Vec<Value> = entries.iter().map(entry_json).collect();
            output.show(text, &json!({ "keys": entries }))?;
        }
        Command::Show { name } => show(context, &keyring.entry(&named(name))?)?,
        Command::Restore { name, no_passphrase } => {
            let name = key_name(&named(name))?;
            let key = read_words()?.key();
            show(context, &keyring.make(&name, &key, wanted(no_passphrase))?)?;
        }
        Command::Export { name } => {
            let key = keyring.load(&named(name))?;
            let words = Words::of(&key);
            output.say("whoever knows these words has the key's funds");
            let text = format_args!("{}\n", words.expose()).to_string();
            output.show(&text, &json!({ "words": words.expose() }))?;
        }
        Command::Protect { name, no_passphrase } => {
            show(context, &keyring.protect(&named(name), wanted(no_passphrase))?)?;
        }
    }
    Ok(0)
}

fn show(context: &Context, entry: &KeyEntry) -> Outcome<()> {
    context.output.show(format_args!("{}\n", entry.address), &entry_json(entry))
}

fn entry_json(entry: &KeyEntry) -> Value {
    json!({ "name": entry.name, "address": entry.address, "protection": entry.protection })
}
