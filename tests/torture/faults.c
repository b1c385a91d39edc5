/* Fails, or kills the process, at the n-th call that changes the disk: built and preloaded by tests/torture/faults.py.

   Python's own hooks would miss the calls of SQLite, pyarrow and onnxruntime. Only files below a root count: libraries also
   write to pipes and devices. Unless a fault is to strike once only, it stays: a disk that is full is full for each later
   call of the same kind. The kind "bytes" is a disk of a size: writing fails once more bytes were written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long at = -1, count;
static int fault, once;
static char calls[256], root[4096];

/* From now on, count the calls whose kind is among `kinds` (names between commas) on files below `folder`. The `when`-th one
   fails with the error `what`; 0 kills before the call, -1 after it. No call fails for when = 0. */
void faults_arm(long when, int what, int only_once, const char *kinds, const char *folder) {
    snprintf(calls, sizeof calls, "%s", kinds);
    snprintf(root, sizeof root, "%s/", folder);
    fault = what;
    once = only_once;
    count = 0;
    at = when;
}

/* Count and fail nothing any more; the number of calls that were counted. */
long faults_disarm(void) {
    at = -1;
    return count;
}

static int below(const char *path) {
    char whole[4096];
    if (!path) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole)) return 0;
        return strncmp(whole, root, strlen(root) - 1) == 0;
    }
    return strncmp(path, root, strlen(root)) == 0;
}

static int file_below(int file) {
    char link[64], path[4096];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static int named(const char *call) {
    const char *found = strstr(calls, call);
    size_t length = strlen(call);
    return found && (found == calls || found[-1] == ',') && (found[length] == ',' || !found[length]);
}

/* 1: the call must fail with errno; 2: it must be done, and then kill. */
static int struck(const char *call, int inside) {
    long now;
    if (at < 0 || !inside || !named(call)) return 0;
    now = __sync_add_and_fetch(&count, 1);
    if (at == 0 || now < at || (once && now > at)) return 0;
    if (fault == 0) kill(getpid(), SIGKILL);
    if (fault == -1) return 2;
    errno = fault;
    return 1;
}

/* 1: these bytes do not fit any more. */
static int too_many(size_t size, int inside) {
    long now;
    if (at < 0 || !inside || !named("bytes")) return 0;
    now = __sync_add_and_fetch(&count, (long)size);
    if (at == 0 || now < at) return 0;
    errno = fault;
    return 1;
}

static size_t size_of(const struct iovec *data, int parts) {
    size_t size = 0;
    for (int i = 0; i < parts; i++) size += data[i].iov_len;
    return size;
}

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define DONE(type, call)                                                                                               \
    {                                                                                                                  \
        type found;                                                                                                    \
        if (hit == 1) return -1;                                                                                       \
        found = call;                                                                                                  \
        if (hit == 2) kill(getpid(), SIGKILL);                                                                         \
        return found;                                                                                                  \
    }

#define ON_FILE(type, name, kind, parameters, arguments, ...)                                                          \
    type name parameters {                                                                                             \
        int hit;                                                                                                       \
        REAL(type, name, __VA_ARGS__);                                                                                 \
        hit = struck(kind, file_below(file));                                                                          \
        DONE(type, real arguments)                                                                                     \
    }

#define ON_WRITE(name, size, parameters, arguments, ...)                                                               \
    ssize_t name parameters {                                                                                          \
        int hit;                                                                                                       \
        REAL(ssize_t, name, __VA_ARGS__);                                                                              \
        hit = struck("write", file_below(file));                                                                       \
        if (!hit) hit = too_many(size, file_below(file));                                                              \
        DONE(ssize_t, real arguments)                                                                                  \
    }

ON_WRITE(write, size, (int file, const void *data, size_t size), (file, data, size), int, const void *, size_t)
ON_WRITE(pwrite, size, (int file, const void *data, size_t size, off_t from), (file, data, size, from), int, const void *,
         size_t, off_t)
ON_WRITE(pwrite64, size, (int file, const void *data, size_t size, off64_t from), (file, data, size, from), int,
         const void *, size_t, off64_t)
ON_WRITE(writev, size_of(data, parts), (int file, const struct iovec *data, int parts), (file, data, parts), int,
         const struct iovec *, int)

/* TensorFlow writes by the streams of C, whose own calls cannot be caught. */
size_t fwrite(const void *data, size_t size, size_t items, FILE *stream) {
    int hit, inside = at >= 0 && file_below(fileno(stream));
    size_t found;
    REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
    hit = struck("write", inside);
    if (!hit) hit = too_many(size * items, inside);
    if (hit == 1) return 0;
    found = real(data, size, items, stream);
    if (hit == 2) kill(getpid(), SIGKILL);
    return found;
}

ON_FILE(int, fsync, "sync", (int file), (file), int)
ON_FILE(int, fdatasync, "sync", (int file), (file), int)
ON_FILE(int, flock, "lock", (int file, int how), (file, how), int, int)
ON_FILE(int, fchmod, "chmod", (int file, mode_t mode), (file, mode), int, mode_t)
ON_FILE(int, ftruncate, "write", (int file, off_t size), (file, size), int, off_t)

#define ON_PATH(name, kind, parameters, arguments, path, ...)                                                          \
    int name parameters {                                                                                              \
        int hit;                                                                                                       \
        REAL(int, name, __VA_ARGS__);                                                                                  \
        hit = struck(kind, below(path));                                                                               \
        DONE(int, real arguments)                                                                                      \
    }

ON_PATH(rename, "rename", (const char *from, const char *to), (from, to), to, const char *, const char *)
ON_PATH(unlink, "unlink", (const char *path), (path), path, const char *)
ON_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode), path, const char *, mode_t)
ON_PATH(chmod, "chmod", (const char *path, mode_t mode), (path, mode), path, const char *, mode_t)

/* Opening a file to write it: a full disk, a read-only one. */
#define ON_OPEN(name)                                                                                                  \
    int name(const char *path, int flags, ...) {                                                                       \
        int hit, mode = 0;                                                                                             \
        REAL(int, name, const char *, int, ...);                                                                       \
        if (flags & O_CREAT) {                                                                                         \
            va_list more;                                                                                              \
            va_start(more, flags);                                                                                     \
            mode = va_arg(more, int);                                                                                  \
            va_end(more);                                                                                              \
        }                                                                                                              \
        hit = (flags & (O_CREAT | O_WRONLY | O_RDWR)) ? struck("open", below(path)) : 0;                               \
        DONE(int, real(path, flags, mode))                                                                             \
    }

ON_OPEN(open)
ON_OPEN(open64)

#define ON_STREAM(name)                                                                                                \
    FILE *name(const char *path, const char *mode) {                                                                   \
        int hit;                                                                                                       \
        FILE *found;                                                                                                   \
        REAL(FILE *, name, const char *, const char *);                                                                \
        hit = strpbrk(mode, "wa+") ? struck("open", below(path)) : 0;                                                  \
        if (hit == 1) return NULL;                                                                                     \
        found = real(path, mode);                                                                                      \
        if (hit == 2) kill(getpid(), SIGKILL);                                                                         \
        return found;                                                                                                  \
    }

ON_STREAM(fopen)
ON_STREAM(fopen64)
