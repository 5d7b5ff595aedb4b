/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: files that change, shrink or are none. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/source.h"
#include "tests/lib/check.h"
#include "tests/lib/fault_file.h"

static char path[64];

/* A file of eight bytes, opened. */
static struct source *eight_bytes(void)
{
    struct source *source;
    int fd;

    strcpy(path, "/tmp/test_source_XXXXXX");
    fd = mkstemp(path);
    CHECK(fd >= 0 && pwrite(fd, "01234567", 8, 0) == 8);
    close(fd);
    CHECK(source_open(&source, path, NULL) == 0);
    CHECK_EQ(source_bytes(source), 8);
    return source;
}

CASE(reads_pieces, "any piece of a file is read, but none beyond its end")
{
    struct source *source = eight_bytes();
    struct failure failure = {.status = TRIT_OK};
    char text[8];

    CHECK(source_read(source, 2, text, 3, &failure) == 0);
    CHECK_MEM(text, "234", 3);
    CHECK(source_read(source, 8, text, 0, &failure) == 0);
    CHECK(source_read(source, 6, text, 3, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_OUT_OF_RANGE);
    failure.status = TRIT_OK;
    CHECK(source_read(source, UINT64_MAX, text, 2, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_OUT_OF_RANGE);
    CHECK_STR(source_name(source), path + strlen("/tmp/"));
    source_close(source);
    unlink(path);
}

CASE(reads_without_waiting,
     "a read that must not wait gives all bytes of a file in memory, or nothing")
{
    struct source *source = eight_bytes();
    char text[8] = "";

    if (source_try_read(source, 2, text, 3)) /* not every file system can tell */
        CHECK_MEM(text, "234", 3);
    CHECK(!source_try_read(source, 6, text, 3));
    CHECK(!source_try_read(source, UINT64_MAX, text, 2));
    CHECK_EQ(truncate(path, 4), 0);
    CHECK(!source_try_read(source, 2, text, 3));
    source_close(source);
    unlink(path);
    CHECK_EQ(source_memory(&source, "01234567", 8, "memory", NULL), 0);
    CHECK(source_try_read(source, 5, text, 3));
    CHECK_MEM(text, "567", 3);
    source_close(source);
}

CASE(reads_through_short_reads_and_signals, "short and interrupted reads are continued")
{
    struct source *source = eight_bytes();
    char text[8];

    fault_file_arm(FAULT_FILE_PREAD, 1, 0, FAULT_FILE_SHORT);
    CHECK(source_read(source, 0, text, 8, NULL) == 0);
    CHECK(fault_file_disarm());
    CHECK_MEM(text, "01234567", 8);
    fault_file_arm(FAULT_FILE_PREAD, 1, EINTR, FAULT_FILE_FAIL);
    CHECK(source_read(source, 0, text, 8, NULL) == 0);
    CHECK(fault_file_disarm());
    source_close(source);
    unlink(path);
}

CASE(tells_of_a_failed_read, "a failed read is reported")
{
    struct source *source = eight_bytes();
    struct failure failure = {.status = TRIT_OK};
    char text[8];

    fault_file_arm(FAULT_FILE_PREAD, 1, EIO, FAULT_FILE_FAIL);
    CHECK(source_read(source, 0, text, 8, &failure) != 0);
    CHECK(fault_file_disarm());
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
    source_close(source);
    unlink(path);
}

CASE(aborts_when_the_file_shrinks, "reading fails if the file becomes shorter")
{
    struct source *source = eight_bytes();
    struct failure failure = {.status = TRIT_OK};
    char text[8];

    CHECK(truncate(path, 4) == 0);
    CHECK(source_read(source, 0, text, 8, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    failure.status = TRIT_OK;
    CHECK(source_unchanged(source, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    source_close(source);
    unlink(path);
}

CASE(sees_a_write, "a file that changes while it is read is noticed at the end")
{
    struct source *source = eight_bytes();
    struct failure failure = {.status = TRIT_OK};
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

    CHECK(source_unchanged(source, &failure) == 0);
    /* As a write at another time would leave it. */
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    CHECK(source_unchanged(source, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_ABORTED);
    source_close(source);
    unlink(path);
}

CASE(refuses_what_is_no_file, "folders, devices, pipes and missing files are refused")
{
    struct failure failure = {.status = TRIT_OK};
    struct source *source;

    strcpy(path, "/tmp/test_source_XXXXXX");
    CHECK(source_open(&source, "/tmp", &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    failure.status = TRIT_OK;
    CHECK(source_open(&source, "/dev/zero", &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    failure.status = TRIT_OK;
    CHECK(source_open(&source, "/tmp/there/is/no/such", &failure) != 0);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    /* A FIFO without a writer must not block. */
    failure.status = TRIT_OK;
    close(mkstemp(path));
    unlink(path);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(source_open(&source, path, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    unlink(path);
    source_close(NULL);
}
