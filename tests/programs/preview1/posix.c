/* What a program does through its C library, with files that it was given and
 * files that it makes.
 *
 *   posix.wasm DIRECTORY ARGUMENT…   works below the directory, prints its
 *                                    arguments and its environment, ends with 33
 *
 * The directory holds `text` with "01234567" and the directories `two`, with
 * `a` and `b`, and `empty`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

extern char **environ;

static void reads(void) {
    char bytes[8];
    FILE *file = fopen("text", "r");
    HOLDS(file != NULL);
    int fd = fileno(file);
    HOLDS(fread(bytes, 1, 4, file) == 4);
    fflush(file);
    HOLDS(lseek(fd, 0, SEEK_CUR) == 4);
    HOLDS(fread(bytes, 1, 1, file) == 1 && bytes[0] == '4');
    fflush(file);
    HOLDS(lseek(fd, 0, SEEK_CUR) == 5);
    HOLDS(lseek(fd, 0, SEEK_SET) == 0 && lseek(fd, 0, SEEK_END) == 8);
    HOLDS(pread(fd, bytes, 3, 4) == 3 && memcmp(bytes, "456", 3) == 0);
    fclose(file);
    HOLDS(fopen("missing", "r") == NULL && errno == ENOENT);
}

static void writes(void) {
    char bytes[4] = "abcd";
    int fd = open("made", O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0666);
    HOLDS(fd > 2);
    HOLDS(write(fd, bytes, 2) == 2 && lseek(fd, 0, SEEK_SET) == 0);
    HOLDS(write(fd, bytes, 2) == 2 && lseek(fd, 0, SEEK_CUR) == 4);
    HOLDS(pwrite(fd, bytes, 3, 0) == 3 && lseek(fd, 0, SEEK_CUR) == 4);
    HOLDS(ftruncate(fd, 2) == 0 && lseek(fd, 0, SEEK_END) == 2);
    HOLDS(close(fd) == 0);
    HOLDS(rename("made", "moved") == 0 && access("made", F_OK) != 0);
    HOLDS(symlink("moved", "link") == 0 && link("moved", "second") == 0);
    struct stat of_link, of_file;
    HOLDS(lstat("link", &of_link) == 0 && S_ISLNK(of_link.st_mode));
    HOLDS(stat("link", &of_file) == 0 && S_ISREG(of_file.st_mode) && of_file.st_nlink == 2);
    HOLDS(unlink("link") == 0 && unlink("second") == 0 && unlink("moved") == 0);
    HOLDS(mkdir("dir", 0777) == 0 && rmdir("dir") == 0);
    /* A file that was given can be changed here; the one below /in stays. */
    FILE *file = fopen("text", "r+");
    HOLDS(file != NULL && fputs("XY", file) >= 0 && fclose(file) == 0);
    HOLDS(open("/in/text", O_RDWR) == -1 && errno == EROFS);
}

static void lists(void) {
    int names = 0;
    ino_t inodes[2];
    int fd = open("two", O_RDONLY | O_DIRECTORY);
    DIR *directory = fdopendir(fd);
    HOLDS(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat found;
        if (entry->d_name[0] == '.')
            continue;
        HOLDS(names < 2 && entry->d_name[0] == "ab"[names] && entry->d_type == DT_REG);
        HOLDS(fstatat(fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0);
        HOLDS(found.st_ino == entry->d_ino);
        inodes[names++] = found.st_ino;
    }
    HOLDS(closedir(directory) == 0 && names == 2 && inodes[0] != inodes[1]);
    struct stat one, other;
    HOLDS(stat("two/a", &one) == 0 && stat("text", &other) == 0);
    HOLDS(one.st_dev == other.st_dev && one.st_ino != other.st_ino);
    HOLDS(stat("empty", &one) == 0 && S_ISDIR(one.st_mode));
    HOLDS(stat("/in/empty", &one) == 0 && S_ISDIR(one.st_mode));
}

static void waits(void) {
    const struct timespec pause = {.tv_nsec = 20000000};
    struct timespec before, after;
    HOLDS(clock_getres(CLOCK_REALTIME, &before) == 0);
    HOLDS(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
    HOLDS(nanosleep(&pause, NULL) == 0);
    HOLDS(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
    HOLDS(after.tv_sec > before.tv_sec || after.tv_nsec >= before.tv_nsec + pause.tv_nsec);
}

int main(int argc, char **argv) {
    HOLDS(argc >= 2 && chdir(argv[1]) == 0);
    reads();
    writes();
    lists();
    waits();
    for (int at = 2; at < argc; at++)
        printf("[%s]\n", argv[at]);
    for (char **variable = environ; *variable != NULL; variable++)
        printf("{%s}\n", *variable);
    return 33;
}
