/* SPDX-License-Identifier: Apache-2.0 */
/* A second report under the key of a stored one: the same answer to the same question
 * again, or refused with what differs. */
#include <stdio.h>
#include <string.h>

#include "finding.h"
#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

static const struct store_question question = {
    .method = STORE_METHOD_VERIFY,
    .mode = TRIT_VERIFY_LATENT,
    .tolerance = 1e-5F,
    .has_latents = true,
    .latents = {0xab, 0xcd},
};

/* A report with two findings, of which the verdict is fail. */
static void make_report(struct trit_report *report)
{
    struct trit_finding *finding;

    fixture_report(report, "r", "l", 5, 0x11, 2, 8, 4);
    finding = report_find(report, TRIT_FINDING_NON_FINITE);
    finding->has_count = finding->has_index = true;
    finding->count = 3;
    finding->index = 17;
    finding = report_find(report, TRIT_FINDING_DEAD_GROUPS);
    finding->has_group = true;
    finding->group = 1;
    snprintf(finding->expected, sizeof(finding->expected), "0.5");
    snprintf(finding->got, sizeof(finding->got), "0");
    snprintf(finding->hint, sizeof(finding->hint), "look at them");
}

static void put(struct store_fixture *fixture, struct fixture_put *put,
                const struct trit_report *report, const struct store_question *asked)
{
    *put = (struct fixture_put){.fixture = fixture};
    put->report = *report;
    put->put.report = &put->report;
    put->put.question = *asked;
    put->put.done = fixture_done;
    CHECK(store_begin(&put->put, fixture->store, NULL) == 0);
    store_commit(&put->put);
    fixture_put_wait(put);
}

static void file_first(struct store_fixture *fixture)
{
    struct fixture_put first;
    struct trit_report report;

    make_report(&report);
    put(fixture, &first, &report, &question);
    CHECK_EQ(first.put.failure.status, TRIT_OK);
    CHECK(!first.put.existed);
}

/* The message after "report of ...: ". */
static void check_refused(const struct fixture_put *second, const char *wanted)
{
    static const char title[] = "report of run \"r\", layer \"l\", step 5: ";
    static const char advice[] =
        "; use another step, or attempt 2 if the run was resumed "
        "(see Reports.Rewind)";
    char message[TRIT_MESSAGE_BYTES_MAX + 1];

    CHECK_EQ(second->put.failure.status, TRIT_ALREADY_EXISTS);
    CHECK(!second->put.existed);
    CHECK_STR(second->put.failure.field, "layer.step");
    snprintf(message, sizeof(message), "%s%s%s", title, wanted, advice);
    CHECK_STR(second->put.failure.message, message);
}

#define SAME_DIGESTS                                                                     \
    "already exists with digest 110000000000; this one has digest 110000000000; "

/* ---- equal ------------------------------------------------------------------------ */

/* What the request measured stays; what only the store knows is the stored one. */
CASE(equal,
     "an equal report keeps its own fields and gets flips and time of the stored one")
{
    enum { CODES = 4 };
    static const uint8_t codes[2][CODES] = {{0x00}, {0x55, 0x55, 0x55, 0x55}};
    struct store_fixture fixture;
    struct fixture_put step, again;
    struct trit_report report;

    store_fixture_init(&fixture, false);
    for (uint64_t at = 4; at <= 5; at++) {
        fixture_report(&report, "r", "l", at, (unsigned)at, 2, 8, 8);
        report.time_unix_ns = 1000;
        fixture_put(&fixture, &step, &report, codes[at - 4], CODES);
        CHECK_EQ(step.put.failure.status, TRIT_OK);
    }
    CHECK_EQ(step.report.flips, 16);
    report.time_unix_ns = 2000;
    snprintf(report.kernel, sizeof(report.kernel), "avx512");
    fixture_put(&fixture, &again, &report, codes[0], CODES);
    CHECK_EQ(again.put.failure.status, TRIT_OK);
    CHECK(again.put.existed);
    CHECK_STR(again.report.kernel, "avx512");
    CHECK_EQ(again.report.time_unix_ns, 1000);
    CHECK(again.report.has_previous);
    CHECK_EQ(again.report.previous_step, 4);
    CHECK_EQ(again.report.flips, 16);
    CHECK(again.report.flip_fraction == 1);
    CHECK_MEM(again.report.transitions, step.report.transitions,
              sizeof(step.report.transitions));
    CHECK_EQ(metric_get(fixture.metrics, M_REPORTS), 2);
    store_fixture_fini(&fixture);
}

CASE(equal_with_all,
     "reports with equal findings and questions are equal, also after opening again")
{
    struct store_fixture fixture;
    struct fixture_put second;
    struct trit_report report;

    store_fixture_init(&fixture, false);
    file_first(&fixture);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    make_report(&report);
    put(&fixture, &second, &report, &question);
    CHECK_EQ(second.put.failure.status, TRIT_OK);
    CHECK(second.put.existed);
    CHECK_EQ(second.report.finding_count, 2);
    store_fixture_fini(&fixture);
}

/* A projection has no mode and no tolerance, and no latents have no fingerprint. */
CASE(what_does_not_count, "values outside of question and findings do not matter")
{
    struct store_question asked = {.method = STORE_METHOD_PROJECT};
    struct store_fixture fixture;
    struct fixture_put second;
    struct trit_report report;

    store_fixture_init(&fixture, true);
    make_report(&report);
    put(&fixture, &second, &report, &asked);
    asked.mode = TRIT_VERIFY_LATENT;
    asked.tolerance = 0.5F;
    asked.latents[3] = 9;
    report.findings[0].group = 77; /* has_group is false */
    put(&fixture, &second, &report, &asked);
    CHECK_EQ(second.put.failure.status, TRIT_OK);
    CHECK(second.put.existed);
    store_fixture_fini(&fixture);
}

/* ---- another answer ---------------------------------------------------------------- */

static void another_digest(struct trit_report *report)
{
    report->digest[0] = 0x22;
}

static void another_verdict(struct trit_report *report)
{
    report->findings[0] = report->findings[1];
    report->finding_count = 1;
}

static void not_ternary(struct trit_report *report)
{
    report->is_ternary = false; /* fail before and after: equal */
}

static void no_last_finding(struct trit_report *report)
{
    report->finding_count = 1;
}

static void one_more_finding(struct trit_report *report)
{
    report_find(report, TRIT_FINDING_SCALE_ROUNDED);
}

static void another_kind(struct trit_report *report)
{
    report->findings[0].kind = TRIT_FINDING_NOT_TERNARY;
}

static void another_count(struct trit_report *report)
{
    report->findings[0].count = 4;
}

static void another_index(struct trit_report *report)
{
    report->findings[0].index = 18;
}

static void no_index(struct trit_report *report)
{
    report->findings[0].has_index = false;
}

static void another_group(struct trit_report *report)
{
    report->findings[1].group = 2;
}

static void another_expected(struct trit_report *report)
{
    report->findings[1].expected[0] = '1';
}

static void another_got(struct trit_report *report)
{
    report->findings[1].got[0] = '1';
}

static void another_hint(struct trit_report *report)
{
    report->findings[1].hint[0] = 'L';
}

static void another_severity(struct trit_report *report)
{
    report->findings[1].severity = TRIT_SEVERITY_NOTE;
}

static void another_group_size(struct trit_report *report)
{
    report->group_size = 8;
}

static void another_dtype(struct trit_report *report)
{
    report->dtype = TRIT_BF16;
}

CASE(another_answer, "another digest, verdict or finding is refused, with both values")
{
    static const struct {
        void (*change)(struct trit_report *);
        const char *message; /* NULL: equal */
    } cases[] = {
        {another_digest,
         "already exists with digest 110000000000; this one has digest 220000000000"},
        {another_verdict, SAME_DIGESTS "the verdict differs: stored fail, new pass"},
        {not_ternary, NULL},
        {no_last_finding,
         SAME_DIGESTS "the findings differ: stored dead_groups (group 1, "
                      "expected 0.5, got 0), new none"},
        {one_more_finding,
         SAME_DIGESTS "the findings differ: stored none, new scale_rounded"},
        {another_kind,
         SAME_DIGESTS "the findings differ: stored non_finite (count 3, index 17), "
                      "new not_ternary (count 3, index 17)"},
        {another_count,
         SAME_DIGESTS "the findings differ: stored non_finite (count 3, index "
                      "17), new non_finite (count 4, index 17)"},
        {another_index,
         SAME_DIGESTS "the findings differ: stored non_finite (count 3, index "
                      "17), new non_finite (count 3, index 18)"},
        {no_index,
         SAME_DIGESTS "the findings differ: stored non_finite (count 3, index 17), "
                      "new non_finite (count 3)"},
        {another_group, SAME_DIGESTS
         "the findings differ: stored dead_groups (group 1, expected 0.5, got 0), "
         "new dead_groups (group 2, expected 0.5, got 0)"},
        {another_expected, SAME_DIGESTS
         "the findings differ: stored dead_groups (group 1, expected 0.5, got 0), "
         "new dead_groups (group 1, expected 1.5, got 0)"},
        {another_got, SAME_DIGESTS
         "the findings differ: stored dead_groups (group 1, expected 0.5, got 0), "
         "new dead_groups (group 1, expected 0.5, got 1)"},
        {another_hint, NULL},
        {another_severity,
         SAME_DIGESTS "the findings differ: dead_groups (group 1, expected 0.5, got 0) "
                      "has another severity"},
        {another_group_size,
         SAME_DIGESTS "it answers another question: stored group_size 4, new 8"},
        {another_dtype,
         SAME_DIGESTS "it answers another question: stored dtype f32, new bf16"},
    };
    struct store_fixture fixture;
    struct fixture_put second;
    struct trit_report report;

    store_fixture_init(&fixture, true);
    file_first(&fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_report(&report);
        cases[i].change(&report);
        put(&fixture, &second, &report, &question);
        if (cases[i].message) {
            check_refused(&second, cases[i].message);
        } else {
            CHECK_EQ(second.put.failure.status, TRIT_OK);
            CHECK(second.put.existed);
        }
    }
    CHECK_EQ(metric_get(fixture.metrics, M_REPORTS), 1);
    store_fixture_fini(&fixture);
}

/* ---- another question -------------------------------------------------------------- */

CASE(another_question,
     "another question is refused, with the part that differs and both values")
{
    struct store_question asked[7];
    static const char *const messages[] = {
        "stored method Verify, new Project",
        "stored mode VERIFY_LATENT, new VERIFY_TERNARY",
        "stored tolerance 9.99999975e-06, new 9.99999884e-06",
        "stored partial_group PARTIAL_PADDED, new PARTIAL_EXACT",
        "stored latents abcd0000000000000000000000000000, new none",
        "stored latents abcd0000000000000000000000000000, "
        "new abcd0000000000000000000000000001",
        "stored method Verify, new unknown",
    };
    struct store_fixture fixture;
    struct fixture_put second;
    struct trit_report report;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        asked[i] = question;
    asked[0].method = STORE_METHOD_PROJECT;
    asked[1].mode = TRIT_VERIFY_TERNARY;
    asked[2].tolerance = 9.999999e-6F; /* a bit less */
    asked[3].partial = TRIT_PARTIAL_EXACT;
    asked[4].has_latents = false;
    asked[5].latents[15] = 1;
    asked[6].method = STORE_METHOD_UNKNOWN;
    store_fixture_init(&fixture, true);
    file_first(&fixture);
    make_report(&report);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        char wanted[256];

        put(&fixture, &second, &report, &asked[i]);
        snprintf(wanted, sizeof(wanted), SAME_DIGESTS "it answers another question: %s",
                 messages[i]);
        check_refused(&second, wanted);
    }
    store_fixture_fini(&fixture);
}

/* ---- in one batch ------------------------------------------------------------------ */

/* The second statement sees what the first one wrote. */
CASE(one_batch, "reports of the same key in one batch are compared with each other")
{
    enum { PUTS = 32 };
    static struct fixture_put puts[PUTS];
    struct store_fixture fixture;
    unsigned existed = 0, refused = 0;

    store_fixture_init(&fixture, false);
    for (unsigned i = 0; i < PUTS; i++) {
        puts[i] = (struct fixture_put){.fixture = &fixture};
        make_report(&puts[i].report);
        puts[i].put.question = question;
        if (i % 2)
            puts[i].put.question.tolerance = 0.5F;
        puts[i].put.done = fixture_done;
        puts[i].put.report = &puts[i].report;
        CHECK(store_begin(&puts[i].put, fixture.store, NULL) == 0);
        store_commit(&puts[i].put);
    }
    for (unsigned i = 0; i < PUTS; i++) {
        fixture_put_wait(&puts[i]);
        existed += puts[i].put.existed;
        refused += puts[i].put.failure.status == TRIT_ALREADY_EXISTS;
    }
    CHECK_EQ(existed, PUTS / 2 - 1);
    CHECK_EQ(refused, PUTS / 2);
    store_fixture_fini(&fixture);
}
