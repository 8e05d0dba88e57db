//! Who owns which content: a small store beside the files.

use std::{
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

/// What an account may store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) bytes: u64,
    pub(crate) count: u64,
}

/// The store of owners.
#[derive(Debug)]
pub(crate) struct Owners {
    store: Mutex<Connection>,
}

impl Owners {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1024;",
        )?;
        store.execute_batch(TABLES)?;
        Ok(Self { store: Mutex::new(store) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        // A transaction that a panic cut short was rolled back.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn owns(&self, owner: Address, hash: ContentHash) -> rusqlite::Result<bool> {
        let store = self.lock();
        let mut query =
            store.prepare_cached("SELECT 1 FROM owners WHERE owner = ? AND hash = ?")?;
        query.exists((owner.as_bytes(), hash.as_bytes()))
    }

    /// Returns whether an account may store so much more.
    pub(crate) fn has_room(
        &self,
        owner: Address,
        bytes: u64,
        quota: Quota,
    ) -> rusqlite::Result<bool> {
        has_room(&self.lock(), owner, bytes, quota)
    }

    /// Makes an account an owner; returns whether its quota allowed it.
    pub(crate) fn add(
        &self,
        owner: Address,
        hash: ContentHash,
        bytes: u64,
        quota: Quota,
    ) -> rusqlite::Result<bool> {
        let mut store = self.lock();
        let store = store.transaction()?;
        let insert = "INSERT OR IGNORE INTO owners VALUES (?, ?, ?)";
        let added =
            store.prepare_cached(insert)?.execute((owner.as_bytes(), hash.as_bytes(), bytes))?;
        if added > 0 {
            if !has_room(&store, owner, bytes, quota)? {
                return Ok(false);
            }
            let upsert = "INSERT INTO totals VALUES (?1, ?2, 1) ON CONFLICT (owner)
                DO UPDATE SET bytes = bytes + excluded.bytes, count = count + 1";
            store.prepare_cached(upsert)?.execute((owner.as_bytes(), bytes))?;
        }
        store.commit()?;
        Ok(true)
    }
}

fn has_room(
    store: &Connection,
    owner: Address,
    bytes: u64,
    quota: Quota,
) -> rusqlite::Result<bool> {
    let query = "SELECT bytes, count FROM totals WHERE owner = ?";
    let mut query = store.prepare_cached(query)?;
    let totals: Option<(u64, u64)> =
        query.query_row([owner.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (used, count) = totals.unwrap_or((0, 0));
    Ok(used.saturating_add(bytes) <= quota.bytes && count < quota.count)
}

#[cfg(test)]
mod tests {
    use types::PublicKey;

    use super::*;

    #[test]
    fn quotas_hold_at_the_bound_and_owning_twice_costs_once() {
        let directory = tempfile::tempdir().unwrap();
        let owners = Owners::open(&directory.path().join("owners")).unwrap();
        let [one, other] = [1, 2].map(|byte| Address::new(PublicKey::from_bytes([byte; 32])));
        let hash = |byte| ContentHash::from_bytes([byte; 32]);
        let quota = Quota { bytes: 10, count: 2 };
        assert!(owners.add(one, hash(1), 4, quota).unwrap());
        assert!(owners.add(one, hash(1), 4, quota).unwrap());
        assert!(!owners.add(one, hash(2), 7, quota).unwrap());
        assert!(owners.add(one, hash(2), 6, quota).unwrap());
        assert!(!owners.add(one, hash(3), 0, quota).unwrap());
        assert!(owners.add(other, hash(3), 10, quota).unwrap());
        assert!(owners.owns(one, hash(1)).unwrap());
        assert!(!owners.owns(one, hash(3)).unwrap());
    }
}
