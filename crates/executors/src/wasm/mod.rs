//! Meters and runs WebAssembly so that every machine gets the same result for the same fuel.
//!
//! A program passes through three stages. [`instrument`] checks it and rewrites it by the
//! [`specification`]: the rewritten module counts its own fuel and call depth, makes its NaNs
//! canonical and cannot outgrow its memory. [`compiler`] or [`interpreter`] prepares the rewritten
//! module once and keeps it. [`engine::Engine::run`] then runs it with a host of its own, on a
//! thread that has a [`GuestStack`], and returns exit, fuel and trace root.
//!
//! | ends a run | is | on another machine |
//! |---|---|---|
//! | exit code, trap, no fuel, no depth | [`engine::Exit`] | the same |
//! | wall clock, stop, no memory, no native stack | [`engine::HostAbort`] | perhaps not |

mod cache;
pub mod compiler;
pub mod engine;
pub mod instrument;
pub mod interpreter;
mod session;
pub mod specification;
mod stack;
mod trace;

#[cfg(test)]
mod tests;

pub use cache::CacheLimits;
pub use engine::EngineKind;
pub use stack::GuestStack;
