//! Whole-system tests: the real binary, networks and providers as processes, in directories of
//! their own.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod bad_input;
mod checks;
mod cluster;
mod commands;
mod common;
mod counter;
mod demo;
mod docs;
mod kill;
mod market;
mod phases;
mod prices;
mod privacy;
mod seller;
mod stop;
mod trust;
mod validators;
