/* SPDX-License-Identifier: Apache-2.0 */
/* Element types that files may have. The daemon computes with some of them; tensors of
 * the others are only copied. */
#ifndef FILES_ELEMENT_H
#define FILES_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "trit/types.h"

struct element_type {
    const char *name;      /* as safetensors writes it, "BF16" */
    uint32_t bits;         /* of one element; 4 and 6 exist */
    enum trit_dtype dtype; /* TRIT_DTYPE_UNSPECIFIED: only passed through */
    /* Of a type that GGUF stores in blocks: the values in a block, and its bytes. Then the
     * table counts bytes in the last axis of a shape, as for U8 [rows, bytes in a row].
     * 0: it has no blocks. */
    uint32_t block_values, block_bytes;
    uint32_t tail_bytes; /* behind the blocks of a tensor; not in its shape */
};

/* A type of safetensors, or NULL. Entries are static: compare them by pointer. */
const struct element_type *element_type_by_name(const char *name);
const struct element_type *element_type_of(enum trit_dtype dtype);

/* The type that GGUF gives this number (enum ggml_type), or NULL. `legacy_q2_0`: number 42
 * is the Q2_0 of old PrismML builds, whose blocks of 128 values are those of PQ2_0. */
const struct element_type *element_type_of_gguf(uint32_t number, bool legacy_q2_0);

/* The number of the type in GGUF; -1: GGUF does not have it. */
int element_type_gguf(const struct element_type *type);

/* GGUF's type of blocks with this name, or NULL. */
const struct element_type *element_type_of_blocks(const char *name);

/* One that weights are trained in. */
static inline bool element_type_is_float(const struct element_type *type)
{
    return type->dtype == TRIT_F32 || type->dtype == TRIT_F16 || type->dtype == TRIT_BF16;
}

static inline bool element_type_is_block(const struct element_type *type)
{
    return type->block_values != 0;
}

#endif
