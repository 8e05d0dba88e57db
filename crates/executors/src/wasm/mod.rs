//! wasm

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
pub use stack::GuestStack;
