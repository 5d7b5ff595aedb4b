/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/loop.h"

#include <sched.h>
#include <stdlib.h>
#include <uv.h>

#include "tests/lib/check.h"

struct loop {
    uv_loop_t uv; /* first: what the tests hold */
    uv_timer_t guard;
    uv_prepare_t before_poll; /* a timer may have met the condition: don't sleep */
    bool (*done)(void *arg);
    void *arg;
    bool too_late;
};

struct uv_loop_s *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    CHECK(loop);
    CHECK(uv_loop_init(&loop->uv) == 0);
    uv_timer_init(&loop->uv, &loop->guard);
    uv_prepare_init(&loop->uv, &loop->before_poll);
    return &loop->uv;
}

static void too_late_cb(uv_timer_t *guard)
{
    ((struct loop *)guard->loop)->too_late = true;
}

static void before_poll_cb(uv_prepare_t *prepare)
{
    struct loop *loop = (struct loop *)prepare->loop;

    if (loop->done(loop->arg) || loop->too_late)
        uv_stop(&loop->uv);
}

void loop_run_until(struct uv_loop_s *uv, bool (*done)(void *arg), void *arg)
{
    struct loop *loop = (struct loop *)uv;

    loop->done = done;
    loop->arg = arg;
    uv_update_time(uv);
    uv_timer_start(&loop->guard, too_late_cb, LOOP_SECONDS_MAX * 1000, 0);
    uv_prepare_start(&loop->before_poll, before_poll_cb);
    while (!done(arg) && !loop->too_late)
        uv_run(uv, UV_RUN_ONCE);
    uv_prepare_stop(&loop->before_poll);
    uv_timer_stop(&loop->guard);
    if (loop->too_late)
        check_failed(__FILE__, __LINE__, "the loop did not get there in %d s",
                     LOOP_SECONDS_MAX);
}

void loop_turn(struct uv_loop_s *uv)
{
    uv_run(uv, UV_RUN_NOWAIT);
    sched_yield();
}

void loop_destroy(struct uv_loop_s *uv)
{
    struct loop *loop = (struct loop *)uv;

    uv_close((uv_handle_t *)&loop->guard, NULL);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_run(uv, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(uv) == 0);
    free(loop);
}
