/* What the guests of this folder share: checks that say where they fail, and
 * the calls of preview 1 with the arguments that most tests leave alone. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define R(name) __WASI_RIGHTS_##name
#define E(name) __WASI_ERRNO_##name

/* The call answers with one of the errors. */
#define IS(call, ...) \
    check_is(__LINE__, #call, (call), (const int[]){__VA_ARGS__, -1})
/* The call succeeds. */
#define OK(call) IS(call, 0)
/* The fact is true. */
#define HOLDS(fact) check_holds(__LINE__, #fact, (fact))

static inline void check_is(int line, const char *call, int found, const int *wanted) {
    for (int at = 0; wanted[at] >= 0; at++)
        if (found == wanted[at])
            return;
    fprintf(stderr, "line %d: %s answers %d, not %d\n", line, call, found, wanted[0]);
    exit(1);
}

static inline void check_holds(int line, const char *fact, int holds) {
    if (holds)
        return;
    fprintf(stderr, "line %d: %s does not hold\n", line, fact);
    exit(1);
}

/* A case by its name; `scratch` is a directory to work in. */
struct test {
    const char *name;
    void (*run)(__wasi_fd_t scratch);
};

static inline int open_at(__wasi_fd_t at, const char *path, int oflags, uint64_t base,
                          int fdflags, __wasi_fd_t *fd) {
    return __wasi_path_open(at, 0, path, oflags, base, 0, fdflags, fd);
}

static inline void touch(__wasi_fd_t at, const char *path) {
    __wasi_fd_t fd;
    OK(open_at(at, path, __WASI_OFLAGS_CREAT, 0, 0, &fd));
    HOLDS(fd > 2);
    OK(__wasi_fd_close(fd));
}

static inline int can_open(__wasi_fd_t at, const char *path, int oflags) {
    __wasi_fd_t fd;
    int error = open_at(at, path, oflags, 0, 0, &fd);
    if (error == 0)
        OK(__wasi_fd_close(fd));
    return error;
}

static inline int write_some(__wasi_fd_t fd, const void *bytes, size_t count, size_t *done) {
    __wasi_ciovec_t buffer = {bytes, count};
    return __wasi_fd_write(fd, &buffer, 1, done);
}

static inline int read_some(__wasi_fd_t fd, void *bytes, size_t count, size_t *done) {
    __wasi_iovec_t buffer = {bytes, count};
    return __wasi_fd_read(fd, &buffer, 1, done);
}

static inline __wasi_filestat_t stat_at(__wasi_fd_t at, int lookup, const char *path) {
    __wasi_filestat_t stat;
    OK(__wasi_path_filestat_get(at, lookup, path, &stat));
    return stat;
}

static inline __wasi_filestat_t stat_of(__wasi_fd_t fd) {
    __wasi_filestat_t stat;
    OK(__wasi_fd_filestat_get(fd, &stat));
    return stat;
}

static inline __wasi_fdstat_t state_of(__wasi_fd_t fd) {
    __wasi_fdstat_t state;
    OK(__wasi_fd_fdstat_get(fd, &state));
    return state;
}

extern const struct test file_tests[];
extern const struct test path_tests[];
extern const struct test process_tests[];

#endif
