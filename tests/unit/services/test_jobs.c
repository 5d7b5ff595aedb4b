/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs over checkpoints. */
#include "services/checkpoints/describe.h"

#include <string.h>

#include "base/budget.h"
#include "obs/metrics.h"
#include "tests/lib/check.h"

struct fixture {
    struct budget budget;
    struct metrics *metrics;
    struct jobs *jobs;
};

static void nothing(struct checkpoint_job *job)
{
    (void)job;
}

/* A table in which every job waits. */
static void fixture_init(struct fixture *fixture, uint64_t budget_bytes)
{
    struct jobs_config config = {
        .limits = {.running_max = 0, .waiting_max = 10, .kept_max = 0},
        .budget = &fixture->budget,
        .news = nothing,
        .version = "0",
    };

    budget_init(&fixture->budget, budget_bytes);
    fixture->metrics = metrics_create(NULL, 0, "0", "portable");
    config.metrics = fixture->metrics;
    CHECK(jobs_create(&fixture->jobs, &config, NULL) == 0);
}

static void fixture_fini(struct fixture *fixture)
{
    jobs_stop(fixture->jobs);
    jobs_destroy(fixture->jobs);
    CHECK_EQ(atomic_load(&fixture->budget.bytes_used), 0);
    metrics_destroy(fixture->metrics);
}

static const struct job_kind kind = {.name = "Verify"};

static struct checkpoint_job *add(struct fixture *fixture)
{
    struct checkpoint_job *job = job_create(&kind, &fixture->jobs->context);

    CHECK(job);
    job->asked.path = job->asked.against = job->asked.output = "";
    CHECK(jobs_add(fixture->jobs, job, NULL) == 0);
    job_release(job);
    return job; /* the table holds it */
}

/* As a job's thread leaves it. */
static void end(struct fixture *fixture, struct checkpoint_job *job)
{
    fixture->jobs->waiting--;
    fixture->jobs->running++;
    job->state = JOB_DONE;
    job->has_thread = true;
}

CASE(not_yet,
     "a job that has ended is not forgotten before the loop has learned of its end")
{
    struct fixture fixture;
    struct checkpoint_job *ended, *cancelled;
    char id[JOB_ID_BYTES_MAX + 1];

    fixture_init(&fixture, 1 << 20);
    ended = add(&fixture);
    cancelled = add(&fixture);
    strcpy(id, cancelled->id);
    end(&fixture, ended);
    jobs_cancel(fixture.jobs, cancelled);
    CHECK(jobs_find(fixture.jobs, ended->id) == ended);
    CHECK(!jobs_find(fixture.jobs, id));
    CHECK_EQ(fixture.jobs->kept, 0);
    CHECK_EQ(fixture.jobs->running, 1);
    ended->has_thread = false;
    fixture_fini(&fixture);
}

CASE(charged, "what a job's log takes is given back when it is forgotten, by the loop")
{
    struct fixture fixture;
    struct checkpoint_job *job;

    fixture_init(&fixture, 1 << 20);
    job = add(&fixture);
    CHECK(budget_reserve(&fixture.budget, 1000));
    job->log_charged = 1000;
    job_hold(job); /* as a page that is being written does */
    jobs_cancel(fixture.jobs, job);
    CHECK_EQ(atomic_load(&fixture.budget.bytes_used), 0);
    job_release(job);
    CHECK_EQ(atomic_load(&fixture.budget.bytes_used), 0);
    fixture_fini(&fixture);
}

static bool take(void *arg, const struct wire_job *job,
                 const struct wire_progress *progress)
{
    const char **ids = arg;

    CHECK_STR(job->job, ids[0]);
    CHECK_STR(job->state, "waiting");
    CHECK_STR(progress->job, ids[0]);
    ids[0] = ids[1];
    ids[1] = NULL;
    return ids[0];
}

CASE(visits, "jobs are visited, the newest first, until the visitor has enough")
{
    struct fixture fixture;
    const struct checkpoint_job *jobs[3];

    fixture_init(&fixture, 1 << 20);
    for (size_t i = 0; i < 3; i++)
        jobs[i] = add(&fixture);
    const char *ids[] = {jobs[2]->id, jobs[1]->id};
    CHECK(jobs_visit(fixture.jobs, take, ids, NULL) == 0);
    CHECK(!ids[0]);
    fixture_fini(&fixture);
}
