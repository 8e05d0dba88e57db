//! What a run leaves behind.
//!
//! Finding that out is work that no fuel pays, so it is bounded by what the run wrote and was
//! given: each content is hashed once, however many names a file has and however many input files
//! share it, and contents are compared by their hashes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Content;
use super::files::{FileSystem, NodeId, NodeKind, ROOT};
use super::{Host, is_top_name};

/// What a run leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// The files, links and empty directories, sorted by path.
    pub entries: Vec<Output>,
    /// What the guest wrote to standard output.
    pub stdout: Vec<u8>,
    /// What the guest wrote to standard error.
    pub stderr: Vec<u8>,
}

/// One entry of the results.
#[derive(Clone, Debug)]
pub struct Output {
    /// The path below the results' root: relative, with `/` between components.
    pub path: String,
    /// What is there.
    pub kind: OutputKind,
}

/// What an entry of the results is.
#[derive(Clone, Debug)]
pub enum OutputKind {
    /// A regular file; names of one file share its content.
    File {
        /// The bytes.
        content: Arc<Content>,
        /// The BLAKE3 hash of the bytes.
        hash: [u8; 32],
    },
    /// A symbolic link with its target, which is relative but may lead anywhere.
    Symlink(Arc<str>),
    /// A directory without entries.
    Directory,
}

impl Host {
    /// Ends the world and returns what it leaves behind: all of `/out`, and beneath it what was
    /// made or changed in the working directory.
    #[must_use]
    pub fn finish(self) -> Outputs {
        let Self { mut files, streams, tops, .. } = self;
        let mut found = Found { files: &files, paths: BTreeMap::new(), hashes: Hashes::default() };
        found.collect_work(ROOT, tops.input, tops.output);
        found.collect_all(tops.output);
        let (paths, mut hashes) = found.without_filled_directories();
        let mut contents = BTreeMap::new();
        let entries = paths
            .into_iter()
            .map(|(path, id)| Output {
                path,
                kind: kind_of(&mut files, id, &mut hashes, &mut contents),
            })
            .collect();
        Outputs { entries, stdout: streams.stdout.bytes, stderr: streams.stderr.bytes }
    }
}

/// The entries found so far, by path.
struct Found<'a> {
    files: &'a FileSystem,
    paths: BTreeMap<String, NodeId>,
    hashes: Hashes,
}

/// The hashes of contents, each made once.
#[derive(Default)]
struct Hashes {
    of_nodes: BTreeMap<NodeId, [u8; 32]>,
    /// Those of inputs, by where their bytes are.
    of_shared: BTreeMap<usize, [u8; 32]>,
}

impl Hashes {
    /// Returns the hash of the content of the file `id`.
    fn of(&mut self, id: NodeId, content: &Content) -> [u8; 32] {
        let hash = || blake3::hash(content.as_slice()).into();
        match content {
            Content::Shared(bytes) => {
                *self.of_shared.entry(bytes.as_ptr().addr()).or_insert_with(hash)
            }
            Content::Owned(_) => *self.of_nodes.entry(id).or_insert_with(hash),
        }
    }
}

impl Found<'_> {
    /// Collects everything below a directory.
    fn collect_all(&mut self, top: NodeId) {
        let mut pending = vec![(String::new(), top)];
        while let Some((prefix, at)) = pending.pop() {
            let Ok(directory) = self.files.directory(at) else { continue };
            for (name, &child) in &directory.entries {
                let path = join(&prefix, name);
                if self.files.node(child).is_directory() {
                    pending.push((path.clone(), child));
                }
                self.paths.insert(path, child);
            }
        }
    }

    /// Collects what a directory has beyond the inputs and beneath `/out`.
    fn collect_work(&mut self, top: NodeId, inputs: NodeId, output: NodeId) {
        let mut pending = vec![(String::new(), top, Some(inputs), Some(output))];
        while let Some((prefix, at, input, output)) = pending.pop() {
            let files = self.files;
            let Ok(directory) = files.directory(at) else { continue };
            for (name, &child) in &directory.entries {
                if prefix.is_empty() && is_top_name(name) {
                    continue;
                }
                let path = join(&prefix, name);
                let input = input.and_then(|input| self.files.lookup(input, name));
                let output = output.and_then(|output| self.files.lookup(output, name));
                let output_is_directory = output.map(|id| self.files.node(id).is_directory());
                if self.files.node(child).is_directory() {
                    if output_is_directory == Some(false) {
                        continue;
                    }
                    pending.push((path.clone(), child, input, output));
                    if input.is_none() {
                        self.paths.insert(path, child);
                    }
                } else if output.is_none() && !self.is_input(child, input) {
                    self.paths.insert(path, child);
                }
            }
        }
    }

    /// Returns whether a file of the working directory still is the input of the same path.
    fn is_input(&mut self, work: NodeId, input: Option<NodeId>) -> bool {
        let Some(input) = input else { return false };
        match (&self.files.node(work).kind, &self.files.node(input).kind) {
            (NodeKind::File(Content::Shared(work)), NodeKind::File(Content::Shared(input)))
                if Arc::ptr_eq(work, input) =>
            {
                true
            }
            (NodeKind::File(is), NodeKind::File(was)) => {
                is.length() == was.length()
                    && self.hashes.of(work, is) == self.hashes.of(input, was)
            }
            _ => false,
        }
    }

    /// Returns the entries without the directories that others imply, and the hashes.
    fn without_filled_directories(self) -> (BTreeMap<String, NodeId>, Hashes) {
        let files = self.files;
        let implied = |path: &str| {
            let below = format!("{path}/");
            self.paths
                .range(below.clone()..)
                .next()
                .is_some_and(|(next, _)| next.starts_with(&below))
        };
        let kept: Vec<_> = self
            .paths
            .iter()
            .filter(|(path, id)| !files.node(**id).is_directory() || !implied(path))
            .map(|(path, id)| (path.clone(), *id))
            .collect();
        (kept.into_iter().collect(), self.hashes)
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// Returns what a node is in the results; each content is shared and hashed once.
fn kind_of(
    files: &mut FileSystem,
    id: NodeId,
    hashes: &mut Hashes,
    contents: &mut BTreeMap<NodeId, (Arc<Content>, [u8; 32])>,
) -> OutputKind {
    match &mut files.node_mut(id).kind {
        NodeKind::Directory(_) => OutputKind::Directory,
        NodeKind::Symlink(target) => OutputKind::Symlink(Arc::clone(target)),
        NodeKind::File(content) => {
            let (content, hash) = contents.entry(id).or_insert_with(|| {
                let hash = hashes.of(id, content);
                let content = std::mem::replace(content, Content::Owned(Vec::new()));
                (Arc::new(content), hash)
            });
            OutputKind::File { content: Arc::clone(content), hash: *hash }
        }
    }
}
