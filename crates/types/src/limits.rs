//! Bounds of everything that comes from outside, with their units in their names.

use crate::Duration;

/// Bytes of one encoded transaction.
pub const TRANSACTION_BYTES_MAX: usize = 32 * 1024;
/// Transactions in one block.
pub const BLOCK_TRANSACTIONS_MAX: usize = 10_000;
/// Bytes of the encoded transactions of one block.
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a class's specification in an order.
pub const SPEC_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a class's terms in an offer.
pub const OFFER_TERMS_BYTES_MAX: usize = 1024;
/// Bytes of a class's meter reading in a receipt.
pub const USAGE_BYTES_MAX: usize = 512;
/// Bytes of a region's name.
pub const REGION_BYTES_MAX: usize = 16;
/// Bytes of a network's name.
pub const NETWORK_NAME_BYTES_MAX: usize = 32;
/// Offers that one order may name.
pub const ORDER_OFFERS_MAX: usize = 16;
/// Leases that one offer may serve at a time.
pub const OFFER_SLOTS_MAX: u32 = 4096;
/// Validators of a network.
pub const VALIDATORS_MAX: usize = 64;
/// Issuers of a network.
pub const ISSUERS_MAX: usize = 16;
/// Wallets that a genesis fills.
pub const GENESIS_WALLETS_MAX: usize = 1024;
/// Bytes of an encoded genesis.
pub const GENESIS_BYTES_MAX: usize = 256 * 1024;
/// Draws, and entries of the queue of what is due, that one block may work through together.
pub const BLOCK_DUE_MAX: usize = 1_000;
/// Offers that one block may examine for orders that name none.
pub const BLOCK_OFFERS_EXAMINED_MAX: usize = 256;
/// Auditors that one order may pay for each audit.
pub const AUDITORS_MAX: u8 = 7;
/// Times that auditors are drawn for one lease.
pub const AUDIT_ROUNDS_MAX: u8 = 3;
/// Auditors of one lease in all rounds together.
pub const AUDITORS_OF_LEASE_MAX: usize = AUDITORS_MAX as usize * AUDIT_ROUNDS_MAX as usize;
/// How long before an auditor is free it is still drawn.
pub const AUDITOR_QUEUE_MAX: Duration = Duration::from_seconds(24 * 3600);
/// Audits that one auditor may have to do.
pub const AUDITS_OPEN_MAX: u32 = 64;
/// Seats that one auditor may have among those who are drawn.
pub const AUDITOR_SEATS_MAX: usize = 64;
/// Seats that are looked at for each auditor that is drawn.
pub const DRAWS_OF_AUDITOR_MAX: usize = 16;
/// Roots that one move of a bisection may have: one less than the parts.
pub const BISECTION_ROOTS_MAX: usize = 15;
/// Bytes of what one step of a computation reads, as a dispute shows it.
pub const WITNESS_BYTES_MAX: usize = 16 * 1024;
