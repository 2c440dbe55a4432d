/*
 * A disk that can lose power, for LD_PRELOAD.
 *
 * Every change of a file under POWERCUT_DIRECTORY is done as asked and written to the log POWERCUT_LOG as well,
 * in the order in which it happened: data with its offset, truncations, names that come and go, and syncs. From
 * the log, the test works out what a disk holds that has kept nothing but what was synced, at any moment.
 *
 * Syncs are counted from 1 and never passed on (a power cut is simulated, so the real disk need not be waited
 * for). POWERCUT_KILL_BEFORE=n and POWERCUT_KILL_AFTER=n end the process with SIGKILL just before or just after
 * the n-th takes effect; POWERCUT_FAIL=n answers the n-th with EIO.
 *
 * The log's records: kind (1 byte), inode (8), offset (8), length (4), then so many bytes; little-endian.
 *   O open: the bytes are the name      W write: the bytes are the data     T truncate: offset is the size
 *   S sync of a file                    D sync of the directory             F a sync that failed
 *   U unlink: the bytes are the name
 * Shared memory (-shm) and lock files are left out: they mean nothing after a restart.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 4096

enum { UNTRACKED, DATA, DIRECTORY };

static unsigned char tracked[DESCRIPTORS_MAX];
static uint64_t inode_of[DESCRIPTORS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static int log_descriptor = -1;
static long syncs, kill_before, kill_after, fail_at;

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *log = getenv("POWERCUT_LOG");
    directory = getenv("POWERCUT_DIRECTORY");
    kill_before = number("POWERCUT_KILL_BEFORE");
    kill_after = number("POWERCUT_KILL_AFTER");
    fail_at = number("POWERCUT_FAIL");
    if (directory && log) {
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
        log_descriptor = real(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (directory && log_descriptor < 0)
        abort();
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The name inside the directory, "" for the directory itself, NULL for everything else. */
static const char *name_inside(const char *path)
{
    if (!directory || !path || strncmp(path, directory, strlen(directory)) != 0)
        return NULL;
    path += strlen(directory);
    if (*path == '\0')
        return path;
    if (*path != '/' || ends_with(path, "-shm") || ends_with(path, ".lock"))
        return NULL;
    return path + 1;
}

static int kind_of(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTORS_MAX ? tracked[descriptor] : UNTRACKED;
}

static void note(char kind, uint64_t inode, uint64_t offset, const void *bytes, uint32_t length)
{
    ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
    char head[21];
    head[0] = kind;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, &length, 4);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)bytes, length}};
    if (real(log_descriptor, parts, 2) != (ssize_t)(sizeof head + length))
        abort();
}

static void opened(int descriptor, const char *path)
{
    const char *name = name_inside(path);
    struct stat about;
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX)
        return;
    tracked[descriptor] = UNTRACKED;
    if (!name || fstat(descriptor, &about) != 0)
        return;
    inode_of[descriptor] = about.st_ino;
    if (*name == '\0') {
        tracked[descriptor] = DIRECTORY;
        return;
    }
    tracked[descriptor] = DATA;
    note('O', about.st_ino, 0, name, strlen(name));
}

#define OPEN(function)                                                                    \
    int function(const char *path, int flags, ...)                                        \
    {                                                                                     \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #function);                \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;           \
        va_end(rest);                                                                     \
        pthread_mutex_lock(&lock);                                                        \
        int descriptor = real(path, flags, mode);                                         \
        opened(descriptor, path);                                                         \
        pthread_mutex_unlock(&lock);                                                      \
        return descriptor;                                                                \
    }
OPEN(open)
OPEN(open64)

int close(int descriptor)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX)
        tracked[descriptor] = UNTRACKED;
    return real(descriptor);
}

#define PWRITE(function)                                                                  \
    ssize_t function(int descriptor, const void *bytes, size_t length, off64_t offset)    \
    {                                                                                     \
        ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, #function); \
        if (kind_of(descriptor) != DATA)                                                  \
            return real(descriptor, bytes, length, offset);                               \
        pthread_mutex_lock(&lock);                                                        \
        ssize_t done = real(descriptor, bytes, length, offset);                           \
        if (done > 0)                                                                     \
            note('W', inode_of[descriptor], offset, bytes, done);                         \
        pthread_mutex_unlock(&lock);                                                      \
        return done;                                                                      \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int descriptor, const void *bytes, size_t length)
{
    ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (kind_of(descriptor) != DATA)
        return real(descriptor, bytes, length);
    pthread_mutex_lock(&lock);
    ssize_t done = real(descriptor, bytes, length);
    if (done > 0)
        note('W', inode_of[descriptor], lseek64(descriptor, 0, SEEK_CUR) - done, bytes, done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define TRUNCATE(function)                                                                \
    int function(int descriptor, off64_t size)                                            \
    {                                                                                     \
        int (*real)(int, off64_t) = dlsym(RTLD_NEXT, #function);                          \
        if (kind_of(descriptor) != DATA)                                                  \
            return real(descriptor, size);                                                \
        pthread_mutex_lock(&lock);                                                        \
        int failed = real(descriptor, size);                                              \
        if (!failed)                                                                      \
            note('T', inode_of[descriptor], size, "", 0);                                 \
        pthread_mutex_unlock(&lock);                                                      \
        return failed;                                                                    \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int unlink(const char *path)
{
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    const char *name = name_inside(path);
    if (!name || *name == '\0')
        return real(path);
    pthread_mutex_lock(&lock);
    int failed = real(path);
    if (!failed)
        note('U', 0, 0, name, strlen(name));
    pthread_mutex_unlock(&lock);
    return failed;
}

static int synced(int descriptor)
{
    int failed = 0;
    pthread_mutex_lock(&lock);
    syncs++;
    if (syncs == kill_before)
        kill(getpid(), SIGKILL);
    if (syncs == fail_at) {
        note('F', inode_of[descriptor], 0, "", 0);
        errno = EIO;
        failed = -1;
    } else {
        note(kind_of(descriptor) == DIRECTORY ? 'D' : 'S', inode_of[descriptor], 0, "", 0);
    }
    if (syncs == kill_after)
        kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
    return failed;
}

#define SYNC(function)                                                                    \
    int function(int descriptor)                                                          \
    {                                                                                     \
        int (*real)(int) = dlsym(RTLD_NEXT, #function);                                   \
        return kind_of(descriptor) == UNTRACKED ? real(descriptor) : synced(descriptor);  \
    }
SYNC(fsync)
SYNC(fdatasync)
