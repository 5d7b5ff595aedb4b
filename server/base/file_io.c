/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/number.h"

/* Starts writing these bytes to the disk, so that a later fsync waits less. Small runs are
 * left to the system. The fsync reports errors. */
static void start_writeback(int fd, uint64_t offset, uint64_t count)
{
    enum { RUN_BYTES_MIN = 256 << 10 };

    if (count >= RUN_BYTES_MIN)
        sync_file_range(fd, (off_t)offset, (off_t)count, SYNC_FILE_RANGE_WRITE);
}

/* One write of 1 MiB takes pages of the page cache from large blocks of free memory. A virtual
 * machine may have given these back to its host, and then each new page costs 17 us: 4.5 s for
 * 1 GiB instead of 0.45 s. */
enum { WRITE_BYTES_MAX = 64 << 10, WRITEBACK_BYTES = 1 << 20 };

int write_at(int fd, uint64_t offset, const void *data, uint64_t count)
{
    const uint8_t *at = data;
    uint64_t begun = offset;

    while (count) {
        const ssize_t put =
            pwrite(fd, at, u64_min(count, WRITE_BYTES_MAX), (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        at += put;
        offset += (uint64_t)put;
        count -= (uint64_t)put;
        if (count == 0 || offset - begun >= WRITEBACK_BYTES) {
            start_writeback(fd, begun, offset - begun);
            begun = offset;
        }
    }
    return 0;
}

ssize_t read_fully(int fd, char *bytes, size_t count)
{
    size_t used = 0;

    while (used < count) {
        ssize_t got = read(fd, bytes + used, count - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}
