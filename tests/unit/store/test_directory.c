/* SPDX-License-Identifier: Apache-2.0 */
/* What a start says about a data directory that it cannot use. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/directory.h"
#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

static void check_said(const struct failure *failure, const char *path,
                       const char *advice)
{
    if (!strstr(failure->message, path) || !strstr(failure->message, advice))
        check_failed(__FILE__, __LINE__, "%s", failure->message);
}

/* Both a start and --check-config refuse it. */
static void check_refused(const char *path, const char *advice)
{
    struct directory directory;
    struct failure failure = {0};

    CHECK(directory_open(&directory, path, &failure) == -1);
    check_said(&failure, path, advice);
    failure = (struct failure){0};
    CHECK(store_usable(path, &failure) == -1);
    check_said(&failure, path, advice);
}

CASE(advice, "a data directory that cannot be used is named, with what to do about it")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES], other[STORE_PATH_BYTES];

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    snprintf(other, sizeof(other), "%s/none/deep", fixture.directory);
    check_refused(other, "; create the directory above it");
    store_file(&fixture, path);
    check_refused(path, "; --data-dir takes a directory");
    snprintf(other, sizeof(other), "%s/moved", fixture.directory);
    CHECK(rename(path, other) == 0);
    CHECK(symlink(other, path) == 0);
    check_refused(fixture.directory, "; tritd follows no symbolic link");
    CHECK(unlink(path) == 0);
    CHECK(rename(other, path) == 0);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    store_fixture_fini(&fixture);
}

CASE(advice_of_errors, "other errors of a data directory have advice, too")
{
    static const struct {
        int error;
        const char *advice;
    } cases[] = {
        {EACCES, "; start tritd as the user that owns the directory"},
        {EPERM, "; start tritd as the user that owns the directory"},
        {EROFS, "; mount it for writing"},
        {ENOSPC, "; free some space"},
        {EDQUOT, "; free some space"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK(strstr(directory_advice(cases[i].error), cases[i].advice));
    CHECK_STR(directory_advice(EIO), "");
}

CASE(truncated,
     "a database that lost its end is refused, unchanged, with what to do about it")
{
    struct store_fixture fixture;
    struct failure failure = {0};
    char path[STORE_PATH_BYTES];

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    store_file(&fixture, path);
    for (off_t bytes = 5000; bytes > 0; bytes -= 4950) {
        failure = (struct failure){0};
        CHECK(truncate(path, bytes) == 0);
        CHECK(store_fixture_open_store(&fixture, &failure) == -1);
        CHECK_EQ(failure.status, TRIT_DATA_LOSS);
        check_said(&failure, path, "; restore a copy of the directory, or move it away");
        int fd = open(path, O_RDONLY);

        CHECK_EQ(lseek(fd, 0, SEEK_END), bytes);
        close(fd);
    }
    store_fixture_fini(&fixture);
}

static void copy_file(const char *from, const char *to)
{
    const int in = open(from, O_RDONLY);
    const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char bytes[4096];
    ssize_t got;

    while ((got = read(in, bytes, sizeof(bytes))) > 0)
        CHECK(write(out, bytes, (size_t)got) == got);
    close(in);
    close(out);
}

/* The database alone, as a daemon that is killed now leaves it. */
static void copy_database(const struct store_fixture *from,
                          const struct store_fixture *to)
{
    char path[STORE_PATH_BYTES], copy[STORE_PATH_BYTES], log[STORE_PATH_BYTES + 8];

    store_file(from, path);
    store_file(to, copy);
    copy_file(path, copy);
    snprintf(log, sizeof(log), "%s-wal", copy);
    CHECK(unlink(log) == 0);
}

enum { LOCK_PATH_BYTES = STORE_PATH_BYTES + 16 };

static void lock_file(const struct store_fixture *fixture, char path[LOCK_PATH_BYTES])
{
    snprintf(path, LOCK_PATH_BYTES, "%s/tritd.lock", fixture->directory);
}

static void copy_lock(const struct store_fixture *from, const struct store_fixture *to)
{
    char path[LOCK_PATH_BYTES], copy[LOCK_PATH_BYTES];

    lock_file(from, path);
    lock_file(to, copy);
    copy_file(path, copy);
}

static void count_told(void *arg, const char *message)
{
    CHECK(strstr(message, "number 1, but number 2 was stored here"));
    ++*(unsigned *)arg;
}

CASE(
    emptied_log,
    "a store whose log was emptied after a kill is refused, not opened without the reports "
    "that were in it")
{
    struct store_fixture fixture, killed;
    char lock[LOCK_PATH_BYTES];
    struct failure failure = {0};
    struct store_counts counts;
    unsigned told = 0;

    store_fixture_init_fast(&fixture);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 1, false, NULL), TRIT_OK);
    store_fixture_close_store(&fixture); /* the database has step 1 */
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 2, false, NULL), TRIT_OK);
    store_fixture_init_fast(&killed);
    store_fixture_close_store(&killed);
    copy_database(&fixture, &killed);
    copy_lock(&fixture, &killed);
    CHECK(store_fixture_open_store(&killed, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    check_said(&failure, "number 1, but number 2 was stored here", "remove tritd.lock");
    CHECK(store_check(killed.directory, count_told, &told, &counts, NULL) == 0);
    CHECK_EQ(told, 1);
    lock_file(&killed, lock);
    CHECK(unlink(lock) == 0);
    CHECK(store_fixture_open_store(&killed, NULL) == 0);
    CHECK_EQ(damaged_get(&killed, "a", "x", 1, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&killed, "a", "x", 2, NULL), TRIT_NOT_FOUND);
    store_fixture_fini(&killed);
    store_fixture_fini(&fixture);
}

CASE(deleted_newest,
     "a store whose newest reports were deleted opens again, after a kill too")
{
    struct store_fixture fixture, killed;
    struct failure failure = {0};

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 3; step++)
        CHECK_EQ(damaged_file(&fixture, "a", "x", step, false, NULL), TRIT_OK);
    CHECK_EQ(damaged_delete(&fixture, "a", "x", 2, 3, &failure), 2);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 4, false, NULL), TRIT_OK);
    CHECK_EQ(damaged_delete(&fixture, "a", "", 0, 9, &failure), 2);
    store_fixture_close_store(&fixture);
    store_fixture_init_fast(&killed);
    store_fixture_close_store(&killed);
    copy_database(&fixture, &killed);
    copy_lock(&fixture, &killed);
    CHECK(store_fixture_open_store(&killed, &failure) == 0);
    store_fixture_fini(&killed);
    store_fixture_fini(&fixture);
}

CASE(lost_log,
     "when the log of reports is deleted, what was acknowledged is written into the "
     "database, and nothing more is acknowledged until the next start")
{
    struct store_fixture fixture, killed;
    char path[STORE_PATH_BYTES], log[STORE_PATH_BYTES + 8];
    struct failure failure = {0};

    store_fixture_init_fast(&fixture);
    store_fixture_init_fast(&killed);
    store_fixture_close_store(&killed);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 1, false, NULL), TRIT_OK);
    store_file(&fixture, path);
    snprintf(log, sizeof(log), "%s-wal", path);
    CHECK(unlink(log) == 0);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 2, false, &failure), TRIT_UNAVAILABLE);
    check_said(&failure, log, "restart tritd");
    copy_database(&fixture, &killed);
    CHECK(store_fixture_open_store(&killed, NULL) == 0);
    CHECK_EQ(damaged_get(&killed, "a", "x", 1, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&killed, "a", "x", 2, NULL), TRIT_NOT_FOUND);
    store_fixture_fini(&killed);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 1, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 2, false, NULL), TRIT_OK);
    store_fixture_fini(&fixture);
}
