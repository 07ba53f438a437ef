/* A disk that fails: preloaded into a process, it lets every write and sync of the store's files (spill.db, its log) end with
 * EIO as long as the file named by DISK_FAILS exists. Reading goes on. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int fd) {
    const char *trigger = getenv("DISK_FAILS");
    if (!trigger || access(trigger, F_OK)) return 0;
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/spill.db")) return 0;
    errno = EIO;
    return 1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return fails(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int fsync(int fd) { return fails(fd) ? -1 : syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails(fd) ? -1 : syscall(SYS_fdatasync, fd); }
