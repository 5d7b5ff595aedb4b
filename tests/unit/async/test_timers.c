/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "async/loop.h"
#include "base/clock.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"

/* ---- fixture: a loop with timers that write down how they fire ------------------ */

enum { ALARMS = 500 };

struct fixture {
    struct uv_loop_s *loop;
    struct timers *timers;
    struct alarm *fired[ALARMS];
    size_t fired_count, wanted;
    bool early;
};

struct alarm {
    struct timer timer;
    struct fixture *fixture;
    uint64_t due_ns;
    uint64_t order;        /* in which it was armed */
    uint64_t again_ns;     /* armed again for then, once */
    struct alarm *disarms; /* what its firing disarms */
    bool armed;            /* as the test believes */
};

static void fixture_open(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->loop = loop_create();
    CHECK(timers_create(&f->timers, f->loop, NULL) == 0);
}

static void fixture_close(struct fixture *f)
{
    timers_close(f->timers);
    loop_destroy(f->loop);
}

static void alarm_arm(struct alarm *alarm, uint64_t due_ns)
{
    static uint64_t order;

    alarm->due_ns = due_ns;
    alarm->order = order++;
    alarm->armed = true;
    timer_arm(alarm->fixture->timers, &alarm->timer, due_ns);
}

static void alarm_fire(struct timer *timer)
{
    struct alarm *alarm = LIST_OWNER(timer, struct alarm, timer);
    struct fixture *f = alarm->fixture;

    f->early |= clock_monotonic_ns() < alarm->due_ns || timer->due_ns != 0;
    f->fired[f->fired_count++] = alarm;
    alarm->armed = false;
    if (alarm->again_ns != 0) {
        alarm_arm(alarm, alarm->again_ns);
        alarm->again_ns = 0;
    }
    if (alarm->disarms) {
        timer_disarm(f->timers, &alarm->disarms->timer);
        alarm->disarms->armed = false;
    }
}

static void alarm_init(struct alarm *alarm, struct fixture *f)
{
    *alarm = (struct alarm){.fixture = f};
    timer_init(&alarm->timer, alarm_fire);
}

static bool enough_fired(void *arg)
{
    struct fixture *f = arg;

    return f->fired_count >= f->wanted;
}

static void run(struct fixture *f, size_t wanted)
{
    f->wanted = wanted;
    loop_run_until(f->loop, enough_fired, f);
    CHECK_EQ(f->fired_count, wanted);
    CHECK(!f->early);
}

/* ---- cases ------------------------------------------------------------------------ */

CASE(fires_once_and_not_early, "a timer fires once, from the loop, and not early")
{
    struct fixture f;
    struct alarm alarm;

    fixture_open(&f);
    alarm_init(&alarm, &f);
    alarm_arm(&alarm, clock_monotonic_ns() + 3000000);
    CHECK_EQ(f.fired_count, 0);
    run(&f, 1);
    CHECK(alarm.timer.due_ns == 0);
    CHECK(uv_run(f.loop, UV_RUN_DEFAULT) == 0);
    CHECK_EQ(f.fired_count, 1);
    fixture_close(&f);
}

CASE(past_times_fire_from_the_loop, "a timer armed for the past fires from the loop")
{
    struct fixture f;
    struct alarm alarms[2];

    fixture_open(&f);
    for (int i = 0; i < 2; i++)
        alarm_init(&alarms[i], &f);
    alarm_arm(&alarms[0], 0);
    CHECK(alarms[0].timer.due_ns != 0);
    alarm_arm(&alarms[1], clock_monotonic_ns() - 5);
    CHECK_EQ(f.fired_count, 0);
    run(&f, 2);
    fixture_close(&f);
}

CASE(arming_again_moves, "arming an armed timer changes its due time")
{
    struct fixture f;
    struct alarm alarms[2];
    uint64_t now = clock_monotonic_ns();

    fixture_open(&f);
    for (int i = 0; i < 2; i++)
        alarm_init(&alarms[i], &f);
    alarm_arm(&alarms[0], now + 1000000);
    alarm_arm(&alarms[1], now + 2000000);
    alarm_arm(&alarms[0], now + 4000000);
    run(&f, 2);
    CHECK(f.fired[0] == &alarms[1] && f.fired[1] == &alarms[0]);

    alarm_arm(&alarms[0], UINT64_MAX);
    alarm_arm(&alarms[0], now);
    run(&f, 3);
    fixture_close(&f);
}

CASE(disarmed_never_fires, "a disarmed timer never fires")
{
    struct fixture f;
    struct alarm alarms[3];

    fixture_open(&f);
    for (int i = 0; i < 3; i++) {
        alarm_init(&alarms[i], &f);
        timer_disarm(f.timers, &alarms[i].timer);
    }
    for (int i = 0; i < 3; i++)
        alarm_arm(&alarms[i], 1);
    alarms[1].disarms = &alarms[2];
    timer_disarm(f.timers, &alarms[0].timer);
    timer_disarm(f.timers, &alarms[0].timer);
    CHECK(uv_run(f.loop, UV_RUN_DEFAULT) == 0);
    CHECK(f.fired_count == 1 && f.fired[0] == &alarms[1]);
    fixture_close(&f);
}

/* A disarmed heap must let the loop end. */
CASE(idle_timers_hold_no_loop, "timers that are not armed do not keep the loop running")
{
    struct fixture f;
    struct alarm alarm;

    fixture_open(&f);
    alarm_init(&alarm, &f);
    alarm_arm(&alarm, UINT64_MAX);
    CHECK(uv_run(f.loop, UV_RUN_NOWAIT) != 0);
    timer_disarm(f.timers, &alarm.timer);
    CHECK(uv_run(f.loop, UV_RUN_NOWAIT) == 0);
    fixture_close(&f);
}

struct busy {
    struct timer timer;
    struct timers *timers;
    uv_check_t check;
    int fires, checks;
};

static void busy_fire(struct timer *timer)
{
    struct busy *busy = LIST_OWNER(timer, struct busy, timer);

    if (++busy->fires < 50)
        timer_arm(busy->timers, timer, 1);
}

static void busy_check_cb(uv_check_t *check)
{
    LIST_OWNER(check, struct busy, check)->checks++;
}

CASE(rearming_lets_the_loop_breathe,
     "a timer that arms itself for the past does not starve the loop")
{
    struct fixture f;
    struct busy busy = {0};

    fixture_open(&f);
    busy.timers = f.timers;
    timer_init(&busy.timer, busy_fire);
    uv_check_init(f.loop, &busy.check);
    uv_check_start(&busy.check, busy_check_cb);
    uv_unref((uv_handle_t *)&busy.check);
    timer_arm(f.timers, &busy.timer, 1);
    uv_run(f.loop, UV_RUN_DEFAULT);
    CHECK_EQ(busy.fires, 50);
    CHECK(busy.checks >= 49);
    uv_close((uv_handle_t *)&busy.check, NULL);
    fixture_close(&f);
}

/* Random arming, moving and disarming against the plain rule: what is armed
 * fires, ordered by due time and then by arming. */
CASE(random_heap_is_ordered,
     "timers fire in order of due time, then in the order they were armed")
{
    struct alarm *alarms = calloc(ALARMS, sizeof(*alarms));
    uint64_t random = check_seed(), past = clock_monotonic_ns() - 1000000;
    struct fixture f;
    size_t armed = 0;

    CHECK(alarms);
    fixture_open(&f);
    for (size_t i = 0; i < ALARMS; i++)
        alarm_init(&alarms[i], &f);
    for (int step = 0; step < 20 * ALARMS; step++) {
        struct alarm *alarm = &alarms[check_random(&random) % ALARMS];

        if (check_random(&random) % 3 != 0) {
            alarm_arm(alarm, past + check_random(&random) % 64);
        } else {
            timer_disarm(f.timers, &alarm->timer);
            alarm->armed = false;
        }
    }
    for (size_t i = 0; i < ALARMS; i++)
        armed += alarms[i].armed;
    run(&f, armed);
    for (size_t i = 1; i < armed; i++)
        CHECK(f.fired[i - 1]->due_ns < f.fired[i]->due_ns ||
              (f.fired[i - 1]->due_ns == f.fired[i]->due_ns &&
               f.fired[i - 1]->order < f.fired[i]->order));
    for (size_t i = 0; i < ALARMS; i++)
        CHECK(!alarms[i].armed && alarms[i].timer.due_ns == 0);
    fixture_close(&f);
    free(alarms);
}

CASE(arming_allocates_nothing, "arming and firing allocate nothing")
{
    struct fixture f;
    struct alarm alarms[20];

    fixture_open(&f);
    fault_arm(FAULT_MEMORY, 1, FAULT_STICKY);
    for (size_t i = 0; i < 20; i++) {
        alarm_init(&alarms[i], &f);
        alarm_arm(&alarms[i], i);
    }
    uv_run(f.loop, UV_RUN_DEFAULT);
    CHECK(!fault_disarm());
    CHECK_EQ(f.fired_count, 20);
    fixture_close(&f);
}

CASE(creation_fails_cleanly, "timers whose creation fails leave nothing behind")
{
    struct uv_loop_s *loop = loop_create();
    struct timers *timers = NULL;
    struct failure failure = {0};

    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(timers_create(&timers, loop, &failure) == -1);
    CHECK(fault_disarm());
    CHECK(!timers);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    loop_destroy(loop);
}
