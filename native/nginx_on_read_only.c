/* Loaded into nginx (LD_PRELOAD), so that it serves usual configurations from a read-only disk, and
 * so that no log can ever hold it up. What it changes, and why: docs/adr/0018.
 *
 *   opened to append        does not block: a log that nobody reads loses lines, not time
 *   /var/log/nginx/NAME     is the container's log, each line after `NAME: `
 *   an [emerg] line         is written to the first standard error too, which the daemon reads
 *   /etc/nginx/NAME         if missing, is read from what Debian ships there
 *   a pid file              where none can be written, is none
 *   /var/cache/nginx/A/B    is made with the directories above it
 *   load_module PATH/M.so   if missing, is M.so of the image
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CONFIGURATION "/etc/nginx/"
#define SHIPPED "/usr/share/kiss-ha/nginx/"
#define LOGS "/var/log/nginx/"
#define CACHES "/var/cache/nginx/"
#define CACHES_LIE "/tmp/nginx-cache"
#define MODULES "/usr/lib/nginx/modules/"
#define MOST_LOGS 65536

/* "2026/01/31 12:00:00 [emerg] " */
#define LEVEL_AT 20

static int (*next_open)(const char *, int, ...);
static int (*next_openat)(int, const char *, int, ...);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_mkdir)(const char *, mode_t);
static void *(*next_dlopen)(const char *, int);

/* nginx itself replaces its standard error by the error_log of the configuration. */
static int container_log = -1, standard_error = -1;

/* By descriptor. Nothing tells when one is closed, hence `is_log`. */
static const char *names[MOST_LOGS];

__attribute__((constructor)) static void start(void) {
    next_open = dlsym(RTLD_NEXT, "open64");
    next_openat = dlsym(RTLD_NEXT, "openat64");
    next_write = dlsym(RTLD_NEXT, "write");
    next_mkdir = dlsym(RTLD_NEXT, "mkdir");
    next_dlopen = dlsym(RTLD_NEXT, "dlopen");
    container_log = next_open("/dev/stdout", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

static int begins(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int same_file(int one, int other) {
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* A volume that the user has mounted there gets real files, and a link of the image leads on. */
static int on_image(const char *path) {
    char directory[PATH_MAX];
    struct stat found, root;
    if (lstat(path, &found) == 0) return 0;
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    return stat(directory, &found) != 0 || (stat("/", &root) == 0 && found.st_dev == root.st_dev);
}

static int open_log(const char *path) {
    int descriptor = fcntl(container_log, F_DUPFD_CLOEXEC, 0);
    if (descriptor >= 0 && descriptor < MOST_LOGS) names[descriptor] = strdup(path + strlen(LOGS));
    return descriptor;
}

/* Try elsewhere what could not be opened; errno is that of the first try if that fails too. */
static int open_instead(const char *path, int flags, mode_t mode) {
    int error = errno, descriptor = -1;
    char other[PATH_MAX];
    if ((flags & O_ACCMODE) == O_RDONLY && error == ENOENT && begins(path, CONFIGURATION)) {
        snprintf(other, sizeof other, SHIPPED "%s", path + strlen(CONFIGURATION));
        descriptor = next_open(other, flags, mode);
    }
    /* Only the pid file is opened so; what else is made has O_EXCL, or is only written. */
    if ((flags & (O_ACCMODE | O_CREAT | O_EXCL)) == (O_RDWR | O_CREAT) &&
        (error == EROFS || error == ENOENT || error == EACCES)) {
        descriptor = next_open("/dev/null", O_RDWR | (flags & O_CLOEXEC));
    }
    errno = error;
    return descriptor;
}

int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    int appends = (flags & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND);
    if (appends && container_log >= 0 && begins(path, LOGS) && on_image(path)) return open_log(path);
    int descriptor = next_open(path, appends ? flags | O_NONBLOCK : flags, mode);
    if (descriptor < 0) return open_instead(path, flags, mode);
    if (descriptor < MOST_LOGS) names[descriptor] = NULL;
    return descriptor;
}

int open(const char *, int, ...) __attribute__((alias("open64")));

static int is_log(int descriptor) {
    return descriptor >= 0 && descriptor < MOST_LOGS && names[descriptor] != NULL &&
           same_file(descriptor, container_log);
}

/* Up to PIPE_BUF (4096) bytes the lines of several processes do not mix. */
static ssize_t write_lines(int descriptor, const char *name, const char *text, size_t size) {
    const char *end = text + size;
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', end - line);
        next = newline ? newline + 1 : end;
        struct iovec parts[] = {
            {(void *)name, strlen(name)},
            {": ", 2},
            {(void *)line, next - line},
            {"\n", newline ? 0 : 1},
        };
        if (writev(descriptor, parts, 4) < 0) return -1;
    }
    return size;
}

ssize_t write(int descriptor, const void *text, size_t size) {
    const char *level = (const char *)text + LEVEL_AT;
    int named = is_log(descriptor);
    if (size > LEVEL_AT + 8 && memcmp(level, "[emerg] ", 8) == 0 &&
        (named || !same_file(descriptor, standard_error))) {
        next_write(standard_error, text, size);
    }
    if (named) return write_lines(descriptor, names[descriptor], text, size);
    return next_write(descriptor, text, size);
}

static void make_parents(const char *path) {
    char parent[PATH_MAX];
    next_mkdir(CACHES_LIE, 0755);
    for (const char *slash = path + strlen(CACHES); (slash = strchr(slash, '/')); slash++) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        next_mkdir(parent, 0755);
    }
}

int mkdir(const char *path, mode_t mode) {
    int made = next_mkdir(path, mode);
    if (made == 0 || errno != ENOENT || !begins(path, CACHES)) return made;
    make_parents(path);
    return next_mkdir(path, mode);
}

void *dlopen(const char *path, int flags) {
    char other[PATH_MAX];
    if (path && strchr(path, '/') && access(path, F_OK) != 0) {
        snprintf(other, sizeof other, MODULES "%s", strrchr(path, '/') + 1);
        if (access(other, F_OK) == 0) path = other;
    }
    return next_dlopen(path, flags);
}
