//! Runs work in sandboxes.
//!
//! This crate owns the effects of each class of service. Class `job` is split in two halves:
//! [`wasm`] meters a WebAssembly module by rewriting it and runs it on one of two engines,
//! [`wasi`] is the deterministic world that the module sees through its imports.
//! [`job`] puts the two together, and [`worker`] runs jobs in a child process that holds no key.
//! What a job costs and means to the market is decided in `classes`, not here.

pub mod job;
pub mod wasi;
pub mod wasm;
pub mod worker;
