//! Content to and from a node, checked against its hash on the way.

use std::{io, path::Path, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use reqwest::{Method, Response, header};
use thiserror::Error;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
};
use types::{ContentHash, Hash, LeaseId, SecretKey};

use super::{Client, ClientError, with_query};
use crate::{
    Authorization, hashing::hash_reader, limits::CONTENT_BYTES_MAX, now, wire::StoredContent,
};

/// Bytes that are read from a file at a time.
const READ_BYTES: usize = 256 * 1024;

/// Why content did not get where it should.
#[derive(Debug, Error)]
pub enum ContentError {
    /// The node could not be asked, or does not show it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file on this machine cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The node sent bytes that are not those asked for.
    #[error("the node sent other bytes than {0}")]
    Mismatch(ContentHash),
    /// It is longer than the caller takes, or than content may be.
    #[error("the content is longer than {bytes_max} bytes")]
    TooLong {
        /// The bound.
        bytes_max: u64,
    },
}

impl ContentError {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Client(error) => error.hint(),
            Self::File { .. } => "check that it exists, its permissions, and free space",
            Self::Mismatch(_) => "do not trust this node",
            Self::TooLong { .. } => "split it into smaller files",
        }
    }

    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

impl Client {
    /// Stores bytes on the node and returns their name.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn store(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        content: impl Into<Bytes>,
    ) -> Result<StoredContent, ContentError> {
        let content: Bytes = content.into();
        let hash = ContentHash::of(&content);
        let length = content.len() as u64;
        self.store_body(key, genesis, hash, length, content.into()).await
    }

    /// Stores a file on the node and returns its name.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn store_file(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        path: &Path,
    ) -> Result<StoredContent, ContentError> {
        let (hash, length) = hash_file(path).await?;
        let file = File::open(path).await.map_err(|error| ContentError::file(path, error))?;
        // A file that grows meanwhile is cut; the node then finds another hash.
        let body = reqwest::Body::wrap_stream(read_chunks(file.take(length)));
        self.store_body(key, genesis, hash, length, body).await
    }

    async fn store_body(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        hash: ContentHash,
        length: u64,
        body: reqwest::Body,
    ) -> Result<StoredContent, ContentError> {
        if length > CONTENT_BYTES_MAX {
            return Err(ContentError::TooLong { bytes_max: CONTENT_BYTES_MAX });
        }
        let path = "/v1/content";
        let host = self.host();
        let signed = Authorization::sign(key, genesis, &host, "POST", path, hash, now());
        let request = self
            .request(Method::POST, path)?
            .header(header::AUTHORIZATION, signed.to_string())
            .header(header::CONTENT_LENGTH, length)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        let stored: StoredContent = self.json(self.send(request).await?).await?;
        if stored.hash == hash { Ok(stored) } else { Err(ContentError::Mismatch(hash)) }
    }

    /// Returns whether the node shows this content to the owner of `key`.
    ///
    /// # Errors
    /// [`ClientError`] when the node cannot be asked.
    pub async fn has_content(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        hash: ContentHash,
        lease: Option<LeaseId>,
    ) -> Result<bool, ClientError> {
        match self.open(Method::HEAD, key, genesis, hash, lease).await {
            Ok(_) => Ok(true),
            // The answer to HEAD has no body, so the problem has no code either.
            Err(error) if error.is_unknown() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns content of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn fetch(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        hash: ContentHash,
        lease: Option<LeaseId>,
        bytes_max: u64,
    ) -> Result<Vec<u8>, ContentError> {
        let response = self.open(Method::GET, key, genesis, hash, lease).await?;
        let mut content = Vec::new();
        let mut chunks = pin!(self.checked(response, hash, bytes_max));
        while let Some(chunk) = chunks.next().await {
            content.extend_from_slice(&chunk?);
        }
        Ok(content)
    }

    /// Writes content of at most `bytes_max` bytes to a new file at `path` and returns its length.
    /// A file is there only if the content is what its name says.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn fetch_file(
        &self,
        key: &SecretKey,
        genesis: &Hash,
        hash: ContentHash,
        lease: Option<LeaseId>,
        path: &Path,
        bytes_max: u64,
    ) -> Result<u64, ContentError> {
        let response = self.open(Method::GET, key, genesis, hash, lease).await?;
        let result = self.write_file(response, hash, path, bytes_max).await;
        if result.is_err() {
            // The error that matters is the first; what cannot be removed stays behind.
            let _ = tokio::fs::remove_file(path).await;
        }
        result
    }

    async fn write_file(
        &self,
        response: Response,
        hash: ContentHash,
        path: &Path,
        bytes_max: u64,
    ) -> Result<u64, ContentError> {
        let on_file = |error| ContentError::file(path, error);
        let mut file = File::create_new(path).await.map_err(on_file)?;
        let mut length = 0;
        let mut chunks = pin!(self.checked(response, hash, bytes_max));
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            length += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(on_file)?;
        }
        file.flush().await.map_err(on_file)?;
        Ok(length)
    }

    async fn open(
        &self,
        method: Method,
        key: &SecretKey,
        genesis: &Hash,
        hash: ContentHash,
        lease: Option<LeaseId>,
    ) -> Result<Response, ClientError> {
        let lease = lease.map(|lease| lease.to_string());
        let path = with_query(&format!("/v1/content/{hash}"), &[("lease", lease)]);
        let (host, nothing) = (self.host(), ContentHash::of(&[]));
        let verb = method.as_str();
        let signed = Authorization::sign(key, genesis, &host, verb, &path, nothing, now());
        let request =
            self.request(method, &path)?.header(header::AUTHORIZATION, signed.to_string());
        self.send(request).await
    }

    /// Passes the body on; ends in an error unless it was the content of that name.
    fn checked(
        &self,
        response: Response,
        hash: ContentHash,
        bytes_max: u64,
    ) -> impl Stream<Item = Result<Bytes, ContentError>> {
        let hasher = blake3::Hasher::new();
        stream::try_unfold(Some((response, hasher, 0_u64)), move |state| async move {
            let Some((mut response, mut hasher, length)) = state else { return Ok(None) };
            let chunk = response.chunk().await.map_err(|error| self.failure(error))?;
            let Some(chunk) = chunk else {
                let found = ContentHash::from_bytes(*hasher.finalize().as_bytes());
                let right = found == hash;
                return if right { Ok(None) } else { Err(ContentError::Mismatch(hash)) };
            };
            let length = length.saturating_add(chunk.len() as u64);
            if length > bytes_max {
                return Err(ContentError::TooLong { bytes_max });
            }
            hasher.update(&chunk);
            Ok(Some((chunk, Some((response, hasher, length)))))
        })
    }
}

/// Returns hash and length of a file.
pub(crate) async fn hash_file(path: &Path) -> Result<(ContentHash, u64), ContentError> {
    let owned: Arc<Path> = path.into();
    let hashed = tokio::task::spawn_blocking(move || hash_reader(std::fs::File::open(&owned)?));
    let (hash, length) = hashed
        .await
        .map_err(io::Error::other)
        .and_then(|hashed| hashed)
        .map_err(|error| ContentError::file(path, error))?;
    if length > CONTENT_BYTES_MAX {
        return Err(ContentError::TooLong { bytes_max: CONTENT_BYTES_MAX });
    }
    Ok((hash, length))
}

fn read_chunks(
    file: tokio::io::Take<File>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(READ_BYTES);
        while chunk.len() < READ_BYTES && file.read_buf(&mut chunk).await? > 0 {}
        Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), file)))
    })
}
