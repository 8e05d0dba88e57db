//! Whole-system tests: the real binary, networks and providers as processes, in directories of
//! their own.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod commands;
mod common;
mod demo;
mod docs;
mod market;
