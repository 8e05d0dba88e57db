//! Calls the host functions as a guest does, on a memory of its own.

mod descriptors;
mod files;
mod hostile;
mod limits;
mod links;
mod paths;
mod process;
mod results;

use std::sync::Arc;

use super::abi::rights;
use super::{HOST_FUNCTIONS, Host, HostConfig, HostLimits, InputPath, Inputs};
use crate::wasm::engine::{HostTrap, Meter};
use crate::wasm::specification::HOST_CALL_FUEL;

const ROOT: u32 = 3;
const IN: u32 = 4;
const OUT: u32 = 5;
const TMP: u32 = 6;

const CREAT: u16 = 1;
const DIRECTORY: u16 = 2;
const EXCL: u16 = 4;
const TRUNC: u16 = 8;
const APPEND: u16 = 1;

const BADF: u32 = 8;
const BUSY: u32 = 10;
const EXIST: u32 = 20;
const FAULT: u32 = 21;
const ILSEQ: u32 = 25;
const INVAL: u32 = 28;
const ISDIR: u32 = 31;
const LOOP: u32 = 32;
const MFILE: u32 = 33;
const NAMETOOLONG: u32 = 37;
const NOENT: u32 = 44;
const NOSPC: u32 = 51;
const NOTDIR: u32 = 54;
const NOTEMPTY: u32 = 55;
const NOTSOCK: u32 = 57;
const PERM: u32 = 63;
const ROFS: u32 = 69;
const SPIPE: u32 = 70;
const XDEV: u32 = 75;
const NOTCAPABLE: u32 = 76;

const FUEL: u64 = 1 << 40;
const START_NS: u64 = 1_700_000_000_000_000_000;
const MEMORY_BYTES: usize = 1 << 20;

/// Where the helpers below put arguments and results.
const RESULT: u32 = 0x100;
const VECTORS: u32 = 0x1000;
const FIRST_PATH: u32 = 0x8000;
const SECOND_PATH: u32 = 0xc000;
const DATA: u32 = 0x1_0000;

fn config(files: &[(&str, &str)]) -> HostConfig {
    let file =
        |(path, text): &(&str, &str)| (InputPath::parse(path).unwrap(), Arc::from(text.as_bytes()));
    HostConfig {
        inputs: Inputs {
            files: files.iter().map(file).collect(),
            directories: Vec::new(),
            stdin: Arc::from(&b"stdin"[..]),
        },
        arguments: vec!["program".into(), "one".into()],
        environment: vec![("KEY".into(), "value".into())],
        realtime_start_ns: START_NS,
        fuel: FUEL,
        random_seed: [7; 32],
        limits: HostLimits::default(),
    }
}

/// A guest that only makes host calls.
struct Guest {
    host: Host,
    memory: Vec<u8>,
    meter: Meter,
}

impl Guest {
    fn new() -> Self {
        Self::with(&config(&[]))
    }

    fn with(config: &HostConfig) -> Self {
        let host = Host::new(config).unwrap();
        Self { host, memory: vec![0; MEMORY_BYTES], meter: Meter::new(config.fuel) }
    }

    fn try_call(&mut self, name: &str, args: &[u64]) -> Result<u32, HostTrap> {
        let function = HOST_FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        assert_eq!(function.params.len(), args.len(), "{name}");
        self.meter.charge(HOST_CALL_FUEL)?;
        (function.call)(&mut self.host, &mut self.memory, args, &mut self.meter)
    }

    fn call(&mut self, name: &str, args: &[u64]) -> u32 {
        self.try_call(name, args).unwrap()
    }

    /// Makes a call and returns what it wrote at [`RESULT`] if it succeeded.
    fn ask<const N: usize>(&mut self, name: &str, args: &[u64]) -> Result<[u8; N], u32> {
        self.memory[0x100..0x100 + N].fill(0);
        match self.call(name, args) {
            0 => Ok(self.memory[0x100..0x100 + N].try_into().unwrap()),
            errno => Err(errno),
        }
    }

    fn ask_u32(&mut self, name: &str, args: &[u64]) -> Result<u32, u32> {
        self.ask(name, args).map(u32::from_le_bytes)
    }

    fn ask_u64(&mut self, name: &str, args: &[u64]) -> Result<u64, u32> {
        self.ask(name, args).map(u64::from_le_bytes)
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> [u64; 2] {
        let start = usize::try_from(at).unwrap();
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
        [at.into(), u64::try_from(bytes.len()).unwrap()]
    }

    fn at(&self, at: u32, length: u32) -> Vec<u8> {
        let start = usize::try_from(at).unwrap();
        self.memory[start..start + usize::try_from(length).unwrap()].to_vec()
    }

    fn open_as(
        &mut self,
        directory: u32,
        path: &str,
        flags: u16,
        base: u64,
        descriptor_flags: u16,
    ) -> Result<u32, u32> {
        self.open_full(directory, 0, path, flags, [base, 0], descriptor_flags)
    }

    fn open_full(
        &mut self,
        directory: u32,
        lookup: u32,
        path: &str,
        flags: u16,
        [base, inherited]: [u64; 2],
        descriptor_flags: u16,
    ) -> Result<u32, u32> {
        let [pointer, length] = self.put(FIRST_PATH, path.as_bytes());
        let args = [
            directory.into(),
            lookup.into(),
            pointer,
            length,
            flags.into(),
            base,
            inherited,
            descriptor_flags.into(),
            RESULT.into(),
        ];
        self.ask_u32("path_open", &args)
    }

    /// Opens a path as the test suites do: without rights.
    fn open(&mut self, directory: u32, path: &str, flags: u16) -> Result<u32, u32> {
        self.open_as(directory, path, flags, 0, 0)
    }

    /// Opens a file for everything that a file can be used for.
    fn open_rw(&mut self, directory: u32, path: &str, flags: u16) -> u32 {
        self.open_as(directory, path, flags, rights::FILE, 0).unwrap()
    }

    fn open_directory(&mut self, directory: u32, path: &str) -> u32 {
        let all = [rights::DIRECTORY, rights::ALL];
        self.open_full(directory, 0, path, DIRECTORY, all, 0).unwrap()
    }

    fn touch(&mut self, directory: u32, path: &str) {
        let fd = self.open(directory, path, CREAT).unwrap();
        assert_eq!(self.close(fd), 0);
    }

    fn close(&mut self, fd: u32) -> u32 {
        self.call("fd_close", &[fd.into()])
    }

    fn on_path(&mut self, name: &str, directory: u32, path: &str) -> u32 {
        let [pointer, length] = self.put(FIRST_PATH, path.as_bytes());
        self.call(name, &[directory.into(), pointer, length])
    }

    fn mkdir(&mut self, directory: u32, path: &str) -> u32 {
        self.on_path("path_create_directory", directory, path)
    }

    fn rmdir(&mut self, directory: u32, path: &str) -> u32 {
        self.on_path("path_remove_directory", directory, path)
    }

    fn unlink(&mut self, directory: u32, path: &str) -> u32 {
        self.on_path("path_unlink_file", directory, path)
    }

    fn rename(&mut self, directory: u32, old: &str, new: &str) -> u32 {
        self.rename_to(directory, old, directory, new)
    }

    fn rename_to(&mut self, from: u32, old: &str, to: u32, new: &str) -> u32 {
        let [old, old_length] = self.put(FIRST_PATH, old.as_bytes());
        let [new, new_length] = self.put(SECOND_PATH, new.as_bytes());
        self.call("path_rename", &[from.into(), old, old_length, to.into(), new, new_length])
    }

    fn symlink(&mut self, target: &str, directory: u32, path: &str) -> u32 {
        let [target, target_length] = self.put(FIRST_PATH, target.as_bytes());
        let [path, length] = self.put(SECOND_PATH, path.as_bytes());
        self.call("path_symlink", &[target, target_length, directory.into(), path, length])
    }

    fn link(&mut self, from: u32, lookup: u32, old: &str, to: u32, new: &str) -> u32 {
        let [old, old_length] = self.put(FIRST_PATH, old.as_bytes());
        let [new, new_length] = self.put(SECOND_PATH, new.as_bytes());
        let args = [from.into(), lookup.into(), old, old_length, to.into(), new, new_length];
        self.call("path_link", &args)
    }

    fn vector(&mut self, length: usize) -> [u64; 2] {
        let mut pair = [0; 8];
        pair[..4].copy_from_slice(&DATA.to_le_bytes());
        pair[4..].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        let [at, _] = self.put(VECTORS, &pair);
        [at, 1]
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, u32> {
        self.put(DATA, bytes);
        let [vectors, count] = self.vector(bytes.len());
        self.ask_u32("fd_write", &[fd.into(), vectors, count, RESULT.into()])
    }

    fn pwrite(&mut self, fd: u32, bytes: &[u8], at: u64) -> Result<u32, u32> {
        self.put(DATA, bytes);
        let [vectors, count] = self.vector(bytes.len());
        self.ask_u32("fd_pwrite", &[fd.into(), vectors, count, at, RESULT.into()])
    }

    fn read(&mut self, fd: u32, length: usize) -> Result<Vec<u8>, u32> {
        let [vectors, count] = self.vector(length);
        let read = self.ask_u32("fd_read", &[fd.into(), vectors, count, RESULT.into()])?;
        Ok(self.at(DATA, read))
    }

    fn pread(&mut self, fd: u32, length: usize, at: u64) -> Result<Vec<u8>, u32> {
        let [vectors, count] = self.vector(length);
        let read = self.ask_u32("fd_pread", &[fd.into(), vectors, count, at, RESULT.into()])?;
        Ok(self.at(DATA, read))
    }

    fn seek(&mut self, fd: u32, distance: i64, whence: u8) -> Result<u64, u32> {
        let args = [fd.into(), distance.cast_unsigned(), whence.into(), RESULT.into()];
        self.ask_u64("fd_seek", &args)
    }

    fn tell(&mut self, fd: u32) -> Result<u64, u32> {
        self.ask_u64("fd_tell", &[fd.into(), RESULT.into()])
    }

    fn stat(&mut self, fd: u32) -> Result<Stat, u32> {
        self.ask("fd_filestat_get", &[fd.into(), RESULT.into()]).map(Stat::decode)
    }

    fn stat_at(&mut self, directory: u32, lookup: u32, path: &str) -> Result<Stat, u32> {
        let [pointer, length] = self.put(FIRST_PATH, path.as_bytes());
        let args = [directory.into(), lookup.into(), pointer, length, RESULT.into()];
        self.ask("path_filestat_get", &args).map(Stat::decode)
    }

    /// Returns type, flags, base and inherited rights.
    fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, u64, u64), u32> {
        let bytes: [u8; 24] = self.ask("fd_fdstat_get", &[fd.into(), RESULT.into()])?;
        let flags = u16::from_le_bytes([bytes[2], bytes[3]]);
        Ok((bytes[0], flags, u64_at(&bytes, 8), u64_at(&bytes, 16)))
    }

    /// Reads a whole file of the working tree.
    fn content(&mut self, directory: u32, path: &str) -> Vec<u8> {
        let fd = self.open_as(directory, path, 0, rights::FD_READ, 0).unwrap();
        let bytes = self.read(fd, 4096).unwrap();
        assert_eq!(self.close(fd), 0);
        bytes
    }

    /// Writes a whole file of the working tree.
    fn store(&mut self, directory: u32, path: &str, bytes: &[u8]) {
        let fd = self.open_rw(directory, path, CREAT | TRUNC);
        assert_eq!(self.write(fd, bytes), Ok(u32::try_from(bytes.len()).unwrap()));
        assert_eq!(self.close(fd), 0);
    }
}

/// A `filestat` as the guest reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    device: u64,
    inode: u64,
    file_type: u8,
    links: u64,
    size: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
}

impl Stat {
    fn decode(bytes: [u8; 64]) -> Self {
        Self {
            device: u64_at(&bytes, 0),
            inode: u64_at(&bytes, 8),
            file_type: bytes[16],
            links: u64_at(&bytes, 24),
            size: u64_at(&bytes, 32),
            accessed: u64_at(&bytes, 40),
            modified: u64_at(&bytes, 48),
            changed: u64_at(&bytes, 56),
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
