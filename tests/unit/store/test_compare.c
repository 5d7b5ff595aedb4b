/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing the codes and scales of two reports. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

/* Rows of two groups of 128 and one of 5. */
enum { ROWS = 3, ROW_LEN = 261, ROW_GROUPS = 3, GROUPS = ROWS * ROW_GROUPS };
enum { ROW_BYTES = 32 + 32 + 2, BYTES = ROWS * ROW_BYTES };

struct tensor {
    uint8_t codes[BYTES];
    float scales[GROUPS];
    unsigned digest;
};

static struct tensor tensor(unsigned digest)
{
    struct tensor tensor = {.digest = digest};

    memset(tensor.codes, 0x55, sizeof(tensor.codes));
    for (int i = 0; i < GROUPS; i++)
        tensor.scales[i] = 0.5F;
    return tensor;
}

static struct fixture_put put;

static void file(struct store_fixture *fixture, uint64_t step, uint32_t replica,
                 const struct tensor *tensor, bool with_scales)
{
    struct trit_report report;

    fixture_report(&report, "r", "x", step, tensor->digest, ROWS, ROW_LEN, 128);
    report.replica = replica;
    put = (struct fixture_put){.fixture = fixture, .report = report};
    put.put.report = &put.report;
    put.put.done = fixture_done;
    CHECK(store_begin(&put.put, fixture->store, NULL) == 0);
    for (size_t row = 0; row < ROWS; row++) {
        store_codes(&put.put, tensor->codes + row * ROW_BYTES, ROW_BYTES);
        if (with_scales)
            store_scales(&put.put, tensor->scales + row * ROW_GROUPS, ROW_GROUPS);
    }
    store_commit(&put.put);
    fixture_put_wait(&put);
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

static void begin(struct store_fixture *fixture, uint64_t codes_max)
{
    store_fixture_init_fast(fixture);
    store_fixture_close_store(fixture);
    fixture->codes_max = codes_max;
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
}

static struct failure failure;

static struct store_difference compare(struct store_fixture *fixture, uint64_t a,
                                       uint64_t b)
{
    struct store_difference difference = {0};
    struct store_reader *reader;

    failure = (struct failure){0};
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_compare(reader, GET("r", "x", true, a), GET("r", "x", true, b), &difference,
                  &failure);
    store_reader_close(reader);
    return difference;
}

CASE(codes, "codes that differ are counted, and the first group is named")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1), two = tensor(2);
    struct store_difference difference;

    begin(&fixture, 1 << 20);
    two.codes[ROW_BYTES + 64] = 0x54;     /* row 1, its short group: one code */
    two.codes[2 * ROW_BYTES + 31] = 0xaa; /* row 2, first group: four codes */
    file(&fixture, 1, 0, &one, true);
    file(&fixture, 2, 0, &two, true);
    difference = compare(&fixture, 1, 2);
    CHECK_EQ(failure.status, TRIT_OK);
    CHECK(!difference.equal);
    CHECK_EQ(difference.elements, ROWS * ROW_LEN);
    CHECK_EQ(difference.codes_differing, 5);
    CHECK(difference.scale_ratio_max == 1);
    CHECK(difference.has_first_group);
    CHECK_EQ(difference.first_group, 5);
    store_fixture_fini(&fixture);
}

CASE(scales, "the largest ratio of scales is the same in both directions")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1), two = tensor(2);
    struct store_difference difference;

    begin(&fixture, 1 << 20);
    two.scales[4] = 2;
    two.scales[7] = 0.25F;
    two.scales[8] = 0;
    file(&fixture, 1, 0, &one, true);
    file(&fixture, 2, 0, &two, true);
    for (int turn = 0; turn < 2; turn++) {
        difference = compare(&fixture, turn ? 2 : 1, turn ? 1 : 2);
        CHECK_EQ(failure.status, TRIT_OK);
        CHECK_EQ(difference.codes_differing, 0);
        CHECK(difference.scale_ratio_max == 4);
        CHECK_EQ(difference.first_group, 4);
    }
    store_fixture_fini(&fixture);
}

CASE(equal, "equal digests need no codes")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1);
    struct store_difference difference;

    begin(&fixture, 0);
    file(&fixture, 1, 0, &one, false);
    file(&fixture, 2, 0, &one, false);
    difference = compare(&fixture, 1, 2);
    CHECK_EQ(failure.status, TRIT_OK);
    CHECK(difference.equal);
    CHECK_EQ(difference.codes_differing, 0);
    CHECK(!difference.has_first_group);
    store_fixture_fini(&fixture);
}

CASE(not_kept, "without codes or scales the answer is FAILED_PRECONDITION and names the "
               "option")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1), two = tensor(2), three = tensor(3);

    begin(&fixture, 0);
    file(&fixture, 1, 0, &one, true);
    file(&fixture, 2, 0, &two, false);
    while (store_sql(&fixture, "PRAGMA busy_timeout = 5000; SELECT COUNT(*) FROM kept") >
           1)
        ;
    compare(&fixture, 1, 2);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    CHECK_STR(failure.message,
              "a: the codes of step 1 of layer \"x\" in run \"r\" are not "
              "kept; tritd keeps those of the newest step, and older ones "
              "up to --codes-max bytes");
    store_fixture_close_store(&fixture);
    fixture.codes_max = 1 << 20;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    file(&fixture, 3, 0, &three, true);
    compare(&fixture, 3, 2);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    CHECK(strstr(failure.message, "b: the scales of step 2"));
    compare(&fixture, 3, 9);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK(strstr(failure.message, "b: no report at step 9"));
    store_fixture_fini(&fixture);
}

CASE(other_shape, "reports of other shapes are not compared")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1);
    struct trit_report report;

    begin(&fixture, 1 << 20);
    file(&fixture, 1, 0, &one, true);
    fixture_report(&report, "r", "x", 2, 2, 1, 8, 128);
    fixture_put(&fixture, &put, &report, NULL, 0);
    compare(&fixture, 1, 2);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.message, "the shapes differ: a has 3,261, b has 1,8");
    store_fixture_fini(&fixture);
}

CASE(incomplete, "scales that are not complete are an error of the caller")
{
    struct store_fixture fixture;
    struct tensor one = tensor(1);

    begin(&fixture, 0);
    fixture_report(&put.report, "r", "x", 1, 1, ROWS, ROW_LEN, 128);
    put = (struct fixture_put){.fixture = &fixture, .report = put.report};
    put.put.report = &put.report;
    put.put.done = fixture_done;
    CHECK(store_begin(&put.put, fixture.store, NULL) == 0);
    store_scales(&put.put, one.scales, 2);
    store_commit(&put.put);
    fixture_put_wait(&put);
    CHECK_EQ(put.put.failure.status, TRIT_INTERNAL);
    store_fixture_close_store(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes"), 0);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    store_fixture_fini(&fixture);
}

CASE(damaged_codes, "damaged codes or scales are DATA_LOSS")
{
    static const char *const damages[] = {
        "UPDATE codes SET data = zeroblob(length(data)) WHERE upload = 1",
        "UPDATE codes SET data = zeroblob(length(data)) WHERE upload = 2",
        "DELETE FROM codes WHERE upload = 2", "UPDATE kept SET scales = 1"};

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct store_fixture fixture;
        struct tensor one = tensor(1), two = tensor(2);

        begin(&fixture, 1 << 20);
        file(&fixture, 1, 0, &one, true);
        file(&fixture, 2, 0, &two, true);
        store_fixture_close_store(&fixture);
        store_sql(&fixture, damages[i]);
        CHECK(store_fixture_open_store(&fixture, NULL) == 0);
        compare(&fixture, 1, 2);
        if (failure.status != TRIT_DATA_LOSS)
            check_failed(__FILE__, __LINE__, "%s: %d %s", damages[i], failure.status,
                         failure.message);
        store_fixture_fini(&fixture);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
