//! The tables of the history, and opening them.

use std::{fs, io, path::Path};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use types::Hash;

use super::IndexError;

/// The version of the tables; another one is built anew.
const VERSION: i64 = 5;

const TABLES: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1), genesis BLOB NOT NULL,
    height INTEGER NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, header BLOB NOT NULL, certificate BLOB, time INTEGER NOT NULL,
    transactions INTEGER NOT NULL
) STRICT;
CREATE INDEX blocks_by_time ON blocks (time);
CREATE TABLE transactions (
    height INTEGER NOT NULL, position INTEGER NOT NULL, id BLOB NOT NULL UNIQUE,
    signer BLOB NOT NULL, action TEXT NOT NULL, signed BLOB NOT NULL,
    PRIMARY KEY (height, position)
) STRICT;
CREATE TABLE events (
    height INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, event BLOB NOT NULL,
    PRIMARY KEY (height, position)
) STRICT;
CREATE INDEX events_issued ON events (height, position) WHERE kind = 'issued';
CREATE TABLE event_accounts (
    account BLOB NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (account, height, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_leases (
    lease BLOB NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (lease, height, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, tenant BLOB NOT NULL,
    record BLOB NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_of_tenant ON orders (tenant, number);
CREATE TABLE leases (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, tenant BLOB NOT NULL,
    provider BLOB NOT NULL, state TEXT NOT NULL, start_height INTEGER, start_position INTEGER,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX leases_of_tenant ON leases (tenant, number);
CREATE INDEX leases_of_provider ON leases (provider, number);
CREATE INDEX leases_open ON leases (number) WHERE state <> 'closed';
CREATE INDEX leases_open_of_tenant ON leases (tenant, number) WHERE state <> 'closed';
CREATE INDEX leases_open_of_provider ON leases (provider, number) WHERE state <> 'closed';
CREATE TABLE receipts (
    lease BLOB NOT NULL, sequence INTEGER NOT NULL, record BLOB NOT NULL,
    height INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (lease, sequence)
) STRICT;
CREATE TABLE audits (
    number INTEGER PRIMARY KEY, lease BLOB NOT NULL UNIQUE, record BLOB NOT NULL
) STRICT;
CREATE TABLE disputes (
    number INTEGER PRIMARY KEY, lease BLOB NOT NULL UNIQUE, record BLOB NOT NULL
) STRICT;
CREATE TABLE archive (
    lease BLOB PRIMARY KEY, height INTEGER NOT NULL, rows TEXT NOT NULL
) STRICT;
CREATE TABLE parameters (
    time INTEGER PRIMARY KEY, shown TEXT NOT NULL
) STRICT;
CREATE TABLE tallies (
    class INTEGER NOT NULL, epoch INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (class, epoch)
) STRICT, WITHOUT ROWID;
";

/// How far the history of a network reaches: height and hash of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) height: u64,
    pub(crate) hash: Hash,
}

/// Opens the store to write; one that is missing, damaged, or of another version or network is
/// made anew.
pub(crate) fn open_writer(
    path: &Path,
    genesis: &Hash,
    beginning: Reached,
) -> Result<(Connection, Reached), IndexError> {
    match existing(path, genesis) {
        Ok(Some((connection, reached))) => return Ok((connection, reached)),
        Ok(None) => tracing::info!("building the history"),
        Err(error) => tracing::warn!("building the history anew: {error}"),
    }
    let connection = create(path, genesis, beginning)?;
    Ok((connection, beginning))
}

/// Makes an empty store in place of what is there.
pub(crate) fn create(
    path: &Path,
    genesis: &Hash,
    beginning: Reached,
) -> Result<Connection, IndexError> {
    remove(path)?;
    let connection = Connection::open(path)?;
    tune(&connection)?;
    connection
        .execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    connection.execute(
        "INSERT INTO meta VALUES (1, ?1, ?2, ?3)",
        (genesis.as_bytes(), beginning.height, beginning.hash.as_bytes()),
    )?;
    Ok(connection)
}

fn existing(path: &Path, genesis: &Hash) -> Result<Option<(Connection, Reached)>, IndexError> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let connection = Connection::open(path)?;
    tune(&connection)?;
    let version: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    if version != VERSION {
        return Ok(None);
    }
    let query = "SELECT genesis, height, hash FROM meta";
    let meta: Option<([u8; 32], u64, [u8; 32])> = connection
        .query_row(query, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let reached = meta.and_then(|(found, height, hash)| {
        let reached = Reached { height, hash: Hash::from_bytes(hash) };
        (found == *genesis.as_bytes()).then_some(reached)
    });
    Ok(reached.map(|reached| (connection, reached)))
}

fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A crash of the process loses nothing; one of the machine may lose the last writes, which are
/// then made again.
fn tune(connection: &Connection) -> Result<(), IndexError> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096;
         PRAGMA busy_timeout = 5000; PRAGMA wal_autocheckpoint = 1000;",
    )?;
    Ok(())
}

/// Opens the store to read.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA busy_timeout = 5000;")?;
    Ok(connection)
}
