//! The world of a guest of class `job`: a host of `wasi_snapshot_preview1` that is deterministic
//! by construction. There is no real file, clock, entropy or socket behind any call; what a guest
//! sees follows from its [`HostConfig`] and from its own calls alone.
//!
//! # Files
//! A program finds four pre-opened directories:
//!
//! | path | holds | the guest may |
//! |---|---|---|
//! | `/` (descriptor 3) | the working directory: the inputs again, `in`, `out`, `tmp` | change it |
//! | `/in` (4) | the tenant's inputs | read it |
//! | `/out` (5) | nothing | change it |
//! | `/tmp` (6) | nothing | change it |
//!
//! A C library resolves a relative path against `/`. Therefore the inputs appear there too, as
//! files that are copied when they are first written: `zstd data` reads the input `data` and
//! writes `data.zst` beside it. A name `in`, `out` or `tmp` of an input is seen below `/in` only.
//!
//! The results are all of `/out`, and beneath it what the program made or changed in its working
//! directory; where both have a path, `/out` has its way ([`Host::finish`]).
//!
//! # Bounds
//! Every call is charged fuel before it works: a base, each byte moved, each step of a walk. The
//! bounds of `limits` answer with POSIX errors. A pointer outside the memory answers `EFAULT`;
//! nothing a guest passes can make a call panic, or work or allocate beyond its charge. What
//! follows the last call is bounded too: each content is hashed once, however many names it has,
//! and what all names take fits a manifest.

mod abi;
mod calls;
mod clock;
mod content;
mod descriptors;
mod files;
mod inputs;
mod limits;
mod memory;
mod namespace;
mod outputs;
mod paths;
#[cfg(test)]
mod tests;

pub use calls::HOST_FUNCTIONS;
pub use clock::{FUEL_NS, RESOLUTION_NS};
pub use content::Content;
pub use inputs::{ConfigError, HostConfig, InputPath, InputPathError, Inputs};
pub use limits::{
    BUFFERS_MAX, DEPTH_MAX, HostLimits, LINK_BYTES_MAX, LISTED_ENTRIES_MAX, NAME_BYTES_MAX,
    OFFSET_MAX, PATH_BYTES_MAX, RESULT_ENTRIES_MAX, STEP_FUEL, SUBSCRIPTIONS_MAX, SYMLINK_HOPS_MAX,
    TREE_PATH_BYTES_MAX,
};
pub use outputs::{Output, OutputKind, Outputs};

use std::sync::Arc;

use abi::rights;
use clock::Clock;
use descriptors::{Descriptor, Descriptors, Object};
use files::{FileSystem, NodeId, ROOT, Tree};
use inputs::Strings;

use crate::wasm::engine::RunLimits;

/// The state of the world as one guest sees it.
#[derive(Debug)]
pub struct Host {
    files: FileSystem,
    descriptors: Descriptors,
    clock: Clock,
    random: blake3::OutputReader,
    arguments: Strings,
    environment: Strings,
    streams: Streams,
    tops: Tops,
}

/// The standard streams.
#[derive(Debug)]
struct Streams {
    stdin: Arc<[u8]>,
    stdin_read: usize,
    stdout: Sink,
    stderr: Sink,
}

/// A captured stream.
#[derive(Debug)]
struct Sink {
    bytes: Vec<u8>,
    bytes_max: u64,
}

/// The directories that every guest finds.
#[derive(Clone, Copy, Debug)]
struct Tops {
    input: NodeId,
    output: NodeId,
    temporary: NodeId,
}

impl Host {
    /// Returns the world at the start of a run.
    ///
    /// # Errors
    /// [`ConfigError`] says what is malformed or beyond the limits.
    pub fn new(config: &HostConfig) -> Result<Self, ConfigError> {
        let limits = &config.limits;
        let arguments = config.argument_strings()?;
        let environment = config.environment_strings()?;
        let inputs = config.check_inputs()?;
        let (mut files, tops) = build_files(config)?;
        let room = RESULT_ENTRIES_MAX.saturating_sub(inputs);
        files.limit_entries(limits.entries_max.min(room));
        let mut host = Self {
            files,
            descriptors: Descriptors::new(limits.descriptors_max),
            clock: Clock::new(config.realtime_start_ns, config.fuel.min(RunLimits::FUEL_MAX)),
            random: blake3::Hasher::new_keyed(&config.random_seed).finalize_xof(),
            arguments,
            environment,
            streams: Streams {
                stdin: Arc::clone(&config.inputs.stdin),
                stdin_read: 0,
                stdout: Sink { bytes: Vec::new(), bytes_max: limits.stdout_bytes_max },
                stderr: Sink { bytes: Vec::new(), bytes_max: limits.stderr_bytes_max },
            },
            tops,
        };
        for descriptor in [
            Descriptor::stream(Object::Stdin, rights::FD_READ),
            Descriptor::stream(Object::Stdout, rights::FD_WRITE),
            Descriptor::stream(Object::Stderr, rights::FD_WRITE),
            Descriptor::preopened(ROOT, "/"),
            Descriptor::preopened(tops.input, "/in"),
            Descriptor::preopened(tops.output, "/out"),
            Descriptor::preopened(tops.temporary, "/tmp"),
        ] {
            if let Some(node) = descriptor.node() {
                host.files.hold(node);
            }
            host.descriptors.open(descriptor).map_err(|_| ConfigError::TooFewDescriptors)?;
        }
        Ok(host)
    }
}

/// Returns the file system at the start: the inputs twice, and room for what the guest writes.
fn build_files(config: &HostConfig) -> Result<(FileSystem, Tops), ConfigError> {
    let now = config.realtime_start_ns;
    let mut files = FileSystem::new(now, config.limits.written_bytes_max);
    let mut top = |name, tree| {
        let id = files.add_directory(ROOT, name, tree, now).expect("the root has no entries yet");
        files.node_mut(id).pinned = true;
        id
    };
    let tops = Tops {
        input: top(INPUT_NAME, Tree::Inputs),
        output: top(OUTPUT_NAME, Tree::Work),
        temporary: top(TEMPORARY_NAME, Tree::Work),
    };
    for (path, bytes) in &config.inputs.files {
        let conflict = |_| ConfigError::InputConflict(path.clone());
        files.add_input(tops.input, path.as_str(), bytes, now).map_err(conflict)?;
        let first = path.as_str().split('/').next();
        if !first.is_some_and(is_top_name) {
            files.add_input(ROOT, path.as_str(), bytes, now).map_err(conflict)?;
        }
    }
    for path in &config.inputs.directories {
        let conflict = |_| ConfigError::InputConflict(path.clone());
        files.add_input_directory(tops.input, path.as_str(), now).map_err(conflict)?;
        let first = path.as_str().split('/').next();
        if !first.is_some_and(is_top_name) {
            files.add_input_directory(ROOT, path.as_str(), now).map_err(conflict)?;
        }
    }
    Ok((files, tops))
}

const INPUT_NAME: &str = "in";
const OUTPUT_NAME: &str = "out";
const TEMPORARY_NAME: &str = "tmp";

/// Returns whether the working directory holds this name for the host.
fn is_top_name(name: &str) -> bool {
    [INPUT_NAME, OUTPUT_NAME, TEMPORARY_NAME].contains(&name)
}
