/* SPDX-License-Identifier: Apache-2.0 */
#include "files/folder_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"
#include "files/source.h"
#include "files/system.h"

static const uint64_t COPY_BYTES = 1u << 20; /* in memory while copying */

static int fail_file(struct failure *failure, const char *name, const char *what)
{
    fail_errno(failure, what);
    return fail_context(failure, "%s", name);
}

int folder_file_create(int folder, const char *name, struct failure *failure)
{
    int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);

    return fd >= 0 ? fd : fail_file(failure, name, "create it");
}

int folder_file_reopen(int folder, const char *name, uint64_t bytes,
                       struct failure *failure)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    struct stat there;

    if (fd < 0)
        return fail_file(failure, name, "create it");
    if (fstat(fd, &there) == 0 && (uint64_t)there.st_size > bytes &&
        ftruncate(fd, (off_t)bytes) != 0) {
        fail_file(failure, name, "cut it");
        close(fd);
        return -1;
    }
    return fd;
}

int folder_file_reserve(int fd, const char *name, uint64_t bytes, struct failure *failure)
{
    return reserve_space(fd, bytes, failure) < 0 ? fail_context(failure, "%s", name) : 0;
}

int folder_file_write(int fd, const char *name, uint64_t offset, const void *data,
                      uint64_t count, struct failure *failure)
{
    return write_at(fd, offset, data, count) < 0 ? fail_file(failure, name, "write it")
                                                 : 0;
}

int folder_file_read(int folder, const char *name, uint64_t offset, void *buffer,
                     uint64_t count, struct failure *failure)
{
    struct source *source;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), result;

    if (fd < 0)
        return fail_file(failure, name, "open it");
    if (source_adopt(&source, fd, name, failure) < 0)
        return -1;
    result = source_read(source, offset, buffer, count, failure);
    source_close(source);
    return result;
}

int folder_file_finish(int fd, const char *name, struct failure *failure)
{
    if (fsync(fd) < 0) {
        fail_file(failure, name, "flush it to the disk");
        close(fd);
        return -1;
    }
    /* NFS may report a failed write only at close. */
    return close(fd) < 0 ? fail_file(failure, name, "close it") : 0;
}

int folder_file_put(int folder, const char *name, const void *bytes, uint64_t count,
                    struct failure *failure)
{
    int fd = folder_file_create(folder, name, failure);

    if (fd < 0)
        return -1;
    if (folder_file_write(fd, name, 0, bytes, count, failure) < 0) {
        close(fd);
        return -1;
    }
    return folder_file_finish(fd, name, failure);
}

static int copy_bytes(int fd, const char *name, struct source *source, void *buffer,
                      struct failure *failure)
{
    const uint64_t end = source_bytes(source);

    for (uint64_t at = 0; at < end; at += COPY_BYTES) {
        uint64_t count = end - at < COPY_BYTES ? end - at : COPY_BYTES;

        if (source_read(source, at, buffer, count, failure) < 0 ||
            folder_file_write(fd, name, at, buffer, count, failure) < 0)
            return -1;
    }
    return source_unchanged(source, failure);
}

static int copy_source(int folder, const char *name, struct source *source,
                       struct failure *failure)
{
    void *buffer = malloc(COPY_BYTES);
    int fd;

    if (!buffer)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    fd = folder_file_create(folder, name, failure);
    if (fd >= 0 && copy_bytes(fd, name, source, buffer, failure) < 0) {
        close(fd);
        fd = -1;
    }
    free(buffer);
    return fd < 0 ? -1 : folder_file_finish(fd, name, failure);
}

int folder_file_copy(int folder, const char *name, const char *from,
                     struct failure *failure)
{
    struct source *source;
    int result;

    if (source_open(&source, from, failure) < 0)
        return fail_context(failure, "%s", from);
    result = copy_source(folder, name, source, failure);
    source_close(source);
    return result;
}
