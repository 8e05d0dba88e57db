/* Files: transfers, offsets, sizes, times, rights. */
#include "check.h"

#define READ_WRITE (R(FD_READ) | R(FD_WRITE))

static void seek_and_tell(__wasi_fd_t scratch) {
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    size_t done;
    char bytes[100] = {0};
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, READ_WRITE | R(FD_SEEK) | R(FD_TELL), 0, &fd));
    OK(__wasi_fd_tell(fd, &at));
    HOLDS(at == 0);
    OK(write_some(fd, bytes, sizeof bytes, &done));
    HOLDS(done == sizeof bytes);
    OK(__wasi_fd_tell(fd, &at));
    HOLDS(at == 100);
    OK(__wasi_fd_seek(fd, -50, __WASI_WHENCE_CUR, &at));
    HOLDS(at == 50);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    HOLDS(at == 0);
    OK(__wasi_fd_seek(fd, 1000, __WASI_WHENCE_CUR, &at));
    HOLDS(at == 1000);
    OK(__wasi_fd_seek(fd, -1, __WASI_WHENCE_END, &at));
    HOLDS(at == 99);
    IS(__wasi_fd_seek(fd, -2000, __WASI_WHENCE_CUR, &at), E(INVAL));
    IS(__wasi_fd_seek(fd, 0, 3, &at), E(INVAL));
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(read_some(fd, bytes, sizeof bytes, &done));
    HOLDS(done == sizeof bytes);
    OK(__wasi_fd_tell(fd, &at));
    HOLDS(at == 100);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void positioned_transfers(__wasi_fd_t scratch) {
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    size_t done;
    const char out[4] = {0, 1, 2, 3};
    char in[4] = {9, 9, 9, 9};
    __wasi_ciovec_t parts_out[2] = {{(const uint8_t *)out, 2}, {(const uint8_t *)out + 2, 2}};
    __wasi_iovec_t parts_in[2] = {{(uint8_t *)in, 1}, {(uint8_t *)in + 1, 3}};
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, READ_WRITE | R(FD_SEEK), 0, &fd));
    OK(__wasi_fd_pwrite(fd, parts_out, 2, 0, &done));
    HOLDS(done == 4);
    OK(__wasi_fd_pread(fd, parts_in, 2, 0, &done));
    HOLDS(done == 4 && memcmp(in, out, 4) == 0);
    memset(in, 0, sizeof in);
    OK(__wasi_fd_pread(fd, parts_in, 2, 2, &done));
    HOLDS(done == 2 && memcmp(in, "\2\3\0\0", 4) == 0);
    OK(__wasi_fd_pread(fd, parts_in, 2, 4, &done));
    HOLDS(done == 0);
    OK(__wasi_fd_pwrite(fd, parts_out, 1, 2, &done));
    HOLDS(done == 2);
    OK(__wasi_fd_pread(fd, parts_in, 2, 0, &done));
    HOLDS(done == 4 && memcmp(in, "\0\1\0\1", 4) == 0);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, &at));
    HOLDS(at == 0);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void appending(__wasi_fd_t scratch) {
    const uint64_t rights = READ_WRITE | R(FD_SEEK) | R(FD_TELL) | R(FD_FDSTAT_SET_FLAGS);
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    size_t done;
    char in[6];
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, rights, __WASI_FDFLAGS_APPEND, &fd));
    HOLDS(state_of(fd).fs_flags == __WASI_FDFLAGS_APPEND);
    OK(write_some(fd, "aa", 2, &done));
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(write_some(fd, "bb", 2, &done));
    OK(__wasi_fd_tell(fd, &at));
    HOLDS(at == 4);
    OK(__wasi_fd_fdstat_set_flags(fd, 0));
    HOLDS(state_of(fd).fs_flags == 0);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(write_some(fd, "c", 1, &done));
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(read_some(fd, in, sizeof in, &done));
    HOLDS(done == 4 && memcmp(in, "cabb", 4) == 0);
    OK(__wasi_fd_close(fd));
    HOLDS(stat_at(scratch, 0, "file").size == 4);
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void sizes(__wasi_fd_t scratch) {
    const uint64_t rights = READ_WRITE | R(FD_ADVISE) | R(FD_ALLOCATE) | R(FD_FILESTAT_GET) |
                            R(FD_FILESTAT_SET_SIZE) | R(FD_SYNC) | R(FD_DATASYNC);
    __wasi_fd_t fd;
    size_t done;
    char in[8];
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, rights, 0, &fd));
    HOLDS(stat_of(fd).size == 0);
    OK(__wasi_fd_allocate(fd, 0, 100));
    HOLDS(stat_of(fd).size == 100);
    OK(__wasi_fd_allocate(fd, 10, 10));
    HOLDS(stat_of(fd).size == 100);
    OK(__wasi_fd_allocate(fd, 90, 20));
    HOLDS(stat_of(fd).size == 110);
    OK(__wasi_fd_advise(fd, 10, 50, __WASI_ADVICE_NORMAL));
    OK(__wasi_fd_filestat_set_size(fd, 5));
    HOLDS(stat_of(fd).size == 5);
    OK(__wasi_fd_filestat_set_size(fd, 7));
    OK(read_some(fd, in, sizeof in, &done));
    HOLDS(done == 7 && memcmp(in, "\0\0\0\0\0\0\0", 7) == 0);
    OK(__wasi_fd_sync(fd));
    OK(__wasi_fd_datasync(fd));
    OK(__wasi_fd_close(fd));
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, READ_WRITE, 0, &fd));
    OK(read_some(fd, in, sizeof in, &done));
    HOLDS(done == 0);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void times(__wasi_fd_t scratch) {
    const int both_modified = __WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW;
    const int both_accessed = __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW;
    __wasi_fd_t fd;
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT,
               READ_WRITE | R(FD_FILESTAT_GET) | R(FD_FILESTAT_SET_TIMES), 0, &fd));
    __wasi_filestat_t before = stat_of(fd);
    uint64_t earlier = before.mtim - 100;
    OK(__wasi_fd_filestat_set_times(fd, earlier, earlier, __WASI_FSTFLAGS_MTIM));
    __wasi_filestat_t after = stat_of(fd);
    HOLDS(after.mtim == earlier && after.atim == before.atim && after.size == 0);
    IS(__wasi_fd_filestat_set_times(fd, 100, 200, both_modified), E(INVAL));
    IS(__wasi_fd_filestat_set_times(fd, 100, 200, both_accessed), E(INVAL));
    OK(__wasi_path_filestat_set_times(scratch, 0, "file", 0, earlier - 1, __WASI_FSTFLAGS_MTIM));
    HOLDS(stat_of(fd).mtim == earlier - 1);
    IS(__wasi_path_filestat_set_times(scratch, 0, "file", 0, 5, both_modified), E(INVAL));
    HOLDS(stat_of(fd).mtim == earlier - 1);
    OK(__wasi_path_filestat_set_times(scratch, 0, "file", 0, 0, __WASI_FSTFLAGS_MTIM_NOW));
    HOLDS(stat_of(fd).mtim >= before.mtim);
    OK(__wasi_path_symlink("file", scratch, "link"));
    uint64_t of_file = stat_of(fd).mtim;
    uint64_t of_link = stat_at(scratch, 0, "link").mtim - 200;
    OK(__wasi_path_filestat_set_times(scratch, 0, "link", 0, of_link, __WASI_FSTFLAGS_MTIM));
    HOLDS(stat_at(scratch, 0, "link").mtim == of_link && stat_of(fd).mtim == of_file);
    HOLDS(stat_at(scratch, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link").mtim == of_file);
    OK(__wasi_path_filestat_set_times(scratch, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link", 0,
                                      of_link, __WASI_FSTFLAGS_MTIM));
    HOLDS(stat_of(fd).mtim == of_link);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "link"));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void rights_of_files(__wasi_fd_t scratch) {
    __wasi_fd_t fd;
    size_t done;
    char in[4];
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, READ_WRITE | R(FD_SEEK) | R(FD_TELL), 0, &fd));
    OK(write_some(fd, "abcd", 4, &done));
    __wasi_fdstat_t state = state_of(fd);
    OK(__wasi_fd_fdstat_set_rights(fd, state.fs_rights_base & ~READ_WRITE, 0));
    HOLDS((state_of(fd).fs_rights_base & READ_WRITE) == 0);
    HOLDS((state_of(fd).fs_rights_base & R(FD_SEEK)) != 0);
    IS(read_some(fd, in, 4, &done), E(NOTCAPABLE), E(BADF));
    IS(write_some(fd, in, 4, &done), E(NOTCAPABLE), E(BADF));
    IS(__wasi_fd_fdstat_set_rights(fd, state.fs_rights_base, 0), E(NOTCAPABLE));
    OK(__wasi_fd_close(fd));
    OK(open_at(scratch, "file", 0, R(FD_READ), 0, &fd));
    HOLDS((state_of(fd).fs_rights_base & READ_WRITE) == R(FD_READ));
    IS(write_some(fd, in, 4, &done), E(NOTCAPABLE), E(BADF));
    OK(read_some(fd, in, 4, &done));
    HOLDS(done == 4);
    OK(__wasi_fd_close(fd));
    OK(open_at(scratch, "file", 0, R(FD_WRITE), 0, &fd));
    HOLDS((state_of(fd).fs_rights_base & READ_WRITE) == R(FD_WRITE));
    IS(read_some(fd, in, 4, &done), E(NOTCAPABLE), E(BADF));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void rights_to_truncate(__wasi_fd_t scratch) {
    touch(scratch, "file");
    __wasi_fdstat_t state = state_of(scratch);
    HOLDS(state.fs_filetype == __WASI_FILETYPE_DIRECTORY && state.fs_flags == 0);
    HOLDS((state.fs_rights_base & R(FD_FILESTAT_SET_SIZE)) == 0);
    HOLDS((state.fs_rights_base & R(PATH_FILESTAT_SET_SIZE)) != 0);
    OK(can_open(scratch, "file", __WASI_OFLAGS_TRUNC));
    uint64_t inherited = state.fs_rights_inheriting & ~R(FD_FILESTAT_SET_SIZE);
    OK(__wasi_fd_fdstat_set_rights(scratch, state.fs_rights_base, inherited));
    OK(can_open(scratch, "file", __WASI_OFLAGS_TRUNC));
    uint64_t base = state.fs_rights_base & ~R(PATH_FILESTAT_SET_SIZE);
    OK(__wasi_fd_fdstat_set_rights(scratch, base, inherited));
    HOLDS(state_of(scratch).fs_rights_base == base);
    IS(can_open(scratch, "file", __WASI_OFLAGS_TRUNC), E(NOTCAPABLE), E(PERM));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void two_descriptors_of_a_file(__wasi_fd_t scratch) {
    __wasi_fd_t reader, writer;
    size_t done;
    char in = 0;
    OK(open_at(scratch, "file", __WASI_OFLAGS_CREAT, R(FD_READ), 0, &reader));
    OK(open_at(scratch, "file", 0, R(FD_WRITE), 0, &writer));
    OK(write_some(writer, "x", 1, &done));
    OK(read_some(reader, &in, 1, &done));
    HOLDS(done == 1 && in == 'x');
    OK(__wasi_fd_close(writer));
    OK(__wasi_path_unlink_file(scratch, "file"));
    HOLDS(stat_of(scratch).filetype == __WASI_FILETYPE_DIRECTORY);
    OK(read_some(reader, &in, 1, &done));
    HOLDS(done == 0);
    OK(__wasi_fd_close(reader));
    IS(__wasi_fd_close(reader), E(BADF));
}

const struct test file_tests[] = {
    {"seek_and_tell", seek_and_tell},
    {"positioned_transfers", positioned_transfers},
    {"appending", appending},
    {"sizes", sizes},
    {"times", times},
    {"rights_of_files", rights_of_files},
    {"rights_to_truncate", rights_to_truncate},
    {"two_descriptors_of_a_file", two_descriptors_of_a_file},
    {NULL, NULL},
};
