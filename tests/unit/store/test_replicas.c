/* SPDX-License-Identifier: Apache-2.0 */
/* The same layer and step from several ranks. */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"

enum { CODES_BYTES = 32 };

static struct fixture_put put;

/* A tensor of one group. Its first `changed` codes are 0 where the others are +1. */
static enum trit_status file(struct store_fixture *fixture, uint32_t replica,
                             uint64_t step, unsigned changed, float scale)
{
    uint8_t codes[CODES_BYTES];
    struct trit_report report;

    memset(codes, 0xaa, sizeof(codes));
    for (unsigned i = 0; i < changed; i++)
        codes[i / 4] ^= (uint8_t)(3 << 2 * (i % 4));
    fixture_report(&report, "r", "x", step,
                   (unsigned)(step + 1000 * changed) + (scale == 1 ? 0 : 5000), 1,
                   4 * CODES_BYTES, 4 * CODES_BYTES);
    report.replica = replica;
    put = (struct fixture_put){.fixture = fixture, .report = report};
    put.put.report = &put.report;
    put.put.done = fixture_done;
    CHECK(store_begin(&put.put, fixture->store, NULL) == 0);
    store_codes(&put.put, codes, sizeof(codes));
    store_scales(&put.put, &scale, 1);
    store_commit(&put.put);
    fixture_put_wait(&put);
    return put.put.failure.status;
}

static void begin(struct store_fixture *fixture)
{
    store_fixture_init_fast(fixture);
    store_fixture_close_store(fixture);
    fixture->codes_max = 1 << 20;
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
}

static void check_note(const char *hint)
{
    const struct trit_finding *note = &put.report.findings[0];

    CHECK_EQ(put.report.finding_count, 1);
    CHECK_EQ(note->kind, TRIT_FINDING_REPLICA_EQUAL);
    CHECK_EQ(note->severity, TRIT_SEVERITY_NOTE);
    CHECK_STR(note->hint, hint);
    CHECK_EQ(put.report.health, TRIT_HEALTHY);
}

CASE(alike, "equal digests of replicas are noted in the later report")
{
    struct store_fixture fixture;

    begin(&fixture);
    CHECK_EQ(file(&fixture, 0, 1, 0, 1), TRIT_OK);
    CHECK_EQ(put.report.finding_count, 0);
    for (uint32_t replica = 1; replica < 3; replica++) {
        CHECK_EQ(file(&fixture, replica, 1, 0, 1), TRIT_OK);
        check_note(replica == 1 ? "replica 1 equals replica 0"
                                : "replica 2 equals replica 0");
    }
    CHECK_EQ(file(&fixture, 2, 1, 0, 1), TRIT_OK);
    CHECK(put.put.existed);
    check_note("replica 2 equals replica 0");
    for (uint32_t replica = 3; replica-- > 0;)
        CHECK_EQ(file(&fixture, replica, 2, 0, 1), TRIT_OK);
    check_note("2 replicas equal replica 0");
    CHECK_EQ(file(&fixture, 0, 2, 0, 1), TRIT_OK);
    CHECK(put.put.existed);
    check_note("2 replicas equal replica 0");
    store_fixture_fini(&fixture);
}

CASE(differs,
     "a replica that differs has a finding that names it, since when, and how many "
     "codes differ")
{
    struct store_fixture fixture;
    const struct trit_finding *finding = &put.report.findings[0];

    begin(&fixture);
    CHECK_EQ(file(&fixture, 0, 1, 0, 1), TRIT_OK);
    CHECK_EQ(file(&fixture, 1, 1, 0, 1), TRIT_OK);
    for (uint64_t step = 2; step <= 4; step++) {
        CHECK_EQ(file(&fixture, 0, step, 0, 1), TRIT_OK);
        CHECK_EQ(put.report.finding_count, 0);
        CHECK_EQ(file(&fixture, 1, step, 3, 1), TRIT_OK);
        CHECK_EQ(put.report.finding_count, 1);
        CHECK_EQ(finding->kind, TRIT_FINDING_CODES_DIFFER);
        CHECK_EQ(finding->severity, TRIT_SEVERITY_ERROR);
        CHECK_EQ(finding->count, 3);
        CHECK_EQ(finding->group, 0);
        CHECK_STR(finding->hint, "replica 1 differs from replica 0 since step 2: 3 codes "
                                 "and 0 scales differ");
    }
    CHECK_EQ(file(&fixture, 1, 4, 3, 1), TRIT_OK);
    CHECK(put.put.existed);
    CHECK_EQ(put.report.finding_count, 1);
    CHECK_EQ(file(&fixture, 0, 5, 0, 1), TRIT_OK);
    CHECK_EQ(file(&fixture, 1, 5, 0, 1), TRIT_OK);
    check_note("replica 1 equals replica 0");
    store_fixture_fini(&fixture);
}

CASE(reference_last, "if the reference comes last, its report has the finding")
{
    struct store_fixture fixture;

    begin(&fixture);
    CHECK_EQ(file(&fixture, 3, 1, 0, 2), TRIT_OK);
    CHECK_EQ(put.report.finding_count, 0);
    CHECK_EQ(file(&fixture, 2, 1, 0, 1), TRIT_OK);
    CHECK_EQ(file(&fixture, 0, 1, 0, 1), TRIT_OK);
    CHECK_EQ(put.report.finding_count, 2);
    CHECK_STR(put.report.findings[1].hint, "replica 2 equals replica 0");
    CHECK_EQ(put.report.findings[0].kind, TRIT_FINDING_SCALES_DIFFER);
    CHECK_EQ(put.report.findings[0].count, 1);
    CHECK_STR(
        put.report.findings[0].hint,
        "replica 3 differs from replica 0 since step 1: 0 codes and 1 scales differ");
    store_fixture_fini(&fixture);
}

CASE(without_codes, "without codes the finding says so")
{
    struct store_fixture fixture;
    struct trit_report report;

    begin(&fixture);
    CHECK_EQ(file(&fixture, 0, 1, 0, 1), TRIT_OK);
    fixture_report(&report, "r", "x", 1, 77, 1, 4 * CODES_BYTES, 4 * CODES_BYTES);
    report.replica = 1;
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK_EQ(put.report.finding_count, 1);
    CHECK(!put.report.findings[0].has_count);
    CHECK_STR(put.report.findings[0].hint,
              "replica 1 differs from replica 0 since step 1: "
              "the codes are not kept");
    store_fixture_fini(&fixture);
}

CASE(full, "the finding has room also where a report is full of findings")
{
    struct store_fixture fixture;
    struct trit_report report;

    begin(&fixture);
    CHECK_EQ(file(&fixture, 0, 1, 0, 1), TRIT_OK);
    fixture_report(&report, "r", "x", 1, 77, 1, 4 * CODES_BYTES, 4 * CODES_BYTES);
    report.replica = 1;
    report.finding_count = TRIT_FINDINGS_MAX;
    for (int i = 0; i < TRIT_FINDINGS_MAX; i++)
        report.findings[i].kind = TRIT_FINDING_SCALE_ROUNDED;
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.report.finding_count, TRIT_FINDINGS_MAX);
    CHECK_EQ(put.report.findings[0].kind, TRIT_FINDING_CODES_DIFFER);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
