/* SPDX-License-Identifier: Apache-2.0 */
/* The memory budget: what is left of it for calls, and freed pages that go back to the
 * system. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

#include "app/impl.h"
#include "base/clock.h"
#include "base/limits.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "work/pool.h"

enum {
    /* The allocator keeps what peers have freed. It gives it back this long after the
     * budget's use has fallen by half, so that a burst costs one call of malloc_trim. */
    TRIM_DELAY_MS = 250,
    /* Below this part of the budget there is little memory for calls. */
    SHORT_DIVISOR = 16,
    MIB = 1 << 20,
};

/* On any thread that releases memory, that of a job for instance. */
static void on_fall(void *arg)
{
    struct app *app = arg;

    loop_post(&app->loops[0], LOOP_FELL);
}

void app_memory_fell(struct app *app)
{
    if (app->trims)
        timer_arm(app->loops[0].timers, &app->trim,
                  clock_monotonic_ns() + TRIM_DELAY_MS * (uint64_t)1000000);
}

static void on_trim(struct timer *timer)
{
    struct app *app = LIST_OWNER(timer, struct app, trim);

    malloc_trim(0);
    log_event(app->log, LOG_DEBUG, "memory_trimmed",
              LOG_FIELDS(LOG_U64("budget_used_bytes", app->budget.bytes_used)));
}

void app_memory_start(struct app *app)
{
    budget_init(&app->budget, app->config.limits.memory_bytes_max);
    budget_keep_last(&app->budget, app->budget.bytes_max / MEMORY_LAST_DIVISOR);
    timer_init(&app->trim, on_trim);
    app->trims = true;
    budget_on_fall(&app->budget, on_fall, app);
    metric_set(app->metrics, M_BUDGET_MAX, app->budget.bytes_max);
}

void app_memory_stop(struct app *app)
{
    app->trims = false;
    if (app->loops && app->loops[0].timers)
        timer_disarm(app->loops[0].timers, &app->trim);
}

void app_memory_close(struct app *app)
{
    budget_on_fall(&app->budget, NULL, NULL);
}

bool app_memory_suffices(const struct app *app, char *why, size_t bytes)
{
    const uint64_t max = app->budget.bytes_max;
    const uint64_t layers = metric_get(app->metrics, M_LAYERS_BYTES);
    const uint64_t layers_max = max / 100 * app->config.limits.layers_percent_max;

    if (layers > layers_max) {
        snprintf(why, bytes,
                 "memory for calls is short: layers hold %" PRIu64 " MiB of the %" PRIu64
                 " MiB that --memory-max and --layers-percent-max give them",
                 layers / MIB, layers_max / MIB);
        return false;
    }
    if (budget_free(&app->budget) < max / SHORT_DIVISOR) {
        snprintf(why, bytes,
                 "memory for calls is short: %" PRIu64 " MiB of %" PRIu64
                 " MiB are in use",
                 atomic_load(&app->budget.bytes_used) / MIB, max / MIB);
        return false;
    }
    return true;
}
