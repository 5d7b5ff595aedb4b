/* SPDX-License-Identifier: Apache-2.0 */
/* Does the pieces of a checkpoint (its matrices, and the tensors that are copied) on a few
 * threads, so that reading one piece, the daemon's work on another and writing a third
 * happen at the same time. Results are taken in order on the caller's thread, so that
 * output and findings do not depend on which thread was faster.
 *
 *     next (in order) -> run (on any lane) -> take (in order, on the caller's thread)
 *
 * At most LANES_AHEAD pieces are begun and not taken, so memory does not grow with the
 * checkpoint. */
#ifndef DRIVE_LANES_H
#define DRIVE_LANES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { LANES_MAX = 4, LANES_AHEAD = 64 };

/* What a command does with its pieces. A piece is `piece_bytes` of memory, zeroed before
 * next(), and used for another piece after take(). */
struct lanes_work {
    void *owner;
    size_t piece_bytes;
    /* Describes the next piece. Lanes take turns to call it. False: there is none. */
    bool (*next)(void *owner, void *piece);
    /* -1: *failure. `stopped` becomes true when another piece has failed; then the result
     * no longer counts. */
    int (*run)(void *owner, void *piece, const atomic_bool *stopped,
               struct failure *failure);
    int (*take)(void *owner, void *piece, struct failure *failure);
};

/* 0, or -1 with the failure of the first piece, in order, that failed. When a piece has
 * failed no other begins; pieces before it are still taken. */
int lanes_run(const struct lanes_work *work, struct failure *failure);

#endif
