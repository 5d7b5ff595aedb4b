/* SPDX-License-Identifier: Apache-2.0 */
/* Flips: what changed between the codes of two steps, against counting one
 * element after another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"

/* Sanitizers keep what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* A tensor of codes 0..2, one byte each, and packed as kernels pack them. */
struct tensor {
    uint64_t rows, row_len;
    uint32_t group_size;
    uint8_t *values; /* rows * row_len */
    uint8_t *packed;
    size_t packed_bytes;
};

static size_t packed_bytes(uint64_t rows, uint64_t row_len, uint32_t group_size)
{
    uint64_t tail = row_len % group_size;

    return rows * (row_len / group_size * ((group_size + 3) / 4) + (tail + 3) / 4);
}

static void tensor_pack(struct tensor *tensor)
{
    size_t byte = 0;
    const uint8_t *value = tensor->values;

    memset(tensor->packed, 0, tensor->packed_bytes);
    for (uint64_t row = 0; row < tensor->rows; row++) {
        for (uint64_t at = 0; at < tensor->row_len; at += tensor->group_size) {
            uint64_t left = tensor->row_len - at;
            uint64_t len = left < tensor->group_size ? left : tensor->group_size;

            for (uint64_t i = 0; i < len; i++)
                tensor->packed[byte + i / 4] |= (uint8_t)(*value++ << (i % 4 * 2));
            byte += (len + 3) / 4;
        }
    }
    CHECK_EQ(byte, tensor->packed_bytes);
}

static void tensor_init(struct tensor *tensor, uint64_t rows, uint64_t row_len,
                        uint32_t group_size, uint64_t *random)
{
    *tensor = (struct tensor){.rows = rows, .row_len = row_len, .group_size = group_size};
    tensor->packed_bytes = packed_bytes(rows, row_len, group_size);
    tensor->values = malloc(rows * row_len);
    tensor->packed = malloc(tensor->packed_bytes);
    CHECK(tensor->values && tensor->packed);
    for (uint64_t i = 0; i < rows * row_len; i++)
        tensor->values[i] = (uint8_t)(check_random(random) % 3);
    tensor_pack(tensor);
}

static void tensor_fini(struct tensor *tensor)
{
    free(tensor->values);
    free(tensor->packed);
}

static void put_tensor(struct store_fixture *fixture, struct fixture_put *put,
                       const struct tensor *tensor, uint64_t step, bool with_codes,
                       size_t piece)
{
    struct trit_report report;

    fixture_report(&report, "run", "layer", step, (unsigned)step, tensor->rows,
                   tensor->row_len, tensor->group_size);
    CHECK(fixture_put_start(fixture, put, &report, with_codes ? tensor->packed : NULL,
                            tensor->packed_bytes, piece) == 0);
    fixture_put_wait(put);
    if (put->put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put->put.failure.message);
}

static void check_table(const struct trit_report *report, const struct tensor *from,
                        const struct tensor *to)
{
    uint64_t table[9] = {0}, flips = 0, elements = from->rows * from->row_len;

    for (uint64_t i = 0; i < elements; i++) {
        table[3 * from->values[i] + to->values[i]]++;
        flips += from->values[i] != to->values[i];
    }
    for (int i = 0; i < 9; i++)
        CHECK_EQ(report->transitions[i], table[i]);
    CHECK_EQ(report->flips, flips);
    CHECK(report->flip_fraction == (double)flips / (double)elements);
}

/* Around the edges: one element, partial bytes, tails, groups that a chunk of
 * 256 KiB cuts, rows longer than a chunk. */
CASE(oracle, "the table of flips equals counting element by element")
{
    static const struct {
        uint64_t rows, row_len;
        uint32_t group_size;
    } shapes[] = {
        {1, 1, 128},         {3, 5, 128},       {5, 128, 128},       {7, 130, 128},
        {2, 9, 3},           {4, 7, 1},         {3, 11, 5},          {1, 65, 64},
        {7, 300001, 3},      {5, 600000, 7},    {3, 1500000, 65534}, {1, 4000001, 128},
        {2, 1100000, 65533}, {1200, 4096, 128},
    };
    uint64_t random = check_seed();

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct store_fixture fixture;
        struct tensor from, to;
        struct fixture_put put;

        store_fixture_init(&fixture, i % 2);
        tensor_init(&from, shapes[i].rows, shapes[i].row_len, shapes[i].group_size,
                    &random);
        tensor_init(&to, shapes[i].rows, shapes[i].row_len, shapes[i].group_size,
                    &random);
        put_tensor(&fixture, &put, &from, 10, true, 65536);
        CHECK(!put.report.has_previous);
        put_tensor(&fixture, &put, &to, 20, true, 1 + check_random(&random) % 99999);
        CHECK(put.report.has_previous);
        CHECK_EQ(put.report.previous_step, 10);
        check_table(&put.report, &from, &to);
        tensor_fini(&from);
        tensor_fini(&to);
        store_fixture_fini(&fixture);
    }
}

CASE(against_the_latest,
     "flips are counted against the latest earlier step whose codes are kept")
{
    struct store_fixture fixture;
    struct tensor a, b;
    struct fixture_put put;
    uint64_t random = check_seed();

    store_fixture_init(&fixture, false);
    tensor_init(&a, 4, 256, 128, &random);
    tensor_init(&b, 4, 256, 128, &random);
    put_tensor(&fixture, &put, &a, 10, true, 64);
    put_tensor(&fixture, &put, &b, 30, true, 64);
    check_table(&put.report, &a, &b);
    /* An older step: its latest earlier step's codes are gone. */
    put_tensor(&fixture, &put, &a, 20, true, 64);
    CHECK(!put.report.has_previous);
    CHECK_EQ(put.report.flips, 0);
    /* And it changed nothing for the newest. */
    put_tensor(&fixture, &put, &a, 40, true, 64);
    CHECK_EQ(put.report.previous_step, 30);
    check_table(&put.report, &b, &a);
    /* A step without codes: nothing to compare, then or after. */
    put_tensor(&fixture, &put, &a, 50, false, 64);
    CHECK(!put.report.has_previous);
    put_tensor(&fixture, &put, &b, 60, true, 64);
    CHECK(!put.report.has_previous);
    put_tensor(&fixture, &put, &a, 70, true, 64);
    check_table(&put.report, &b, &a);
    tensor_fini(&a);
    tensor_fini(&b);
    store_fixture_fini(&fixture);
}

/* Files `tensor` at step 1 and the same codes under another description at 2. */
static bool comparable(struct store_fixture *fixture, const struct tensor *tensor,
                       uint64_t rows, uint64_t row_len, uint32_t group_size,
                       enum trit_partial_group partial, const char *layer)
{
    struct fixture_put put;
    struct trit_report report;

    fixture_report(&report, "run", layer, 1, 1, tensor->rows, tensor->row_len,
                   tensor->group_size);
    fixture_put(fixture, &put, &report, tensor->packed, tensor->packed_bytes);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    fixture_report(&report, "run", layer, 2, 2, rows, row_len, group_size);
    fixture->partial = partial;
    fixture_put(fixture, &put, &report, tensor->packed, tensor->packed_bytes);
    fixture->partial = TRIT_PARTIAL_PADDED;
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    return put.report.has_previous;
}

/* Rows of 3 and one group of all of them: a byte has codes of two rows. */
CASE(one_group_of_rows,
     "codes with one scale for the tensor are compared only with codes of the same form")
{
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;
    struct tensor tensors[2], rows;
    uint64_t random = check_seed();

    store_fixture_init(&fixture, true);
    for (uint64_t step = 0; step < 2; step++) {
        tensor_init(&tensors[step], 1, 400 * 3, 400 * 3, &random);
        fixture_report(&report, "run", "layer", step, (unsigned)step, 400, 3, 400 * 3);
        report.groups = 1;
        fixture_put(&fixture, &put, &report, tensors[step].packed,
                    tensors[step].packed_bytes);
        CHECK_EQ(put.put.failure.status, TRIT_OK);
    }
    CHECK(put.report.has_previous);
    check_table(&put.report, &tensors[0], &tensors[1]);
    /* Of the same shape and group size, but each row a group of its own. */
    tensor_init(&rows, 400, 3, 400 * 3, &random);
    put_tensor(&fixture, &put, &rows, 2, true, 64);
    CHECK(!put.report.has_previous);
    tensor_fini(&tensors[0]);
    tensor_fini(&tensors[1]);
    tensor_fini(&rows);
    store_fixture_fini(&fixture);
}

CASE(only_alike, "only steps of the same shape, group size and partial rule are compared")
{
    struct store_fixture fixture;
    struct tensor tensor;
    uint64_t random = check_seed();

    store_fixture_init(&fixture, true);
    tensor_init(&tensor, 4, 256, 128, &random);
    CHECK(comparable(&fixture, &tensor, 4, 256, 128, TRIT_PARTIAL_PADDED, "same"));
    CHECK(!comparable(&fixture, &tensor, 2, 512, 128, TRIT_PARTIAL_PADDED, "shape"));
    CHECK(!comparable(&fixture, &tensor, 4, 256, 64, TRIT_PARTIAL_PADDED, "group"));
    CHECK(!comparable(&fixture, &tensor, 4, 256, 128, TRIT_PARTIAL_EXACT, "partial"));
    tensor_fini(&tensor);
    store_fixture_fini(&fixture);
}

/* Uploads side by side, each in pieces, interleaved. */
CASE(interleaved, "concurrent uploads do not mix")
{
    enum { UPLOADS = 8, STEPS = 3 };
    struct store_fixture fixture;
    struct tensor tensors[STEPS];
    static struct fixture_put puts[UPLOADS];
    uint64_t random = check_seed();

    store_fixture_init(&fixture, false);
    for (int step = 0; step < STEPS; step++)
        tensor_init(&tensors[step], 3, 700001, 3, &random);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < UPLOADS; i++) {
            char layer[16] = {'l', (char)('0' + i)};

            puts[i] = (struct fixture_put){.fixture = &fixture};
            fixture_report(&puts[i].report, "run", layer, (uint64_t)step, 0, 3, 700001,
                           3);
            puts[i].put.done = fixture_done;
            puts[i].put.report = &puts[i].report;
            CHECK(store_begin(&puts[i].put, fixture.store, NULL) == 0);
        }
        for (size_t at = 0; at < tensors[step].packed_bytes; at += 30000)
            for (int i = 0; i < UPLOADS; i++) {
                size_t left = tensors[step].packed_bytes - at;

                store_codes(&puts[i].put, tensors[step].packed + at,
                            left < 30000 ? left : 30000);
            }
        for (int i = 0; i < UPLOADS; i++)
            store_commit(&puts[i].put);
        for (int i = 0; i < UPLOADS; i++) {
            fixture_put_wait(&puts[i]);
            CHECK_EQ(puts[i].put.failure.status, TRIT_OK);
            if (step > 0)
                check_table(&puts[i].report, &tensors[step - 1], &tensors[step]);
        }
    }
    for (int step = 0; step < STEPS; step++)
        tensor_fini(&tensors[step]);
    store_fixture_fini(&fixture);
}

CASE(wrong_length, "codes of the wrong length are refused, and nothing is stored")
{
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;
    uint8_t codes[256] = {0};

    store_fixture_init(&fixture, true);
    fixture_report(&report, "run", "layer", 1, 1, 4, 256, 128);
    fixture_put(&fixture, &put, &report, codes, 255);
    CHECK_EQ(put.put.failure.status, TRIT_INTERNAL);
    CHECK_EQ(metric_get(fixture.metrics, M_REPORTS), 0);
    fixture_put(&fixture, &put, &report, codes, 256);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    store_fixture_fini(&fixture);
}

/* Peak resident memory of this process, in KiB. */
static long peak_kib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    CHECK(file);
    while (fgets(line, sizeof(line), file) && sscanf(line, "VmHWM: %ld", &kib) != 1)
        continue;
    fclose(file);
    return kib;
}

/* A tensor of 1 GiB in f32 has 64 MiB of codes; they are never held. */
CASE(constant_memory, "the codes of a large tensor are stored in constant memory")
{
    enum { PIECE = 16 << 10, BYTES = 64 << 20 };
    static uint8_t piece[PIECE];
    struct store_fixture fixture;
    long before;

    store_fixture_init(&fixture, false);
    before = peak_kib();
    for (uint64_t step = 1; step <= 2; step++) {
        struct fixture_put put = {.fixture = &fixture};

        memset(piece, step == 1 ? 0x00 : 0x55, sizeof(piece));
        fixture_report(&put.report, "run", "layer", step, (unsigned)step, 1,
                       4 * (uint64_t)BYTES, 128);
        put.put.done = fixture_done;
        put.put.report = &put.report;
        CHECK(store_begin(&put.put, fixture.store, NULL) == 0);
        store_on_drained(&put.put, fixture_drained);
        for (size_t at = 0; at < BYTES; at += PIECE) {
            put.drained = 0;
            if (store_codes(&put.put, piece, PIECE) > STORE_CODES_PENDING_MAX)
                fixture_put_drain(&put);
        }
        store_commit(&put.put);
        fixture_put_wait(&put);
        CHECK_EQ(put.put.failure.status, TRIT_OK);
        CHECK_EQ(put.report.flips, step == 1 ? 0 : 4 * (uint64_t)BYTES);
    }
    if (!SANITIZED)
        CHECK(peak_kib() - before < 24 << 10);
    store_fixture_fini(&fixture);
}
