//! The functions of `wasi_snapshot_preview1`, by subject.
//!
//! The engine charges the base of a call. The call then checks its arguments, charges what it is
//! about to do, does it, and writes its result to the guest's memory. Where a result goes is
//! checked before anything changes, so a call that answers `EFAULT` has not acted.

mod descriptor;
mod directory;
mod open;
mod path;
mod poll;
mod process;
mod socket;
mod stat;
mod transfer;

use super::Host;
use super::abi::{Errno, Fault, LOOKUP_FOLLOW, Outcome};
use super::clock::ClockId;
use super::descriptors::Object;
use super::files::NodeId;
use super::limits::PATH_BYTES_MAX;
use super::memory::Memory;
use super::paths::{Follow, Place, resolve};
use crate::wasm::engine::{HostFunction, HostTrap, Meter, ValType};

/// One call: the world, the guest's memory, the arguments, the meter.
struct Call<'a> {
    host: &'a mut Host,
    memory: Memory<'a>,
    args: &'a [u64],
    meter: &'a mut Meter,
}

impl Call<'_> {
    fn u64(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    fn u32(&self, index: usize) -> u32 {
        u32::try_from(self.u64(index) & u64::from(u32::MAX)).unwrap_or(0)
    }

    /// Returns flags of which only those in `known` may be set.
    fn flags(&self, index: usize, known: u16) -> Result<u16, Errno> {
        let flags = u16::try_from(self.u32(index)).map_err(|_| Errno::Invalid)?;
        if flags & !known == 0 { Ok(flags) } else { Err(Errno::Invalid) }
    }

    /// Returns the lookup flags as what to do with a symbolic link at the end.
    fn follow(&self, index: usize) -> Result<Follow, Errno> {
        match self.u32(index) {
            0 => Ok(Follow::UnlessLast),
            LOOKUP_FOLLOW => Ok(Follow::Always),
            _ => Err(Errno::Invalid),
        }
    }

    /// Returns the real time, in nanoseconds after 1970.
    fn now(&self) -> u64 {
        self.host.clock.read(ClockId::Realtime, self.meter.fuel_left())
    }

    /// Checks that the result at argument `index`, `length` bytes, lies inside the memory.
    fn check_result(&self, index: usize, length: u64) -> Result<(), Errno> {
        self.memory.range(self.u32(index), length).map(drop)
    }

    /// Returns the directory that argument `index` holds open, with the rights `needed`.
    fn directory(&self, index: usize, needed: u64) -> Result<NodeId, Errno> {
        let descriptor = self.host.descriptors.get(self.u32(index))?;
        match descriptor.object {
            Object::Directory { node, .. } => descriptor.require(needed).map(|()| node),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// Returns the path at arguments `index` and `index + 1`.
    fn path(&mut self, index: usize) -> Outcome<String> {
        let length = self.u32(index + 1);
        let charged = usize::try_from(length).unwrap_or(usize::MAX).min(PATH_BYTES_MAX);
        self.meter.charge_bytes(u64::try_from(charged).unwrap_or(u64::MAX))?;
        Ok(self.memory.path(self.u32(index), length)?)
    }

    /// Returns where the path at argument `index` leads from the directory `start`.
    fn place(&mut self, start: NodeId, index: usize, follow: Follow) -> Outcome<Place> {
        let path = self.path(index)?;
        resolve(&self.host.files, start, path, follow, self.meter)
    }
}

/// Makes a call, whose base the engine has charged.
fn enter(
    body: fn(&mut Call<'_>) -> Outcome,
    host: &mut Host,
    memory: &mut [u8],
    args: &[u64],
    meter: &mut Meter,
) -> Result<u32, HostTrap> {
    match body(&mut Call { host, memory: Memory::new(memory), args, meter }) {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(errno.code().into()),
        Err(Fault::Trap(trap)) => Err(trap),
    }
}

use ValType::{I32, I64};

/// Every function whose answer is an `errno`, and the one that does not answer.
macro_rules! host_functions {
    ($($name:literal [$($param:ident)*] [$($result:ident)?] $body:path;)*) => {
        /// The functions that a guest may import from `wasi_snapshot_preview1`, by name.
        pub static HOST_FUNCTIONS: &[HostFunction] = &[$(
            HostFunction {
                name: $name,
                params: &[$($param),*],
                results: &[$($result)?],
                call: |host, memory, args, meter| enter($body, host, memory, args, meter),
            },
        )*];
    };
}

host_functions! {
    "args_get" [I32 I32] [I32] process::args_get;
    "args_sizes_get" [I32 I32] [I32] process::args_sizes_get;
    "clock_res_get" [I32 I32] [I32] process::clock_res_get;
    "clock_time_get" [I32 I64 I32] [I32] process::clock_time_get;
    "environ_get" [I32 I32] [I32] process::environ_get;
    "environ_sizes_get" [I32 I32] [I32] process::environ_sizes_get;
    "fd_advise" [I32 I64 I64 I32] [I32] descriptor::fd_advise;
    "fd_allocate" [I32 I64 I64] [I32] stat::fd_allocate;
    "fd_close" [I32] [I32] descriptor::fd_close;
    "fd_datasync" [I32] [I32] descriptor::fd_datasync;
    "fd_fdstat_get" [I32 I32] [I32] descriptor::fd_fdstat_get;
    "fd_fdstat_set_flags" [I32 I32] [I32] descriptor::fd_fdstat_set_flags;
    "fd_fdstat_set_rights" [I32 I64 I64] [I32] descriptor::fd_fdstat_set_rights;
    "fd_filestat_get" [I32 I32] [I32] stat::fd_filestat_get;
    "fd_filestat_set_size" [I32 I64] [I32] stat::fd_filestat_set_size;
    "fd_filestat_set_times" [I32 I64 I64 I32] [I32] stat::fd_filestat_set_times;
    "fd_pread" [I32 I32 I32 I64 I32] [I32] transfer::fd_pread;
    "fd_prestat_dir_name" [I32 I32 I32] [I32] descriptor::fd_prestat_dir_name;
    "fd_prestat_get" [I32 I32] [I32] descriptor::fd_prestat_get;
    "fd_pwrite" [I32 I32 I32 I64 I32] [I32] transfer::fd_pwrite;
    "fd_read" [I32 I32 I32 I32] [I32] transfer::fd_read;
    "fd_readdir" [I32 I32 I32 I64 I32] [I32] directory::fd_readdir;
    "fd_renumber" [I32 I32] [I32] descriptor::fd_renumber;
    "fd_seek" [I32 I64 I32 I32] [I32] transfer::fd_seek;
    "fd_sync" [I32] [I32] descriptor::fd_sync;
    "fd_tell" [I32 I32] [I32] transfer::fd_tell;
    "fd_write" [I32 I32 I32 I32] [I32] transfer::fd_write;
    "path_create_directory" [I32 I32 I32] [I32] path::path_create_directory;
    "path_filestat_get" [I32 I32 I32 I32 I32] [I32] stat::path_filestat_get;
    "path_filestat_set_times" [I32 I32 I32 I32 I64 I64 I32] [I32] stat::path_filestat_set_times;
    "path_link" [I32 I32 I32 I32 I32 I32 I32] [I32] path::path_link;
    "path_open" [I32 I32 I32 I32 I32 I64 I64 I32 I32] [I32] open::path_open;
    "path_readlink" [I32 I32 I32 I32 I32 I32] [I32] path::path_readlink;
    "path_remove_directory" [I32 I32 I32] [I32] path::path_remove_directory;
    "path_rename" [I32 I32 I32 I32 I32 I32] [I32] path::path_rename;
    "path_symlink" [I32 I32 I32 I32 I32] [I32] path::path_symlink;
    "path_unlink_file" [I32 I32 I32] [I32] path::path_unlink_file;
    "poll_oneoff" [I32 I32 I32 I32] [I32] poll::poll_oneoff;
    "proc_exit" [I32] [] process::proc_exit;
    "proc_raise" [I32] [I32] process::proc_raise;
    "random_get" [I32 I32] [I32] process::random_get;
    "sched_yield" [] [I32] process::sched_yield;
    "sock_accept" [I32 I32 I32] [I32] socket::refuse;
    "sock_recv" [I32 I32 I32 I32 I32 I32] [I32] socket::refuse;
    "sock_send" [I32 I32 I32 I32 I32] [I32] socket::refuse;
    "sock_shutdown" [I32 I32] [I32] socket::refuse;
}
