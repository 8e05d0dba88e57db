//! What must survive a crash: for each lease how it ended here, with the signed receipt, and for
//! each audit what was found.
//!
//! A lease has no record while it is at work: losing that costs a rerun, which gives the same
//! result. A record is written before its receipt is handed in, so no second receipt is ever
//! signed for work that was handed in. Each is one file, written whole; see `disk`.

use std::{
    fs, io,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use types::{
    ContentHash, Decode, DecodeError, Encode, Hash, LeaseId, List, SignedReceipt, Text, Time,
    codec, manifest::ENTRIES_MAX,
};

use crate::disk;

/// Contents of one result: the manifest's and the manifest itself.
const CONTENTS_MAX: usize = ENTRIES_MAX + 1;
/// Bytes of the reason for giving up.
const WHY_BYTES_MAX: usize = 512;
const CHECK_BYTES: usize = 32;

/// What a journal holds, one for each lease.
pub(crate) trait Entry: Encode + Decode {
    /// The ending of its file's name.
    const SUFFIX: &'static str;

    /// Returns the lease that it is about.
    fn lease(&self) -> LeaseId;
}

impl Entry for Record {
    const SUFFIX: &'static str = "lease";

    fn lease(&self) -> LeaseId {
        self.lease
    }
}

/// How a lease ended here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The lease.
    pub(crate) lease: LeaseId,
    /// When the lease ends at the latest.
    pub(crate) ends: Time,
    /// What came of it.
    pub(crate) ending: Ending,
}
codec!(struct Record { lease, ends, ending });

/// What came of a lease here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is done.
    Finished {
        /// The receipt to hand in.
        receipt: Box<SignedReceipt>,
        /// The content of the result.
        contents: List<ContentHash, CONTENTS_MAX>,
    },
    /// It cannot be done here.
    GivenUp {
        /// Why.
        why: Text<WHY_BYTES_MAX>,
    },
}
codec!(enum Ending { 0 = Finished { receipt, contents }, 1 = GivenUp { why } });

impl Record {
    /// Returns the record of a lease that cannot be served.
    pub(crate) fn given_up(lease: LeaseId, ends: Time, why: &str) -> Self {
        let end = why.floor_char_boundary(WHY_BYTES_MAX);
        let why = Text::new(&why[..end]).expect("cut to the bound");
        Self { lease, ends, ending: Ending::GivenUp { why } }
    }

    /// Returns the content that the record names.
    pub(crate) fn contents(&self) -> &[ContentHash] {
        match &self.ending {
            Ending::Finished { contents, .. } => contents,
            Ending::GivenUp { .. } => &[],
        }
    }
}

/// A directory of records.
#[derive(Debug)]
pub(crate) struct Journal<E> {
    directory: PathBuf,
    entries: PhantomData<fn() -> E>,
}

impl<E> Clone for Journal<E> {
    fn clone(&self) -> Self {
        Self { directory: self.directory.clone(), entries: PhantomData }
    }
}

impl<E: Entry> Journal<E> {
    /// Opens the directory, or creates it, and returns the records in it. A damaged one is set
    /// aside: its lease is served again.
    ///
    /// # Errors
    /// When the directory cannot be created or read.
    pub(crate) fn open(directory: PathBuf) -> io::Result<(Self, Vec<E>)> {
        disk::create_directory(&directory)?;
        let journal = Self { directory, entries: PhantomData };
        let mut records = Vec::new();
        for path in disk::files(&journal.directory)? {
            if path.extension().is_none_or(|extension| extension != E::SUFFIX) {
                continue;
            }
            match read::<E>(&fs::read(&path)?) {
                Ok(record) if path == journal.path(&record.lease()) => records.push(record),
                damaged => {
                    let why =
                        damaged.err().map_or("it has another's name".to_owned(), |e| e.to_string());
                    tracing::error!(path = %path.display(), "a record is damaged: {why}");
                    fs::rename(&path, path.with_extension("damaged"))?;
                }
            }
        }
        Ok((journal, records))
    }

    /// Writes a record in the place of the lease's last.
    ///
    /// # Errors
    /// When it cannot be written; the last one then stands.
    pub(crate) fn write(&self, record: &E) -> io::Result<()> {
        let mut bytes = record.to_bytes();
        bytes.extend_from_slice(check(&bytes).as_bytes());
        disk::replace(&self.path(&record.lease()), &bytes)
    }

    /// Removes the record of a lease.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self, lease: &LeaseId) -> io::Result<()> {
        disk::remove(&self.path(lease))
    }

    fn path(&self, lease: &LeaseId) -> PathBuf {
        self.directory.join(Path::new(&format!("{lease}.{}", E::SUFFIX)))
    }
}

fn check(bytes: &[u8]) -> Hash {
    Hash::of("idlewild journal", &[bytes])
}

fn read<E: Entry>(bytes: &[u8]) -> Result<E, DecodeError> {
    let (bytes, found) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(DecodeError::Truncated)?;
    if check(bytes).as_bytes() != found {
        return Err(DecodeError::Invalid("check at its end"));
    }
    E::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use types::{Receipt, SecretKey};

    use super::*;

    fn finished(number: u8) -> Record {
        let lease = LeaseId::from_bytes([number; 32]);
        let receipt = Receipt {
            lease,
            sequence: 1,
            from: Time::from_ms(1),
            to: Time::from_ms(2),
            usage: types::Blob::new(vec![number]).unwrap(),
            trace: Hash::ZERO,
        };
        let key = SecretKey::from_bytes([9; 32]);
        let receipt = Box::new(SignedReceipt::sign(receipt, &Hash::ZERO, &key));
        let contents = List::new(vec![ContentHash::of(&[number])]).unwrap();
        Record { lease, ends: Time::from_ms(9), ending: Ending::Finished { receipt, contents } }
    }

    #[test]
    fn records_survive_and_the_last_one_stands() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Journal::<Record>::open(directory.path().join("journal")).unwrap();
        let (journal, none) = open();
        assert!(none.is_empty());
        let given_up = Record::given_up(
            LeaseId::from_bytes([2; 32]),
            Time::from_ms(3),
            "é".repeat(300).as_str(),
        );
        journal.write(&Record::given_up(finished(1).lease, Time::from_ms(3), "why")).unwrap();
        journal.write(&finished(1)).unwrap();
        journal.write(&given_up).unwrap();
        assert_eq!(open().1, [finished(1), given_up.clone()]);
        journal.remove(&given_up.lease).unwrap();
        journal.remove(&given_up.lease).unwrap();
        assert_eq!(open().1, [finished(1)]);
    }

    #[test]
    fn a_torn_or_changed_record_is_set_aside_and_the_others_stand() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, _) = Journal::<Record>::open(path.clone()).unwrap();
        journal.write(&finished(1)).unwrap();
        journal.write(&finished(2)).unwrap();
        let victim = journal.path(&finished(1).lease);
        let whole = fs::read(&victim).unwrap();
        for end in 0..whole.len() {
            fs::write(&victim, &whole[..end]).unwrap();
            assert_eq!(Journal::<Record>::open(path.clone()).unwrap().1, [finished(2)], "{end}");
            assert!(!victim.exists());
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read::<Record>(&changed).is_err(), "{at}");
        }
        fs::write(&victim, &whole).unwrap();
        fs::write(path.join("torn.1.0.tmp"), &whole[..9]).unwrap();
        assert_eq!(Journal::<Record>::open(path).unwrap().1, [finished(1), finished(2)]);
    }

    #[test]
    fn a_record_under_anothers_name_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, _) = Journal::<Record>::open(path.clone()).unwrap();
        journal.write(&finished(1)).unwrap();
        fs::rename(journal.path(&finished(1).lease), journal.path(&finished(2).lease)).unwrap();
        assert!(Journal::<Record>::open(path).unwrap().1.is_empty());
    }
}
