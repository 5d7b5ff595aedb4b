/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights of other programs, known by names, types and companions. Their
 * tables (scales, zeros, shapes) are never layers. */
#ifndef CHECKPOINT_PACKING_H
#define CHECKPOINT_PACKING_H

#include "files/table.h"

enum packing {
    PACKING_NONE,
    PACKING_MLX,
    PACKING_GPTQ,
    PACKING_AWQ,
    PACKING_BITSANDBYTES,
    PACKING_COMPRESSED_TENSORS,
    PACKING_FP8,
    PACKING_TORCHAO,
    PACKING_HF_BITNET, /* U8 with one weight_scale: readable as hf_bitnet */
    PACKING_INT8,      /* I8 with NAME.scales: readable as int8 */
    PACKING_MXFP4,     /* blocks and scales, as gpt-oss has them */
    PACKING_TRIT,      /* by an earlier projection, as the file's record says */
    PACKING_OTHER,     /* packed integers or small floats beside tables */
};

/* "MLX", "GPTQ", ... */
const char *packing_name(enum packing packing);

/* Types that weights are packed into: U32, I32, U8, I8, I16, F8, F6, F4. */
bool type_is_packed(const struct element_type *type);

/* Of a sealed table: the packing of an entry of packed type that has companion tables
 * in the same table; PACKING_NONE for all else. */
enum packing foreign_packing_of(const struct tensor_table *table,
                                const struct tensor_entry *entry);

/* Visits the companion tables of a packed weight, each once or more, by their index in
 * the table. */
void packing_visit(const struct tensor_table *table, const struct tensor_entry *weight,
                   void (*visit)(void *arg, size_t index), void *arg);

#endif
