/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a data directory can be used, found without SQLite: a connection would leave
 * files of whoever asks, which may not be the daemon's user. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory.h"
#include "store/schema.h"
#include "store/store.h"

enum {
    HEADER_BYTES = 100, /* of an SQLite file */
    HEADER_USER_VERSION = 60,
    HEADER_APPLICATION = 68,
};

static int refused(struct failure *failure, const char *path, const char *name)
{
    return fail_field(failure, TRIT_UNAVAILABLE, "data-dir", "\"%.200s\": %s%s%s%s", path,
                      name, *name ? ": " : "", strerror(errno), directory_advice(errno));
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* A new store's header may still be in the log; then both numbers are 0 here. */
static int check_header(const uint8_t header[HEADER_BYTES], const char *path,
                        struct failure *failure)
{
    const uint32_t application = big_endian(header + HEADER_APPLICATION);
    const uint32_t version = big_endian(header + HEADER_USER_VERSION);

    if (memcmp(header, "SQLite format 3", 16) != 0)
        return fail_field(failure, TRIT_DATA_LOSS, "data-dir",
                          "\"%.200s\": reports.sqlite: file is not a database", path);
    if (application != 0 && application != STORE_APPLICATION_ID)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "data-dir",
                          "\"%.200s\": reports.sqlite belongs to another program "
                          "(application_id %u)",
                          path, (unsigned)application);
    if (version > (uint32_t)schema_version())
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "data-dir",
                          "\"%.200s\": reports.sqlite was written by a newer tritd "
                          "(schema %u; this one supports up to %d)",
                          path, (unsigned)version, schema_version());
    return 0;
}

/* Opens a file as the start does. A missing one passes; check_create follows. */
static int check_file(int at, const char *name, const char *path, bool database,
                      struct failure *failure)
{
    const int fd = openat(at, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    uint8_t header[HEADER_BYTES] = {0};
    ssize_t got = 0;

    if (fd < 0)
        return errno == ENOENT ? 0 : refused(failure, path, name);
    if (database)
        got = pread(fd, header, sizeof(header), 0);
    close(fd);
    if (got < 0)
        return refused(failure, path, name);
    return got == 0 ? 0 : check_header(header, path, failure);
}

static int check_create(int at, const char *path, struct failure *failure)
{
    char name[40];
    int fd;

    snprintf(name, sizeof(name), ".check-config-%ld", (long)getpid());
    fd = openat(at, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refused(failure, path, "a file cannot be created");
    close(fd);
    unlinkat(at, name, 0);
    return 0;
}

static bool has_bytes(int at, const char *name)
{
    struct stat status;

    return fstatat(at, name, &status, 0) == 0 && status.st_size > 0;
}

/* As the start: a store that was kept here is not a new one because it is gone. */
static int check_kept(int at, const char *path, struct failure *failure)
{
    const int fd = openat(at, "tritd.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool kept = fd >= 0 && directory_has_mark(fd);

    if (fd >= 0)
        close(fd);
    if (!kept || has_bytes(at, "reports.sqlite") || has_bytes(at, "reports.sqlite-wal"))
        return 0;
    return fail_field(failure, TRIT_DATA_LOSS, "data-dir",
                      "\"%.200s\": reports.sqlite is missing or empty, but a store was "
                      "kept here; restore it, or remove tritd.lock to begin a new one",
                      path);
}

int store_usable(const char *path, struct failure *failure)
{
    int at, result;

    if (mkdir(path, 0700) == 0) {
        rmdir(path);
        return 0;
    }
    if (errno != EEXIST)
        return refused(failure, path, "");
    at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return refused(failure, path, "");
    result = check_file(at, "tritd.lock", path, false, failure) < 0 ||
                     check_file(at, "reports.sqlite", path, true, failure) < 0 ||
                     check_file(at, "codes.slots", path, false, failure) < 0 ||
                     check_kept(at, path, failure) < 0 ||
                     check_create(at, path, failure) < 0
                 ? -1
                 : 0;
    close(at);
    return result;
}
