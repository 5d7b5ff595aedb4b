/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that fill and fail, memory that runs out, files that are damaged or
 * somebody else's. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "obs/metrics.h"
#include "store/row.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_faults.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CODES_BYTES = 600000 };
static uint8_t codes[CODES_BYTES];

static void must_open(struct store_fixture *fixture)
{
    struct failure failure = {0};

    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

/* One put with codes for `step`; its status. */
static enum trit_status put_step(struct store_fixture *fixture, uint64_t step,
                                 char message[TRIT_MESSAGE_BYTES_MAX + 1])
{
    struct fixture_put put;
    struct trit_report report;

    fixture_report(&report, "run", "layer", step, (unsigned)step, 1,
                   4 * (uint64_t)CODES_BYTES, 128);
    fixture_put(fixture, &put, &report, codes, CODES_BYTES);
    if (message)
        memcpy(message, put.put.failure.message, TRIT_MESSAGE_BYTES_MAX + 1);
    return put.put.failure.status;
}

static bool there(struct store_fixture *fixture, uint64_t step)
{
    struct store_reader *reader;
    struct trit_report report;
    int outcome;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    outcome = store_read_report(reader, GET("run", "layer", true, step), &report, NULL);
    store_reader_close(reader);
    return outcome == 0;
}

/* Each write and flush of a put in turn. After a failure the same put succeeds,
 * and only what was acknowledged is there, also after opening again. */
static void disk_walk(bool sticky)
{
    struct store_fixture fixture;
    uint64_t acknowledged[2000];
    size_t count = 0;
    uint64_t step = 1;
    unsigned failures = 0;

    store_fixture_init(&fixture, false);
    for (uint64_t nth = 1; nth < 1000; nth += 1 + nth / 8, step++) {
        char message[TRIT_MESSAGE_BYTES_MAX + 1];
        enum trit_status status;

        disk_arm(nth, sticky);
        status = put_step(&fixture, step, message);
        if (!disk_disarm())
            break;
        if (status != TRIT_OK) {
            failures++;
            CHECK_EQ(status, TRIT_UNAVAILABLE);
            CHECK(strstr(message, "report of run \"run\", layer \"layer\", step"));
            CHECK(strstr(message, "not stored"));
            CHECK(!there(&fixture, step));
            CHECK_EQ(put_step(&fixture, step, message), TRIT_OK);
        }
        acknowledged[count++] = step;
    }
    CHECK(failures > 3);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES) >= failures, 1);
    store_fixture_close_store(&fixture);
    must_open(&fixture);
    for (size_t i = 0; i < count; i++)
        CHECK(there(&fixture, acknowledged[i]));
    store_sql_until_uploads(&fixture, 1);
    store_fixture_fini(&fixture);
}

CASE(disk_fails_once,
     "if any one write or flush fails, only stored reports are acknowledged")
{
    disk_walk(false);
}

CASE(disk_stays_bad, "puts fail while the disk fails, and work again afterwards")
{
    disk_walk(true);
}

/* The disk fills at any write of an upload: its rows go when it is well again, without a
 * restart. */
CASE(broken_upload_is_swept,
     "an upload that failed on the disk is removed without a restart")
{
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    for (uint64_t nth = 1, step = 1; nth < 1000; nth += 1 + nth / 4, step++) {
        disk_arm(nth, true);
        (void)put_step(&fixture, step, NULL);
        if (!disk_disarm())
            break;
        CHECK_EQ(put_step(&fixture, ++step, NULL), TRIT_OK);
        store_sql_until_uploads(&fixture, 1);
    }
    store_fixture_fini(&fixture);
}

/* The last one is that of the COMMIT, behind all steps of the deletion. */
CASE(failed_delete,
     "a deletion that the disk undoes does not say that reports were deleted")
{
    struct store_fixture fixture;
    unsigned failures = 0;

    store_fixture_init(&fixture, false);
    for (uint64_t nth = 1, step = 1; nth < 100; nth++, step += 2) {
        struct failure failure;

        CHECK_EQ(put_step(&fixture, step, NULL), TRIT_OK);
        CHECK_EQ(put_step(&fixture, step + 1, NULL), TRIT_OK);
        disk_arm(nth, true);
        uint64_t deleted = damaged_delete(&fixture, "run", "layer", 0, step, &failure);

        if (!disk_disarm())
            break;
        if (failure.status != TRIT_OK) {
            failures++;
            CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
            if (strstr(failure.message, "were deleted"))
                check_failed(__FILE__, __LINE__, "%s", failure.message);
            CHECK(there(&fixture, step));
            deleted = damaged_delete(&fixture, "run", "layer", 0, step, &failure);
        }
        CHECK_EQ(deleted, step == 1 ? 1 : 2);
        CHECK(!there(&fixture, step));
    }
    CHECK(failures > 0);
    store_fixture_fini(&fixture);
}

CASE(aborted_upload_is_gone, "an aborted upload leaves nothing behind")
{
    struct store_fixture fixture;
    struct fixture_put put = {.fixture = &fixture};
    struct failure failure = {0};

    store_fixture_init(&fixture, false);
    fixture_report(&put.report, "run", "layer", 1, 1, 1, 4 * (uint64_t)CODES_BYTES, 128);
    put.put.report = &put.report;
    CHECK(store_begin(&put.put, fixture.store, &failure) == 0);
    store_codes(&put.put, codes, CODES_BYTES);
    store_abort(&put.put);
    memset(&put, 0xee, sizeof(put)); /* the caller's again */
    CHECK_EQ(put_step(&fixture, 2, NULL), TRIT_OK);
    store_sql_until_uploads(&fixture, 1);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 1);
    store_fixture_fini(&fixture);
}

CASE(leftovers_go_at_open, "opening the store removes uploads that a crash left behind")
{
    struct store_fixture fixture;
    char insert[128];

    store_fixture_init(&fixture, false);
    CHECK_EQ(put_step(&fixture, 1, NULL), TRIT_OK);
    store_fixture_close_store(&fixture);
    snprintf(insert, sizeof(insert), "INSERT INTO codes VALUES (999, 0, x'00', %u, NULL)",
             (unsigned)codes_row_crc(999, 0, "", 1));
    store_sql(&fixture, insert);
    must_open(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes WHERE upload = 999"), 0);
    CHECK(store_sql(&fixture, "SELECT COUNT(*) FROM codes") > 0);
    store_fixture_fini(&fixture);
}

/* Every allocation in turn, SQLite's and ours, while a store opens, takes a
 * report and closes. */
static void memory_walk(bool in_memory)
{
    struct store_fixture fixture;
    bool fired = true;

    store_fixture_init(&fixture, in_memory);
    store_fixture_close_store(&fixture);
    for (uint64_t nth = 1; fired && nth < 100000; nth += 1 + nth / 24) {
        struct failure failure = {0};
        enum trit_status status = TRIT_OK;
        int opened;

        fault_arm(FAULT_MEMORY | FAULT_THREAD, nth, FAULT_ONCE);
        opened = store_fixture_open_store(&fixture, &failure);
        if (opened == 0)
            status = put_step(&fixture, nth, NULL);
        fired = fault_disarm();
        CHECK(opened == 0 || failure.status != TRIT_OK);
        CHECK(fired || (opened == 0 && status == TRIT_OK));
        if (opened != 0)
            continue;
        CHECK(status == TRIT_OK || status == TRIT_UNAVAILABLE ||
              status == TRIT_RESOURCE_EXHAUSTED);
        CHECK_EQ(put_step(&fixture, nth, NULL), TRIT_OK);
        store_fixture_close_store(&fixture);
    }
    CHECK(!fired);
    store_fixture_fini(&fixture);
}

CASE(memory_on_disk,
     "whichever allocation fails, on disk, the store fails cleanly and recovers")
{
    memory_walk(false);
}

CASE(memory_in_memory,
     "whichever allocation fails, in memory, the store fails cleanly and recovers")
{
    memory_walk(true);
}

/* ---- other people's files ------------------------------------------------------ */

static void check_refused(struct store_fixture *fixture, enum trit_status status,
                          const char *words)
{
    struct failure failure = {0};

    CHECK(store_fixture_open_store(fixture, &failure) == -1);
    CHECK_EQ(failure.status, status);
    if (!strstr(failure.message, words))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

CASE(wrong_files, "a file that no tritd or a newer one wrote is refused")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES];
    FILE *file;

    store_fixture_init(&fixture, false);
    store_fixture_close_store(&fixture);
    store_sql(&fixture, "PRAGMA user_version = 77");
    check_refused(&fixture, TRIT_FAILED_PRECONDITION, "newer tritd");
    store_sql(&fixture, "PRAGMA user_version = 1");
    store_sql(&fixture, "PRAGMA application_id = 4711");
    check_refused(&fixture, TRIT_FAILED_PRECONDITION, "another program");
    store_file(&fixture, path);
    file = fopen(path, "w");
    CHECK(file);
    for (int i = 0; i < 10000; i++)
        fputs("this is no database ", file);
    fclose(file);
    check_refused(&fixture, TRIT_DATA_LOSS, path);
    store_fixture_fini(&fixture);
}

/* A page in the middle of the reports is overwritten. */
CASE(damaged, "a damaged database is refused at open")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES], junk[4096];
    int fd;
    off_t size;

    store_fixture_init(&fixture, false);
    for (uint64_t step = 0; step < 40; step++) {
        struct fixture_put put;
        struct trit_report report;

        fixture_report(&report, "run", "layer", step, (unsigned)step, 2, 8, 4);
        fixture_put(&fixture, &put, &report, NULL, 0);
    }
    store_fixture_close_store(&fixture);
    store_file(&fixture, path);
    memset(junk, 0x5a, sizeof(junk));
    fd = open(path, O_RDWR);
    size = lseek(fd, 0, SEEK_END);
    CHECK(fd >= 0 && size > 5 * 4096);
    for (off_t at = 4096; at < size; at += 4096)
        CHECK(pwrite(fd, junk, sizeof(junk), at) == sizeof(junk));
    close(fd);
    check_refused(&fixture, TRIT_DATA_LOSS, "reports.sqlite");
    store_fixture_fini(&fixture);
}

CASE(no_directory, "a data directory that cannot be opened is named")
{
    struct store_fixture fixture, other;

    store_fixture_init(&fixture, false);
    other = fixture;
    snprintf(other.directory, sizeof(other.directory), "/no/such/place");
    check_refused(&other, TRIT_UNAVAILABLE, "/no/such/place");
    snprintf(other.directory, sizeof(other.directory), "/dev/null");
    check_refused(&other, TRIT_UNAVAILABLE, "/dev/null");
    store_fixture_fini(&fixture);
}

/* ---- mending --------------------------------------------------------------------- */

CASE(
    mend_without_space,
    "a damaged row that cannot be made again because the disk is full counts as a failure "
    "of the store, and is made again when there is space")
{
    enum { QUERIES_MAX = 1000000 };
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "SELECT 1");
    store_sql(&fixture, "UPDATE layers SET reports = 2 WHERE run = 'a' AND layer = 'x'");
    const uint64_t before = metric_get(fixture.metrics, M_STORE_FAILURES);

    disk_arm(1, true);
    for (int i = 0; i < QUERIES_MAX; i++) {
        CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
                 TRIT_DATA_LOSS);
        if (metric_get(fixture.metrics, M_STORE_FAILURES) > before)
            break;
    }
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES), before + 1);
    CHECK(disk_disarm());
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

/* ---- side by side ---------------------------------------------------------------- */

struct looking {
    struct store_reader *reader;
    _Atomic bool stop;
    unsigned looks, failures;
};

static bool look_run(void *arg, const struct store_run_info *info)
{
    (void)arg;
    return info->reports > 0;
}

static void *look(void *arg)
{
    struct looking *looking = arg;
    struct failure failure = {0};

    do {
        if (store_read_runs(looking->reader, look_run, NULL, &failure))
            looking->failures++;
        looking->looks++;
    } while (!atomic_load(&looking->stop));
    return NULL;
}

static void read_while_writing(bool in_memory)
{
    struct store_fixture fixture;
    struct looking looking = {0};
    pthread_t thread;

    store_fixture_init(&fixture, in_memory);
    CHECK(store_reader_open(&looking.reader, fixture.store, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, look, &looking) == 0);
    for (uint64_t step = 0; step < 60; step++)
        CHECK_EQ(put_step(&fixture, step, NULL), TRIT_OK);
    atomic_store(&looking.stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(looking.looks > 0);
    CHECK_EQ(looking.failures, 0);
    store_reader_close(looking.reader);
    store_fixture_fini(&fixture);
}

CASE(read_on_disk, "readers are not disturbed by the writer, on disk")
{
    read_while_writing(false);
}

CASE(read_in_memory, "readers are not disturbed by the writer, in memory")
{
    read_while_writing(true);
}

int main(int argc, char **argv)
{
    store_faults_init();
    return check_main(argc, argv);
}
