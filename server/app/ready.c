/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the daemon welcomes calls: one judgement for /readyz, /healthz and
 * grpc.health.v1. */
#include <stdio.h>

#include "app/impl.h"
#include "base/clock.h"
#include "services/services.h"

enum { LOOK_MS = 1000, WHY_BYTES = 256 };

int app_ready(void *arg, char *why, size_t bytes)
{
    const struct app *app = arg;

    switch ((enum app_state)atomic_load(&app->state)) {
    case APP_SERVING:
        if (app->config.limits.store_queue_max == 0) {
            snprintf(why, bytes, STORES_NOTHING);
            return -1;
        }
        return app_memory_suffices(app, why, bytes) && app_disk_suffices(app, why, bytes)
                   ? 0
                   : -1;
    case APP_STARTING:
        snprintf(why, bytes, "starting");
        return -1;
    default:
        snprintf(why, bytes, "draining");
        return -1;
    }
}

bool app_is_ready(void *app)
{
    char why[WHY_BYTES];

    return app_ready(app, why, sizeof(why)) == 0;
}

/* Once a second: readiness, and the jobs that are kept no longer. */
static void look(struct timer *timer)
{
    struct app *app = LIST_OWNER(timer, struct app, ready);
    const bool ready = app_is_ready(app);

    services_forget_jobs(app->loops[0].services);
    if (ready != app->was_ready) {
        app->was_ready = ready;
        services_status_changed(app->loops[0].services);
    }
    timer_arm(app->loops[0].timers, timer,
              clock_monotonic_ns() + LOOK_MS * (uint64_t)1000000);
}

void app_ready_start(struct app *app)
{
    timer_init(&app->ready, look);
    look(&app->ready);
}

void app_ready_stop(struct app *app)
{
    if (app->loops && app->loops[0].timers)
        timer_disarm(app->loops[0].timers, &app->ready);
}
