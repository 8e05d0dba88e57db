//! Bounds of requests and answers, with their units in their names.

/// Transactions of one submission.
pub const SUBMISSION_TRANSACTIONS_MAX: usize = 256;
/// Bytes of one submission's JSON.
pub const SUBMISSION_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of any other JSON that is sent to a node.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a path with its query.
pub const PATH_BYTES_MAX: usize = 2048;
/// Bytes of JSON that a node answers with.
pub const RESPONSE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one piece of content: 1 GiB.
pub const CONTENT_BYTES_MAX: u64 = 1 << 30;
/// Bytes of all files of a directory together: 8 GiB.
pub const DIRECTORY_BYTES_MAX: u64 = 8 << 30;
/// Items of a page when the request does not say.
pub const PAGE_ITEMS: usize = 50;
/// Items of a page at most.
pub const PAGE_ITEMS_MAX: usize = 200;
/// How far the time of a signed request may be off.
pub const SIGNED_REQUEST_SKEW_MS: u64 = 60_000;
/// How often a node says something on a stream of events.
pub const EVENTS_HEARTBEAT_MS: u64 = 10_000;
