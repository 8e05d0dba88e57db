//! ledger

pub mod map;
