/* SPDX-License-Identifier: Apache-2.0 */
#include "services/run_gauges.h"

#include <stdlib.h>
#include <string.h>

#include "async/loop.h"
#include "base/clock.h"
#include "base/limits.h"
#include "obs/runs.h"
#include "services/shared.h"
#include "store/run_health.h"
#include "work/pool.h"

enum {
    SOON_MS = 1000,        /* after reports were filed; those that follow share it */
    PERIOD_MS = 15 * 1000, /* scrapers seldom ask more often */
    STALE_RUNS = 32,       /* the newest ones are looked at even if fewer are shown */
};

struct run_gauges {
    struct services *services;
    struct metrics *metrics; /* job_done may come when the services are gone */
    struct timers *timers;
    struct timer timer;
    struct job job;
    bool reading; /* the job is under way */
    bool filed;   /* reports were filed since it began */
    bool stopped;
    size_t runs_max;  /* that are read */
    size_t shown_max; /* at most as many */
    int64_t told_ns;  /* when a layer became stale last, as was told */
    /* the job's */
    struct metrics_run *runs; /* the newest runs so far, newest first */
    size_t count;
    uint64_t all;
    int64_t stale_ns; /* when a layer became stale last; INT64_MIN: none is */
};

static void wait(struct run_gauges *gauges, uint64_t ms)
{
    if (!gauges->stopped)
        timer_arm(gauges->timers, &gauges->timer, clock_monotonic_ns() + ms * 1000000);
}

/* ---- the job, on a worker ------------------------------------------------------------ */

static bool note_run(void *arg, const struct store_run_info *info)
{
    struct run_gauges *gauges = arg;
    size_t at = gauges->count;

    gauges->all++;
    while (at > 0 && gauges->runs[at - 1].time_unix_ns < info->time_unix_ns)
        at--;
    if (at == gauges->runs_max)
        return true;
    gauges->count += gauges->count < gauges->runs_max;
    memmove(&gauges->runs[at + 1], &gauges->runs[at],
            (gauges->count - 1 - at) * sizeof(gauges->runs[0]));
    gauges->runs[at] = (struct metrics_run){.time_unix_ns = info->time_unix_ns};
    memcpy(gauges->runs[at].run, info->run,
           strnlen(info->run, sizeof(gauges->runs[at].run) - 1));
    return true;
}

static void fill(struct metrics_run *run, const struct store_run_health *health)
{
    static const enum store_field fields[WORST_COUNT] = {
        [WORST_ZERO_FRACTION] = STORE_ZERO_FRACTION,
        [WORST_DEAD_GROUPS] = STORE_ZERO_GROUP_FRACTION,
        [WORST_FLIP_FRACTION] = STORE_FLIP_FRACTION,
        [WORST_SCALE_DRIFT] = STORE_SCALE_DRIFT,
        [WORST_NON_FINITE] = STORE_NON_FINITE,
    };

    memcpy(run->layers, health->layers, sizeof(run->layers));
    for (size_t i = 0; i < WORST_COUNT; i++)
        run->worst[i] = health->worst[fields[i]];
}

/* A run that cannot be read, because it was deleted or is damaged, is left out; what is
 * damaged was logged when a query or a put met it. */
static void read_runs(struct run_gauges *gauges)
{
    const int64_t now = clock_unix_ns();
    struct services *services = gauges->services;
    size_t kept = 0;

    for (size_t i = 0; i < gauges->count; i++) {
        struct store_run_health health;
        struct failure failure = {0};
        int result;

        /* Calls that wait for the reader have their turn between two runs. */
        pthread_mutex_lock(&services_first(services)->reader_lock);
        result = store_read_run_health(services->config.reader, gauges->runs[i].run, now,
                                       &health, &failure);
        pthread_mutex_unlock(&services_first(services)->reader_lock);
        if (result < 0)
            continue;
        fill(&gauges->runs[i], &health);
        if (health.stale_ns > gauges->stale_ns)
            gauges->stale_ns = health.stale_ns;
        gauges->runs[kept++] = gauges->runs[i];
    }
    gauges->count = kept;
}

static void run_job(struct job *job)
{
    struct run_gauges *gauges = LIST_OWNER(job, struct run_gauges, job);
    struct services *services = gauges->services;
    struct failure failure = {0};
    int result;

    gauges->count = 0;
    gauges->all = 0;
    gauges->stale_ns = INT64_MIN;
    /* One more than is shown, which note_run moves entries through. */
    gauges->runs = calloc(gauges->runs_max + 1, sizeof(gauges->runs[0]));
    if (!gauges->runs)
        return;
    pthread_mutex_lock(&services_first(services)->reader_lock);
    result = store_read_runs(services->config.reader, note_run, gauges, &failure);
    pthread_mutex_unlock(&services_first(services)->reader_lock);
    if (result < 0) {
        free(gauges->runs);
        gauges->runs = NULL;
        return;
    }
    read_runs(gauges);
}

/* ---- the loop ------------------------------------------------------------------------ */

/* Watches and pages look which layers became stale. */
static void tell_staleness(struct run_gauges *gauges)
{
    if (gauges->stale_ns <= gauges->told_ns)
        return;
    gauges->told_ns = gauges->stale_ns;
    metric_add(gauges->metrics, M_STALE, 1);
    services_tell(gauges->services, SERVICES_STALE);
}

static void job_done(struct job *job)
{
    struct run_gauges *gauges = LIST_OWNER(job, struct run_gauges, job);
    const size_t shown =
        gauges->count < gauges->shown_max ? gauges->count : gauges->shown_max;

    gauges->reading = false;
    if (gauges->runs) {
        metrics_set_runs(gauges->metrics, gauges->runs, shown, gauges->all - shown);
        if (!gauges->stopped)
            tell_staleness(gauges);
    }
    gauges->runs = NULL;
    wait(gauges, gauges->filed ? SOON_MS : PERIOD_MS);
}

static void fired(struct timer *timer)
{
    struct run_gauges *gauges = LIST_OWNER(timer, struct run_gauges, timer);

    if (gauges->reading || gauges->stopped)
        return;
    gauges->reading = true;
    gauges->filed = false;
    gauges->job = (struct job){.run = run_job, .done = job_done};
    pool_submit(gauges->services->config.pool, &gauges->job);
}

void run_gauges_filed(struct run_gauges *gauges)
{
    if (gauges->filed)
        return;
    gauges->filed = true;
    if (!gauges->reading)
        wait(gauges, SOON_MS);
}

struct run_gauges *run_gauges_create(struct services *services, struct timers *timers,
                                     size_t shown_max)
{
    struct run_gauges *gauges = calloc(1, sizeof(*gauges));

    if (!gauges)
        return NULL;
    gauges->services = services;
    gauges->metrics = services->config.metrics;
    gauges->timers = timers;
    gauges->shown_max = shown_max < METRICS_RUNS_MAX ? shown_max : METRICS_RUNS_MAX;
    gauges->runs_max = gauges->shown_max > STALE_RUNS ? gauges->shown_max : STALE_RUNS;
    gauges->told_ns = INT64_MIN;
    timer_init(&gauges->timer, fired);
    wait(gauges, 1);
    return gauges;
}

void run_gauges_stop(struct run_gauges *gauges)
{
    if (!gauges)
        return;
    gauges->stopped = true;
    timer_disarm(gauges->timers, &gauges->timer);
}

void run_gauges_destroy(struct run_gauges *gauges)
{
    if (!gauges)
        return;
    run_gauges_stop(gauges);
    free(gauges->runs);
    free(gauges);
}
