//! What jobs read goes to the node, what they wrote comes from it; each piece under its hash.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::ContentError;
use api::directory::{self, Packed};
use types::manifest::{Entry, EntryKind, MANIFEST_BYTES_MAX, Manifest, RelativePath};
use types::{ContentHash, Decode, Encode, LeaseId};

use super::Done;
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::network::Signer;

/// The most bytes of a program.
const PROGRAM_BYTES_MAX: u64 = executors::wasm::specification::bounds::MODULE_BYTES_MAX as u64;

/// Where a job's results stand in its manifest.
const OUT: &str = "out/";

/// The longest that content may take to appear after a receipt that names it.
const APPEAR_TRIES: u32 = 8;

/// The wait before the first further try; doubled for each.
const APPEAR_WAIT: Duration = Duration::from_millis(100);

/// What jobs read, still on this machine.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    program: Piece,
    input: Option<Packed>,
    stdin: Option<Piece>,
}

/// A piece of content.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Default for Piece {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

/// The names of what jobs read, once the node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names {
    /// The program.
    pub(crate) program: ContentHash,
    /// The manifest of `/in`.
    pub(crate) input: Option<ContentHash>,
    /// Standard input.
    pub(crate) stdin: Option<ContentHash>,
}

impl Contents {
    /// Takes a program from a file.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or is not WebAssembly.
    pub(crate) fn program_file(path: &Path) -> Outcome<Self> {
        let unreadable = || format!("cannot read the program {}", path.display());
        let length = fs::metadata(path).because(unreadable()).or_exit(Exit::Usage)?.len();
        if length > PROGRAM_BYTES_MAX {
            let text = format!(
                "{} has {length} bytes, and a program at most {PROGRAM_BYTES_MAX}",
                path.display()
            );
            return Err(Failure::usage(text)
                .hint("put data into files of --input, and strip the program's names"));
        }
        let bytes = fs::read(path).because(unreadable()).or_exit(Exit::Usage)?;
        if !bytes.starts_with(b"\0asm") {
            let text = format!("{} is not a WebAssembly program", path.display());
            return Err(
                Failure::usage(text).hint("build it for wasm32-wasip1, or with wasi-libc in C")
            );
        }
        Ok(Self::program(bytes))
    }

    /// Takes a program.
    pub(crate) fn program(bytes: impl Into<Vec<u8>>) -> Self {
        Self { program: Piece::Bytes(bytes.into()), ..Self::default() }
    }

    /// Adds a directory as `/in`.
    ///
    /// # Errors
    /// When it cannot be read, or holds what a job cannot see.
    pub(crate) fn input(mut self, directory: &Path) -> Outcome<Self> {
        let packed = directory::pack(directory);
        let unfit = || format!("{} cannot be an input", directory.display());
        self.input = Some(packed.because(unfit()).or_exit(Exit::Usage)?);
        Ok(self)
    }

    /// Adds bytes as standard input.
    pub(crate) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(Piece::Bytes(bytes));
        self
    }

    /// Adds a file as standard input.
    pub(crate) fn stdin_file(mut self, path: &Path) -> Self {
        self.stdin = Some(Piece::File(path.to_owned()));
        self
    }

    /// Returns names that stand for the contents where only their number and size matter.
    pub(crate) fn names_of_bytes(&self) -> Outcome<Names> {
        let stdin = self.stdin.as_ref().map(Piece::hash).transpose()?;
        let input = self.input.as_ref().map(|packed| packed.manifest.hash());
        Ok(Names { program: self.program.hash()?, input, stdin })
    }
}

impl Piece {
    fn hash(&self) -> Outcome<ContentHash> {
        match self {
            Self::Bytes(bytes) => Ok(ContentHash::of(bytes)),
            Self::File(path) => {
                let bytes = fs::read(path);
                let unreadable = || format!("cannot read {}", path.display());
                Ok(ContentHash::of(&bytes.because(unreadable()).or_exit(Exit::Usage)?))
            }
        }
    }
}

/// Gives the node what it lacks of the contents and returns their names; `told` hears of each
/// piece.
///
/// # Errors
/// When the node does not take them.
pub(crate) async fn upload(
    signer: &Signer,
    contents: &Contents,
    told: &(dyn Fn(&str) + Sync),
) -> Outcome<Names> {
    told("program");
    let program = give(signer, &contents.program).await?;
    let mut input = None;
    if let Some(packed) = &contents.input {
        for (hash, path) in &packed.files {
            told(&path.display().to_string());
            let known = signer.client.has_content(&signer.key, &signer.genesis, *hash, None);
            if !known.await? {
                let stored = store_file(signer, path).await?;
                if stored != *hash {
                    let text = format!("{} changed while it was read", path.display());
                    return Err(Failure::usage(text));
                }
            }
        }
        let manifest = Piece::Bytes(packed.manifest.to_bytes());
        input = Some(give(signer, &manifest).await?);
    }
    let mut stdin = None;
    if let Some(piece) = &contents.stdin {
        told("standard input");
        stdin = Some(give(signer, piece).await?);
    }
    Ok(Names { program, input, stdin })
}

async fn give(signer: &Signer, piece: &Piece) -> Outcome<ContentHash> {
    match piece {
        Piece::Bytes(bytes) => {
            let hash = ContentHash::of(bytes);
            if signer.client.has_content(&signer.key, &signer.genesis, hash, None).await? {
                return Ok(hash);
            }
            let stored = signer.client.store(&signer.key, &signer.genesis, bytes.clone()).await;
            Ok(explain_storage(stored)?.hash)
        }
        Piece::File(path) => store_file(signer, path).await,
    }
}

async fn store_file(signer: &Signer, path: &Path) -> Outcome<ContentHash> {
    let stored = signer.client.store_file(&signer.key, &signer.genesis, path).await;
    Ok(explain_storage(stored).because(format_args!("cannot upload {}", path.display()))?.hash)
}

/// A node keeps content of accounts only, so that an account without funds meets this first.
fn explain_storage<T>(stored: Result<T, ContentError>) -> Outcome<T> {
    stored.map_err(|error| {
        let code = match &error {
            ContentError::Client(api::ClientError::Problem { code, .. }) => code.clone(),
            _ => String::new(),
        };
        let failure = Failure::from(error);
        match code.as_str() {
            "content/owner" => {
                failure.exit(Exit::Refused).hint("get funds first: `idlewild wallet` says how")
            }
            _ => failure,
        }
    })
}

/// What a job wrote: its streams, and what stands in `/out`.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: Vec<u8>,
    /// The manifest of `/out`.
    pub(crate) files: Manifest,
}

/// Fetches a job's streams and the list of its files.
pub(super) async fn results(signer: &Signer, done: &Done) -> Outcome<Results> {
    let lease = done.lease.id;
    let bytes_max = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    let manifest = fetch(signer, lease, done.usage.output, bytes_max).await?;
    let manifest =
        Manifest::from_bytes(&manifest).because("the list of results cannot be decoded")?;
    let mut results =
        Results { stdout: Vec::new(), stderr: Vec::new(), files: Manifest::default() };
    let mut files = Vec::new();
    for entry in manifest.entries() {
        match (entry.path.as_str(), &entry.kind) {
            ("stdout", EntryKind::File { hash, bytes }) => {
                results.stdout = fetch_some(signer, lease, *hash, *bytes).await?;
            }
            ("stderr", EntryKind::File { hash, bytes }) => {
                results.stderr = fetch_some(signer, lease, *hash, *bytes).await?;
            }
            (path, kind) => {
                if let Some(below) = path.strip_prefix(OUT) {
                    let path = RelativePath::new(below).because("a result has no proper path")?;
                    files.push(Entry { path, kind: kind.clone() });
                }
            }
        }
    }
    results.files = Manifest::new(files).because("the results are not a directory")?;
    Ok(results)
}

/// Fetches all files into the directory `to` and returns their bytes.
pub(super) async fn save(
    signer: &Signer,
    lease: LeaseId,
    results: &Results,
    to: &Path,
) -> Outcome<u64> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent).because(format_args!("cannot make {}", parent.display()))?;
    // Beside the target, where there is as much room as for the results themselves.
    let draft = tempfile::Builder::new().prefix(".idlewild-").tempdir_in(parent);
    let draft = draft.because(format_args!("cannot write to {}", parent.display()))?;
    let mut paths = BTreeMap::new();
    let mut total = 0_u64;
    for (hash, bytes) in results.files.contents() {
        if paths.contains_key(&hash) {
            continue;
        }
        let path = draft.path().join(hash.to_string());
        let (key, genesis) = (&signer.key, &signer.genesis);
        let fetched = signer.client.fetch_file(key, genesis, hash, Some(lease), &path, bytes).await;
        total = total.saturating_add(fetched.because("cannot fetch a result")?);
        paths.insert(hash, path);
    }
    directory::unpack(&results.files, &paths, to)
        .because(format_args!("cannot write the results to {}", to.display()))?;
    Ok(total)
}

async fn fetch_some(
    signer: &Signer,
    lease: LeaseId,
    hash: ContentHash,
    bytes: u64,
) -> Outcome<Vec<u8>> {
    if bytes == 0 {
        return Ok(Vec::new());
    }
    fetch(signer, lease, hash, bytes).await
}

/// Fetches content of a lease; it may appear a little later than the receipt.
async fn fetch(
    signer: &Signer,
    lease: LeaseId,
    hash: ContentHash,
    bytes_max: u64,
) -> Outcome<Vec<u8>> {
    let mut wait = APPEAR_WAIT;
    for _ in 0..APPEAR_TRIES {
        let fetched =
            signer.client.fetch(&signer.key, &signer.genesis, hash, Some(lease), bytes_max).await;
        match fetched {
            Err(ContentError::Client(error)) if error.is_unknown() || error.is_transient() => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            fetched => return fetched.because("cannot fetch the results"),
        }
    }
    let text = format!("the results of lease {lease} are not on the node");
    Err(Failure::new(Exit::Failed, text)
        .hint("the provider has signed for them: `idlewild lease bundle` keeps the proof"))
}
