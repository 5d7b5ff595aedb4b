/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the engine: one matrix. */
#ifndef CHECKPOINTS_MATRIX_RUN_H
#define CHECKPOINTS_MATRIX_RUN_H

#include "drive/engine.h"
#include "services/ternary/merge.h"

struct kernel_engine;
struct pool;

struct matrix_run {
    const struct kernel_engine *engine; /* for the owner */
    struct pool *pool;
    struct task task;
    const struct engine_matrix *in;      /* the latents, or the claim */
    const struct engine_matrix *latents; /* of a claim that is compared; or NULL */
    int (*write)(void *arg, uint64_t offset, const void *from, uint64_t bytes);
    void *write_arg;
    uint8_t *scales;   /* memory for the separate scales of the output; NULL: none */
    const char *field; /* that failures about the data name; "": none */
    struct progress_piece *progress;
    struct failure *failure;
    struct merge merge; /* of all tiles, afterwards */
};

/* Copies bytes of a matrix. -1: it cannot be read, or the run has to stop. */
int matrix_run_read(struct matrix_run *run, const struct engine_matrix *from,
                    uint64_t offset, void *to, uint64_t bytes);

/* Gives the output of computed tiles to its owner. */
int matrix_run_write(struct matrix_run *run, const struct tile *tiles, size_t count);

/* Some tiles at a time. */
int matrix_run_tiles(struct matrix_run *run);

/* A matrix with one scale. Its codes are in memory. */
int matrix_run_whole(struct matrix_run *run);

/* The same for a matrix that is packed into an encoding with one scale, from one with several:
 * it is read once, piece by piece. */
int matrix_run_gather(struct matrix_run *run);

#endif
