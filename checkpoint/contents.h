/* SPDX-License-Identifier: Apache-2.0 */
/* What each tensor of a file is: a layer, the scales of one, or something else and
 * why. One classification for projecting, verifying and listing. Patterns come
 * first, then packings and their tables, then the record, then the rules of naming. */
#ifndef CHECKPOINT_CONTENTS_H
#define CHECKPOINT_CONTENTS_H

#include "checkpoint/form.h"
#include "checkpoint/naming.h"
#include "checkpoint/packing.h"
#include "checkpoint/record.h"
#include "checkpoint/selection.h"

#define CONTENT_NONE SIZE_MAX

/* What the file is read as. */
enum contents_side {
    CONTENTS_LATENTS, /* weights that wait for a projection: layers are dense, a record
                         says nothing; `terms` are those of the projection */
    CONTENTS_CLAIM,   /* weights that claim to be ternary, encoded as `terms` say */
};

enum content_kind {
    CONTENT_LAYER,
    CONTENT_SCALES,         /* scales or biases of the layer `owner` */
    CONTENT_KEPT,           /* by the rules; `role` says why */
    CONTENT_EXCLUDED,       /* would be a layer or foreign, but for the patterns */
    CONTENT_KEPT_BY_RECORD, /* a layer by the rules that the record does not name */
    CONTENT_FOREIGN_WEIGHT, /* packed by another program, see `packing` */
    CONTENT_FOREIGN_TABLE,  /* of the foreign weight `owner` (or CONTENT_NONE) */
    CONTENT_UNKNOWN_DTYPE,  /* its role is a layer's, its type cannot be judged */
    CONTENT_UNFIT,          /* named a layer, but not in its encoding's form */
};

struct content {
    enum content_kind kind;
    enum tensor_role role;
    bool included;        /* a layer by a pattern, against the rules */
    enum packing packing; /* of foreign weights */
    size_t owner;         /* of scales and tables: index of the weight, or CONTENT_NONE */
    size_t scales,
        biases;        /* of a layer: index of its scales and biases, or CONTENT_NONE */
    bool wants_scales; /* of a layer whose encoding has scales beside the data */
    bool wants_biases; /* likewise biases, which are -scales */
    struct layer_terms terms;  /* of a layer */
    enum layer_layout layout;  /* of a layer: how `dense` holds its matrices */
    struct tensor_entry dense; /* of a layer: what it is or was before it was encoded */
    const char *unfit;         /* of CONTENT_UNFIT: why */
};

/* Is it a layer with all the tensors that its encoding has? */
bool content_is_complete(const struct content *content);

/* The matrices of a layer. */
struct matrices content_matrices(const struct content *layer);

struct contents {
    const struct tensor_table *table; /* borrowed */
    struct layer_terms terms;
    const struct record *record; /* borrowed; NULL or without layers: none */
    struct content *items;       /* one for each entry of the table */
    size_t layers;               /* of kind CONTENT_LAYER */
    bool nameless; /* set by the caller where the names are not the tensors' own (an
                      array's file has none): a single tensor answers to any name */
    struct arena strings;
};

/* The terms that options and record together say; where the file has no record, what
 * config.json says of MLX's quantization. `record` NULL: those of a projection. */
struct layer_terms terms_of(const struct checkpoint_options *options,
                            const struct record *record);

/* `table` is sealed. INVALID_ARGUMENT where the record makes no sense or the terms
 * contradict each other. After a failure contents_destroy is still due. */
int contents_create(struct contents *contents, const struct checkpoint_options *options,
                    enum contents_side side, const struct layer_terms *terms,
                    const struct tensor_table *table, const struct record *record,
                    struct failure *failure);
void contents_destroy(struct contents *contents); /* harmless on a zeroed one */

/* The parameters that a tensor stands for: the dense elements of a layer, none of
 * scales and tables, the stored elements of all else. */
uint64_t content_parameters(const struct contents *contents, size_t index);

/* What the tensor is, in words: "a router", "packed by GPTQ, with l.qzeros, l.scales". */
enum { CONTENT_TEXT_BYTES = 4096 };
const char *content_text(char text[CONTENT_TEXT_BYTES], const struct contents *contents,
                         size_t index);

const char *content_kind_name(enum content_kind kind); /* "kept" */

#endif
