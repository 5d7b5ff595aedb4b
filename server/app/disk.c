/* SPDX-License-Identifier: Apache-2.0 */
/* How much space is free on the disk of the data directory, whether it answers, and whether the
 * directory is the one that was opened. libuv asks on a thread of its own, because a disk that
 * hangs would hold up the loop. The system may know the space of a disk that does not write any
 * more, so a write of the store that does not return counts, too. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "app/impl.h"
#include "base/clock.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "services/services.h"
#include "store/store.h"

enum {
    CHECK_MS = 2000,
    /* A disk that has not answered for this long hangs. */
    ANSWER_MS = 10 * 1000,
    MIB = 1 << 20,
};

static const uint64_t ms_ns = 1000000;

static void check_later(struct app *app)
{
    timer_arm(app->loops[0].timers, &app->disk.timer,
              clock_monotonic_ns() + CHECK_MS * ms_ns);
}

/* The disk's state as of now goes to readiness, health and the log. */
static void tell(struct app *app, enum disk_state state)
{
    struct disk *disk = &app->disk;

    if (atomic_exchange(&disk->state, state) == (unsigned)state)
        return;
    services_status_changed(app->loops[0].services);
    if (state == DISK_GOOD)
        log_event(app->log, LOG_INFO, "disk_recovered",
                  LOG_FIELDS(LOG_U64("free_bytes", disk->free)));
    else
        log_event(app->log, LOG_WARN,
                  state == DISK_FULL      ? "disk_nearly_full"
                  : state == DISK_MISSING ? "data_dir_missing"
                                          : "disk_hangs",
                  LOG_FIELDS(LOG_STR("data_dir", app->config.data_dir),
                             LOG_U64("free_bytes", disk->free)));
}

/* On a thread of libuv. */
static void look(uv_work_t *work)
{
    struct app *app = LIST_OWNER(work, struct app, disk.look);
    struct disk *disk = &app->disk;
    struct statfs found = {0};

    disk->error = statfs(disk->places[0].path, &found) == 0 ? 0 : errno;
    disk->missing = disk->error == ENOENT || disk->error == ENOTDIR;
    disk->found_free = disk->error ? 0 : found.f_bavail * (uint64_t)found.f_bsize;
    for (size_t i = 0; i < DISK_PLACES && disk->error == 0; i++)
        disk->missing = disk->missing || !held_path_is_same(&disk->places[i]);
}

static void looked(uv_work_t *work, int status)
{
    struct app *app = LIST_OWNER(work, struct app, disk.look);
    struct disk *disk = &app->disk;
    const bool known = status == 0 && (disk->error == 0 || disk->missing);

    disk->asking = false;
    if (known) {
        atomic_store(&disk->free, disk->found_free);
        metric_set(app->metrics, M_DISK_FREE, disk->found_free);
    }
    if (disk->stopped)
        return;
    if (store_busy_ns(app->store) >= ANSWER_MS * ms_ns)
        tell(app, DISK_HANGS);
    else if (known && disk->missing)
        tell(app, DISK_MISSING);
    else if (known)
        tell(app, disk->free < app->config.limits.disk_free_min ? DISK_FULL : DISK_GOOD);
    check_later(app);
}

static void ask(struct timer *timer)
{
    struct app *app = LIST_OWNER(timer, struct app, disk.timer);
    struct disk *disk = &app->disk;

    if (disk->asking) {
        tell(app, DISK_HANGS);
        return;
    }
    if (uv_queue_work(&app->loops[0].uv, &disk->look, look, looked) != 0) {
        check_later(app);
        return;
    }
    disk->asking = true;
    timer_arm(app->loops[0].timers, timer, clock_monotonic_ns() + ANSWER_MS * ms_ns);
}

void app_disk_start(struct app *app)
{
    static const char *const names[DISK_PLACES] = {NULL, "reports.sqlite", "layers/held",
                                                   "jobs"};

    timer_init(&app->disk.timer, ask);
    for (size_t i = 0; i < DISK_PLACES; i++)
        held_path_note(&app->disk.places[i], app->config.data_dir, names[i]);
    app->disk.free = UINT64_MAX;
    if (app->disk.places[0].path)
        ask(&app->disk.timer);
}

void app_disk_stop(struct app *app)
{
    app->disk.stopped = true;
    if (app->loops && app->loops[0].timers)
        timer_disarm(app->loops[0].timers, &app->disk.timer);
}

void app_disk_close(struct app *app)
{
    for (size_t i = 0; i < DISK_PLACES; i++)
        held_path_forget(&app->disk.places[i]);
}

bool app_disk_suffices(const struct app *app, char *why, size_t bytes)
{
    switch ((enum disk_state)atomic_load(&app->disk.state)) {
    case DISK_FULL:
        snprintf(why, bytes,
                 "the disk of --data-dir is nearly full: %" PRIu64
                 " MiB are free, --disk-free-min is %" PRIu64 " MiB",
                 atomic_load(&app->disk.free) / MIB,
                 app->config.limits.disk_free_min / MIB);
        return false;
    case DISK_HANGS:
        snprintf(why, bytes, "the disk of --data-dir has not answered for %d s",
                 ANSWER_MS / 1000);
        return false;
    case DISK_MISSING:
        snprintf(
            why, bytes,
            "--data-dir \"%.120s\", or what is in it, was moved, replaced or deleted; put it "
            "back, or restart tritd",
            app->config.data_dir);
        return false;
    case DISK_GOOD:
        break;
    }
    return services_store_works(app->loops[0].services, why, bytes);
}
