// Gives each call of absent.h the answer of a system that lacks it. Modes and
// owners do not exist in WASI, so setting them succeeds and changes nothing;
// there is no shell and no nameless file.
#include "absent.h"

#include <errno.h>
#include <stddef.h>

int chmod(const char *path, mode_t mode) {
    (void)path;
    (void)mode;
    return 0;
}

int chown(const char *path, uid_t owner, gid_t group) {
    (void)path;
    (void)owner;
    (void)group;
    return 0;
}

int system(const char *command) {
    if (command == NULL) {
        return 0;
    }
    errno = ENOSYS;
    return -1;
}

FILE *tmpfile(void) {
    errno = ENOSYS;
    return NULL;
}

char *tmpnam(char *buffer) {
    (void)buffer;
    errno = ENOSYS;
    return NULL;
}
