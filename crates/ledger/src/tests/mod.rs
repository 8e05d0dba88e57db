//! Worked examples of the rules, and what must hold whatever happens.

mod accounts;
mod auditors;
mod audits;
mod disputes;
mod draws;
mod leases;
mod market;
mod providers;
mod time;
mod votes;
mod whole;
