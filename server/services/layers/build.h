/* SPDX-License-Identifier: Apache-2.0 */
/* How a layer comes to be, whatever its latents come from: rows of latents are
 * projected and packed; the whole is saved; then it is there. */
#ifndef SERVICES_LAYERS_BUILD_H
#define SERVICES_LAYERS_BUILD_H

#include "layers/files.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"

struct layer_build {     /* the first member of the state of a method that makes */
    struct layer *layer; /* MAKING, held */
    struct parallel_for pieces;
    struct latents_file latents; /* KEPT: being written */
    uint64_t latents_bytes;
    uint32_t latents_crc;
    bool saving; /* the name is the file's from here on, whatever becomes of the call */
};

/* Bytes of the codes of `rows` rows as ternarize writes them. */
uint64_t layer_code_bytes(const struct layer_spec *spec, uint64_t rows);

/* On a worker: projects and packs rows [first, first + rows) of latents. `codes`
 * is scratch of layer_code_bytes. first_non_finite is an index among `latents`. */
void layer_build_rows(const struct kernels *kernels, struct layer *layer,
                      enum trit_dtype dtype, const void *latents, uint64_t first,
                      uint64_t rows, uint8_t *codes, struct ternary_counts *counts);

/* All rows are packed: saves, publishes, answers with the spec, ends the call. */
int layer_build_save(struct layer_build *build, struct call *call);

/* The row `cancel` of such a method: the name is free before the peer hears of the
 * failure, unless the layer is being saved. */
void layer_build_cancel(struct call *call);

/* Forgets a layer that was not published. */
void layer_build_fini(struct layer_build *build, struct call *call);

#endif
