/* Loaded into nginx (LD_PRELOAD), so that it serves usual configurations from a read-only disk, and
 * so that no log can ever hold it up. What it changes, and why: docs/adr/0018 and 0022.
 *
 *   opened to append        does not block: a log that nobody reads loses lines, not time
 *   /var/log/nginx/NAME     is the container's log, each line after `NAME: `
 *   another log             where none can be made, is that too, by its whole path
 *   an [emerg] line         is written to the first standard error too, which the daemon reads
 *   /etc/nginx/NAME         if missing, is read from what Debian ships there
 *   a pid file              where none can be written, is none
 *   a cache, a *_temp_path  is made with the directories above it; where that cannot be, in /tmp
 *   load_module PATH/M.so   if missing, is M.so of the image
 *   daemon on, daemon off   is off
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CONFIGURATION "/etc/nginx/"
#define SHIPPED "/usr/share/kiss-ha/nginx/"
#define LOGS "/var/log/nginx/"
#define CACHES "/tmp/nginx-cache"
#define MODULES "/usr/lib/nginx/modules/"
#define MOST_LOGS 65536
#define MOST_MOVED 64

/* "2026/01/31 12:00:00 [emerg] " */
#define LEVEL_AT 20

static int (*next_open)(const char *, int, ...);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_mkdir)(const char *, mode_t);
static void *(*next_dlopen)(const char *, int);

/* nginx itself replaces its standard error by the error_log of the configuration. */
static int container_log = -1, standard_error = -1;

/* By descriptor. Nothing tells when one is closed, hence `is_log`. */
static char *names[MOST_LOGS];

/* Directories that the disk does not take: CACHES has them, by the same paths. Workers inherit. */
static const char *moved[MOST_MOVED];
static int moves;
static pid_t first;

/* What ngx_module_t and ngx_command_t begin with (`nginx -V`: --with-compat). */
struct command {
    size_t length;
    const char *name;
    uintptr_t type;
    char *(*set)(void *, struct command *, void *);
    uintptr_t member, offset;
    void *post;
};
struct module {
    uintptr_t numbers[2];
    const char *name;
    uintptr_t more_numbers[3];
    const char *signature;
    void *context;
    struct command *commands;
};

static char *stay(void *configuration, struct command *command, void *members) {
    (void)configuration;
    *(intptr_t *)((char *)members + command->offset) = 0;
    return NULL;
}

/* As often as it stands in whatever file, on or off, it is what kiss-ha's command line says. */
static void stay_in_foreground(void) {
    struct module *core = dlsym(RTLD_DEFAULT, "ngx_core_module");
    if (core == NULL) return;
    for (struct command *command = core->commands; command->length; command++) {
        if (strcmp(command->name, "daemon") == 0) command->set = stay;
    }
}

__attribute__((constructor)) static void start(void) {
    next_open = dlsym(RTLD_NEXT, "open64");
    next_write = dlsym(RTLD_NEXT, "write");
    next_mkdir = dlsym(RTLD_NEXT, "mkdir");
    next_dlopen = dlsym(RTLD_NEXT, "dlopen");
    container_log = next_open("/dev/stdout", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    first = getpid();
    stay_in_foreground();
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

/* The same path, or one in it. */
static int within(const char *path, const char *directory) {
    return begins(path, directory) && strchr("/", path[strlen(directory)]);
}

/* Where a path is in truth; `other` has room for it. */
static const char *place(const char *path, char *other) {
    for (int each = 0; each < moves; each++) {
        if (within(path, moved[each])) {
            snprintf(other, PATH_MAX, CACHES "%s", path);
            return other;
        }
    }
    return path;
}

/* nginx makes all directories above a file of a cache, from the root on, and goes by EEXIST. */
static int above_moved(const char *path) {
    for (int each = 0; each < moves; each++) {
        if (within(moved[each], path)) return 1;
    }
    return 0;
}

static void remember(int descriptor, const char *name) {
    if (descriptor < 0 || descriptor >= MOST_LOGS) return;
    free(names[descriptor]);
    names[descriptor] = name ? strdup(name) : NULL;
}

static int open_log(const char *path) {
    int descriptor = fcntl(container_log, F_DUPFD_CLOEXEC, 0);
    remember(descriptor, begins(path, LOGS) ? path + strlen(LOGS) : path);
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
    char other[PATH_MAX];
    path = place(path, other);
    int appends = (flags & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND);
    if (appends && container_log >= 0 && begins(path, LOGS) && on_image(path)) return open_log(path);
    int descriptor = next_open(path, appends ? flags | O_NONBLOCK : flags, mode);
    if (descriptor >= 0) {
        remember(descriptor, NULL);
        return descriptor;
    }
    int nowhere = errno == ENOENT || errno == EROFS;
    if (appends && container_log >= 0 && nowhere) return open_log(path);
    return open_instead(path, flags, mode);
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
    for (const char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        next_mkdir(parent, 0755);
    }
}

int mkdir(const char *path, mode_t mode) {
    char other[PATH_MAX];
    int made = next_mkdir(place(path, other), mode);
    if (made == 0 || (errno != ENOENT && errno != EROFS)) return made;
    if (above_moved(path)) errno = EEXIST;
    /* A worker makes what a request asks for (dav): that must not seem to succeed. */
    if (errno == EEXIST || getpid() != first) return made;
    next_mkdir(CACHES, 0755);
    make_parents(path);
    made = next_mkdir(path, mode);
    if (made == 0 || errno == EEXIST || moves == MOST_MOVED) return made;
    moved[moves] = strdup(path);
    if (moved[moves] == NULL) return made;
    moves++;
    make_parents(place(path, other));
    return next_mkdir(other, mode);
}

/* What else nginx does to its caches. */
#define AT_ITS_PLACE(result, name, parameters, rest)                                              \
    result name parameters {                                                                       \
        static result(*next) parameters;                                                           \
        char other[PATH_MAX];                                                                      \
        if (next == NULL) next = dlsym(RTLD_NEXT, #name);                                          \
        return next rest;                                                                          \
    }
AT_ITS_PLACE(int, chmod, (const char *path, mode_t mode), (place(path, other), mode))
AT_ITS_PLACE(int, chown, (const char *path, uid_t uid, gid_t gid), (place(path, other), uid, gid))
AT_ITS_PLACE(int, lstat64, (const char *path, struct stat64 *found), (place(path, other), found))
AT_ITS_PLACE(DIR *, opendir, (const char *path), (place(path, other)))
AT_ITS_PLACE(int, rmdir, (const char *path), (place(path, other)))
AT_ITS_PLACE(int, stat64, (const char *path, struct stat64 *found), (place(path, other), found))
AT_ITS_PLACE(int, statfs64, (const char *path, struct statfs64 *found), (place(path, other), found))
AT_ITS_PLACE(int, unlink, (const char *path), (place(path, other)))
AT_ITS_PLACE(int, utimes, (const char *path, const struct timeval to[2]), (place(path, other), to))

int rename(const char *from, const char *to) {
    static int (*next)(const char *, const char *);
    char other_from[PATH_MAX], other_to[PATH_MAX];
    if (next == NULL) next = dlsym(RTLD_NEXT, "rename");
    return next(place(from, other_from), place(to, other_to));
}

void *dlopen(const char *path, int flags) {
    char other[PATH_MAX];
    if (path && strchr(path, '/') && access(path, F_OK) != 0) {
        snprintf(other, sizeof other, MODULES "%s", strrchr(path, '/') + 1);
        if (access(other, F_OK) == 0) path = other;
    }
    return next_dlopen(path, flags);
}
