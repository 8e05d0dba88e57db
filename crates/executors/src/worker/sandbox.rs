//! Shuts the worker process in, so that even a guest that breaks out of its engine finds nothing.
//!
//! In two steps: before there are threads, the process gives up its user, its capabilities, its
//! view of the network and every descriptor but its three pipes; once its threads and engine are
//! made, a system-call filter leaves it memory, its threads, and those pipes. It can open nothing,
//! connect nowhere, start no process, signal nobody else. The parent's death ends it.

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
    use std::fs;

    use rustix::process::{
        DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, chdir, geteuid, getrlimit,
        set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
    };
    use rustix::thread::{
        CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities, set_no_new_privs,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    };
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch, apply_filter_all_threads,
    };

    use super::io;

    /// The user and group that own nothing.
    const NOBODY: u32 = 65_534;
    /// Open files: three pipes, and one memory file for each compiled module that is kept.
    const DESCRIPTORS_MAX: u64 = 1024;
    /// The first descriptor after the three pipes.
    const DESCRIPTORS_KEPT: u32 = 3;
    /// The command of `fcntl` that makes a memory file unchangeable.
    const ADD_SEALS: u64 = 1033;

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

    /// Gives up privileges and views.
    ///
    /// The parent may be gone already: then it has closed the pipe, of which the end ends the
    /// worker too.
    pub(in super::super) fn enter_before_threads() -> io::Result<()> {
        check_single_thread()?;
        chdir("/")?;
        close_inherited();
        // A machine short of memory should take a worker before a process that keeps keys; where
        // it cannot be told, nothing is less safe.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        if geteuid().is_root() {
            // A container may refuse either; the filter below shuts the same doors.
            let _ = unshare(UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS);
            let _ = become_nobody();
        }
        let none = CapabilitySet::empty();
        set_capabilities(
            None,
            CapabilitySets { effective: none, permitted: none, inheritable: none },
        )?;
        set_no_new_privs(true)?;
        // Both are reset by a change of user, so they come after it.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let nothing = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Core, nothing)?;
        Ok(())
    }

    /// Refuses a process with threads: what this module gives up, it gives up for its own alone.
    fn check_single_thread() -> io::Result<()> {
        // Where the list cannot be read, nothing is known against it.
        if fs::read_dir("/proc/self/task").map_or(1, Iterator::count) > 1 {
            return Err(io::Error::other("a worker shuts itself in before it starts threads"));
        }
        Ok(())
    }

    fn become_nobody() -> io::Result<()> {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[])?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        Ok(())
    }

    #[expect(unsafe_code, reason = "the call is unsafe for flags that unshare descriptors")]
    fn unshare(views: UnshareFlags) -> io::Result<()> {
        // SAFETY: the flags unshare network, IPC and host name only; no Rust object refers to them.
        unsafe { rustix::thread::unshare_unsafe(views)? };
        Ok(())
    }

    /// Closes what the parent's own parent left open, such as sockets of a service manager.
    #[expect(unsafe_code, reason = "closing descriptors that no object here owns")]
    fn close_inherited() {
        // SAFETY: this runs before the process opens anything, so no Rust object owns a descriptor
        // beyond the three pipes. A kernel without the call changes nothing.
        unsafe {
            libc::syscall(libc::SYS_close_range, DESCRIPTORS_KEPT, u32::MAX, 0);
        }
    }

    /// Leaves the process the calls of [`ALLOWED`]; holds for all its threads.
    pub(in super::super) fn enter_with_threads() -> io::Result<()> {
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).min(DESCRIPTORS_MAX);
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
        let program: seccompiler::BpfProgram =
            filter().and_then(TryInto::try_into).map_err(io::Error::other)?;
        apply_filter_all_threads(&program).map_err(io::Error::other)
    }

    fn filter() -> Result<SeccompFilter, seccompiler::BackendError> {
        let mut rules: BTreeMap<_, _> = ALLOWED.iter().map(|call| (*call, vec![])).collect();
        let is_seal =
            SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, ADD_SEALS)?;
        rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![is_seal])?]);
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch: TargetArch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn nothing_that_reaches_beyond_the_process_is_allowed() {
            let outward = [
                libc::SYS_openat,
                libc::SYS_openat2,
                libc::SYS_socket,
                libc::SYS_connect,
                libc::SYS_clone,
                libc::SYS_clone3,
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_kill,
                libc::SYS_tgkill,
                libc::SYS_tkill,
                libc::SYS_ptrace,
                libc::SYS_process_vm_readv,
                libc::SYS_process_vm_writev,
                libc::SYS_pidfd_getfd,
                libc::SYS_prctl,
                libc::SYS_ioctl,
                libc::SYS_unshare,
                libc::SYS_setns,
                libc::SYS_mount,
                libc::SYS_bpf,
                libc::SYS_io_uring_setup,
                libc::SYS_userfaultfd,
                libc::SYS_keyctl,
                libc::SYS_fcntl,
            ];
            for call in outward {
                assert!(!ALLOWED.contains(&call), "system call {call}");
            }
        }

        #[test]
        fn the_filter_compiles_for_this_machine() {
            let program: seccompiler::BpfProgram = filter().unwrap().try_into().unwrap();
            assert!(program.len() > ALLOWED.len());
        }

        #[test]
        fn a_process_with_threads_is_refused() {
            let (close, closed) = std::sync::mpsc::channel::<()>();
            let other = std::thread::spawn(move || closed.recv());
            assert!(check_single_thread().is_err());
            drop(close);
            assert!(other.join().unwrap().is_err());
        }
    }
}
