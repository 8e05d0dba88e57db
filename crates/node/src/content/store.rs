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

use super::owners::{Owners, Quota};
use crate::{config::Limits, files::sync_directory};

/// Manifests whose names are remembered.
const MANIFESTS_KEPT: usize = 16;

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
    quota: Quota,
    uploads: AtomicU64,
    /// What the manifests that were asked for last name.
    manifests: Mutex<VecDeque<(ContentHash, Arc<BTreeSet<ContentHash>>)>>,
}

/// Content on its way into the store; removed if it does not arrive.
#[derive(Debug)]
pub(crate) struct Upload {
    store: ContentStore,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Renamed away if it arrived; otherwise what cannot be removed goes at the next start.
        let _ = fs::remove_file(&self.path);
    }
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
            bytes: limits.content_bytes_per_account,
            count: limits.content_count_per_account,
        };
        let shared = Shared {
            owners: Owners::open(&root.join("owners.sqlite"))?,
            root: root.to_owned(),
            temporary,
            quota,
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

    /// Returns whether an account may store so much more.
    pub(crate) async fn has_room(&self, owner: Address, bytes: u64) -> Result<bool, ContentError> {
        self.run(move |store| {
            let Shared { owners, quota, .. } = &*store.shared;
            Ok(owners.has_room(owner, bytes, *quota)?)
        })
        .await
    }

    /// Returns whether an account owns content that is here.
    pub(crate) fn owns(&self, owner: Address, hash: ContentHash) -> Result<bool, ContentError> {
        Ok(self.shared.owners.owns(owner, hash)?)
    }

    /// Begins to take content in.
    pub(crate) async fn begin(&self) -> Result<Upload, ContentError> {
        let number = self.shared.uploads.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.temporary.join(number.to_string());
        let file = File::create(&path).await?;
        Ok(Upload { store: self.clone(), path, file, hasher: blake3::Hasher::new() })
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
        let known = |manifests: &VecDeque<(ContentHash, Arc<BTreeSet<_>>)>| {
            manifests.iter().find(|(name, _)| *name == hash).map(|(_, names)| Arc::clone(names))
        };
        if let Some(names) = known(&self.manifests()) {
            return Ok(Some(names));
        }
        let path = self.path_of(hash);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() <= MANIFEST_BYTES_MAX as u64 => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Ok(manifest) = Manifest::from_bytes(&fs::read(&path)?) else { return Ok(None) };
        let names: Arc<BTreeSet<_>> = Arc::new(manifest.contents().map(|(hash, _)| hash).collect());
        let mut manifests = self.manifests();
        if known(&manifests).is_none() {
            manifests.push_back((hash, Arc::clone(&names)));
            if manifests.len() > MANIFESTS_KEPT {
                manifests.pop_front();
            }
        }
        Ok(Some(names))
    }

    fn manifests(
        &self,
    ) -> std::sync::MutexGuard<'_, VecDeque<(ContentHash, Arc<BTreeSet<ContentHash>>)>> {
        self.shared.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.hasher.update(bytes);
        Ok(self.file.write_all(bytes).await?)
    }

    /// Returns the hash of what came so far.
    pub(crate) fn hash(&self) -> ContentHash {
        ContentHash::from_bytes(*self.hasher.finalize().as_bytes())
    }

    /// Puts the content under its name, on disk, and makes `owner` an owner; returns whether its
    /// quota allowed it.
    pub(crate) async fn finish(mut self, owner: Address) -> Result<bool, ContentError> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let (hash, bytes) = (self.hash(), self.hasher.count());
        let path = self.path.clone();
        let store = self.store.clone();
        let added = store
            .run(move |store| {
                let Shared { owners, quota, root, .. } = &*store.shared;
                if !owners.has_room(owner, bytes, *quota)? && !owners.owns(owner, hash)? {
                    return Ok(false);
                }
                let place = store.path_of(hash);
                if !place.try_exists()? {
                    let directory = place.parent().unwrap_or(root);
                    fs::create_dir_all(directory)?;
                    fs::rename(&path, &place)?;
                    sync_directory(directory)?;
                    sync_directory(root)?;
                }
                // Last, so that nobody owns what is not here.
                Ok(owners.add(owner, hash, bytes, *quota)?)
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

    async fn put(store: &ContentStore, content: &[u8]) -> ContentHash {
        let mut upload = store.begin().await.unwrap();
        upload.write(content).await.unwrap();
        let hash = upload.hash();
        assert!(upload.finish(owner()).await.unwrap());
        hash
    }

    #[tokio::test]
    async fn what_never_arrived_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let store = ContentStore::open(root.path(), &Limits::default()).unwrap();
        let count = || fs::read_dir(root.path().join("tmp")).unwrap().count();
        let mut upload = store.begin().await.unwrap();
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
        assert_eq!(put(&store, b"hello").await, hash);
        let name = hash.to_string();
        assert_eq!(fs::read(root.path().join(&name[..2]).join(&name)).unwrap(), b"hello");
        assert_eq!(store.open_content(hash).await.unwrap().unwrap().1, 5);
        assert!(store.open_content(ContentHash::of(b"x")).await.unwrap().is_none());
        assert!(store.owns(owner(), hash).unwrap());
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
