/* SPDX-License-Identifier: Apache-2.0 */
/* Full chunks of codes lie in the file of slots: used again, damaged, on a disk that fails,
 * and after kill -9. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/slots.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/fault_file.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CHUNKS = 3, CODES_BYTES = CHUNKS * SLOT_BYTES + 1000, KILLS = 6 };

static struct fixture_put put;
static struct failure failure;

/* ---- codes ------------------------------------------------------------------------ */

/* Some codes of a step; each byte has four codes from 0 to 2. */
static const uint8_t *codes_of(uint64_t step)
{
    static uint8_t codes[CODES_BYTES];
    uint64_t random = 88172645463325252u + step;

    for (size_t i = 0; i < CODES_BYTES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        codes[i] = (uint8_t)(random % 3 | (random >> 8) % 3 << 2 |
                             (random >> 16) % 3 << 4 | (random >> 24) % 3 << 6);
    }
    return codes;
}

static uint64_t flips_between(uint64_t from, uint64_t to)
{
    uint8_t *before = malloc(CODES_BYTES);
    const uint8_t *after;
    uint64_t flips = 0;

    CHECK(before);
    memcpy(before, codes_of(from), CODES_BYTES);
    after = codes_of(to);
    for (size_t i = 0; i < CODES_BYTES; i++)
        for (unsigned shift = 0; shift < 8; shift += 2)
            flips += ((before[i] ^ after[i]) >> shift & 3) != 0;
    free(before);
    return flips;
}

static void report_of(struct trit_report *report, const char *layer, uint64_t step)
{
    fixture_report(report, "run", layer, step, (unsigned)step, 1,
                   4 * (uint64_t)CODES_BYTES, 128);
}

static enum trit_status file(struct store_fixture *fixture, const char *layer,
                             uint64_t step)
{
    struct trit_report report;

    report_of(&report, layer, step);
    fixture_put(fixture, &put, &report, codes_of(step), CODES_BYTES);
    return put.put.failure.status;
}

static void must_open(struct store_fixture *fixture)
{
    failure = (struct failure){0};
    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

/* Opens it again, and checks that the flips to the next step are those since `step`. */
static void check_kept(struct store_fixture *fixture, const char *layer, uint64_t step)
{
    CHECK_EQ(file(fixture, layer, step + 1), TRIT_OK);
    CHECK_EQ(put.report.previous_step, step);
    CHECK_EQ(put.report.flips, flips_between(step, step + 1));
}

/* ---- the file --------------------------------------------------------------------- */

static void slots_file(const struct store_fixture *fixture, char path[STORE_PATH_BYTES])
{
    snprintf(path, STORE_PATH_BYTES, "%s/codes.slots", fixture->directory);
}

static uint64_t slots_in_file(const struct store_fixture *fixture)
{
    char path[STORE_PATH_BYTES];
    struct stat status;

    slots_file(fixture, path);
    CHECK(stat(path, &status) == 0);
    return (uint64_t)status.st_size / SLOT_BYTES;
}

/* Changes one byte of a slot. */
static void damage_slot(const struct store_fixture *fixture, int64_t slot)
{
    char path[STORE_PATH_BYTES];
    uint8_t byte;

    slots_file(fixture, path);
    int fd = open(path, O_RDWR);

    CHECK(fd >= 0 && pread(fd, &byte, 1, slot * SLOT_BYTES + 77) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, slot * SLOT_BYTES + 77) == 1);
    close(fd);
}

static void told(void *arg, const char *message)
{
    char *text = arg;

    strncat(text, message, 4000 - strlen(text));
}

/* What --check-data says of a store that is closed. */
static const char *check_data(const struct store_fixture *fixture)
{
    static char text[4096];
    struct store_counts counts;

    text[0] = '\0';
    failure = (struct failure){0};
    if (store_check(fixture->directory, told, text, &counts, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return text;
}

CASE(in_slots,
     "full chunks lie in slots, the rest in its row, and flips are counted of all")
{
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, "x", 1), TRIT_OK);
    CHECK_EQ(slots_in_file(&fixture), CHUNKS);
    CHECK_EQ(store_sql(&fixture, "SELECT SUM(LENGTH(data)) FROM codes"),
             1000 + 4 * CHUNKS);
    check_kept(&fixture, "x", 1);
    store_fixture_close_store(&fixture);
    CHECK_STR(check_data(&fixture), "");
    must_open(&fixture);
    check_kept(&fixture, "x", 2);
    store_fixture_fini(&fixture);
}

/* ---- flips while the codes arrive --------------------------------------------------- */

static bool has_slots(const struct store_fixture *fixture)
{
    return store_sql(fixture,
                     "SELECT COUNT(*) FROM codes WHERE upload ="
                     " (SELECT MAX(upload) FROM codes) AND slot IS NOT NULL") == CHUNKS;
}

/* The first chunks of a put, which are in their slots on return. */
static void begin_slow(struct store_fixture *fixture, struct fixture_put *slow,
                       const char *layer, uint64_t step)
{
    *slow = (struct fixture_put){.fixture = fixture};
    report_of(&slow->report, layer, step);
    slow->put.report = &slow->report;
    slow->put.counts_early = true;
    slow->put.done = fixture_done;
    CHECK(store_begin(&slow->put, fixture->store, &failure) == 0);
    for (int i = 0; i < CHUNKS; i++)
        store_codes(&slow->put, codes_of(step) + i * SLOT_BYTES, SLOT_BYTES);
    while (!has_slots(fixture))
        ;
}

static void end_slow(struct fixture_put *slow)
{
    store_codes(&slow->put, codes_of(slow->report.step) + CHUNKS * SLOT_BYTES,
                CODES_BYTES - CHUNKS * SLOT_BYTES);
    store_commit(&slow->put);
    fixture_put_wait(slow);
}

CASE(another_between,
     "flips are those since the newest step at commit, not at the first codes")
{
    static struct fixture_put slow;
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, "x", 1), TRIT_OK);
    begin_slow(&fixture, &slow, "x", 3);
    CHECK_EQ(file(&fixture, "x", 2), TRIT_OK);
    end_slow(&slow);
    CHECK_EQ(slow.put.failure.status, TRIT_OK);
    CHECK_EQ(slow.report.previous_step, 2);
    CHECK_EQ(slow.report.flips, flips_between(2, 3));
    begin_slow(&fixture, &slow, "x", 4);
    end_slow(&slow);
    CHECK_EQ(slow.report.flips, flips_between(3, 4));
    store_fixture_fini(&fixture);
}

/* Groups that do not fill their bytes, and a tail: no chunk ends with a group. */
CASE(early_is_late, "flips counted while codes arrive are those counted at commit")
{
    enum { GROUPS = 31000, GROUP = 98, TAIL = 51 };
    const size_t bytes = (size_t)GROUPS * 25 + 13;
    struct store_fixture fixture;
    uint64_t transitions[2][9];

    CHECK(bytes > 2 * SLOT_BYTES && bytes <= CODES_BYTES);
    store_fixture_init_fast(&fixture);
    for (int late = 0; late < 2; late++) {
        fixture.counts_late = late;
        for (uint64_t step = 1; step <= 2; step++) {
            struct trit_report report;

            fixture_report(&report, "run", late ? "late" : "early", step, (unsigned)step,
                           1, (uint64_t)GROUPS * GROUP + TAIL, GROUP);
            fixture_put(&fixture, &put, &report, codes_of(step), bytes);
            CHECK_EQ(put.put.failure.status, TRIT_OK);
        }
        memcpy(transitions[late], put.report.transitions, sizeof(transitions[late]));
    }
    CHECK(transitions[0][1] > 0);
    CHECK_MEM(transitions[0], transitions[1], sizeof(transitions[0]));
    store_fixture_fini(&fixture);
}

/* ---- slots that are free ------------------------------------------------------------- */

CASE(used_again, "slots of deleted codes are used again, and given back at the end")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    fixture.codes_max = 0;
    must_open(&fixture);
    CHECK_EQ(file(&fixture, "x", 1), TRIT_OK);
    for (uint64_t step = 1; step < 12; step++)
        check_kept(&fixture, "x", step);
    /* The newest, the one before, one on its way, and one that another commit frees. */
    CHECK(slots_in_file(&fixture) <= 4 * CHUNKS);
    store_fixture_close_store(&fixture);
    CHECK_STR(check_data(&fixture), "");
    must_open(&fixture);
    check_kept(&fixture, "x", 12);
    CHECK(slots_in_file(&fixture) <= 4 * CHUNKS);
    store_fixture_fini(&fixture);
}

/* ---- slots alone ------------------------------------------------------------------- */

static struct slots *open_slots(struct store_fixture *fixture)
{
    char path[STORE_PATH_BYTES];
    struct slots *slots;

    store_fixture_init(fixture, false);
    slots_file(fixture, path);
    CHECK(slots_open(&slots, path, O_RDWR, &failure) == 0);
    return slots;
}

static int64_t write_slot(struct slots *slots, int64_t upload)
{
    int64_t slot = -1;

    CHECK(slots_write(slots, upload, codes_of(1), &slot, &failure) == 0);
    return slot;
}

CASE(two_phases,
     "a slot is free when its transaction is on disk and no reader may see it")
{
    struct store_fixture fixture;
    struct slots *slots = open_slots(&fixture);

    CHECK_EQ(write_slot(slots, 1), 0);
    slots_rolled_back(slots);
    CHECK_EQ(write_slot(slots, 2), 0);
    slots_committed(slots, true);
    slots_free(slots, 0, 7); /* not its owner */
    slots_free(slots, 0, 2);
    CHECK_EQ(write_slot(slots, 3), 1);
    slots_rolled_back(slots);
    slots_free(slots, 0, 2);
    slots_committed(slots, false);
    CHECK_EQ(slots_used_bytes(slots), 0);
    CHECK_EQ(write_slot(slots, 4), 1);
    slots_read_begin(slots);
    slots_committed(slots, true);
    CHECK_EQ(write_slot(slots, 5), 2);
    slots_read_end(slots);
    slots_committed(slots, true);
    CHECK_EQ(write_slot(slots, 6), 0);
    CHECK_EQ(slots_file_bytes(slots), 3 * SLOT_BYTES);
    slots_committed(slots, true);
    CHECK_EQ(write_slot(slots, 7), 3);
    slots_doubt(slots);
    slots_rolled_back(slots);
    CHECK_EQ(slots_used_bytes(slots), 3 * SLOT_BYTES);
    CHECK_EQ(write_slot(slots, 8), 4);
    slots_committed(slots, true);
    CHECK_EQ(write_slot(slots, 9), 3);
    slots_close(slots);
    store_fixture_fini(&fixture);
}

CASE(trimmed, "many free slots at the end are given back to the file system")
{
    enum { SLOTS = SLOTS_LEFT + 40 };
    struct store_fixture fixture;
    struct slots *slots = open_slots(&fixture);

    for (int64_t i = 0; i < SLOTS; i++)
        CHECK_EQ(write_slot(slots, 1 + i), i);
    slots_trim(slots);
    CHECK_EQ(slots_in_file(&fixture), SLOTS);
    for (int64_t i = 2; i < SLOTS; i++)
        slots_free(slots, i, 1 + i);
    slots_committed(slots, true);
    slots_trim(slots);
    CHECK_EQ(slots_in_file(&fixture), 2 + SLOTS_LEFT);
    slots_close(slots);
    store_fixture_fini(&fixture);
}

CASE(not_direct,
     "if the file system refuses O_DIRECT, slots are written through the page cache")
{
    struct store_fixture fixture;
    struct slots *slots = open_slots(&fixture);
    uint8_t *bytes = malloc(SLOT_BYTES);

    CHECK(bytes);
    fault_file_arm(FAULT_FILE_PWRITE, 1, EINVAL, FAULT_FILE_FAIL);
    CHECK_EQ(write_slot(slots, 1), 0);
    CHECK(fault_file_disarm());
    CHECK_EQ(write_slot(slots, 1), 1);
    CHECK(slots_sync(slots, &failure) == 0);
    CHECK(slots_read(slots, 1, bytes, &failure) == 0);
    CHECK_MEM(bytes, codes_of(1), SLOT_BYTES);
    free(bytes);
    slots_close(slots);
    store_fixture_fini(&fixture);
}

/* ---- damage ------------------------------------------------------------------------ */

/* The report is stored, flips are not counted, and its health says why. */
static void check_filed_without(struct store_fixture *fixture, const char *layer,
                                uint64_t step)
{
    CHECK_EQ(file(fixture, layer, step), TRIT_OK);
    CHECK(!put.report.has_previous);
    CHECK_STR(put.report.health_reasons[0].rule, "data_damaged");
}

static void check_damaged(struct store_fixture *fixture, const char *words)
{
    const char *said = check_data(fixture);

    if (!strstr(said, words))
        check_failed(__FILE__, __LINE__, "not \"%s\": %s", words, said);
    must_open(fixture);
    check_filed_without(fixture, "x", 2);
    CHECK_EQ(file(fixture, "new", 1), TRIT_OK);
    check_kept(fixture, "y", 1);
    check_kept(fixture, "new", 1);
}

/* Layer x has slots 0 to 2, layer y 3 to 5. */
static void begin_damage(struct store_fixture *fixture)
{
    store_fixture_init(fixture, false);
    CHECK_EQ(file(fixture, "x", 1), TRIT_OK);
    CHECK_EQ(file(fixture, "y", 1), TRIT_OK);
    store_fixture_close_store(fixture);
}

CASE(damaged_slot, "a slot that changed is named, and no flips are counted from it")
{
    struct store_fixture fixture;

    begin_damage(&fixture);
    damage_slot(&fixture, 1);
    check_damaged(&fixture, "slot 1 of codes.slots is damaged");
    store_fixture_fini(&fixture);
}

CASE(damaged_rows,
     "a row that names another slot is damage, and no slot in use is given away")
{
    static const char *const damages[] = {
        "UPDATE codes SET slot = 4 WHERE slot = 1",
        "UPDATE codes SET slot = 900000 WHERE slot = 1",
        "UPDATE codes SET slot = -1 WHERE slot = 1",
        "UPDATE codes SET slot = NULL WHERE slot = 1",
        "UPDATE codes SET data = x'00' WHERE slot = 1",
        "UPDATE codes SET slot = 1 - slot WHERE slot < 2",
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct store_fixture fixture;

        begin_damage(&fixture);
        store_sql(&fixture, damages[i]);
        check_damaged(&fixture, "codes is damaged");
        store_fixture_fini(&fixture);
    }
}

CASE(short_file, "a file that lost its end or is missing is damage of what was there")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES];

    begin_damage(&fixture);
    slots_file(&fixture, path);
    CHECK(truncate(path, 5 * SLOT_BYTES) == 0);
    CHECK(strstr(check_data(&fixture), "codes.slots"));
    must_open(&fixture);
    check_filed_without(&fixture, "y", 2);
    check_kept(&fixture, "x", 1);
    store_fixture_close_store(&fixture);
    CHECK(unlink(path) == 0);
    CHECK(strstr(check_data(&fixture), "codes.slots"));
    must_open(&fixture);
    check_filed_without(&fixture, "x", 3);
    check_filed_without(&fixture, "y", 3);
    CHECK_EQ(file(&fixture, "z", 1), TRIT_OK);
    check_kept(&fixture, "z", 1);
    store_fixture_close_store(&fixture);
    CHECK(!strstr(check_data(&fixture), "two rows")); /* z took no slot of x and y */
    must_open(&fixture);
    check_filed_without(&fixture, "y", 3);
    check_kept(&fixture, "z", 2);
    store_fixture_fini(&fixture);
}

/* ---- a disk that fails -------------------------------------------------------------- */

/* The calls of one kind fail, from the nth on, while a step is filed; then it succeeds. False:
 * no call for slots was hit. The last pwrite notes in the lock file that the report is stored;
 * it is stored without the note, too. */
static bool fail_step(struct store_fixture *fixture, uint64_t step, bool flush,
                      uint64_t nth, bool all)
{
    enum trit_status status;
    bool hit;

    if (flush)
        fault_arm(FAULT_WRITE, nth, all ? FAULT_STICKY : FAULT_ONCE);
    else
        fault_file_arm(FAULT_FILE_PWRITE, nth, ENOSPC,
                       all ? FAULT_FILE_EVERY : FAULT_FILE_FAIL);
    status = file(fixture, "x", step);
    hit = flush ? fault_disarm() : fault_file_disarm();
    if (!hit || (!flush && status == TRIT_OK)) {
        CHECK_EQ(status, TRIT_OK);
        check_kept(fixture, "x", step);
        return false;
    }
    CHECK_EQ(status, TRIT_UNAVAILABLE);
    CHECK(strstr(put.put.failure.message, "codes.slots"));
    CHECK_EQ(file(fixture, "x", step), TRIT_OK);
    return true;
}

CASE(disk_fails,
     "if any write or flush of slots fails, only stored reports are acknowledged")
{
    struct store_fixture fixture;
    uint64_t step = 1, failures = 0;

    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, "x", step), TRIT_OK);
    for (int way = 0; way < 4; way++)
        for (uint64_t nth = 1; fail_step(&fixture, step + 1, way & 1, nth, way & 2);
             nth++) {
            step++;
            failures++;
        }
    CHECK_EQ(failures, 2 * CHUNKS + 2);
    store_fixture_close_store(&fixture);
    CHECK_STR(check_data(&fixture), "");
    must_open(&fixture);
    store_fixture_fini(&fixture);
}

CASE(read_fails, "a slot that cannot be read now is UNAVAILABLE, and no damage")
{
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, "x", 1), TRIT_OK);
    fault_file_arm(FAULT_FILE_PREAD, 1, EIO, FAULT_FILE_EVERY);
    CHECK_EQ(file(&fixture, "x", 2), TRIT_UNAVAILABLE);
    CHECK(fault_file_disarm());
    check_kept(&fixture, "x", 1);
    store_fixture_fini(&fixture);
}

CASE(lost_flush,
     "codes that a failed flush of another report may have lost are not stored")
{
    struct store_fixture fixture;
    static struct fixture_put slow;

    store_fixture_init(&fixture, false);
    begin_slow(&fixture, &slow, "slow", 1);
    fault_arm(FAULT_WRITE, 1, FAULT_ONCE);
    CHECK_EQ(file(&fixture, "x", 2), TRIT_UNAVAILABLE);
    CHECK(fault_disarm());
    end_slow(&slow);
    CHECK_EQ(slow.put.failure.status, TRIT_UNAVAILABLE);
    CHECK(strstr(slow.put.failure.message, "may have lost"));
    CHECK_EQ(file(&fixture, "slow", 1), TRIT_OK);
    check_kept(&fixture, "slow", 1);
    store_fixture_fini(&fixture);
}

/* ---- kill -9 ------------------------------------------------------------------------ */

static _Noreturn void live(struct store_fixture *fixture, int pipe, uint64_t step)
{
    fixture->loop = loop_create();
    if (mailbox_create(&fixture->mailbox, fixture->loop, NULL) ||
        store_fixture_open_store(fixture, NULL))
        _exit(3);
    for (;; step++)
        if (file(fixture, "x", step) != TRIT_OK ||
            write(pipe, &step, sizeof(step)) != sizeof(step))
            _exit(4);
}

CASE(killed, "after kill -9 at any moment the codes of the newest report are whole")
{
    struct store_fixture fixture;
    uint64_t random = check_seed(), newest = 0;

    store_fixture_init(&fixture, false);
    fixture.codes_max = 0; /* slots are used again soon */
    for (int round = 0; round < KILLS; round++) {
        uint64_t left = 1 + check_random(&random) % 8, step;
        int ends[2], status;

        store_fixture_close_store(&fixture);
        CHECK(pipe(ends) == 0);
        pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            close(ends[0]);
            live(&fixture, ends[1], newest + 1);
        }
        close(ends[1]);
        while (read(ends[0], &step, sizeof(step)) == sizeof(step)) {
            newest = step;
            if (left > 0 && --left == 0)
                kill(child, SIGKILL);
        }
        close(ends[0]);
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK_STR(check_data(&fixture), "");
        must_open(&fixture);
        /* The last one may be stored without its acknowledgement. */
        if (file(&fixture, "x", ++newest) == TRIT_OK && put.report.has_previous)
            CHECK_EQ(put.report.flips, flips_between(put.report.previous_step, newest));
    }
    store_fixture_fini(&fixture);
}

/* ---- a disk that takes nothing for a while ----------------------------------------- */

CASE(pauses, "an upload that is faster than the disk is paused and resumed")
{
    enum { PIECE = 1 << 20, BYTES = 24 << 20 };
    static const uint8_t piece[PIECE];
    struct store_fixture fixture;
    unsigned waited = 0;

    store_fixture_init(&fixture, false);
    put = (struct fixture_put){.fixture = &fixture};
    fixture_report(&put.report, "run", "layer", 1, 1, 1, 4 * (uint64_t)BYTES, 128);
    put.put.done = fixture_done;
    put.put.report = &put.report;
    CHECK(store_begin(&put.put, fixture.store, NULL) == 0);
    store_on_drained(&put.put, fixture_drained);
    fault_file_arm(FAULT_FILE_PWRITE, 1, 0, FAULT_FILE_HOLD);
    for (size_t at = 0; at < BYTES; at += PIECE) {
        put.drained = 0;
        if (store_codes(&put.put, piece, PIECE) <= STORE_CODES_PENDING_MAX)
            continue;
        waited++;
        fault_file_disarm();
        fixture_put_drain(&put);
    }
    CHECK(waited > 0);
    store_commit(&put.put);
    fixture_put_wait(&put);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
