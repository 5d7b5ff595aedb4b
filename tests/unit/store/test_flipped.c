/* SPDX-License-Identifier: Apache-2.0 */
/* A store with one byte flipped: whatever is asked of it, the answer is the one that
 * was filed, or DATA_LOSS. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/store_answers.h"
#include "tests/lib/store_sql.h"

/* Bytes from one flip to the next: in the small store, in the gaps between its rows, in the
 * large one. Primes, so that every column is reached. */
struct strides {
    size_t small, gap, large, inner;
};

/* TRIT_EVERY_BYTE=1 (make test-every-byte): every byte of the small store's rows. */
static struct strides strides(void)
{
    if (getenv("TRIT_EVERY_BYTE"))
        return (struct strides){1, 31, 29, 1};
#if defined(__aarch64__) /* emulated */
    return (struct strides){389, 1999, 1999, 29};
#elif defined(TRIT_ASAN) || defined(__SANITIZE_THREAD__)
    return (struct strides){97, 997, 499, 7};
#else
    return (struct strides){13, 251, 211, 3};
#endif
}

enum {
    PAGE_BYTES = 4096,
    GAP_BYTES = 64, /* this many zeros in a row are a gap between rows */
    CODES_BYTES = 16,
    PUTS = 6,
    LAYERS = 40, /* of the large store */
    STEPS = 12,
};
_Static_assert(LAYERS *(STEPS + 2) + 8 <= ANSWERS_MAX, "the answers fit");

/* What build() filed. */
static const struct {
    const char *run, *layer;
    uint64_t step;
    bool codes;
} filed[] = {
    {"a", "x", 2, true},   {"a", "x", 4, true},  {"a", "x", 3, true},
    {"a", "y", 7, false},  {"a", "y", 1, false}, {"a", "z", 5, true},
    {"b", "x", 9, true},   {"b", "x", 10, true}, {"a", "x", 5, true},
    {"aa", "w", 1, false}, {"b", "y", 1, true},
};
enum { FILED = sizeof(filed) / sizeof(filed[0]) };

static void ask_reports(struct answers *answers, struct store_reader *reader)
{
    for (size_t i = 0; i < FILED; i++)
        ask_report(answers, reader, filed[i].run, filed[i].layer, (int64_t)filed[i].step);
    ask_report(answers, reader, "a", "x", 1);
    ask_report(answers, reader, "a", "x", 6);
    ask_report(answers, reader, "a", "y", 3);
    ask_report(answers, reader, "a", "nothing", 1);
    ask_report(answers, reader, "b", "zz", -1);
    ask_report(answers, reader, "nobody", "x", 1);
    ask_report(answers, reader, "0", "x", 1);
    ask_report(answers, reader, "a", "x", -1);
    ask_report(answers, reader, "b", "y", -1);
}

static void ask(struct answers *answers, struct store_reader *reader)
{
    struct store_key after = {.run = "a", .layer = "x", .step = 3};

    answers->count = 0;
    ask_reports(answers, reader);
    ask_list(answers, reader, "all", (struct store_query){0});
    ask_list(answers, reader, "all, newest first",
             (struct store_query){.newest_first = true});
    ask_list(answers, reader, "run", (struct store_query){.run = "a"});
    ask_list(answers, reader, "run, newest first",
             (struct store_query){.run = "a", .newest_first = true});
    ask_list(answers, reader, "layer", (struct store_query){.layer = "x"});
    ask_list(answers, reader, "history", (struct store_query){.run = "a", .layer = "x"});
    ask_list(answers, reader, "history, newest first",
             (struct store_query){.run = "a", .layer = "x", .newest_first = true});
    ask_list(
        answers, reader, "stretch",
        (struct store_query){.run = "a", .layer = "x", .step_from = 3, .step_to = 4});
    ask_list(answers, reader, "stretch, newest first",
             (struct store_query){.run = "a",
                                  .layer = "x",
                                  .step_from = 2,
                                  .step_to = 3,
                                  .newest_first = true});
    ask_list(
        answers, reader, "empty stretch",
        (struct store_query){.run = "a", .layer = "y", .step_from = 2, .step_to = 6});
    ask_list(answers, reader, "latest", (struct store_query){.latest_only = true});
    ask_list(answers, reader, "latest of a run, newest first",
             (struct store_query){.run = "b", .latest_only = true, .newest_first = true});
    ask_list(answers, reader, "page", (struct store_query){.limit = 3});
    ask_list(answers, reader, "next page",
             (struct store_query){.limit = 3, .after = &after});
    ask_list(answers, reader, "page before",
             (struct store_query){.after = &after, .newest_first = true});
    ask_list(answers, reader, "latest after",
             (struct store_query){.run = "a", .latest_only = true, .after = &after});
    ask_runs(answers, reader);
}

/* ---- what is filed then ---------------------------------------------------------- */

static void codes_of(uint64_t step, uint8_t codes[CODES_BYTES])
{
    for (size_t i = 0; i < CODES_BYTES; i++)
        codes[i] = (uint8_t)(step * 5 + i) & 0x55;
}

static void start(struct store_fixture *fixture, struct fixture_put *put, const char *run,
                  const char *layer, uint64_t step, bool with_codes)
{
    struct trit_report report;
    uint8_t codes[CODES_BYTES];

    fixture_report(&report, run, layer, step, (unsigned)step, 1, 4 * CODES_BYTES,
                   4 * CODES_BYTES);
    codes_of(step, codes);
    CHECK(fixture_put_start(fixture, put, &report, with_codes ? codes : NULL, CODES_BYTES,
                            CODES_BYTES) == 0);
}

/* The next step of three layers, an equal report, one between two, a new layer: what
 * became of them, and the reports read back. */
static void file(struct answers *answers, struct store_fixture *fixture)
{
    static struct fixture_put puts[PUTS];

    answers->count = 0;
    start(fixture, &puts[0], "a", "x", 6, true);
    start(fixture, &puts[1], "a", "y", 8, false);
    start(fixture, &puts[2], "b", "x", 11, true);
    start(fixture, &puts[3], "a", "x", 4, true);
    start(fixture, &puts[4], "a", "y", 4, false);
    start(fixture, &puts[5], "aaa", "new", 1, true);
    for (size_t i = 0; i < PUTS; i++) {
        fixture_put_wait(&puts[i]);
        answer_put(answers, &puts[i]);
    }
}

/* What was acknowledged must be there: reports filed before and after. A put that was
 * refused may be absent, and so may what is next to it. */
static void ask_again(struct answers *answers, struct store_reader *reader)
{
    answers->count = 0;
    for (size_t i = 0; i < FILED; i++)
        ask_report(answers, reader, filed[i].run, filed[i].layer, (int64_t)filed[i].step);
    answers->old = answers->count;
    ask_report(answers, reader, "a", "x", 6);
    ask_report(answers, reader, "a", "y", 8);
    ask_report(answers, reader, "b", "x", 11);
    ask_report(answers, reader, "a", "x", 4);
    ask_report(answers, reader, "a", "y", 4);
    ask_report(answers, reader, "aaa", "new", 1);
}

/* ---- the store -------------------------------------------------------------------- */

/* Everything that one life of the store answered. */
struct life {
    struct failure opening;
    struct answers read, filed, again;
};

static void live(struct store_fixture *fixture, struct life *life)
{
    struct store_reader *reader;

    life->opening = (struct failure){0};
    if (store_fixture_open_store(fixture, &life->opening))
        return;
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    ask(&life->read, reader);
    file(&life->filed, fixture);
    ask_again(&life->again, reader);
    store_reader_close(reader);
    store_fixture_close_store(fixture);
}

static void file_one(struct store_fixture *fixture, const char *run, const char *layer,
                     uint64_t step, bool with_codes)
{
    struct fixture_put put;

    start(fixture, &put, run, layer, step, with_codes);
    fixture_put_wait(&put);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
}

/* Copies a file that is beside the database. */
static void copy_beside(const char *database, const char *from, const char *to)
{
    const int length = (int)(strrchr(database, '/') - database);
    char path[STORE_PATH_BYTES + 16], text[256];

    snprintf(path, sizeof(path), "%.*s/%s", length, database, from);
    const int in = open(path, O_RDONLY);
    const ssize_t got = read(in, text, sizeof(text));

    snprintf(path, sizeof(path), "%.*s/%s", length, database, to);
    const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(got > 0 && write(out, text, (size_t)got) == got);
    close(in);
    close(out);
}

/* Closes the store and gives the bytes of its file. Keeps its lock file for `restore`. */
static uint8_t *close_and_read(struct store_fixture *fixture, char path[STORE_PATH_BYTES],
                               size_t *size)
{
    struct stat stat;

    store_fixture_close_store(fixture);
    store_file(fixture, path);
    int fd = open(path, O_RDONLY);

    CHECK(fd >= 0 && fstat(fd, &stat) == 0);
    *size = (size_t)stat.st_size;
    uint8_t *bytes = malloc(*size);

    CHECK(bytes && pread(fd, bytes, *size, 0) == (ssize_t)*size);
    close(fd);
    copy_beside(path, "tritd.lock", "kept.lock");
    return bytes;
}

static void restore(const char *path, const uint8_t *bytes, size_t size, size_t at,
                    uint8_t flip)
{
    uint8_t byte = bytes[at] ^ flip;
    int fd = open(path, O_RDWR | O_TRUNC);

    CHECK(fd >= 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
    CHECK(pwrite(fd, &byte, 1, (off_t)at) == 1);
    close(fd);
    copy_beside(path, "kept.lock", "tritd.lock");
}

/* The distance to the next flip: larger inside a gap. */
static size_t stride(const uint8_t *bytes, size_t size, size_t at, size_t small)
{
    static const uint8_t gap[GAP_BYTES];
    const size_t wide = strides().gap;

    if (at + wide + GAP_BYTES < size && small < wide &&
        memcmp(bytes + at, gap, GAP_BYTES) == 0 &&
        memcmp(bytes + at + wide, gap, GAP_BYTES) == 0)
        return wide;
    return small;
}

/* What came of the flips. */
struct tally {
    size_t flips, refusals, losses;
};

/* One flip, one life. */
static void flip_one(struct store_fixture *fixture, const char *path,
                     const uint8_t *bytes, size_t size, size_t at, uint64_t *random,
                     void (*again)(struct store_fixture *, struct life *),
                     const struct life *sound, struct tally *tally)
{
    static struct life life;
    char what[80];
    uint8_t flip =
        (uint8_t)(check_random(random) % 4 == 0 ? 0xff : 1u << check_random(random) % 8);

    restore(path, bytes, size, at, flip);
    again(fixture, &life);
    tally->flips++;
    if (life.opening.status != TRIT_OK) {
        tally->refusals++;
        if (life.opening.status != TRIT_DATA_LOSS &&
            life.opening.status != TRIT_FAILED_PRECONDITION)
            check_failed(__FILE__, __LINE__, "byte %zu flipped by 0x%02x: %s", at, flip,
                         life.opening.message);
        return;
    }
    snprintf(what, sizeof(what), "byte %zu (page %zu, at %zu) flipped by 0x%02x", at,
             at / PAGE_BYTES + 1, at % PAGE_BYTES, flip);
    check_answers(&sound->read, &life.read, NULL, what);
    check_answers(&sound->filed, &life.filed, NULL, what);
    check_answers(&sound->again, &life.again, &life.filed, what);
    for (size_t i = 0; i < life.read.count; i++)
        if (life.read.all[i].status == TRIT_DATA_LOSS) {
            tally->losses++;
            break;
        }
}

static void show(const char *store, size_t size, const struct tally *tally)
{
    if (getenv("TEST_SHOW"))
        printf("# %s: %zu bytes, %zu flips: %zu refused at open, %zu with losses\n",
               store, size, tally->flips, tally->refusals, tally->losses);
    /* Or the flips hit nothing, and the case says nothing. */
    CHECK(tally->losses > tally->flips / 50);
    CHECK(tally->flips < 1000 ||
          tally->refusals > 0); /* few flips may hit no page's head */
}

CASE(every_byte,
     "whichever byte is flipped, the store answers correctly or with DATA_LOSS")
{
    static struct life sound;
    struct store_fixture fixture;
    struct tally tally = {0};
    uint64_t random = check_seed();
    size_t size;
    char path[STORE_PATH_BYTES];

    store_fixture_init_fast(&fixture);
    for (size_t i = 0; i < FILED; i++)
        file_one(&fixture, filed[i].run, filed[i].layer, filed[i].step, filed[i].codes);
    uint8_t *bytes = close_and_read(&fixture, path, &size);

    live(&fixture, &sound);
    CHECK_EQ(sound.opening.status, TRIT_OK);
    const size_t small = strides().small;
    for (size_t at = check_random(&random) % small; at < size;
         at += stride(bytes, size, at, small))
        flip_one(&fixture, path, bytes, size, at, &random, live, &sound, &tally);
    show("small", size, &tally);
    free(bytes);
    store_fixture_fini(&fixture);
}

/* ---- tables of several levels ------------------------------------------------------ */

static void large_key(size_t layer, char name[16])
{
    snprintf(name, 16, "layer.%02zu", layer);
}

static void ask_large(struct answers *answers, struct store_reader *reader)
{
    char name[16];

    for (size_t layer = 0; layer < LAYERS; layer++) {
        large_key(layer, name);
        for (int64_t step = 0; step < STEPS; step++)
            ask_report(answers, reader, "run", name, 2 * step);
        ask_report(answers, reader, "run", name, 5);
        ask_report(answers, reader, "run", name, -1);
    }
    ask_list(answers, reader, "all", (struct store_query){.limit = 10000});
    ask_list(
        answers, reader, "latest, newest first",
        (struct store_query){.latest_only = true, .newest_first = true, .limit = 10000});
    ask_runs(answers, reader);
}

/* Reads, then files a step of each fifth layer, some between two, and reads again what
 * was there before. */
static void live_large(struct store_fixture *fixture, struct life *life)
{
    static struct fixture_put puts[LAYERS / 5];
    struct store_reader *reader;
    char name[16];

    life->opening = (struct failure){0};
    life->read.count = life->filed.count = life->again.count = 0;
    if (store_fixture_open_store(fixture, &life->opening))
        return;
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    ask_large(&life->read, reader);
    for (size_t i = 0; i < LAYERS / 5; i++) {
        large_key(5 * i, name);
        start(fixture, &puts[i], "run", name, i % 2 ? 7 : 2 * STEPS, true);
    }
    for (size_t i = 0; i < LAYERS / 5; i++) {
        fixture_put_wait(&puts[i]);
        answer_put(&life->filed, &puts[i]);
    }
    for (size_t layer = 0; layer < LAYERS; layer++) {
        large_key(layer, name);
        for (int64_t step = 0; step < STEPS; step++)
            ask_report(&life->again, reader, "run", name, 2 * step);
    }
    life->again.old = life->again.count;
    store_reader_close(reader);
    store_fixture_close_store(fixture);
}

/* Interior pages, whose entries lead to others. */
static bool is_interior(const uint8_t *bytes, size_t at)
{
    size_t page = at / PAGE_BYTES * PAGE_BYTES;
    uint8_t type = bytes[page + (page == 0 ? 100 : 0)];

    return type == 2 || type == 5;
}

CASE(inner_pages,
     "whichever byte of a store with inner pages is flipped, it answers correctly or "
     "with DATA_LOSS")
{
    static struct life sound;
    struct store_fixture fixture;
    struct tally tally = {0};
    uint64_t random = check_seed();
    size_t size, interior = 0;
    char path[STORE_PATH_BYTES], name[16];

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 0; step < STEPS; step++)
        for (size_t layer = 0; layer < LAYERS; layer++) {
            large_key(layer, name);
            file_one(&fixture, "run", name, 2 * step, true);
        }
    uint8_t *bytes = close_and_read(&fixture, path, &size);

    live_large(&fixture, &sound);
    CHECK_EQ(sound.opening.status, TRIT_OK);
    for (size_t at = check_random(&random) % 7; at < size; at += 7) {
        bool inner = is_interior(bytes, at);

        if (inner ? interior++ % strides().inner != 0
                  : check_random(&random) % strides().large != 0)
            continue;
        if (inner && stride(bytes, size, at, 1) != 1 && check_random(&random) % 31 != 0)
            continue;
        flip_one(&fixture, path, bytes, size, at, &random, live_large, &sound, &tally);
    }
    CHECK(interior > 0);
    show("large", size, &tally);
    free(bytes);
    store_fixture_fini(&fixture);
}
