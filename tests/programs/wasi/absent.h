// Declares the POSIX calls that these programs name and that WASI preview 1
// and its C library do not have. Included ahead of every source file, so that
// the programs' own files stay as they were published.
#ifndef ABSENT_H
#define ABSENT_H

#include <stdio.h>
#include <sys/types.h>

int chmod(const char *path, mode_t mode);
int chown(const char *path, uid_t owner, gid_t group);
int system(const char *command);
FILE *tmpfile(void);
char *tmpnam(char *buffer);

#ifndef L_tmpnam
#define L_tmpnam 32
#endif

#endif
