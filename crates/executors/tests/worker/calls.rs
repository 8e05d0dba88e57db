//! System calls by number, as a guest would make them that broke out of its engine: each with
//! arguments that can do no harm where the call is not refused.

use std::io;

use libc::c_long;

/// A system call to try.
pub(crate) struct Call {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    number: c_long,
    arguments: &'static [c_long],
    /// Whether a container or a user without privileges may be refused it anyway.
    pub(crate) needs_privilege: bool,
}

/// A request of `ptrace` that reads another process.
const PEEK: c_long = 2;
/// A flag of `clone` that is refused without others.
const CLONE_THREAD: c_long = 0x1_0000;
/// A call as the other ABI of a processor counts it, which a filter by numbers could overlook.
const X32_OPENAT: c_long = 0x4000_0000 | 257;
/// No process.
const NOBODY: c_long = 0x7fff_ffff;

/// What a worker never needs.
pub(crate) const CALLS: &[Call] = &[
    plain("file", "openat", libc::SYS_openat, &[-1]),
    plain("file", "openat2", libc::SYS_openat2, &[-1]),
    privileged("file", "open_by_handle_at", libc::SYS_open_by_handle_at, &[-1, 0, 0]),
    plain("file", "unlinkat", libc::SYS_unlinkat, &[-1]),
    plain("file", "renameat2", libc::SYS_renameat2, &[-1, 0, -1, 0, 0]),
    plain("file", "mkdirat", libc::SYS_mkdirat, &[-1]),
    plain("file", "linkat", libc::SYS_linkat, &[-1, 0, -1, 0, 0]),
    plain("file", "symlinkat", libc::SYS_symlinkat, &[0, -1]),
    plain("file", "fchmodat", libc::SYS_fchmodat, &[-1]),
    plain("file", "fchownat", libc::SYS_fchownat, &[-1, 0, -1, -1, 0]),
    plain("file", "mknodat", libc::SYS_mknodat, &[-1]),
    plain("file", "readlinkat", libc::SYS_readlinkat, &[-1]),
    plain("file", "statx", libc::SYS_statx, &[-1]),
    plain("file", "truncate", libc::SYS_truncate, &[0]),
    plain("file", "getdents64", libc::SYS_getdents64, &[-1]),
    privileged("file", "chroot", libc::SYS_chroot, &[0]),
    privileged("file", "pivot_root", libc::SYS_pivot_root, &[0]),
    privileged("file", "mount", libc::SYS_mount, &[0]),
    privileged("file", "umount2", libc::SYS_umount2, &[0]),
    plain("file", "inotify_init1", libc::SYS_inotify_init1, &[-1]),
    privileged("file", "io_uring_setup", libc::SYS_io_uring_setup, &[0, 0]),
    plain("file", "sendfile", libc::SYS_sendfile, &[-1, -1]),
    plain("file", "flock", libc::SYS_flock, &[-1]),
    plain("network", "socket", libc::SYS_socket, &[-1, -1, -1]),
    plain("network", "socketpair", libc::SYS_socketpair, &[-1, -1, -1]),
    plain("network", "connect", libc::SYS_connect, &[-1, -1, -1]),
    plain("network", "bind", libc::SYS_bind, &[-1, -1, -1]),
    plain("network", "listen", libc::SYS_listen, &[-1, -1, -1]),
    plain("network", "accept4", libc::SYS_accept4, &[-1, -1, -1]),
    plain("network", "sendto", libc::SYS_sendto, &[-1, -1, -1]),
    plain("network", "recvfrom", libc::SYS_recvfrom, &[-1, -1, -1]),
    plain("network", "sendmsg", libc::SYS_sendmsg, &[-1, -1, -1]),
    plain("network", "setsockopt", libc::SYS_setsockopt, &[-1, -1, -1]),
    privileged("network", "bpf", libc::SYS_bpf, &[0xffff]),
    privileged("network", "sethostname", libc::SYS_sethostname, &[0, -1]),
    plain("process", "clone", libc::SYS_clone, &[CLONE_THREAD]),
    privileged("process", "clone3", libc::SYS_clone3, &[0]),
    plain("process", "execve", libc::SYS_execve, &[]),
    plain("process", "execveat", libc::SYS_execveat, &[-1]),
    plain("process", "kill", libc::SYS_kill, &[NOBODY, 0]),
    plain("process", "tgkill", libc::SYS_tgkill, &[NOBODY, NOBODY, 0]),
    plain("process", "tkill", libc::SYS_tkill, &[NOBODY, 0]),
    plain("process", "rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, &[NOBODY, 0, 0]),
    plain("process", "pidfd_open", libc::SYS_pidfd_open, &[-1]),
    plain("process", "pidfd_getfd", libc::SYS_pidfd_getfd, &[-1]),
    plain("process", "pidfd_send_signal", libc::SYS_pidfd_send_signal, &[-1]),
    privileged("process", "ptrace", libc::SYS_ptrace, &[PEEK, NOBODY]),
    privileged("process", "process_vm_readv", libc::SYS_process_vm_readv, &[NOBODY]),
    privileged("process", "process_vm_writev", libc::SYS_process_vm_writev, &[NOBODY]),
    privileged("process", "process_madvise", libc::SYS_process_madvise, &[-1]),
    plain("process", "prctl", libc::SYS_prctl, &[-1]),
    plain("process", "seccomp", libc::SYS_seccomp, &[-1]),
    privileged("process", "unshare", libc::SYS_unshare, &[0]),
    privileged("process", "setns", libc::SYS_setns, &[-1]),
    plain("process", "setresuid", libc::SYS_setresuid, &[-1, -1, -1]),
    plain("process", "setresgid", libc::SYS_setresgid, &[-1, -1, -1]),
    privileged("process", "setgroups", libc::SYS_setgroups, &[-1]),
    plain("process", "capset", libc::SYS_capset, &[]),
    plain("process", "prlimit64", libc::SYS_prlimit64, &[0, 7]),
    plain("process", "setpriority", libc::SYS_setpriority, &[-1]),
    plain("process", "sched_setaffinity", libc::SYS_sched_setaffinity, &[0, 0]),
    privileged("process", "personality", libc::SYS_personality, &[0xffff_ffff]),
    plain("process", "wait4", libc::SYS_wait4, &[-1, 0, -1]),
    privileged("process", "init_module", libc::SYS_init_module, &[0, 0, 0]),
    privileged("process", "reboot", libc::SYS_reboot, &[0]),
    privileged("process", "keyctl", libc::SYS_keyctl, &[-1]),
    privileged("process", "perf_event_open", libc::SYS_perf_event_open, &[0, 0, 0, 0, 0]),
    plain("process", "timer_create", libc::SYS_timer_create, &[-1]),
    privileged("process", "openat by the numbers of x32", X32_OPENAT, &[-1]),
    privileged("memory", "userfaultfd", libc::SYS_userfaultfd, &[-1]),
    plain("memory", "shmget", libc::SYS_shmget, &[0, 0, 0]),
    plain("memory", "shmat", libc::SYS_shmat, &[-1]),
    privileged("memory", "memfd_secret", libc::SYS_memfd_secret, &[-1]),
    plain("memory", "mlockall", libc::SYS_mlockall, &[0]),
    privileged("memory", "mbind", libc::SYS_mbind, &[0, 0, -1]),
    plain("descriptor", "dup", libc::SYS_dup, &[-1]),
    plain("descriptor", "dup3", libc::SYS_dup3, &[-1]),
    plain("descriptor", "fcntl", libc::SYS_fcntl, &[-1, 0]),
    plain("descriptor", "ioctl", libc::SYS_ioctl, &[-1]),
    plain("descriptor", "pipe2", libc::SYS_pipe2, &[0, -1]),
    plain("descriptor", "eventfd2", libc::SYS_eventfd2, &[0, -1]),
    plain("descriptor", "epoll_create1", libc::SYS_epoll_create1, &[-1]),
    plain("descriptor", "timerfd_create", libc::SYS_timerfd_create, &[-1]),
    plain("descriptor", "signalfd4", libc::SYS_signalfd4, &[-1, 0, 0, -1]),
    plain("descriptor", "splice", libc::SYS_splice, &[-1, 0, -1, 0, 1, 0]),
    plain("descriptor", "lseek", libc::SYS_lseek, &[-1]),
    plain("descriptor", "pread64", libc::SYS_pread64, &[-1]),
    plain("descriptor", "pwrite64", libc::SYS_pwrite64, &[-1]),
    plain("descriptor", "close_range", libc::SYS_close_range, &[1, 0]),
    privileged("time", "clock_settime", libc::SYS_clock_settime, &[-1]),
    plain("time", "setitimer", libc::SYS_setitimer, &[-1]),
    privileged("time", "settimeofday", libc::SYS_settimeofday, &[0, 0]),
];

const fn plain(
    kind: &'static str,
    name: &'static str,
    number: c_long,
    arguments: &'static [c_long],
) -> Call {
    Call { kind, name, number, arguments, needs_privilege: false }
}

const fn privileged(
    kind: &'static str,
    name: &'static str,
    number: c_long,
    arguments: &'static [c_long],
) -> Call {
    Call { needs_privilege: true, ..plain(kind, name, number, arguments) }
}

impl Call {
    /// Returns whether the kernel takes the call, whatever it then says of the arguments.
    #[expect(unsafe_code, reason = "no library makes calls with arguments like these")]
    pub(crate) fn is_taken(&self) -> bool {
        let mut all = [0; 6];
        all[..self.arguments.len()].copy_from_slice(self.arguments);
        let [a, b, c, d, e, f] = all;
        // SAFETY: all pointers among the arguments are null and all descriptors and processes do
        // not exist, so that the kernel neither reads nor writes memory of this process.
        let answer = unsafe { libc::syscall(self.number, a, b, c, d, e, f) };
        answer != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::EPERM)
    }
}
