/* Calls of preview 1 as a program makes them, below its C library.
 *
 *   calls.wasm                  prints the names of the cases
 *   calls.wasm CASE DIRECTORY   runs one in a pre-opened directory; 0 if it holds
 */
#include "check.h"

static const struct test *const TABLES[] = {file_tests, path_tests, process_tests};

/* Opens anew the directory that the program was given under a name. */
static __wasi_fd_t preopened(const char *name) {
    for (__wasi_fd_t fd = 3;; fd++) {
        __wasi_prestat_t prestat;
        char found[64] = {0};
        OK(__wasi_fd_prestat_get(fd, &prestat));
        HOLDS(prestat.tag == __WASI_PREOPENTYPE_DIR);
        HOLDS(prestat.u.dir.pr_name_len < sizeof found);
        OK(__wasi_fd_prestat_dir_name(fd, (uint8_t *)found, prestat.u.dir.pr_name_len));
        if (strcmp(found, name) != 0)
            continue;
        __wasi_fdstat_t state = state_of(fd);
        OK(__wasi_path_open(fd, 0, ".", __WASI_OFLAGS_DIRECTORY, state.fs_rights_base,
                            state.fs_rights_inheriting, 0, &fd));
        return fd;
    }
}

/* Makes a directory of the case's own, and opens it with the rights that
 * programs commonly ask for. */
static __wasi_fd_t scratch_of(__wasi_fd_t top, const char *name) {
    const uint64_t base = R(FD_FILESTAT_GET) | R(FD_READDIR) | R(PATH_CREATE_FILE) |
                          R(PATH_CREATE_DIRECTORY) | R(PATH_REMOVE_DIRECTORY) | R(PATH_OPEN) |
                          R(PATH_UNLINK_FILE) | R(PATH_LINK_SOURCE) | R(PATH_LINK_TARGET) |
                          R(PATH_READLINK) | R(PATH_RENAME_SOURCE) | R(PATH_RENAME_TARGET) |
                          R(PATH_FILESTAT_GET) | R(PATH_FILESTAT_SET_SIZE) |
                          R(PATH_FILESTAT_SET_TIMES) | R(PATH_SYMLINK);
    const uint64_t inherited = R(FD_READ) | R(FD_WRITE) | R(FD_READDIR) | R(FD_FILESTAT_GET) |
                               R(FD_SEEK) | R(FD_TELL) | R(FD_SYNC) | R(FD_DATASYNC) |
                               R(FD_ADVISE) | R(FD_ALLOCATE) | R(FD_FDSTAT_SET_FLAGS) |
                               R(FD_FILESTAT_SET_SIZE) | R(FD_FILESTAT_SET_TIMES) |
                               R(PATH_OPEN) | R(PATH_UNLINK_FILE) | R(PATH_LINK_SOURCE) |
                               R(PATH_LINK_TARGET) | R(PATH_FILESTAT_GET);
    __wasi_fd_t fd;
    OK(__wasi_path_create_directory(top, name));
    OK(__wasi_path_open(top, 0, name, __WASI_OFLAGS_DIRECTORY, base, inherited, 0, &fd));
    return fd;
}

int main(int argc, char **argv) {
    for (size_t table = 0; table < sizeof TABLES / sizeof *TABLES; table++) {
        for (const struct test *test = TABLES[table]; test->name != NULL; test++) {
            if (argc == 1) {
                puts(test->name);
            } else if (argc == 3 && strcmp(argv[1], test->name) == 0) {
                __wasi_fd_t top = preopened(argv[2]);
                test->run(scratch_of(top, test->name));
                /* A case leaves nothing behind, open descriptors aside. */
                OK(__wasi_path_remove_directory(top, test->name));
                return 0;
            }
        }
    }
    return argc == 1 ? 0 : 2;
}
