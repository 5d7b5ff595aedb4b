/* SPDX-License-Identifier: Apache-2.0 */
/* Latents of a layer on their way in, in memory that does not grow with them:
 *
 *   bytes -> a batch of rows -> pool: project, pack, write latents -> back
 *
 * At most BATCHES_MAX batches are filled or on the pool; above that the peer gets
 * no credit. When all are back the layer is saved (layers_make.h). */
#ifndef SERVICES_LAYERS_ROW_LOADER_H
#define SERVICES_LAYERS_ROW_LOADER_H

#include "services/layers/build.h"

struct batch;

struct rows {
    struct call *call;
    struct layer_build *build;   /* borrowed */
    enum trit_dtype dtype;       /* of the latents */
    uint64_t received, expected; /* bytes */

    struct batch *filling; /* hands off from here on; NULL = none */
    size_t filled;
    uint64_t next_row;
    uint32_t in_flight; /* submitted and not yet back */
    bool complete;      /* the request is whole */
    uint64_t non_finite, first_non_finite;
};

/* build->layer is reserved, none of its rows is made. */
void rows_init(struct rows *rows, struct call *call, struct layer_build *build,
               enum trit_dtype dtype);

/* The next bytes, never more than expected. */
int rows_feed(struct rows *rows, const uint8_t *bytes, size_t count);

/* All expected bytes have come and the peer half-closed: the layer is saved and the
 * call answered, from here or when the last batch is back. */
int rows_complete(struct rows *rows);

/* Nothing may be in flight. Harmless on a zeroed struct. */
void rows_fini(struct rows *rows);

#endif
