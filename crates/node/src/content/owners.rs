//! Who owns which content: a small store beside the files.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension};
use types::{Address, ContentHash};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS owners (
    owner BLOB NOT NULL, hash BLOB NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (owner, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    owner BLOB PRIMARY KEY, bytes INTEGER NOT NULL, count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What may be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// Bytes of all accounts together.
    pub(crate) bytes: u64,
    pub(crate) bytes_per_account: u64,
    pub(crate) count_per_account: u64,
}

/// Why there is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The account's quota is used up.
    OfAccount,
    /// The node keeps no more.
    OfNode,
}

/// How much of something there is.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    bytes: u64,
    count: u64,
}

/// The store of owners, and the room that is reserved for content on its way.
#[derive(Debug)]
pub(crate) struct Owners {
    quota: Quota,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Connection,
    /// Bytes of all accounts together.
    bytes: u64,
    reserved: HashMap<Address, Amount>,
}

impl Owners {
    pub(crate) fn open(path: &Path, quota: Quota) -> rusqlite::Result<Self> {
        let store = Connection::open(path)?;
        // Who is told that content is stored owns it, also after the machine lost power.
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024;",
        )?;
        store.execute_batch(TABLES)?;
        let query = "SELECT coalesce(sum(bytes), 0) FROM totals";
        let bytes = store.query_row(query, (), |row| row.get(0))?;
        let inner = Inner { store, bytes, reserved: HashMap::new() };
        Ok(Self { quota, inner: Mutex::new(inner) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A transaction that a panic cut short was rolled back.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn owns(&self, owner: Address, hash: ContentHash) -> rusqlite::Result<bool> {
        let inner = self.lock();
        let query = "SELECT 1 FROM owners WHERE owner = ? AND hash = ?";
        let mut query = inner.store.prepare_cached(query)?;
        query.exists((owner.as_bytes(), hash.as_bytes()))
    }

    /// Keeps room for content of an account that is on its way.
    pub(crate) fn reserve(
        &self,
        owner: Address,
        bytes: u64,
    ) -> rusqlite::Result<Result<(), NoRoom>> {
        let mut inner = self.lock();
        let query = "SELECT bytes, count FROM totals WHERE owner = ?";
        let stored = inner.store.prepare_cached(query)?.query_row([owner.as_bytes()], |row| {
            Ok(Amount { bytes: row.get(0)?, count: row.get(1)? })
        });
        let stored = stored.optional()?.unwrap_or_default();
        let reserved = inner.reserved.get(&owner).copied().unwrap_or_default();
        let of_account = stored.bytes.saturating_add(reserved.bytes).saturating_add(bytes);
        let count = stored.count.saturating_add(reserved.count);
        if of_account > self.quota.bytes_per_account || count >= self.quota.count_per_account {
            return Ok(Err(NoRoom::OfAccount));
        }
        let all = inner.reserved.values().map(|reserved| reserved.bytes);
        let all = all.fold(inner.bytes.saturating_add(bytes), u64::saturating_add);
        if all > self.quota.bytes {
            return Ok(Err(NoRoom::OfNode));
        }
        let Amount { bytes: before, count } = reserved;
        inner.reserved.insert(owner, Amount { bytes: before + bytes, count: count + 1 });
        Ok(Ok(()))
    }

    /// Gives back what was reserved, whether the content arrived or not.
    pub(crate) fn release(&self, owner: Address, bytes: u64) {
        let mut inner = self.lock();
        if let Some(reserved) = inner.reserved.get_mut(&owner) {
            reserved.bytes -= bytes;
            reserved.count -= 1;
            if reserved.count == 0 {
                inner.reserved.remove(&owner);
            }
        }
    }

    /// Makes an account an owner, within what it reserved.
    pub(crate) fn add(
        &self,
        owner: Address,
        hash: ContentHash,
        bytes: u64,
    ) -> rusqlite::Result<()> {
        let mut inner = self.lock();
        let store = inner.store.transaction()?;
        let insert = "INSERT OR IGNORE INTO owners VALUES (?, ?, ?)";
        let added =
            store.prepare_cached(insert)?.execute((owner.as_bytes(), hash.as_bytes(), bytes))?;
        if added == 0 {
            return Ok(());
        }
        let upsert = "INSERT INTO totals VALUES (?1, ?2, 1) ON CONFLICT (owner)
            DO UPDATE SET bytes = bytes + excluded.bytes, count = count + 1";
        store.prepare_cached(upsert)?.execute((owner.as_bytes(), bytes))?;
        store.commit()?;
        inner.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use types::PublicKey;

    use super::*;

    fn address(byte: u8) -> Address {
        Address::new(PublicKey::from_bytes([byte; 32]))
    }

    fn hash(byte: u8) -> ContentHash {
        ContentHash::from_bytes([byte; 32])
    }

    fn put(owners: &Owners, owner: u8, content: u8, bytes: u64) -> Result<(), NoRoom> {
        let owner = address(owner);
        owners.reserve(owner, bytes).unwrap()?;
        owners.add(owner, hash(content), bytes).unwrap();
        owners.release(owner, bytes);
        Ok(())
    }

    const QUOTA: Quota = Quota { bytes: 15, bytes_per_account: 10, count_per_account: 3 };

    #[test]
    fn quotas_hold_at_the_bound_and_owning_twice_costs_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("owners");
        let owners = Owners::open(&path, QUOTA).unwrap();
        assert_eq!(put(&owners, 1, 1, 4), Ok(()));
        assert_eq!(put(&owners, 1, 1, 4), Ok(()));
        assert_eq!(put(&owners, 1, 2, 7), Err(NoRoom::OfAccount));
        assert_eq!(put(&owners, 1, 2, 5), Ok(()));
        assert_eq!(put(&owners, 1, 3, 0), Ok(()));
        assert_eq!(put(&owners, 1, 4, 0), Err(NoRoom::OfAccount));
        // What all have counts, also after a restart.
        drop(owners);
        let owners = Owners::open(&path, QUOTA).unwrap();
        assert_eq!(put(&owners, 2, 3, 7), Err(NoRoom::OfNode));
        assert_eq!(put(&owners, 2, 3, 6), Ok(()));
        assert!(owners.owns(address(1), hash(1)).unwrap());
        assert!(!owners.owns(address(2), hash(1)).unwrap());
    }

    #[test]
    fn what_is_on_its_way_takes_room() {
        let directory = tempfile::tempdir().unwrap();
        let owners = Owners::open(&directory.path().join("owners"), QUOTA).unwrap();
        let reserve = |owner, bytes| owners.reserve(address(owner), bytes).unwrap();
        assert_eq!(reserve(1, 10), Ok(()));
        assert_eq!(reserve(1, 1), Err(NoRoom::OfAccount));
        assert_eq!(reserve(2, 6), Err(NoRoom::OfNode));
        owners.release(address(1), 10);
        assert_eq!(reserve(2, 6), Ok(()));
        for _ in 0..3 {
            assert_eq!(reserve(1, 0), Ok(()));
        }
        assert_eq!(reserve(1, 0), Err(NoRoom::OfAccount));
    }

    #[test]
    fn what_is_acknowledged_survives_a_loss_of_power() {
        let directory = tempfile::tempdir().unwrap();
        let owners = Owners::open(&directory.path().join("owners"), QUOTA).unwrap();
        let query = "PRAGMA synchronous";
        let level: u8 = owners.lock().store.query_row(query, (), |row| row.get(0)).unwrap();
        assert_eq!(level, 2, "FULL");
    }
}
