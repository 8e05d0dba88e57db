//! Whole jobs on both engines: real programs, bad programs, the examples.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what it found")]
#![expect(clippy::print_stdout, reason = "a test says what it measured and why it is skipped")]

mod compile;
mod engines;
mod examples;
mod hostile;
mod module;
mod preview1;
mod programs;
#[path = "../work/mod.rs"]
mod work;
