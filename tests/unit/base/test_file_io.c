/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/fault_file.h"

enum { BYTES = (3 << 20) + 5, OFFSET = 4099 };

/* Is the file these bytes at OFFSET and nothing behind them? */
static bool holds(int fd, const uint8_t *bytes, size_t count)
{
    uint8_t *found = calloc(1, BYTES + 1);
    const bool same = pread(fd, found, BYTES + 1, OFFSET) == (ssize_t)count &&
                      memcmp(found, bytes, count) == 0;

    free(found);
    return same;
}

CASE(writes_all, "all bytes are written at their place, whatever a call takes")
{
    uint8_t *bytes = malloc(BYTES);
    int fd = memfd_create("write_at", MFD_CLOEXEC);

    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    CHECK(write_at(fd, OFFSET, bytes, 0) == 0);
    CHECK(holds(fd, bytes, 0));
    CHECK(write_at(fd, OFFSET, bytes, BYTES) == 0);
    CHECK(holds(fd, bytes, BYTES));
    CHECK(ftruncate(fd, 0) == 0);
    fault_file_arm(FAULT_FILE_PWRITE, 3, EINTR, FAULT_FILE_FAIL);
    CHECK(write_at(fd, OFFSET, bytes, BYTES) == 0);
    CHECK(fault_file_disarm());
    CHECK(holds(fd, bytes, BYTES));
    CHECK(ftruncate(fd, 0) == 0);
    fault_file_arm(FAULT_FILE_PWRITE, 1, 0, FAULT_FILE_SHORT);
    CHECK(write_at(fd, OFFSET, bytes, 300) == 0);
    CHECK(fault_file_disarm());
    CHECK(holds(fd, bytes, 300));
    close(fd);
    free(bytes);
}

CASE(fails, "a call that fails is an error, and one call writes at most 64 KiB")
{
    uint8_t *bytes = calloc(1, BYTES);
    int fd = memfd_create("write_at", MFD_CLOEXEC);

    fault_file_arm(FAULT_FILE_PWRITE, 2, ENOSPC, FAULT_FILE_FAIL);
    CHECK(write_at(fd, OFFSET, bytes, BYTES) == -1 && errno == ENOSPC);
    CHECK(fault_file_disarm());
    CHECK(holds(fd, bytes, 64 << 10));
    close(fd);
    errno = 0;
    CHECK(write_at(fd, OFFSET, bytes, BYTES) == -1 && errno == EBADF);
    free(bytes);
}

CASE(reads_pieces,
     "a pipe is read to its end or to the count, and a failed read is an error")
{
    char bytes[8] = {0};
    int ends[2];

    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "abc", 3) == 3 && write(ends[1], "def", 3) == 3);
    CHECK(read_fully(ends[0], bytes, 4) == 4 && memcmp(bytes, "abcd", 4) == 0);
    close(ends[1]);
    CHECK(read_fully(ends[0], bytes, sizeof(bytes)) == 2 && memcmp(bytes, "ef", 2) == 0);
    CHECK(read_fully(ends[0], bytes, sizeof(bytes)) == 0);
    close(ends[0]);
    CHECK(read_fully(-1, bytes, sizeof(bytes)) == -1 && errno == EBADF);
}
