//! The numbers and layouts of `wasi_snapshot_preview1`.

use crate::wasm::engine::HostTrap;

/// The errors that a call answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Errno {
    BadDescriptor = 8,
    Busy = 10,
    Exists = 20,
    Fault = 21,
    TooLarge = 22,
    IllegalSequence = 25,
    Invalid = 28,
    IsDirectory = 31,
    Loop = 32,
    TooManyOpen = 33,
    NameTooLong = 37,
    NoEntry = 44,
    NoMemory = 48,
    NoSpace = 51,
    NotDirectory = 54,
    NotEmpty = 55,
    NotSocket = 57,
    NotSupported = 58,
    Overflow = 61,
    NotPermitted = 63,
    ReadOnly = 69,
    NotSeekable = 70,
    CrossDevice = 75,
    NotCapable = 76,
}

impl Errno {
    /// Returns the number that the guest sees.
    pub(crate) const fn code(self) -> u16 {
        self as u16
    }
}

/// Why a call did not succeed: an answer to the guest, or its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Errno(Errno),
    Trap(HostTrap),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<HostTrap> for Fault {
    fn from(trap: HostTrap) -> Self {
        Self::Trap(trap)
    }
}

/// What a call comes to.
pub(crate) type Outcome<T = ()> = Result<T, Fault>;

/// The kind of a file as the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FileType {
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SymbolicLink = 7,
}

/// What a descriptor may be used for: one bit an act.
pub(crate) mod rights {
    pub(crate) const FD_DATASYNC: u64 = 1 << 0;
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_SEEK: u64 = 1 << 2;
    pub(crate) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub(crate) const FD_SYNC: u64 = 1 << 4;
    pub(crate) const FD_TELL: u64 = 1 << 5;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    pub(crate) const FD_ADVISE: u64 = 1 << 7;
    pub(crate) const FD_ALLOCATE: u64 = 1 << 8;
    pub(crate) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(crate) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(crate) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(crate) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(crate) const PATH_OPEN: u64 = 1 << 13;
    pub(crate) const FD_READDIR: u64 = 1 << 14;
    pub(crate) const PATH_READLINK: u64 = 1 << 15;
    pub(crate) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(crate) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(crate) const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub(crate) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(crate) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(crate) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(crate) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(crate) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(crate) const PATH_SYMLINK: u64 = 1 << 24;
    pub(crate) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(crate) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(crate) const POLL_FD_READWRITE: u64 = 1 << 27;

    /// Every right there is, those of sockets included.
    pub(crate) const ALL: u64 = (1 << 30) - 1;

    /// What a directory can be used for.
    pub(crate) const DIRECTORY: u64 = FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_DATASYNC
        | FD_READDIR
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | POLL_FD_READWRITE;

    /// What a regular file can be used for.
    pub(crate) const FILE: u64 = FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;

    /// What a standard stream can be used for, besides being read or written.
    ///
    /// A C library takes a character device without the rights to seek and tell for a terminal;
    /// programs then prompt, colour, or refuse to write binary data. The streams of a job are
    /// captured, so they hold these rights, and seeking answers that they cannot seek.
    pub(crate) const STREAM: u64 =
        FD_SEEK | FD_TELL | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;
}

/// Flags of an open descriptor.
pub(crate) mod descriptor_flags {
    pub(crate) const APPEND: u16 = 1;
    pub(crate) const ALL: u16 = 31;
}

/// Flags of the call that opens a path.
pub(crate) mod open_flags {
    pub(crate) const CREATE: u16 = 1;
    pub(crate) const DIRECTORY: u16 = 2;
    pub(crate) const EXCLUSIVE: u16 = 4;
    pub(crate) const TRUNCATE: u16 = 8;
    pub(crate) const ALL: u16 = 15;
}

/// Flags of the calls that set times.
pub(crate) mod time_flags {
    pub(crate) const ACCESS: u16 = 1;
    pub(crate) const ACCESS_NOW: u16 = 2;
    pub(crate) const MODIFICATION: u16 = 4;
    pub(crate) const MODIFICATION_NOW: u16 = 8;
    pub(crate) const ALL: u16 = 15;
}

/// The one flag of a lookup: follow a symbolic link at the end of the path.
pub(crate) const LOOKUP_FOLLOW: u32 = 1;

/// What the guest learns of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl FileStat {
    /// Returns the 64 bytes of a `filestat`.
    pub(crate) fn encode(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, &self.device.to_le_bytes());
        put(&mut bytes, 8, &self.inode.to_le_bytes());
        put(&mut bytes, 16, &[self.file_type as u8]);
        put(&mut bytes, 24, &self.links.to_le_bytes());
        put(&mut bytes, 32, &self.size.to_le_bytes());
        put(&mut bytes, 40, &self.accessed.to_le_bytes());
        put(&mut bytes, 48, &self.modified.to_le_bytes());
        put(&mut bytes, 56, &self.changed.to_le_bytes());
        bytes
    }
}

/// Returns the 24 bytes of an `fdstat`.
pub(crate) fn encode_fdstat(
    file_type: FileType,
    flags: u16,
    base: u64,
    inherited: u64,
) -> [u8; 24] {
    let mut bytes = [0; 24];
    put(&mut bytes, 0, &[file_type as u8]);
    put(&mut bytes, 2, &flags.to_le_bytes());
    put(&mut bytes, 8, &base.to_le_bytes());
    put(&mut bytes, 16, &inherited.to_le_bytes());
    bytes
}

/// Returns the 24 bytes of a `dirent`, which its name follows.
pub(crate) fn encode_dirent(next: u64, inode: u64, name: u32, file_type: FileType) -> [u8; 24] {
    let mut bytes = [0; 24];
    put(&mut bytes, 0, &next.to_le_bytes());
    put(&mut bytes, 8, &inode.to_le_bytes());
    put(&mut bytes, 16, &name.to_le_bytes());
    put(&mut bytes, 20, &[file_type as u8]);
    bytes
}

/// Copies `field` to `at`; the callers' offsets are constants that fit.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
