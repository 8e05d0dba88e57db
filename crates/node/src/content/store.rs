//! The files of the content store.

use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;
use tokio::{fs::File, io::AsyncWriteExt};
use types::{
    Address, ContentHash, Decode,
    manifest::{MANIFEST_BYTES_MAX, Manifest},
};

use super::owners::{NoRoom, Owners, Quota};
use crate::{config::Limits, files::sync_directory};

/// Manifests whose names are remembered.
const MANIFESTS_KEPT: usize = 16;
/// Contents that are remembered to be no manifests.
const OTHERS_KEPT: usize = 256;

/// Why the content store cannot serve.
#[derive(Debug, Error)]
pub enum ContentError {
    /// The system does not let its files be read or written.
    #[error("a file of the content store cannot be read or written")]
    File(#[from] io::Error),
    /// The store of owners does not work.
    #[error("the store of owners does not work")]
    Owners(#[from] rusqlite::Error),
}

/// The content store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    temporary: PathBuf,
    owners: Owners,
    free_disk_bytes: u64,
    uploads: AtomicU64,
    manifests: Mutex<Manifests>,
}

/// What was read of contents that were asked for as manifests last. It holds for ever, since the
/// bytes under a hash never change.
#[derive(Debug, Default)]
struct Manifests {
    /// What they name.
    known: VecDeque<(ContentHash, Arc<BTreeSet<ContentHash>>)>,
    /// Contents that are none.
    others: VecDeque<ContentHash>,
}

/// Content on its way into the store, with the room that is kept for it; what does not arrive is
/// removed.
#[derive(Debug)]
pub(crate) struct Upload {
    store: ContentStore,
    owner: Address,
    /// Bytes that are reserved.
    bytes: u64,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Renamed away if it arrived; otherwise what cannot be removed goes at the next start.
        let _ = fs::remove_file(&self.path);
        self.store.shared.owners.release(self.owner, self.bytes);
    }
}

/// Whether content may come.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It may.
    Upload(Box<Upload>),
    /// It is here already, and its sender's.
    Owned,
    /// There is no room.
    NoRoom(NoRoom),
}

impl ContentStore {
    /// Opens the store and removes what never arrived.
    pub(crate) fn open(root: &Path, limits: &Limits) -> Result<Self, ContentError> {
        let temporary = root.join("tmp");
        fs::create_dir_all(&temporary)?;
        for left in fs::read_dir(&temporary)? {
            fs::remove_file(left?.path())?;
        }
        let quota = Quota {
            bytes: limits.content_bytes,
            bytes_per_account: limits.content_bytes_per_account,
            count_per_account: limits.content_count_per_account,
        };
        let shared = Shared {
            owners: Owners::open(&root.join("owners.sqlite"), quota)?,
            root: root.to_owned(),
            temporary,
            free_disk_bytes: limits.free_disk_bytes,
            uploads: AtomicU64::new(0),
            manifests: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn path_of(&self, hash: ContentHash) -> PathBuf {
        let name = hash.to_string();
        self.shared.root.join(&name[..2]).join(name)
    }

    /// Runs something that touches the disk away from the tasks.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ContentError> + Send + 'static,
    ) -> Result<T, ContentError> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(io::Error::other)?
    }

    /// Returns whether an account owns content that is here.
    pub(crate) fn owns(&self, owner: Address, hash: ContentHash) -> Result<bool, ContentError> {
        Ok(self.shared.owners.owns(owner, hash)?)
    }

    /// Begins to take in an account's content of that name and length.
    pub(crate) async fn begin(
        &self,
        owner: Address,
        hash: ContentHash,
        bytes: u64,
    ) -> Result<Begun, ContentError> {
        self.run(move |store| store.begin_now(owner, hash, bytes)).await
    }

    fn begin_now(
        &self,
        owner: Address,
        hash: ContentHash,
        bytes: u64,
    ) -> Result<Begun, ContentError> {
        let Shared { owners, temporary, uploads, .. } = &*self.shared;
        if owners.owns(owner, hash)? && self.path_of(hash).try_exists()? {
            return Ok(Begun::Owned);
        }
        if !self.leaves_free(bytes)? {
            return Ok(Begun::NoRoom(NoRoom::OfNode));
        }
        let number = uploads.fetch_add(1, Ordering::Relaxed);
        let path = temporary.join(number.to_string());
        let file = File::from_std(fs::File::create(&path)?);
        if let Err(none) = owners.reserve(owner, bytes)? {
            fs::remove_file(&path)?;
            return Ok(Begun::NoRoom(none));
        }
        let (store, hasher) = (self.clone(), blake3::Hasher::new());
        Ok(Begun::Upload(Box::new(Upload { store, owner, bytes, path, file, hasher })))
    }

    /// Returns whether the disk has so much room and what is to stay free.
    fn leaves_free(&self, bytes: u64) -> Result<bool, ContentError> {
        let disk = rustix::fs::statvfs(&self.shared.temporary).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(free >= self.shared.free_disk_bytes.saturating_add(bytes))
    }

    /// Opens content to read; nothing if it is not here.
    pub(crate) async fn open_content(
        &self,
        hash: ContentHash,
    ) -> Result<Option<(File, u64)>, ContentError> {
        match File::open(self.path_of(hash)).await {
            Ok(file) => {
                let length = file.metadata().await?.len();
                Ok(Some((file, length)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what content names if it is a manifest.
    pub(crate) fn manifest(
        &self,
        hash: ContentHash,
    ) -> Result<Option<Arc<BTreeSet<ContentHash>>>, ContentError> {
        // Held while it reads, so that however many ask, one manifest is in memory at a time.
        let manifests = &mut *self.shared.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, names)) = manifests.known.iter().find(|(name, _)| *name == hash) {
            return Ok(Some(Arc::clone(names)));
        }
        if manifests.others.contains(&hash) {
            return Ok(None);
        }
        let path = self.path_of(hash);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() <= MANIFEST_BYTES_MAX as u64 => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Ok(manifest) = Manifest::from_bytes(&fs::read(&path)?) else {
            manifests.others.push_back(hash);
            if manifests.others.len() > OTHERS_KEPT {
                manifests.others.pop_front();
            }
            return Ok(None);
        };
        let names: Arc<BTreeSet<_>> = Arc::new(manifest.contents().map(|(hash, _)| hash).collect());
        manifests.known.push_back((hash, Arc::clone(&names)));
        if manifests.known.len() > MANIFESTS_KEPT {
            manifests.known.pop_front();
        }
        Ok(Some(names))
    }
}

impl Upload {
    /// Takes the next bytes; returns whether the disk has room for more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<bool, ContentError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).await?;
        self.store.leaves_free(0)
    }

    /// Returns the hash of what came so far.
    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash::from_bytes(*self.hasher.finalize().as_bytes())
    }

    /// Puts the content under its name, on disk, and makes who sent it an owner.
    pub(crate) async fn finish(mut self) -> Result<(), ContentError> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let (hash, bytes, owner) = (self.hash(), self.hasher.count(), self.owner);
        let path = self.path.clone();
        let store = self.store.clone();
        let added = store
            .run(move |store| {
                let Shared { owners, root, .. } = &*store.shared;
                let place = store.path_of(hash);
                if !place.try_exists()? {
                    let directory = place.parent().unwrap_or(root);
                    fs::create_dir_all(directory)?;
                    fs::rename(&path, &place)?;
                    sync_directory(directory)?;
                    sync_directory(root)?;
                }
                // Last, so that nobody owns what is not here.
                Ok(owners.add(owner, hash, bytes)?)
            })
            .await;
        drop(self);
        added
    }
}

#[cfg(test)]
mod tests {
    use types::{Encode, PublicKey, manifest::Entry, manifest::EntryKind, manifest::RelativePath};

    use super::*;

    fn owner() -> Address {
        Address::new(PublicKey::from_bytes([1; 32]))
    }

    async fn begin(store: &ContentStore, content: &[u8]) -> Begun {
        let bytes = content.len() as u64;
        store.begin(owner(), ContentHash::of(content), bytes).await.unwrap()
    }

    async fn put(store: &ContentStore, content: &[u8]) -> ContentHash {
        let Begun::Upload(mut upload) = begin(store, content).await else { panic!("no room") };
        assert!(upload.write(content).await.unwrap());
        let hash = upload.hash();
        upload.finish().await.unwrap();
        hash
    }

    #[tokio::test]
    async fn what_never_arrived_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        let count = || fs::read_dir(root.path().join("tmp")).unwrap().count();
        let Begun::Upload(mut upload) = begin(&store, b"half and half").await else { panic!() };
        upload.write(b"half").await.unwrap();
        assert_eq!(count(), 1);
        drop(upload);
        assert_eq!(count(), 0);
        fs::write(root.path().join("tmp/left"), b"by a crash").unwrap();
        drop(ContentStore::open(root.path(), &Limits::default()).unwrap());
        assert_eq!(count(), 0);
    }

    #[tokio::test]
    async fn content_stands_under_its_hash() {
        let root = tempfile::tempdir().unwrap();
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        let hash = put(&store, b"hello").await;
        assert_eq!(hash, ContentHash::of(b"hello"));
        assert!(matches!(begin(&store, b"hello").await, Begun::Owned));
        let name = hash.to_string();
        assert_eq!(fs::read(root.path().join(&name[..2]).join(&name)).unwrap(), b"hello");
        assert_eq!(store.open_content(hash).await.unwrap().unwrap().1, 5);
        assert!(store.open_content(ContentHash::of(b"x")).await.unwrap().is_none());
        assert!(store.owns(owner(), hash).unwrap());
    }

    #[tokio::test]
    async fn there_is_room_only_where_it_leaves_some() {
        let root = tempfile::tempdir().unwrap();
        let open = |limits: Limits| ContentStore::open(root.path(), &limits).unwrap();
        let full = open(Limits { free_disk_bytes: u64::MAX, ..Limits::default() });
        assert!(matches!(begin(&full, b"x").await, Begun::NoRoom(NoRoom::OfNode)));
        let small = open(Limits { content_bytes_per_account: 4, ..Limits::default() });
        assert!(matches!(begin(&small, b"hello").await, Begun::NoRoom(NoRoom::OfAccount)));
        let on_its_way = begin(&small, b"four").await;
        assert!(matches!(on_its_way, Begun::Upload(_)));
        assert!(matches!(begin(&small, b"x").await, Begun::NoRoom(NoRoom::OfAccount)));
        drop(on_its_way);
        put(&small, b"four").await;
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_no_manifest_is_read_once() {
        let root = tempfile::tempdir().unwrap();
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        let file = put(&store, b"file").await;
        assert!(store.manifest(file).unwrap().is_none());
        // Were it read again, it would be one now.
        fs::write(store.path_of(file), Manifest::default().to_bytes()).unwrap();
        assert!(store.manifest(file).unwrap().is_none());
        drop(store);
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        assert!(store.manifest(file).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_manifest_names_its_files() {
        let root = tempfile::tempdir().unwrap();
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        let file = put(&store, b"file").await;
        let kind = EntryKind::File { hash: file, bytes: 4 };
        let entry = Entry { path: RelativePath::new("a").unwrap(), kind };
        let manifest = put(&store, &Manifest::new(vec![entry]).unwrap().to_bytes()).await;
        for _ in 0..2 {
            assert!(store.manifest(manifest).unwrap().unwrap().contains(&file));
        }
        assert!(store.manifest(file).unwrap().is_none());
    }
}
