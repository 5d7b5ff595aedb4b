/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the packing of a checkpoint: shared by its files. */
#ifndef DRIVE_PACK_IMPL_H
#define DRIVE_PACK_IMPL_H

#include "drive/pack.h"
#include "drive/put.h"

/* A tensor that is copied, or a matrix of a layer. */
struct pack_piece {
    struct plan_piece what;
    uint64_t rounded;
    bool has_report;
    /* Without one: nothing but a finding with the scales that were rounded, for a run that is
     * gone on with. */
    struct trit_report report;
};

/* What one lane needs for its piece. */
struct pack_work {
    struct repacking *p;
    struct pack_piece *piece;
    const struct content *content; /* of the layer */
    enum trit_dtype dtype;         /* of the source's elements */
    bool streamed;                 /* the source is read piece by piece */
    bool as_int8; /* and its codes as int8, because its encoding has no such groups */
    struct matrix source;
    struct side_matrix scales; /* of the source; its `scales` alone */
    struct data_put data;
    struct progress_piece progress;
    struct failure *failure;
};

/* What the engine is asked for the whole matrix. */
struct engine_pack pack_asked(struct pack_work *work);

/* The engine packs it, or part of it. Counts scales that were rounded. The caller frees
 * result->scales in any case. */
int pack_call(struct pack_work *work, const struct engine_pack *asked,
              struct engine_projected *result);

/* Scales that a report says were rounded. */
uint64_t pack_rounded(const struct trit_report *report);

/* The type of the dense output. */
enum trit_dtype pack_dtype(const struct pack_work *work);

/* A matrix of a layer, on a lane. */
int pack_matrix(struct pack_work *work);

/* Unpacks a matrix, some rows at a time. */
int pack_unpack(struct pack_work *work);
/* Counts the one scale of a matrix whose values were rounded. */
void pack_count_scale(struct pack_work *work);

/* Packs or unpacks a large matrix where source or output is hf_bitnet: some rows a call,
 * the same ones of each quarter of the rows, which share bytes in hf_bitnet. */
int pack_quarters(struct pack_work *work);

#endif
