/* SPDX-License-Identifier: Apache-2.0 */
#include "files/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int fail_errno(struct failure *failure, const char *what)
{
    enum trit_status status =
        errno == ENOSPC || errno == EDQUOT || errno == EFBIG  ? TRIT_RESOURCE_EXHAUSTED
        : errno == EACCES || errno == EPERM || errno == EROFS ? TRIT_PERMISSION_DENIED
        : errno == ENOENT || errno == ENOTDIR                 ? TRIT_NOT_FOUND
                                                              : TRIT_UNAVAILABLE;

    return fail(failure, status, NULL, "cannot %s: %s", what, strerror(errno));
}

void start_writeback(int fd, uint64_t offset, uint64_t count)
{
    enum { RUN_BYTES_MIN = 256 << 10 };

    if (count >= RUN_BYTES_MIN)
        sync_file_range(fd, (off_t)offset, (off_t)count, SYNC_FILE_RANGE_WRITE);
}

int temporary_name(char temporary[NAME_MAX], const char *name)
{
    uint32_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -1;
    snprintf(temporary, NAME_MAX, ".%.*s.trit-%08x", NAME_MAX - 20, name, random);
    return 0;
}
