/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a layer from latents of any origin: projects and packs rows of latents, saves
 * the layer, publishes it. */
#ifndef SERVICES_LAYERS_BUILD_H
#define SERVICES_LAYERS_BUILD_H

#include "layers/files.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"

struct layer_build {     /* the first member of the state of a method that builds */
    struct layer *layer; /* BUILDING; with a reference */
    struct parallel_for pieces;
    struct latents_file latents; /* if they are kept: the file being written */
    uint64_t latents_bytes;
    uint32_t latents_crc;
    bool saving; /* from here on the layer stays, even if the call is cancelled */
};

/* The size of the codes of `rows` rows as ternarize writes them. */
uint64_t layer_code_bytes(const struct layer_spec *spec, uint64_t rows);

/* Projects and packs rows [first, first + rows), on a worker. `codes` is scratch memory
 * of layer_code_bytes. counts->first_non_finite is an index into `latents`. */
void layer_build_rows(const struct kernels *kernels, struct layer *layer,
                      enum trit_dtype dtype, const void *latents, uint64_t first,
                      uint64_t rows, uint8_t *codes, struct ternary_counts *counts);

/* Call it after all rows are packed: saves the layer, publishes it, answers with its spec
 * and ends the call. */
int layer_build_save(struct layer_build *build, struct call *call);

/* `cancel` of such a method: frees the name before the peer learns of the failure, unless
 * the layer is being saved. */
void layer_build_cancel(struct call *call);

/* Removes the layer if it was not published. */
void layer_build_fini(struct layer_build *build, struct call *call);

#endif
