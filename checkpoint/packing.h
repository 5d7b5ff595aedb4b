/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes weights that other programs packed, by names, types and companion tensors.
 * The companions, called tables (scales, zero points, shapes), are never layers. */
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
    PACKING_MXFP4,     /* blocks and scales, as in gpt-oss */
    PACKING_TRIT,      /* by an earlier projection, according to the file's record */
    PACKING_SPARSE,    /* the nonzero values of a matrix, beside their places */
    PACKING_FSDP,      /* all parameters of a module, one after another */
    PACKING_GEMLITE,
    PACKING_HQQ,
    PACKING_KERAS,      /* ternary kernels of Keras 3 */
    PACKING_BITNET_GPU, /* four codes in an I8, with four scales: BitNet's kernels for GPUs */
    PACKING_GGUF,       /* in blocks of a type of GGUF */
    PACKING_OTHER,      /* packed integers or small floats with tables */
};

/* "MLX", "GPTQ", ... */
const char *packing_name(enum packing packing);

/* Types that weights are packed into: U32, I32, U8, I8, I16, F8, F6, F4. */
bool type_is_packed(const struct element_type *type);

/* The packing of an entry whose type is packed and whose companions are in the same
 * (sealed) table, or of FSDP's flat parameters; PACKING_NONE for any other entry. */
enum packing foreign_packing_of(const struct tensor_table *table,
                                const struct tensor_entry *entry);

/* The packing of an entry whose type is F32, F16 or BF16 but whose bytes are codes: HQQ's
 * view_as_float, and bitsandbytes' bnb_4bit_quant_storage. PACKING_NONE: it is dense. */
enum packing packing_in_floats(const struct tensor_table *table,
                               const struct tensor_entry *entry);

/* Is a tensor with the name of a table none? The weight in its module is dense, and the tensor
 * is larger than tables of it are (a group has at least two weights); or the module has
 * nothing that may be packed. */
bool packing_is_no_table(const struct tensor_table *table,
                         const struct tensor_entry *entry);

/* The name that the weight has where it is dense: compressed-tensors calls NAME.weight
 * NAME.weight_packed, gemlite NAME.W_q. Writes it to `text`; NULL: it is the tensor's own, or
 * another tensor of the table has it. */
const char *packing_dense_name(const struct tensor_table *table, const char *name,
                               char text[FILES_NAME_BYTES_MAX + 1]);

/* Visits the companions of a packed weight by their index in the table. One companion may
 * be visited several times. */
void packing_visit(const struct tensor_table *table, const struct tensor_entry *weight,
                   void (*visit)(void *arg, size_t index), void *arg);

#endif
