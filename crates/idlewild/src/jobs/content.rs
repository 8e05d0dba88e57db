//! What jobs read goes to the node, what they wrote comes from it; each piece under its hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::ContentError;
use api::directory::{self, Packed};
use api::limits::CONTENT_BYTES_MAX;
use types::manifest::{Entry, EntryKind, MANIFEST_BYTES_MAX, Manifest, RelativePath};
use types::{ContentHash, Decode, Encode, LeaseId};

use super::Done;
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::network::Signer;

/// The most bytes of a program.
const PROGRAM_BYTES_MAX: u64 = executors::wasm::specification::bounds::MODULE_BYTES_MAX as u64;

/// The most that a job can write to standard output, and to standard error.
const STREAM_BYTES_MAX: u64 = executors::job::STREAM_BYTES_MAX;

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
        let bytes = read_bounded(path, PROGRAM_BYTES_MAX).because(unreadable());
        let Some(bytes) = bytes.or_exit(Exit::Usage)? else {
            let text = format!(
                "{} has more bytes than a program may have: {PROGRAM_BYTES_MAX}",
                path.display()
            );
            return Err(Failure::usage(text)
                .hint("put data into files of --input, and strip the program's names"));
        };
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

    /// Adds a file as standard input. A pipe or device is read at once, since it may not give the
    /// same again.
    ///
    /// # Errors
    /// When it cannot be read, or is longer than content may be.
    pub(crate) fn stdin_file(mut self, path: &Path) -> Outcome<Self> {
        let unreadable = || format!("cannot read {}", path.display());
        let kind = fs::metadata(path).because(unreadable()).or_exit(Exit::Usage)?;
        let piece = if kind.is_file() {
            (kind.len() <= CONTENT_BYTES_MAX).then(|| Piece::File(path.to_owned()))
        } else {
            let bytes = read_bounded(path, CONTENT_BYTES_MAX).because(unreadable());
            bytes.or_exit(Exit::Usage)?.map(Piece::Bytes)
        };
        let too_long = || Failure::usage(format_args!("{} is longer than 1GiB", path.display()));
        self.stdin = Some(piece.ok_or_else(too_long)?);
        Ok(self)
    }

    /// Returns how many bytes jobs read.
    pub(crate) fn bytes(&self) -> Outcome<u64> {
        let program = self.program.bytes()?;
        let stdin = self.stdin.as_ref().map_or(Ok(0), Piece::bytes)?;
        let files = self.input.iter().flat_map(|packed| packed.manifest.contents());
        let files = files.map(|(_, bytes)| bytes).fold(0, u64::saturating_add);
        Ok(program.saturating_add(stdin).saturating_add(files))
    }

    /// Returns names that stand for the contents where only their number and size matter.
    pub(crate) fn names_of_bytes(&self) -> Outcome<Names> {
        let stdin = self.stdin.as_ref().map(Piece::hash).transpose()?;
        let input = self.input.as_ref().map(|packed| packed.manifest.hash());
        Ok(Names { program: self.program.hash()?, input, stdin })
    }
}

impl Piece {
    fn bytes(&self) -> Outcome<u64> {
        match self {
            Self::Bytes(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Self::File(path) => {
                let unreadable = || format!("cannot read {}", path.display());
                Ok(fs::metadata(path).because(unreadable()).or_exit(Exit::Usage)?.len())
            }
        }
    }

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

/// Reads a file, or nothing if it has more than `bytes_max` bytes; one without end costs no more.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = fs::File::open(path)?;
    if file.metadata()?.len() > bytes_max {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let length = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(length).is_ok_and(|length| length <= bytes_max);
    Ok(fits.then_some(bytes))
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
    /// Whether files stand once on the disk for all their names, since they are more than the job
    /// could write otherwise: its hard links.
    linked: bool,
}

/// Fetches a job's streams and the list of its files.
pub(crate) async fn results(signer: &Signer, done: &Done) -> Outcome<Results> {
    let lease = done.lease.id;
    let manifest = fetch_manifest(signer, lease, done.usage.output).await?;
    let sizes = Sizes::of(&manifest);
    let mut files_max = done.limits.output_bytes;
    if let Some(input) = done.input.filter(|_| sizes.names > files_max) {
        // Inputs that were moved are results, and were not written.
        let inputs = fetch_manifest(signer, lease, input).await?;
        let bytes = inputs.contents().map(|(_, bytes)| bytes);
        files_max = bytes.fold(files_max, u64::saturating_add);
    }
    sizes.check(files_max, done.limits.output_bytes.min(STREAM_BYTES_MAX))?;
    let mut results = Results {
        stdout: Vec::new(),
        stderr: Vec::new(),
        files: Manifest::default(),
        linked: sizes.names > files_max,
    };
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

/// The bytes that a manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sizes {
    stdout: u64,
    stderr: u64,
    /// Of the files, those with the same content once.
    files: u64,
    /// Of the files, each name for itself.
    names: u64,
}

impl Sizes {
    fn of(manifest: &Manifest) -> Self {
        let mut sizes = Self::default();
        let mut known = BTreeSet::new();
        for entry in manifest.entries() {
            let EntryKind::File { hash, bytes } = entry.kind else { continue };
            match entry.path.as_str() {
                "stdout" => sizes.stdout = bytes,
                "stderr" => sizes.stderr = bytes,
                _ => {
                    sizes.names = sizes.names.saturating_add(bytes);
                    if known.insert(hash) {
                        sizes.files = sizes.files.saturating_add(bytes);
                    }
                }
            }
        }
        sizes
    }

    /// Refuses more than a job can have written, before any of it is fetched.
    fn check(self, files_max: u64, stream_max: u64) -> Outcome<()> {
        let sums = [
            ("standard output", self.stdout, stream_max),
            ("standard error", self.stderr, stream_max),
            ("files", self.files, files_max),
        ];
        match sums.into_iter().find(|(_, found, most)| found > most) {
            None => Ok(()),
            Some((what, found, most)) => {
                let text = format!(
                    "the results list {found} bytes of {what}, of which {most} were allowed"
                );
                Err(Failure::new(Exit::Failed, text)
                    .hint("do not trust this provider; the job could not have written as much"))
            }
        }
    }
}

/// Fetches all files into the directory `to` and returns their bytes.
pub(crate) async fn save(
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
    let (once, again) = if results.linked {
        by_content(&results.files)
    } else {
        (results.files.clone(), Vec::new())
    };
    let unwritten = || format!("cannot write the results to {}", to.display());
    directory::unpack(&once, &paths, to).because(unwritten())?;
    for (name, first) in again {
        link(&to.join(first.as_str()), &to.join(name.as_str())).because(unwritten())?;
    }
    Ok(total)
}

/// Returns a manifest with one name for each content, and each further name with the first.
fn by_content(files: &Manifest) -> (Manifest, Vec<(RelativePath, RelativePath)>) {
    let mut first: BTreeMap<ContentHash, RelativePath> = BTreeMap::new();
    let (mut once, mut again) = (Vec::new(), Vec::new());
    for entry in files.entries() {
        if let EntryKind::File { hash, .. } = entry.kind {
            if let Some(first) = first.get(&hash) {
                again.push((entry.path.clone(), first.clone()));
                continue;
            }
            first.insert(hash, entry.path.clone());
        }
        once.push(entry.clone());
    }
    (Manifest::new(once).expect("entries of a manifest in their order are one"), again)
}

/// Gives a file another name. No link is on the way, since an entry of a manifest is below none.
fn link(file: &Path, name: &Path) -> std::io::Result<()> {
    if let Some(parent) = name.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::hard_link(file, name)
}

async fn fetch_manifest(signer: &Signer, lease: LeaseId, hash: ContentHash) -> Outcome<Manifest> {
    let bytes_max = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    let manifest = fetch(signer, lease, hash, bytes_max).await?;
    Manifest::from_bytes(&manifest).because("a list of files cannot be decoded")
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
    Err(Failure::new(Exit::Failed, text).hint(format_args!(
        "the provider has signed for them: `idlewild lease fetch {lease}` asks again later"
    )))
}

#[cfg(test)]
mod tests {
    use types::Text;

    use super::*;

    fn manifest(files: &[(&str, &str, u64)]) -> Manifest {
        let entry = |(path, content, bytes): &(&str, &str, u64)| Entry {
            path: RelativePath::new(*path).unwrap(),
            kind: EntryKind::File { hash: ContentHash::of(content.as_bytes()), bytes: *bytes },
        };
        let mut entries: Vec<Entry> = files.iter().map(entry).collect();
        let target = Text::new("a").unwrap();
        let path = RelativePath::new("out/z").unwrap();
        entries.push(Entry { path, kind: EntryKind::Symlink { target } });
        entries.sort_by(|a, b| a.path.as_str().split('/').cmp(b.path.as_str().split('/')));
        Manifest::new(entries).unwrap()
    }

    #[test]
    fn more_than_a_job_can_write_is_refused_before_it_is_fetched() {
        let files = [
            ("out/a", "x", 60),
            ("out/b", "y", 40),
            ("out/c", "x", 60),
            ("stderr", "x", 7),
            ("stdout", "z", 8),
        ];
        let sizes = Sizes::of(&manifest(&files));
        assert_eq!(sizes, Sizes { stdout: 8, stderr: 7, files: 100, names: 160 });
        assert!(sizes.check(100, 8).is_ok());
        for (files_max, stream_max, what) in
            [(99, 8, "100 bytes of files"), (100, 7, "8 bytes of standard output")]
        {
            let failure = sizes.check(files_max, stream_max).unwrap_err().to_string();
            assert!(failure.contains(what), "{failure}");
        }
    }

    #[test]
    fn a_content_stands_once_and_its_further_names_are_links() {
        let files = [("out/a/x", "one", 1), ("out/b", "two", 1), ("out/c/d/e", "one", 1)];
        let (once, again) = by_content(&manifest(&files));
        let names: Vec<&str> = once.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["out/a/x", "out/b", "out/z"]);
        let again: Vec<_> = again.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(again, [("out/c/d/e", "out/a/x")]);
        let directory = tempfile::tempdir().unwrap();
        let (file, name) = (directory.path().join("file"), directory.path().join("a/b/name"));
        fs::write(&file, "one").unwrap();
        link(&file, &name).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"one");
        assert!(link(&file, &name).is_err(), "nothing is replaced");
    }

    #[test]
    fn sums_do_not_wrap() {
        let sizes = Sizes::of(&manifest(&[("out/a", "x", u64::MAX), ("out/b", "y", 2)]));
        assert_eq!(sizes.files, u64::MAX);
    }
}
