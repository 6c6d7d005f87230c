/*
 * The clock of a host that is wrong by the seconds in /etc/clock-skew, for every program of a
 * container that has this in /etc/ld.so.preload: of the day, and of files. What counts seconds
 * since the start of the host goes on as it is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static long skew;

__attribute__((constructor)) static void read_skew(void)
{
    FILE *file = fopen("/etc/clock-skew", "re");

    if (file == NULL)
        return;
    if (fscanf(file, "%ld", &skew) != 1)
        skew = 0;
    fclose(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);

    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += skew;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int failed = syscall(SYS_gettimeofday, now, zone);

    if (!failed)
        now->tv_sec += skew;
    return failed;
}

time_t time(time_t *at)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL)
        *at = now.tv_sec;
    return now.tv_sec;
}

int fstatat(int directory, const char *restrict path, struct stat *restrict found, int flags)
{
    int failed = syscall(SYS_newfstatat, directory, path, found, flags);

    if (!failed) {
        found->st_atim.tv_sec += skew;
        found->st_mtim.tv_sec += skew;
        found->st_ctim.tv_sec += skew;
    }
    return failed;
}

int stat(const char *restrict path, struct stat *restrict found)
{
    return fstatat(AT_FDCWD, path, found, 0);
}

int lstat(const char *restrict path, struct stat *restrict found)
{
    return fstatat(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

int fstat(int file, struct stat *found)
{
    return fstatat(file, "", found, AT_EMPTY_PATH);
}

/* The names that programs for large files use. */
#pragma GCC diagnostic ignored "-Wmissing-attributes"
int fstatat64(int, const char *restrict, struct stat *restrict, int)
    __attribute__((alias("fstatat")));
int stat64(const char *restrict, struct stat *restrict) __attribute__((alias("stat")));
int lstat64(const char *restrict, struct stat *restrict) __attribute__((alias("lstat")));
int fstat64(int, struct stat *) __attribute__((alias("fstat")));
