//! Shuts the worker process in, so that even a guest that breaks out of its engine finds nothing.
//!
//! In two steps: before there are threads, the process gives up its user, its groups and its view
//! of the network; once its threads and engine are made, a system-call filter leaves it memory,
//! its threads, and its two pipes. It can open nothing, connect nowhere, start no process, signal
//! nobody else. The parent's death ends it.

use std::io;

#[cfg(target_os = "linux")]
pub(super) use linux::{enter_before_threads, enter_with_threads};

#[cfg(not(target_os = "linux"))]
pub(super) fn enter_before_threads() -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn enter_with_threads() -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use rustix::process::{
        DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, geteuid, getppid,
        set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
    };
    use rustix::thread::{
        UnshareFlags, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    };
    use seccompiler::{SeccompAction, SeccompFilter, TargetArch, apply_filter_all_threads};

    use super::io;

    /// The user and group that own nothing.
    const NOBODY: u32 = 65_534;
    /// Open files; the worker has three, and opens memory files while it compiles.
    const DESCRIPTORS_MAX: u64 = 128;

    /// What the worker may ask of the kernel.
    const ALLOWED: &[libc::c_long] = &[
        // Its pipes.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        // Memory, for code and guests.
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_memfd_create,
        libc::SYS_ftruncate,
        libc::SYS_membarrier,
        // Its own threads and their traps.
        libc::SYS_futex,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_restart_syscall,
        // Clocks that the wall-clock limit reads, and seeds of hash maps.
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
    ];

    /// Gives up privileges and views; the process has one thread yet.
    pub(in super::super) fn enter_before_threads() -> io::Result<()> {
        if geteuid().is_root() {
            let views = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
            // A container may forbid it; the filter below shuts the same doors.
            let _ = unshare(views);
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
        }
        set_no_new_privs(true)?;
        // Both are reset by a change of user, so they come after it.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid().is_none_or(rustix::process::Pid::is_init) && std::process::id() != 1 {
            return Err(io::Error::other("the parent is gone"));
        }
        let nothing = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Core, nothing)?;
        Ok(())
    }

    fn unshare(views: UnshareFlags) -> io::Result<()> {
        #[expect(unsafe_code, reason = "the call is unsafe for flags that unshare descriptors")]
        // SAFETY: the flags unshare network, IPC and host name only; no Rust object refers to them.
        unsafe {
            rustix::thread::unshare_unsafe(views)?;
        }
        Ok(())
    }

    /// Leaves the process the calls of [`ALLOWED`]; holds for all its threads.
    pub(in super::super) fn enter_with_threads() -> io::Result<()> {
        let few = Rlimit { current: Some(DESCRIPTORS_MAX), maximum: Some(DESCRIPTORS_MAX) };
        setrlimit(Resource::Nofile, few)?;
        let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
        let rules: BTreeMap<_, _> = ALLOWED.iter().map(|call| (i64::from(*call), vec![])).collect();
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)
            .map_err(io::Error::other)?;
        let program: seccompiler::BpfProgram = filter.try_into().map_err(io::Error::other)?;
        apply_filter_all_threads(&program).map_err(io::Error::other)
    }
}
