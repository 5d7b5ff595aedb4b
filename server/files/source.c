/* SPDX-License-Identifier: Apache-2.0 */
#include "files/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/number.h"

struct source {
    int fd;     /* -1: memory, or closed */
    char *path; /* NULL: it cannot be opened again */
    const uint8_t *memory;
    uint64_t bytes;
    struct stat opened; /* as it was when opened */
    char *name;
};

/* Linux reads at most 2 GiB in one call; with smaller pieces less is read again after
 * EINTR. */
static const uint64_t PIECE_BYTES_MAX = 64u << 20;

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static struct source *source_create(const char *name, struct failure *failure)
{
    struct source *source = calloc(1, sizeof(*source));

    if (source)
        source->name = strdup(last_part(name));
    if (!source || !source->name) {
        free(source);
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    source->fd = -1;
    return source;
}

static enum trit_status status_of(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return TRIT_NOT_FOUND;
    case EACCES:
    case EPERM:
        return TRIT_PERMISSION_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return TRIT_RESOURCE_EXHAUSTED;
    default: /* these are values of errno */
        return TRIT_UNAVAILABLE;
    }
}

/* Is it a name in a folder that its user holds open, /proc/self/fd/N/NAME? */
static bool is_held(const char *path)
{
    static const char held[] = "/proc/self/fd/";

    return strncmp(path, held, sizeof(held) - 1) == 0 &&
           strchr(path + sizeof(held) - 1, '/');
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
static int open_path(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK |
                          (is_held(path) ? O_NOFOLLOW : 0));
}

int source_open(struct source **source, const char *path, struct failure *failure)
{
    struct source *opened;
    int fd = open_path(path);

    if (fd < 0 && errno == ELOOP && is_held(path))
        return fail(
            failure, TRIT_INVALID_ARGUMENT, NULL,
            "%s is a symbolic link, which is not followed; put the file itself there "
            "(a hub's cache has links: download with --local-dir)",
            last_part(path));
    if (fd < 0)
        return fail(failure, status_of(errno), NULL, "cannot open it: %s",
                    strerror(errno));
    if (source_adopt(&opened, fd, path, failure) < 0)
        return -1;
    opened->path = strdup(path);
    if (!opened->path) {
        source_close(opened);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    *source = opened;
    return 0;
}

int source_adopt(struct source **out, int fd, const char *name, struct failure *failure)
{
    struct source *source = source_create(name, failure);

    if (!source) {
        close(fd);
        return -1;
    }
    source->fd = fd;
    if (fstat(fd, &source->opened) != 0) {
        fail(failure, TRIT_UNAVAILABLE, NULL, "cannot stat it: %s", strerror(errno));
        goto close_source;
    }
    if (!S_ISREG(source->opened.st_mode)) {
        fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it is not a regular file");
        goto close_source;
    }
    source->bytes = (uint64_t)source->opened.st_size;
    *out = source;
    return 0;

close_source:
    source_close(source);
    return -1;
}

int source_memory(struct source **out, const void *bytes, uint64_t count,
                  const char *name, struct failure *failure)
{
    struct source *source = source_create(name, failure);

    if (!source)
        return -1;
    source->memory = bytes;
    source->bytes = count;
    *out = source;
    return 0;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    if (source->fd >= 0)
        close(source->fd);
    free(source->path);
    free(source->name);
    free(source);
}

const char *source_name(const struct source *source)
{
    return source->name;
}

uint64_t source_bytes(const struct source *source)
{
    return source->bytes;
}

struct source_identity source_identity(const struct source *source)
{
    return (struct source_identity){
        .device = source->opened.st_dev,
        .inode = source->opened.st_ino,
        .bytes = source->bytes,
        .modified_ns = clock_timespec_ns(&source->opened.st_mtim),
        .changed_ns = clock_timespec_ns(&source->opened.st_ctim)};
}

static int became_shorter(const struct source *source, struct failure *failure)
{
    return fail(failure, TRIT_ABORTED, NULL, "%s became shorter while it was read",
                source->name);
}

int source_read(struct source *source, uint64_t offset, void *buffer, uint64_t count,
                struct failure *failure)
{
    uint8_t *at = buffer;

    if (offset > source->bytes || count > source->bytes - offset)
        return fail(failure, TRIT_OUT_OF_RANGE, NULL, "read beyond the end of %s",
                    source->name);
    if (source->fd < 0) {
        if (count)
            memcpy(buffer, source->memory + offset, (size_t)count);
        return 0;
    }
    while (count) {
        size_t piece = u64_min(count, PIECE_BYTES_MAX);
        ssize_t got = pread(source->fd, at, piece, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot read %s: %s",
                        source->name, strerror(errno));
        if (got == 0)
            return became_shorter(source, failure);
        at += got;
        offset += (uint64_t)got;
        count -= (uint64_t)got;
    }
    return 0;
}

bool source_try_read(struct source *source, uint64_t offset, void *buffer, uint64_t count)
{
    const struct iovec to = {buffer, (size_t)count};

    if (offset > source->bytes || count > source->bytes - offset ||
        count > PIECE_BYTES_MAX)
        return false;
    if (source->fd < 0)
        return source_read(source, offset, buffer, count, NULL) == 0;
    return preadv2(source->fd, &to, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)count;
}

static bool is_same(const struct source *source, const struct stat *now)
{
    const struct stat *then = &source->opened;

    return now->st_dev == then->st_dev && now->st_ino == then->st_ino &&
           now->st_size == then->st_size && now->st_mtim.tv_sec == then->st_mtim.tv_sec &&
           now->st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

static int changed(const struct source *source, struct failure *failure)
{
    return fail(failure, TRIT_ABORTED, NULL, "%s changed while it was read",
                source->name);
}

int source_unchanged(const struct source *source, struct failure *failure)
{
    struct stat now;

    if (source->fd < 0 && !source->path)
        return 0;
    if ((source->fd < 0 ? stat(source->path, &now) : fstat(source->fd, &now)) != 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot stat %s: %s", source->name,
                    strerror(errno));
    return is_same(source, &now) ? 0 : changed(source, failure);
}

int source_in_place(const struct source *source, struct failure *failure)
{
    struct stat now;

    if (!source->path)
        return 0;
    return stat(source->path, &now) == 0 && is_same(source, &now)
               ? 0
               : changed(source, failure);
}

bool source_is_open(const struct source *source)
{
    return source->fd >= 0 || source->memory;
}

bool source_rest(struct source *source)
{
    if (!source->path)
        return false;
    close(source->fd);
    source->fd = -1;
    return true;
}

int source_wake(struct source *source, struct failure *failure)
{
    struct stat now;
    int fd = open_path(source->path);

    if (fd < 0)
        return fail(failure, status_of(errno), NULL, "cannot open %s again: %s",
                    source->name, strerror(errno));
    if (fstat(fd, &now) != 0 || !is_same(source, &now)) {
        close(fd);
        return changed(source, failure);
    }
    source->fd = fd;
    return 0;
}
