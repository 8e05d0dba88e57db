/* Descriptors as such, streams, clocks, randomness, sockets. */
#include "check.h"

#include <unistd.h>

#define STDIN 0
#define STDOUT 1
#define STDERR 2
/* The first descriptor that is a pre-opened directory. */
#define FIRST 3

static void directories_are_no_files(__wasi_fd_t scratch) {
    uint8_t bytes[8] = {0};
    __wasi_filesize_t at;
    size_t done;
    __wasi_iovec_t in = {bytes, sizeof bytes};
    __wasi_ciovec_t out = {bytes, sizeof bytes};
    HOLDS(stat_of(scratch).filetype == __WASI_FILETYPE_DIRECTORY);
    IS(__wasi_fd_read(scratch, &in, 1, &done), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_pread(scratch, &in, 1, 0, &done), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_write(scratch, &out, 1, &done), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_pwrite(scratch, &out, 1, 0, &done), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_seek(scratch, 0, __WASI_WHENCE_CUR, &at), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_tell(scratch, &at), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_allocate(scratch, 0, 1), E(BADF), E(ISDIR), E(NOTCAPABLE));
    IS(__wasi_fd_filestat_set_size(scratch, 0), E(BADF), E(ISDIR), E(INVAL), E(NOTCAPABLE));
    __wasi_fd_t fd;
    OK(open_at(FIRST, ".", __WASI_OFLAGS_DIRECTORY, R(FD_SEEK), 0, &fd));
    HOLDS((state_of(fd).fs_rights_base & R(FD_SEEK)) == 0);
    OK(__wasi_fd_close(fd));
}

static void preopened_directories(__wasi_fd_t scratch) {
    const uint64_t base = R(PATH_CREATE_DIRECTORY) | R(PATH_CREATE_FILE) | R(PATH_LINK_SOURCE) |
                          R(PATH_LINK_TARGET) | R(PATH_OPEN) | R(FD_READDIR) | R(PATH_READLINK) |
                          R(PATH_RENAME_SOURCE) | R(PATH_RENAME_TARGET) | R(PATH_SYMLINK) |
                          R(PATH_REMOVE_DIRECTORY) | R(PATH_UNLINK_FILE) | R(PATH_FILESTAT_GET) |
                          R(PATH_FILESTAT_SET_TIMES) | R(FD_FILESTAT_GET) |
                          R(FD_FILESTAT_SET_TIMES);
    const uint64_t inherited = base | R(FD_DATASYNC) | R(FD_READ) | R(FD_SEEK) | R(FD_SYNC) |
                               R(FD_FDSTAT_SET_FLAGS) | R(FD_TELL) | R(FD_WRITE) | R(FD_ADVISE) |
                               R(FD_ALLOCATE) | R(FD_FILESTAT_SET_SIZE) | R(POLL_FD_READWRITE);
    uint8_t name[8];
    __wasi_prestat_t prestat;
    __wasi_fd_t fd;
    OK(__wasi_fd_prestat_get(FIRST, &prestat));
    HOLDS(prestat.u.dir.pr_name_len == 1);
    IS(__wasi_fd_prestat_dir_name(FIRST, name, 0), E(NAMETOOLONG), E(INVAL));
    OK(__wasi_fd_prestat_dir_name(FIRST, name, 2));
    HOLDS(name[0] == '/');
    IS(__wasi_fd_prestat_get(scratch, &prestat), E(BADF));
    __wasi_fdstat_t state = state_of(FIRST);
    HOLDS((state.fs_rights_base & base) == base);
    HOLDS((state.fs_rights_inheriting & inherited) == inherited);
    OK(__wasi_path_open(FIRST, 0, ".", 0, state.fs_rights_base, state.fs_rights_inheriting, 0,
                        &fd));
    OK(open_at(FIRST, ".", __WASI_OFLAGS_DIRECTORY, R(FD_READ), 0, &fd));
    OK(open_at(FIRST, ".", 0, 0, __WASI_FDFLAGS_NONBLOCK, &fd));
    IS(open_at(FIRST, ".", __WASI_OFLAGS_DIRECTORY, R(FD_READ) | R(FD_WRITE), 0, &fd), E(ISDIR));
    OK(__wasi_fd_close(FIRST));
    HOLDS(state_of(scratch).fs_filetype == __WASI_FILETYPE_DIRECTORY);
    IS(__wasi_fd_fdstat_get(FIRST, &state), E(BADF));
}

static void renumbering(__wasi_fd_t scratch) {
    __wasi_fd_t one, other;
    __wasi_fdstat_t state;
    OK(open_at(scratch, "one", __WASI_OFLAGS_CREAT, R(FD_READ) | R(FD_WRITE), 0, &one));
    OK(open_at(scratch, "other", __WASI_OFLAGS_CREAT, R(FD_READ), 0, &other));
    __wasi_fdstat_t before = state_of(one);
    OK(__wasi_fd_renumber(one, other));
    IS(__wasi_fd_close(one), E(BADF));
    HOLDS(state_of(other).fs_rights_base == before.fs_rights_base);
    IS(__wasi_fd_renumber(other, one), E(BADF));
    OK(__wasi_fd_close(other));
    OK(__wasi_path_unlink_file(scratch, "one"));
    OK(__wasi_path_unlink_file(scratch, "other"));
    /* Over a pre-opened directory, and streams onto other numbers. */
    uint64_t inode = stat_of(scratch).ino;
    OK(__wasi_path_open(scratch, 0, ".", __WASI_OFLAGS_DIRECTORY, R(FD_FILESTAT_GET), 0, 0, &one));
    OK(__wasi_fd_renumber(one, FIRST));
    HOLDS(stat_of(FIRST).ino == inode);
    for (__wasi_fd_t stream = STDIN; stream <= STDOUT; stream++) {
        OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, 0, 0, &one));
        OK(__wasi_fd_renumber(stream, one));
        OK(__wasi_fd_fdstat_get(one, &state));
        IS(__wasi_fd_fdstat_get(stream, &state), E(BADF));
        OK(__wasi_path_unlink_file(scratch, "file"));
    }
}

static void streams(__wasi_fd_t scratch) {
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, 0, 0, &fd));
    HOLDS(!isatty(fd) && !isatty(STDIN) && !isatty(STDOUT) && !isatty(STDERR));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
    for (fd = STDIN; fd <= STDERR; fd++) {
        HOLDS(state_of(fd).fs_filetype == __WASI_FILETYPE_CHARACTER_DEVICE);
        IS(__wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at), E(SPIPE));
    }
    IS(write_some(99, "x", 1, &(size_t){0}), E(BADF));
}

static __wasi_subscription_t of_clock(uint64_t id, uint64_t timeout) {
    __wasi_subscription_t wanted = {.userdata = id, .u.tag = __WASI_EVENTTYPE_CLOCK};
    wanted.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    wanted.u.u.clock.timeout = timeout;
    return wanted;
}

static __wasi_subscription_t of_stream(uint64_t id, int kind, __wasi_fd_t fd) {
    __wasi_subscription_t wanted = {.userdata = id, .u.tag = kind};
    wanted.u.u.fd_read.file_descriptor = fd;
    return wanted;
}

static void polling(__wasi_fd_t scratch) {
    (void)scratch;
    __wasi_timestamp_t before, after;
    __wasi_event_t events[3];
    size_t count;
    __wasi_subscription_t alone = of_clock(1, 5000000);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &before));
    OK(__wasi_poll_oneoff(&alone, events, 1, &count));
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &after));
    HOLDS(count == 1 && events[0].userdata == 1 && events[0].error == 0);
    HOLDS(events[0].type == __WASI_EVENTTYPE_CLOCK && after - before >= 5000000);
    __wasi_subscription_t wanted[3] = {
        of_clock(1, 200000000),
        of_stream(2, __WASI_EVENTTYPE_FD_WRITE, STDOUT),
        of_stream(3, __WASI_EVENTTYPE_FD_WRITE, STDERR),
    };
    OK(__wasi_poll_oneoff(wanted, events, 3, &count));
    HOLDS(count == 2 && events[0].userdata == 2 && events[1].userdata == 3);
    HOLDS(events[0].type == __WASI_EVENTTYPE_FD_WRITE && events[0].error == 0);
    wanted[1] = of_stream(4, __WASI_EVENTTYPE_FD_READ, STDIN);
    OK(__wasi_poll_oneoff(wanted, events, 2, &count));
    HOLDS(count == 1 && events[0].userdata == 4 && events[0].error == 0);
    IS(__wasi_poll_oneoff(wanted, events, 0, &count), E(INVAL));
}

static void clocks(__wasi_fd_t scratch) {
    (void)scratch;
    __wasi_timestamp_t first, second, resolution;
    for (int id = __WASI_CLOCKID_REALTIME; id <= __WASI_CLOCKID_THREAD_CPUTIME_ID; id++) {
        OK(__wasi_clock_res_get(id, &resolution));
        HOLDS(resolution > 0);
        OK(__wasi_clock_time_get(id, 0, &first));
        OK(__wasi_clock_time_get(id, 1, &second));
        HOLDS(first < second);
    }
    OK(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &first));
    HOLDS(first > 1500000000000000000);
    IS(__wasi_clock_time_get(9, 0, &first), E(INVAL));
    OK(__wasi_sched_yield());
}

static void randomness(__wasi_fd_t scratch) {
    (void)scratch;
    static uint8_t bytes[65536];
    int different = 0;
    OK(__wasi_random_get(bytes, 0));
    OK(__wasi_random_get(bytes, sizeof bytes));
    for (size_t at = 1; at < sizeof bytes; at++)
        different += bytes[at] != bytes[0];
    HOLDS(different > 60000);
}

static void sockets(__wasi_fd_t scratch) {
    IS(__wasi_sock_shutdown(STDOUT, __WASI_SDFLAGS_RD), E(NOTSOCK));
    IS(__wasi_sock_shutdown(scratch, __WASI_SDFLAGS_RD), E(NOTSOCK));
    IS(__wasi_sock_shutdown(999, __WASI_SDFLAGS_RD), E(BADF));
}

const struct test process_tests[] = {
    {"directories_are_no_files", directories_are_no_files},
    {"preopened_directories", preopened_directories},
    {"renumbering", renumbering},
    {"streams", streams},
    {"polling", polling},
    {"clocks", clocks},
    {"randomness", randomness},
    {"sockets", sockets},
    {NULL, NULL},
};
