//! Every bound of the host, and what its work costs in fuel.
//!
//! Some bounds are the same for every job and stand here as constants; those that a job may set
//! lower or higher are fields of [`HostLimits`]. A bound that is reached answers with the errno
//! that POSIX has for it, at the same place on every machine.

use types::manifest::MANIFEST_BYTES_MAX;

/// The most bytes in one name of a directory entry.
pub const NAME_BYTES_MAX: usize = 255;

/// The most bytes in a path that a call passes, and in the target of a symbolic link.
pub const PATH_BYTES_MAX: usize = 4096;

/// The most bytes in the path of an entry as seen from the root of its tree.
pub const TREE_PATH_BYTES_MAX: usize = 1024;

/// The most directories that may lie above an entry.
pub const DEPTH_MAX: usize = 128;

/// The most symbolic links that one resolution follows.
pub const SYMLINK_HOPS_MAX: usize = 40;

/// The most buffers in one scattered read or gathered write.
pub const BUFFERS_MAX: u32 = 1024;

/// The most subscriptions in one poll.
pub const SUBSCRIPTIONS_MAX: u32 = 1024;

/// The most directory entries that all listings in progress may hold together.
pub const LISTED_ENTRIES_MAX: usize = 65_536;

/// The largest offset in a file, in bytes.
pub const OFFSET_MAX: u64 = i64::MAX.unsigned_abs();

/// The most bytes of the targets of symbolic links, each counted once for each of its names.
pub const LINK_BYTES_MAX: usize = 4 << 20;

/// The most bytes of a manifest that one entry takes without the target of a link: its path below
/// `out`, and what else it states.
const MANIFEST_ENTRY_BYTES_MAX: usize = TREE_PATH_BYTES_MAX + 64;

/// The most entries in the writable tree, those of the inputs counted: all of them can be results,
/// and the manifest of the results must not be larger than a manifest may.
pub const RESULT_ENTRIES_MAX: usize =
    (MANIFEST_BYTES_MAX - 4096 - LINK_BYTES_MAX) / MANIFEST_ENTRY_BYTES_MAX;

/// The fuel of one step of a walk through directories: a component, a listed entry.
pub const STEP_FUEL: u64 = 16;

/// What one job may use of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Input files and directories, those counted too that others imply.
    pub input_files_max: usize,
    /// Entries in the writable tree, besides those that the inputs put there; with those at most
    /// [`RESULT_ENTRIES_MAX`].
    pub entries_max: usize,
    /// Bytes of all written files and link targets together.
    pub written_bytes_max: u64,
    /// Bytes of standard output.
    pub stdout_bytes_max: u64,
    /// Bytes of standard error.
    pub stderr_bytes_max: u64,
    /// Open descriptors, standard streams and pre-opened directories included; at least 7.
    pub descriptors_max: usize,
    /// Arguments, and variables of the environment.
    pub strings_max: usize,
    /// Bytes of all arguments, and of all variables, each with its final zero byte.
    pub string_bytes_max: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            input_files_max: 16_384,
            entries_max: 16_384,
            written_bytes_max: 256 << 20,
            stdout_bytes_max: 16 << 20,
            stderr_bytes_max: 4 << 20,
            descriptors_max: 1024,
            strings_max: 4096,
            string_bytes_max: 1 << 20,
        }
    }
}
