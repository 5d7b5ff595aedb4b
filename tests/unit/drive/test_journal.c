/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a journal: what is damaged is not read. */
#include "drive/journal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drive/crc_parts.h"
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

static const char *const texts[] = {"", "a", "second record", "the last one"};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static int open_file(void)
{
    char path[] = "/tmp/test_journal_XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    unlink(path);
    return fd;
}

/* A file with a record for each text. */
static int written(uint64_t *end)
{
    struct journal journal = {.bytes = NULL};
    int fd = open_file();

    *end = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        const size_t bytes = strlen(texts[i]);

        CHECK(journal_add(&journal, i + 1, texts[i], bytes / 2, texts[i] + bytes / 2,
                          bytes - bytes / 2) == 0);
        if (i == 1)
            CHECK(journal_write(&journal, fd, end) == 0);
    }
    CHECK(journal_write(&journal, fd, end) == 0);
    journal_fini(&journal);
    return fd;
}

/* How many records are read; they must be the first ones. */
static uint32_t count_records(int fd)
{
    struct journal_reader reader;
    uint32_t count = 0;

    CHECK(journal_reader_init(&reader, fd) == 0);
    while (journal_next(&reader)) {
        CHECK_EQ(reader.kind, count + 1);
        CHECK_EQ(reader.count, strlen(texts[count]));
        CHECK(memcmp(reader.bytes, texts[count], reader.count) == 0);
        count++;
    }
    journal_reader_fini(&reader);
    return count;
}

/* Of a file that is damaged at byte `at`: the records that end before it. */
static uint32_t records_before(uint64_t at)
{
    uint64_t end = 0;
    uint32_t count = 0;

    while (count < TEXTS && (end += JOURNAL_HEAD_BYTES + strlen(texts[count])) <= at)
        count++;
    return count;
}

CASE(reads_back, "records are read as they were written")
{
    uint64_t end;
    int fd = written(&end);

    CHECK_EQ(count_records(fd), TEXTS);
    CHECK_EQ(records_before(end), TEXTS);
    close(fd);
}

CASE(cut, "a record that is cut at any byte ends the journal")
{
    uint64_t end;
    int fd = written(&end);

    while (end-- > 0) {
        CHECK(ftruncate(fd, (off_t)end) == 0);
        CHECK_EQ(count_records(fd), records_before(end));
    }
    close(fd);
}

CASE(flipped, "a record in which any bit is wrong ends the journal")
{
    uint64_t end;
    int fd = written(&end);

    for (uint64_t at = 0; at < end; at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t byte, wrong;

            CHECK(pread(fd, &byte, 1, (off_t)at) == 1);
            wrong = byte ^ (uint8_t)(1 << bit);
            CHECK(pwrite(fd, &wrong, 1, (off_t)at) == 1);
            CHECK_EQ(count_records(fd), records_before(at));
            CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
        }
    CHECK_EQ(count_records(fd), TEXTS);
    close(fd);
}

CASE(bounds, "a record has a largest size, and none is allocated from a length in a file")
{
    static uint8_t large[JOURNAL_RECORD_BYTES_MAX + 1];
    static const uint8_t head[JOURNAL_HEAD_BYTES] = {255, 255, 255, 255, 1};
    struct journal journal = {.bytes = NULL};
    int fd = open_file();

    CHECK(journal_add(&journal, 1, large, sizeof(large), NULL, 0) < 0);
    CHECK(journal_add(&journal, 1, large, sizeof(large) - 1, NULL, 0) == 0);
    journal_fini(&journal);
    CHECK(write(fd, head, sizeof(head)) == (ssize_t)sizeof(head));
    CHECK_EQ(count_records(fd), 0);
    close(fd);
}

CASE(memory, "without memory nothing is added")
{
    struct journal journal = {.bytes = NULL};
    struct journal_reader reader;

    fault_arm(FAULT_MEMORY, 1, FAULT_STICKY);
    CHECK(journal_add(&journal, 1, "a", 1, NULL, 0) < 0);
    CHECK(journal_reader_init(&reader, -1) < 0);
    CHECK(fault_disarm());
    CHECK_EQ(journal.count, 0);
}

CASE(parts, "the CRC of bytes follows from the CRCs of their parts, in any order")
{
    uint8_t bytes[300];
    const uint32_t whole = (memset(bytes, 7, sizeof(bytes)), bytes[5] = 1, bytes[299] = 9,
                            crc32c(0, bytes, sizeof(bytes)));

    for (size_t cut = 0; cut <= sizeof(bytes); cut++)
        CHECK_EQ(crc_part(crc32c(0, bytes + cut, sizeof(bytes) - cut), 0) ^
                     crc_part(crc32c(0, bytes, cut), sizeof(bytes) - cut),
                 whole);
}
