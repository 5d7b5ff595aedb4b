/* SPDX-License-Identifier: Apache-2.0 */
/* What a job keeps: its bound, and the memory budget. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "obs/metrics.h"
#include "services/checkpoints/context.h"
#include "services/checkpoints/job.h"
#include "tests/lib/check.h"

struct fixture {
    struct budget budget;
    struct job_context context;
    struct checkpoint_job *job;
};

static const struct job_kind kind = {.name = "Inspect"};

static void begin(struct fixture *fixture, uint64_t budget_bytes)
{
    *fixture = (struct fixture){.context = {.root = {.fd = -1}}};
    budget_init(&fixture->budget, budget_bytes);
    fixture->context.budget = &fixture->budget;
    fixture->context.metrics = metrics_create(NULL, 0, "0", "x");
    fixture->job = job_create(&kind, &fixture->context);
    CHECK(fixture->context.metrics && fixture->job);
    fixture->job->news_posted = true; /* there is no loop */
}

/* Returns the status of a result of so many bytes. */
static enum trit_status finish(struct fixture *fixture, size_t bytes,
                               struct failure *failure)
{
    char *text = malloc(bytes + 1);
    json_t *result;

    CHECK(text);
    memset(text, 'a', bytes);
    text[bytes] = '\0';
    result = json_pack("{s:s}", "text", text);
    free(text);
    *failure = (struct failure){.status = TRIT_OK};
    job_finish(fixture->job, TRIT_VERDICT_PASS, result, false, failure);
    return failure->status;
}

static void check_refusals(const struct fixture *fixture, const char *limit)
{
    char line[128];
    size_t bytes;
    char *text = metrics_render(fixture->context.metrics, false, &bytes);

    CHECK(text);
    snprintf(line, sizeof(line), "tritd_limit_refusals_total{limit=\"%s\"} 1\n", limit);
    if (!strstr(text, line))
        check_failed(__FILE__, __LINE__, "no %s", line);
    free(text);
}

static void end(struct fixture *fixture)
{
    job_release(fixture->job);
    CHECK_EQ(fixture->budget.bytes_used, 0);
    metrics_destroy(fixture->context.metrics);
}

CASE(result_bound,
     "a result beyond JOB_LOG_BYTES_MAX is refused and counted, and leaves nothing")
{
    struct fixture fixture;
    struct failure failure;

    begin(&fixture, 1 << 30);
    CHECK_EQ(finish(&fixture, JOB_LOG_BYTES_MAX, &failure), TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(failure.message, "take more than 67108864 bytes"));
    check_refusals(&fixture, "job_bytes");
    CHECK_EQ(fixture.budget.bytes_used, 0);
    CHECK_EQ(fixture.job->log_count, 0);
    end(&fixture);
}

CASE(budget_bound, "a result that the budget has no room for is refused and counted")
{
    struct fixture fixture;
    struct failure failure;

    begin(&fixture, 1 << 20);
    CHECK_EQ(finish(&fixture, 1000, &failure), TRIT_OK);
    CHECK(fixture.budget.bytes_used > 1000 && fixture.budget.bytes_used < 10000);
    CHECK_EQ(finish(&fixture, 1 << 20, &failure), TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(failure.message, "the memory budget has no room"));
    check_refusals(&fixture, "memory_bytes");
    CHECK(job_charge(fixture.job, 1 << 20, &failure) < 0);
    end(&fixture);
}

CASE(work_bound, "what only a running job needs is given back when it ends")
{
    struct fixture fixture;
    struct failure failure = {.status = TRIT_OK};

    begin(&fixture, 1 << 20);
    CHECK(job_charge(fixture.job, 700 << 10, &failure) == 0);
    CHECK(job_charge(fixture.job, 700 << 10, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(fixture.budget.bytes_used, 700 << 10);
    job_settle(fixture.job);
    CHECK_EQ(fixture.budget.bytes_used, 0);
    end(&fixture);
}
