/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/lanes.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool done;
    int result;
    struct failure failure;
};

/* Pieces [taken, begun) are under way or wait to be taken; piece n is in slot
 * n % LANES_AHEAD. */
struct lanes {
    const struct lanes_work *work;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slots[LANES_AHEAD];
    uint8_t *pieces;
    uint64_t begun, taken;
    bool ended;          /* no further piece begins */
    atomic_bool stopped; /* the results of pieces no longer count */
};

static void *piece_at(const struct lanes *lanes, uint64_t number)
{
    return lanes->pieces + number % LANES_AHEAD * lanes->work->piece_bytes;
}

/* ---- on a lane; each of these functions is called with the lock held -------------- */

/* The next piece; NULL: there is none, or none may begin. */
static void *begin_piece(struct lanes *lanes, struct slot **slot)
{
    void *piece;

    while (!lanes->ended && lanes->begun - lanes->taken == LANES_AHEAD)
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    if (lanes->ended)
        return NULL;
    piece = piece_at(lanes, lanes->begun);
    memset(piece, 0, lanes->work->piece_bytes);
    if (!lanes->work->next(lanes->work->owner, piece)) {
        lanes->ended = true;
        pthread_cond_broadcast(&lanes->changed);
        return NULL;
    }
    *slot = &lanes->slots[lanes->begun++ % LANES_AHEAD];
    **slot = (struct slot){.done = false};
    return piece;
}

static void run_piece(struct lanes *lanes, void *piece, struct slot *slot)
{
    const struct lanes_work *work = lanes->work;

    pthread_mutex_unlock(&lanes->lock);
    slot->result = work->run(work->owner, piece, &lanes->stopped, &slot->failure);
    pthread_mutex_lock(&lanes->lock);
    slot->done = true;
    if (slot->result < 0)
        lanes->ended = true;
    pthread_cond_broadcast(&lanes->changed);
}

static void *lane_main(void *arg)
{
    struct lanes *lanes = arg;
    struct slot *slot;
    void *piece;

    pthread_mutex_lock(&lanes->lock);
    while ((piece = begin_piece(lanes, &slot)))
        run_piece(lanes, piece, slot);
    pthread_mutex_unlock(&lanes->lock);
    return NULL;
}

/* ---- on the caller's thread --------------------------------------------------------- */

/* Waits for the oldest piece; false: all were taken. With the lock held. */
static bool wait_piece(struct lanes *lanes)
{
    for (;;) {
        if (lanes->taken < lanes->begun && lanes->slots[lanes->taken % LANES_AHEAD].done)
            return true;
        if (lanes->ended && lanes->taken == lanes->begun)
            return false;
        pthread_cond_wait(&lanes->changed, &lanes->lock);
    }
}

static int take_piece(struct lanes *lanes, struct failure *failure)
{
    const struct lanes_work *work = lanes->work;
    const struct slot *slot = &lanes->slots[lanes->taken % LANES_AHEAD];

    if (slot->result < 0)
        return fail_as(failure, &slot->failure);
    return work->take(work->owner, piece_at(lanes, lanes->taken), failure);
}

static int take_all(struct lanes *lanes, struct failure *failure)
{
    int result = 0;

    pthread_mutex_lock(&lanes->lock);
    while (result == 0 && wait_piece(lanes)) {
        pthread_mutex_unlock(&lanes->lock);
        result = take_piece(lanes, failure);
        pthread_mutex_lock(&lanes->lock);
        if (result == 0)
            lanes->taken++;
        else
            lanes->ended = true;
        pthread_cond_broadcast(&lanes->changed);
    }
    if (result != 0)
        atomic_store(&lanes->stopped, true);
    pthread_mutex_unlock(&lanes->lock);
    return result;
}

int lanes_run(const struct lanes_work *work, struct failure *failure)
{
    struct lanes lanes = {.work = work,
                          .pieces = malloc(LANES_AHEAD * work->piece_bytes)};
    pthread_t threads[LANES_MAX];
    size_t started = 0;
    int result;

    if (!lanes.pieces)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    pthread_mutex_init(&lanes.lock, NULL);
    pthread_cond_init(&lanes.changed, NULL);
    while (started < LANES_MAX &&
           pthread_create(&threads[started], NULL, lane_main, &lanes) == 0)
        started++;
    result = started > 0 ? take_all(&lanes, failure)
                         : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                                "no thread can be started");
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&lanes.changed);
    pthread_mutex_destroy(&lanes.lock);
    free(lanes.pieces);
    return result;
}
