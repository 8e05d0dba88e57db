//! The arguments as they are written; what they mean is decided by each command.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::commands::Command;

/// How commands end.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the arguments or the configuration are wrong
  3    the node cannot be reached
  4    the ledger refused a transaction
  5    no provider can serve the order
  6    `verify`: all of it holds, but of which network was not checked
  130  stopped with Ctrl-C
`idlewild run` ends with codes of its own: see `idlewild run --help`.";

/// Rent idle hardware for a job, or rent out yours.
///
/// `idlewild demo` shows a whole market at work. `idlewild up` starts one on this machine,
/// `idlewild join URL` enters one that is there; then `idlewild run PROGRAM.wasm` has a program
/// run by a provider, and `idlewild provide` sells this machine's time.
#[derive(Debug, Parser)]
#[command(
    name = "idlewild",
    version,
    after_help = EXIT_CODES,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Gives `--config` to the command that runs a node: there it names the node's settings.
    pub(crate) fn with_own_config(mut self) -> Self {
        if let Command::Validator(arguments) = &mut self.command {
            arguments.config = self.global.config.take();
        }
        self
    }
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say nothing on standard error but warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// The node to ask [default: the joined network's, or http://127.0.0.1:7460]
    #[arg(long, global = true, env = "IDLEWILD_NODE", hide_env_values = true, value_name = "URL")]
    pub(crate) node: Option<String>,

    /// Where keys and state are kept [default: $XDG_DATA_HOME/idlewild]
    #[arg(long, global = true, env = "IDLEWILD_DATA", hide_env_values = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The configuration file [default: $XDG_CONFIG_HOME/idlewild/config.toml]
    #[arg(
        long,
        global = true,
        env = "IDLEWILD_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// The key that spends and earns [default: main]
    #[arg(long, global = true, env = "IDLEWILD_KEY", hide_env_values = true, value_name = "NAME")]
    pub(crate) key: Option<String>,
}
