//! The binary `idlewild`: every role of the market in one program.
//!
//! [`cli`] reads the arguments, [`config`] puts them together with environment and configuration
//! file, and each file in [`commands`] is one command, whose doc comments are its help. What
//! commands share stands beside them: [`jobs`] has work done on the market, [`verify`] checks a
//! lease without asking anybody, [`demo`] is a whole market in one process tree.
//!
//! Standard output is data, standard error is talk. With `--json` a command prints one object.
#![forbid(unsafe_code)]

mod agent;
mod cli;
mod commands;
mod config;
mod demo;
mod docs;
mod failure;
mod jobs;
mod keyring;
mod local;
mod network;
mod output;
mod parse;
mod part;
mod prompt;
mod request;
mod signals;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::commands::{Command, Context};
use crate::config::Settings;
use crate::failure::{Explain, Failure, Outcome};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Worker(_)) {
        return work();
    }
    let asked = Output { json: cli.global.json, quiet: cli.global.quiet };
    let cli = cli.with_own_config();
    let end = Settings::read(&cli.global).and_then(|settings| {
        let output = Output { quiet: settings.quiet, ..asked };
        run(cli.command, Context { settings, output })
    });
    match end {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            asked.fail(&failure);
            ExitCode::from(failure.code())
        }
    }
}

/// Runs jobs for the agent that started this process. No runtime is started before, since the
/// worker shuts itself in while it has one thread.
fn work() -> ExitCode {
    match executors::worker::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Output { json: false, quiet: false }.fail(&Failure::from(error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, context: Context) -> Outcome<u8> {
    log(&context);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .because("cannot start the runtime")?;
    let end = runtime.block_on(command.run(&context));
    // What still runs in the background has nothing to finish that the command did not wait for.
    runtime.shutdown_background();
    end
}

/// Writes the log to standard error, as much of it as `IDLEWILD_LOG` asks for.
fn log(context: &Context) {
    let level = if context.output.quiet { "error" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("IDLEWILD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
