/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies each tensor of a file: a layer, the scales of a layer, or something else and
 * why. Projecting, verifying and listing use the same classification. The caller's name
 * patterns are applied first, then packings and their tables, then the record, then the
 * rules of naming.h.
 *
 * Words. *Latents*: the dense weights before projection. *Claim*: a file that is said to
 * be ternary. *Record*: the "trit" metadata that a projection leaves (record.h). *Terms*:
 * encoding, group size and partial-group rule of the layers of one file (struct
 * layer_terms). *Table* of a packing: a tensor that belongs to a packed weight, such as
 * its scales or zero points. */
#ifndef CHECKPOINT_CONTENTS_H
#define CHECKPOINT_CONTENTS_H

#include "checkpoint/foreign.h"
#include "checkpoint/form.h"
#include "checkpoint/naming.h"
#include "checkpoint/packing.h"
#include "checkpoint/record.h"
#include "checkpoint/selection.h"

#define CONTENT_NONE SIZE_MAX

/* The role of the file in a projection or verification. */
enum contents_side {
    CONTENTS_LATENTS, /* weights to be projected: layers are dense, the record is
                         ignored, `terms` are those of the projection */
    CONTENTS_CLAIM,   /* weights that are said to be ternary, encoded by `terms` */
};

enum content_kind {
    CONTENT_LAYER,
    CONTENT_SCALES,   /* scales or biases of the layer `owner` */
    CONTENT_KEPT,     /* by the rules; `role` says why */
    CONTENT_EXCLUDED, /* a pattern excludes what the rules make a layer or foreign */
    CONTENT_KEPT_BY_RECORD, /* a layer by the rules, but the record does not name it */
    CONTENT_FOREIGN_WEIGHT, /* packed by another program; `packing` says by which */
    CONTENT_FOREIGN_TABLE,  /* a table of the foreign weight `owner` (or CONTENT_NONE) */
    CONTENT_UNKNOWN_DTYPE,  /* a layer by its role, but its type cannot be checked */
    CONTENT_UNFIT,          /* a layer by its name, but not in the form of its encoding */
};

struct content {
    enum content_kind kind;
    enum tensor_role role;
    bool included; /* a layer because a pattern overrides the rules */
    /* Of CONTENT_EXCLUDED: no exclude pattern matches it, and no include pattern does. */
    bool not_included;
    bool unpacked;        /* of a claim's layer: config.json says that it is not packed */
    enum packing packing; /* of foreign weights */
    size_t owner;         /* of scales and tables: index of the weight, or CONTENT_NONE */
    size_t scales,
        biases;        /* of a layer: index of its scales and biases, or CONTENT_NONE */
    size_t beside;     /* of a dense layer: the tensor with its scale, or CONTENT_NONE */
    bool wants_scales; /* the layer's encoding has its scales in a tensor of their own */
    bool wants_biases; /* the same for biases, which are -scales */
    bool
        stays_encoded; /* of CONTENT_EXCLUDED: it is encoded as the file's terms say; then
                            terms, layout and dense are as of a layer */
    struct layer_terms terms; /* of a layer */
    enum layer_layout layout; /* of a layer: how `dense` holds its matrices */
    struct tensor_entry
        dense;               /* of a layer, and of an excluded one whose type is set: the
                                  dense tensor, before it was encoded */
    struct head_order heads; /* set by a plan whose output has another order of rows */
    const char *unfit;       /* of CONTENT_UNFIT: why */
    /* Of a layer that another program packed (packing other than PACKING_NONE): how its
     * values are read. `terms` are then those of the values, which are dense. */
    struct foreign_form foreign;
};

/* Is it a layer, with all tensors that its encoding needs? */
static inline bool content_is_complete(const struct content *content)
{
    return content->kind == CONTENT_LAYER &&
           (!content->wants_scales || content->scales != CONTENT_NONE) &&
           (!content->wants_biases || content->biases != CONTENT_NONE);
}

/* Must the layer's values be decoded (foreign_decode) before they are dense? */
static inline bool content_is_foreign(const struct content *content)
{
    return content->foreign.packing != PACKING_NONE;
}

/* Can a verification without latents find that the layer is not ternary? Rows of one weight
 * always are, so they are not counted as examined. */
bool content_may_fail(const struct content *layer);

/* The matrices of a layer. */
struct matrices content_matrices(const struct content *layer);

struct contents {
    const struct tensor_table *table; /* borrowed */
    struct layer_terms terms;
    const struct record *record; /* borrowed; NULL or without layers: none */
    struct content *items;       /* one for each entry of the table */
    size_t layers;               /* of kind CONTENT_LAYER */
    bool nameless; /* set by the caller if the file does not store names (a .npy file):
                      its single tensor then corresponds to any name */
    bool
        online; /* config.json says that its weights are made ternary while the model runs */
    const char *quant_method; /* of config.json's quantization_config; NULL: not given */
    struct arena strings;
};

/* The terms that follow from options and record. Without a record, config.json's
 * quantization is used. `record` NULL gives the terms of a projection. */
struct layer_terms terms_of(const struct checkpoint_options *options,
                            const struct record *record);

/* The terms of a claim. They are those of terms_of, except where neither options, record
 * nor config.json say how layers are encoded, and the (sealed) table shows it: U8 weights
 * with one weight_scale each are hf_bitnet, I8 weights with NAME.scales are int8. The
 * groups of an encoding by option are no smaller than its blocks. */
struct layer_terms terms_of_claim(const struct checkpoint_options *options,
                                  const struct record *record,
                                  const struct tensor_table *table);

/* Classifies the tensors of a sealed table. INVALID_ARGUMENT: the record is malformed, or
 * the terms contradict each other. Call contents_destroy also after a failure. */
int contents_create(struct contents *contents, const struct checkpoint_options *options,
                    enum contents_side side, const struct layer_terms *terms,
                    const struct tensor_table *table, const struct record *record,
                    struct failure *failure);
void contents_destroy(struct contents *contents); /* harmless on a zeroed one */

/* The type in which a layer's data are sent to the daemon: that of the values where they are
 * decoded first, else that of its tensor. */
enum trit_dtype content_dtype(const struct contents *contents, size_t index);

/* How many parameters of the model a tensor holds: for a layer its dense elements, for
 * scales and tables 0, for other tensors the stored elements. */
uint64_t content_parameters(const struct contents *contents, size_t index);

/* A description of the tensor: "a router", "packed by GPTQ, with l.qzeros, l.scales". */
enum { CONTENT_TEXT_BYTES = 4096 };
const char *content_text(char text[CONTENT_TEXT_BYTES], const struct contents *contents,
                         size_t index);

const char *content_kind_name(enum content_kind kind); /* "kept" */

#endif
