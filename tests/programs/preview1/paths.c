/* Paths: resolution, directories, links, renaming, listing. */
#include "check.h"

#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW
#define DIRECTORY __WASI_OFLAGS_DIRECTORY
#define CREATE __WASI_OFLAGS_CREAT

static int follow(__wasi_fd_t at, const char *path, int oflags) {
    __wasi_fd_t fd;
    int error = __wasi_path_open(at, FOLLOW, path, oflags, 0, 0, 0, &fd);
    if (error == 0)
        OK(__wasi_fd_close(fd));
    return error;
}

static void resolution(__wasi_fd_t scratch) {
    OK(__wasi_path_create_directory(scratch, "dir"));
    OK(__wasi_path_create_directory(scratch, "dir/nested"));
    touch(scratch, "dir/nested/file");
    IS(can_open(scratch, "/dir/nested/file", 0), E(PERM), E(NOTCAPABLE));
    OK(can_open(scratch, "dir/.//nested/../../dir/nested/../nested///./file", 0));
    IS(can_open(scratch, "dir/nested/file/", 0), E(NOTDIR), E(NOENT));
    IS(can_open(scratch, "dir/nested/file///", 0), E(NOTDIR), E(NOENT));
    OK(can_open(scratch, "dir/nested/", 0));
    OK(can_open(scratch, "dir/nested///", 0));
    IS(can_open(scratch, "dir/nested/../../../resolution/dir", 0), E(PERM), E(NOTCAPABLE));
    IS(can_open(scratch, "..", 0), E(PERM), E(NOTCAPABLE));
    IS(can_open(scratch, "missing", 0), E(NOENT));
    IS(can_open(scratch, "dir/nested/file", CREATE | __WASI_OFLAGS_EXCL), E(EXIST));
    IS(can_open(scratch, "dir/nested/file", DIRECTORY), E(NOTDIR));
    OK(__wasi_path_unlink_file(scratch, "dir/nested/file"));
    OK(__wasi_path_remove_directory(scratch, "dir/nested"));
    OK(__wasi_path_remove_directory(scratch, "dir"));
}

static void below_a_file(__wasi_fd_t scratch) {
    __wasi_fd_t fd, other;
    OK(open_at(scratch, "file", CREATE, 0, 0, &fd));
    IS(open_at(fd, "below", CREATE, 0, 0, &other), E(NOTDIR), E(NOTCAPABLE));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void removing(__wasi_fd_t scratch) {
    OK(__wasi_path_create_directory(scratch, "dir"));
    IS(__wasi_path_create_directory(scratch, "dir"), E(EXIST));
    IS(__wasi_path_unlink_file(scratch, "dir"), E(ISDIR));
    IS(__wasi_path_unlink_file(scratch, "dir/"), E(ISDIR));
    touch(scratch, "dir/file");
    IS(__wasi_path_remove_directory(scratch, "dir"), E(NOTEMPTY));
    IS(__wasi_path_remove_directory(scratch, "dir/file"), E(NOTDIR));
    IS(__wasi_path_remove_directory(scratch, "dir/file/"), E(NOTDIR));
    IS(__wasi_path_unlink_file(scratch, "dir/file/"), E(NOTDIR));
    OK(__wasi_path_unlink_file(scratch, "dir/file"));
    IS(__wasi_path_unlink_file(scratch, "dir/file"), E(NOENT));
    OK(__wasi_path_remove_directory(scratch, "dir/"));
    /* An open directory can be removed, and its name be given anew. */
    __wasi_fd_t fd;
    OK(__wasi_path_create_directory(scratch, "dir"));
    OK(open_at(scratch, "dir", DIRECTORY, 0, 0, &fd));
    OK(__wasi_path_remove_directory(scratch, "dir"));
    OK(__wasi_path_create_directory(scratch, "dir"));
    OK(__wasi_path_remove_directory(scratch, "dir"));
    OK(__wasi_fd_close(fd));
}

static void renaming_directories(__wasi_fd_t scratch) {
    OK(__wasi_path_create_directory(scratch, "source"));
    OK(__wasi_path_rename(scratch, "source", scratch, "target"));
    IS(can_open(scratch, "source", DIRECTORY), E(NOENT));
    OK(can_open(scratch, "target", DIRECTORY));
    OK(__wasi_path_create_directory(scratch, "source"));
    OK(__wasi_path_rename(scratch, "source", scratch, "target"));
    IS(can_open(scratch, "source", DIRECTORY), E(NOENT));
    OK(__wasi_path_create_directory(scratch, "source"));
    touch(scratch, "target/file");
    IS(__wasi_path_rename(scratch, "source", scratch, "target"), E(NOTEMPTY));
    IS(__wasi_path_rename(scratch, "source", scratch, "target/file"), E(NOTDIR));
    OK(__wasi_path_unlink_file(scratch, "target/file"));
    OK(__wasi_path_remove_directory(scratch, "target"));
    OK(__wasi_path_rename(scratch, "source/", scratch, "target"));
    OK(__wasi_path_rename(scratch, "target", scratch, "source/"));
    OK(__wasi_path_rename(scratch, "source/", scratch, "target/"));
    OK(__wasi_path_remove_directory(scratch, "target"));
}

static void renaming_files(__wasi_fd_t scratch) {
    touch(scratch, "source");
    OK(__wasi_path_rename(scratch, "source", scratch, "target"));
    IS(can_open(scratch, "source", 0), E(NOENT));
    OK(can_open(scratch, "target", 0));
    touch(scratch, "source");
    OK(__wasi_path_rename(scratch, "source", scratch, "target"));
    IS(can_open(scratch, "source", 0), E(NOENT));
    OK(__wasi_path_create_directory(scratch, "dir"));
    IS(__wasi_path_rename(scratch, "target", scratch, "dir"), E(ISDIR));
    OK(__wasi_path_remove_directory(scratch, "dir"));
    OK(__wasi_path_unlink_file(scratch, "target"));
}

static void hard_links(__wasi_fd_t scratch) {
    const uint64_t rights = R(FD_READ) | R(FD_FILESTAT_GET);
    __wasi_fd_t file, link, dir;
    OK(open_at(scratch, "file", CREATE, rights, 0, &file));
    OK(__wasi_path_create_directory(scratch, "dir"));
    OK(__wasi_path_open(scratch, 0, "dir", DIRECTORY, R(PATH_OPEN) | R(PATH_LINK_TARGET), rights,
                        0, &dir));
    OK(__wasi_path_link(scratch, 0, "file", dir, "link"));
    OK(open_at(dir, "link", 0, rights, 0, &link));
    __wasi_filestat_t one = stat_of(file), other = stat_of(link);
    HOLDS(memcmp(&one, &other, sizeof one) == 0 && one.nlink == 2);
    HOLDS(state_of(file).fs_rights_base == state_of(link).fs_rights_base);
    OK(__wasi_fd_close(link));
    OK(__wasi_fd_close(dir));
    OK(__wasi_fd_close(file));
    IS(__wasi_path_link(scratch, 0, "file", scratch, "file"), E(EXIST));
    IS(__wasi_path_link(scratch, 0, "file", scratch, "dir"), E(EXIST));
    IS(__wasi_path_link(scratch, 0, "dir", scratch, "link"), E(PERM), E(ACCES));
    IS(__wasi_path_link(scratch, 0, "file", scratch, "link/"), E(NOENT));
    OK(__wasi_path_symlink("target", scratch, "symlink"));
    OK(__wasi_path_link(scratch, 0, "symlink", scratch, "link"));
    HOLDS(stat_at(scratch, 0, "link").filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    IS(__wasi_path_link(scratch, 0, "file", scratch, "symlink"), E(EXIST));
    IS(__wasi_path_link(scratch, FOLLOW, "symlink", scratch, "new"), E(INVAL), E(NOENT));
    OK(__wasi_path_unlink_file(scratch, "symlink"));
    OK(__wasi_path_unlink_file(scratch, "link"));
    OK(__wasi_path_unlink_file(scratch, "dir/link"));
    OK(__wasi_path_remove_directory(scratch, "dir"));
    OK(__wasi_path_unlink_file(scratch, "file"));
}

static void symbolic_links(__wasi_fd_t scratch) {
    uint8_t text[10] = {0};
    size_t used;
    IS(__wasi_path_symlink("/", scratch, "link"), E(PERM), E(NOTCAPABLE));
    IS(__wasi_path_symlink("target", scratch, "link/"), E(NOENT));
    OK(__wasi_path_symlink("target", scratch, "link"));
    IS(can_open(scratch, "link", DIRECTORY), E(NOTDIR), E(LOOP));
    IS(can_open(scratch, "link", 0), E(LOOP));
    OK(__wasi_path_readlink(scratch, "link", text, sizeof text, &used));
    HOLDS(used == 6 && memcmp(text, "target\0\0\0\0", 10) == 0);
    OK(__wasi_path_readlink(scratch, "link", text, 4, &used));
    HOLDS(used == 4);
    OK(__wasi_path_create_directory(scratch, "target"));
    IS(can_open(scratch, "link", DIRECTORY), E(NOTDIR), E(LOOP));
    OK(follow(scratch, "link", DIRECTORY));
    HOLDS(stat_at(scratch, FOLLOW, "link").filetype == __WASI_FILETYPE_DIRECTORY);
    HOLDS(stat_at(scratch, 0, "link").filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    IS(__wasi_path_symlink("source", scratch, "target/"), E(EXIST));
    IS(__wasi_path_symlink("source", scratch, "target"), E(EXIST));
    OK(__wasi_path_remove_directory(scratch, "target"));
    touch(scratch, "target");
    OK(follow(scratch, "link", 0));
    IS(follow(scratch, "link", DIRECTORY), E(NOTDIR));
    IS(__wasi_path_symlink("source", scratch, "target/"), E(NOTDIR), E(EXIST));
    OK(__wasi_path_unlink_file(scratch, "target"));
    OK(__wasi_path_unlink_file(scratch, "link"));
    OK(__wasi_path_symlink("link", scratch, "link"));
    IS(follow(scratch, "link", 0), E(LOOP));
    OK(__wasi_path_unlink_file(scratch, "link"));
}

/* Counts the entries of a directory through a small buffer; the last name goes
 * to `last`. */
static int list(__wasi_fd_t fd, char last[32], uint64_t *inode) {
    uint8_t buffer[256];
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    size_t used;
    int count = 0;
    do {
        OK(__wasi_fd_readdir(fd, buffer, sizeof buffer, cookie, &used));
        HOLDS(used <= sizeof buffer);
        for (size_t at = 0; at + sizeof(__wasi_dirent_t) <= used;) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            at += sizeof entry;
            if (at + entry.d_namlen > used)
                break;
            snprintf(last, 32, "%.*s", (int)entry.d_namlen, buffer + at);
            at += entry.d_namlen;
            *inode = entry.d_ino;
            cookie = entry.d_next;
            count++;
        }
    } while (used == sizeof buffer);
    return count;
}

static void listing(__wasi_fd_t scratch) {
    char name[32];
    uint64_t inode;
    HOLDS(list(scratch, name, &inode) == 2);
    touch(scratch, "file");
    HOLDS(list(scratch, name, &inode) == 3);
    HOLDS(strcmp(name, "file") == 0 && inode == stat_at(scratch, 0, "file").ino);
    OK(__wasi_path_unlink_file(scratch, "file"));
    for (int number = 0; number < 1000; number++) {
        snprintf(name, sizeof name, "file.%d", number);
        touch(scratch, name);
    }
    HOLDS(list(scratch, name, &inode) == 1002);
    for (int number = 0; number < 1000; number++) {
        snprintf(name, sizeof name, "file.%d", number);
        OK(__wasi_path_unlink_file(scratch, name));
    }
    HOLDS(list(scratch, name, &inode) == 2);
}

const struct test path_tests[] = {
    {"resolution", resolution},
    {"below_a_file", below_a_file},
    {"removing", removing},
    {"renaming_directories", renaming_directories},
    {"renaming_files", renaming_files},
    {"hard_links", hard_links},
    {"symbolic_links", symbolic_links},
    {"listing", listing},
    {NULL, NULL},
};
