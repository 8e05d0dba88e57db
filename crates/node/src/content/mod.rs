//! Content by hash: files under `content/aa/…`, and who owns them.
//!
//! A file gets its name only when all of it is on disk and has that hash, so what stands under a
//! name is always the content of that name. Whoever sent all of its bytes owns it; only owners
//! make it readable to others, by naming it in a lease. That an account knows a hash gives it
//! nothing.

mod access;
mod owners;
mod range;
mod store;

pub(crate) use access::{Asker, names};
pub(crate) use owners::NoRoom;
pub(crate) use range::{Asked, ByteRange, parse_range};
pub use store::ContentError;
pub(crate) use store::{Begun, ContentStore, Upload};
