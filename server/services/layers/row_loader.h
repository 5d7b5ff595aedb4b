/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the latents of a layer, in memory that does not grow with the layer:
 *
 *   bytes -> a batch of rows -> pool: project, pack, write latents -> back
 *
 * While BATCHES_MAX batches are on the pool, the peer gets no credit. When all are back,
 * the layer is saved (build.h). */
#ifndef SERVICES_LAYERS_ROW_LOADER_H
#define SERVICES_LAYERS_ROW_LOADER_H

#include "services/layers/build.h"

struct batch;

struct rows {
    struct call *call;
    struct layer_build *build;   /* borrowed */
    enum trit_dtype dtype;       /* of the latents */
    uint64_t received, expected; /* bytes */

    struct batch *filling; /* private from here on; NULL = none */
    size_t filled;
    uint64_t next_row;
    uint32_t in_flight; /* submitted and not yet back */
    bool complete;      /* all bytes have arrived */
    uint64_t non_finite, first_non_finite;
};

/* build->layer must be reserved. */
void rows_init(struct rows *rows, struct call *call, struct layer_build *build,
               enum trit_dtype dtype);

/* Takes the next bytes, in total at most `expected`. */
int rows_feed(struct rows *rows, const uint8_t *bytes, size_t count);

/* Call it when all expected bytes have arrived and the peer has half-closed. Saves the
 * layer and answers the call, now or when the last batch is back. */
int rows_complete(struct rows *rows);

/* No batch may be in flight. Harmless on a zeroed struct. */
void rows_fini(struct rows *rows);

#endif
