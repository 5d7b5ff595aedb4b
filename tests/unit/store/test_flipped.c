/* A store with one byte flipped: whatever is asked of it, the answer is the one that
 * was filed, or DATA_LOSS. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/codec/codec.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"

/* Bytes between two that are flipped; primes, so that all columns get their turn. */
#if defined(TRIT_ASAN) || defined(__SANITIZE_THREAD__) || defined(__aarch64__)
enum { STRIDE = 97 };
#else
enum { STRIDE = 1 };
#endif

enum { CODES_BYTES = 16, ANSWERS_MAX = 64, PUTS = 6 };

/* ---- what is asked ------------------------------------------------------------- */

/* One answer: OK with a fingerprint of all that was given, or a failure. */
struct answer {
    const char *question;
    enum trit_status status;
    uint64_t fingerprint;
};

struct answers {
    struct answer all[ANSWERS_MAX];
    size_t count;
};

static void mix(uint64_t *fingerprint, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++)
        *fingerprint = (*fingerprint ^ at[i]) * 0x100000001b3;
}

static bool mix_report(void *fingerprint, const struct trit_report *report)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));

    CHECK(count > 0);
    mix(fingerprint, bytes, count);
    return true;
}

static bool mix_run(void *fingerprint, const struct store_run_info *info)
{
    uint64_t numbers[] = {info->layers, info->reports, info->step_min, info->step_max,
                          (uint64_t)info->time_unix_ns};

    mix(fingerprint, info->run, strlen(info->run));
    mix(fingerprint, numbers, sizeof(numbers));
    return true;
}

/* A failure's message counts where it says that nothing is there. */
static void answer(struct answers *answers, const char *question, int outcome,
                   uint64_t fingerprint, const struct failure *failure)
{
    CHECK(answers->count < ANSWERS_MAX);
    CHECK((outcome == 0) == (failure->status == TRIT_OK));
    if (failure->status == TRIT_NOT_FOUND)
        mix(&fingerprint, failure->message, strlen(failure->message));
    answers->all[answers->count++] =
        (struct answer){question, failure->status, fingerprint};
}

/* Step -1: the latest. */
static void ask_report(struct answers *answers, struct store_reader *reader,
                       const char *run, const char *layer, int64_t step)
{
    struct failure failure = {0};
    struct trit_report report;
    uint64_t fingerprint = 0;
    int outcome = store_read_report(reader, run, layer, step >= 0, (uint64_t)step,
                                    &report, &failure);

    if (outcome == 0)
        mix_report(&fingerprint, &report);
    answer(answers, layer, outcome, fingerprint, &failure);
}

static void ask_list(struct answers *answers, struct store_reader *reader,
                     const char *question, struct store_query query)
{
    struct failure failure = {0};
    uint64_t fingerprint = 0;

    if (query.limit == 0)
        query.limit = 100;
    if (query.step_to == 0)
        query.step_to = UINT64_MAX;
    int outcome = store_read_reports(reader, &query, mix_report, &fingerprint, &failure);

    answer(answers, question, outcome, fingerprint, &failure);
}

static void ask_runs(struct answers *answers, struct store_reader *reader)
{
    struct failure failure = {0};
    uint64_t fingerprint = 0;
    int outcome = store_read_runs(reader, mix_run, &fingerprint, &failure);

    answer(answers, "runs", outcome, fingerprint, &failure);
}

/* What build() filed. */
static const struct {
    const char *run, *layer;
    uint64_t step;
    bool codes;
} filed[] = {
    {"a", "x", 2, true},  {"a", "x", 4, true},  {"a", "x", 3, true}, {"a", "y", 7, false},
    {"a", "y", 1, false}, {"a", "z", 5, true},  {"b", "x", 9, true}, {"b", "x", 10, true},
    {"a", "x", 5, true},  {"aa", "w", 1, false}, {"b", "y", 1, true},
};
enum { FILED = sizeof(filed) / sizeof(filed[0]) };

static void ask_reports(struct answers *answers, struct store_reader *reader)
{
    for (size_t i = 0; i < FILED; i++)
        ask_report(answers, reader, filed[i].run, filed[i].layer,
                   (int64_t)filed[i].step);
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
    struct trit_report after = {.run = "a", .layer = "x", .step = 3};

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
    ask_list(answers, reader, "stretch",
             (struct store_query){
                 .run = "a", .layer = "x", .step_from = 3, .step_to = 4});
    ask_list(answers, reader, "stretch, newest first",
             (struct store_query){.run = "a",
                                  .layer = "x",
                                  .step_from = 2,
                                  .step_to = 3,
                                  .newest_first = true});
    ask_list(answers, reader, "empty stretch",
             (struct store_query){
                 .run = "a", .layer = "y", .step_from = 2, .step_to = 6});
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
        uint64_t fingerprint = 0;

        fixture_put_wait(&puts[i]);
        if (puts[i].put.failure.status == TRIT_OK)
            mix_report(&fingerprint, &puts[i].put.report);
        answer(answers, "put", puts[i].put.failure.status == TRIT_OK ? 0 : -1,
               fingerprint, &puts[i].put.failure);
    }
}

/* What was acknowledged must be there: reports filed before and after. A put that was
 * refused may be absent, and so may what is next to it. */
static void ask_again(struct answers *answers, struct store_reader *reader)
{
    answers->count = 0;
    for (size_t i = 0; i < FILED; i++)
        ask_report(answers, reader, filed[i].run, filed[i].layer,
                   (int64_t)filed[i].step);
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

static uint8_t *build(struct store_fixture *fixture, char path[128], size_t *size)
{
    struct stat stat;
    uint8_t *bytes;

    store_fixture_init_fast(fixture);
    for (size_t i = 0; i < FILED; i++) {
        struct fixture_put put;

        start(fixture, &put, filed[i].run, filed[i].layer, filed[i].step, filed[i].codes);
        fixture_put_wait(&put);
        CHECK_EQ(put.put.failure.status, TRIT_OK);
    }
    store_fixture_close_store(fixture);
    snprintf(path, 128, "%s/reports.sqlite", fixture->directory);
    int fd = open(path, O_RDONLY);

    CHECK(fd >= 0 && fstat(fd, &stat) == 0);
    *size = (size_t)stat.st_size;
    bytes = malloc(*size);
    CHECK(bytes && pread(fd, bytes, *size, 0) == (ssize_t)*size);
    close(fd);
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
}

/* `given` may say DATA_LOSS, or what an undamaged store says. */
static void check_answers(const struct answers *wanted, const struct answers *given,
                          const struct answers *filing, size_t at, uint8_t flip)
{
    CHECK_EQ(wanted->count, given->count);
    for (size_t i = 0; i < wanted->count; i++) {
        const struct answer *want = &wanted->all[i], *got = &given->all[i];
        bool refused = filing && i >= FILED &&
                       filing->all[i - FILED].status == TRIT_DATA_LOSS;

        if (got->status == TRIT_DATA_LOSS ||
            (refused && got->status == TRIT_NOT_FOUND) ||
            (got->status == want->status && got->fingerprint == want->fingerprint))
            continue;
        check_failed(__FILE__, __LINE__,
                     "byte %zu (page %zu, at %zu) flipped by 0x%02x: answer %zu, %s: "
                     "status %d, another than %d",
                     at, at / 4096 + 1, at % 4096, flip, i, got->question, got->status,
                     want->status);
    }
}

static void every_byte(void)
{
    static struct life sound, damaged;
    struct store_fixture fixture;
    uint64_t random = check_seed();
    size_t size, losses = 0, refusals = 0, trials = 0;
    char path[128];
    uint8_t *bytes = build(&fixture, path, &size);

    live(&fixture, &sound);
    CHECK_EQ(sound.opening.status, TRIT_OK);
    for (size_t at = check_random(&random) % STRIDE; at < size; at += STRIDE) {
        uint8_t flip = check_random(&random) % 4 == 0
                           ? 0xff
                           : (uint8_t)(1 << check_random(&random) % 8);

        restore(path, bytes, size, at, flip);
        live(&fixture, &damaged);
        trials++;
        if (damaged.opening.status != TRIT_OK) {
            refusals++;
            if (damaged.opening.status != TRIT_DATA_LOSS &&
                damaged.opening.status != TRIT_FAILED_PRECONDITION)
                check_failed(__FILE__, __LINE__, "byte %zu flipped by 0x%02x: %s", at,
                             flip, damaged.opening.message);
            continue;
        }
        check_answers(&sound.read, &damaged.read, NULL, at, flip);
        check_answers(&sound.filed, &damaged.filed, NULL, at, flip);
        check_answers(&sound.again, &damaged.again, &damaged.filed, at, flip);
        for (size_t i = 0; i < damaged.read.count; i++)
            if (damaged.read.all[i].status == TRIT_DATA_LOSS) {
                losses++;
                break;
            }
    }
    if (getenv("TEST_SHOW"))
        printf("# %zu bytes, %zu flipped: %zu refused at open, %zu with losses\n", size,
               trials, refusals, losses);
    /* Or the flips hit nothing, and the case says nothing. */
    CHECK(losses > trials / 50 && refusals > 0);
    free(bytes);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"whichever byte of a store is flipped, it answers what was filed, or DATA_LOSS",
         every_byte},
    };

    return CHECK_RUN(cases, argc, argv);
}
