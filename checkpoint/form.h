/* SPDX-License-Identifier: Apache-2.0 */
/* The form of an encoded layer in a file: the names, types and shapes of its tensors. */
#ifndef CHECKPOINT_FORM_H
#define CHECKPOINT_FORM_H

#include "checkpoint/options.h"
#include "files/table.h"

enum { MLX_CODES_A_WORD = 16 }; /* of 2 bits in a U32, the first one lowest */
enum { SCALES_NAME_BYTES = FILES_NAME_BYTES_MAX + sizeof(".scales") };

/* The order in which the matrices of a layer are stored in its dense tensor. */
enum layer_layout {
    LAYOUT_OUT_IN,         /* [out, in]; with more axes, all but the first make up `in` */
    LAYOUT_IN_OUT,         /* [in, out] */
    LAYOUT_EXPERTS_OUT_IN, /* [experts, out, in] */
    LAYOUT_EXPERTS_IN_OUT, /* [experts, in, out] */
};

/* llama.cpp stores the rows of llama's q and k in another order than transformers: in each
 * head, row i and row i + rows / 2 are neighbours. A matrix that is compared with one of the
 * other order is read in that order. */
struct head_order {
    uint64_t rows;    /* of a head; 0: the order is that of the file */
    bool interleaves; /* the matrix has neighbours, the file does not; or the reverse */
};

/* Rows are brought to the rotated basis of another file (rotation.h) as they are read; they
 * are F32 then. */
struct rotated_basis {
    uint64_t block; /* columns that are transformed together; 0: rows stay as they are */
    const int8_t *signs; /* of each column, borrowed; NULL: all +1 */
};

/* The matrices [rows, columns] of a layer, rows = out, columns = in. */
struct matrices {
    uint64_t count; /* 1, or the number of experts; stored one after the other */
    uint64_t rows, columns;
    bool transposed; /* each is stored as [columns, rows] */
    struct head_order heads;
    /* Of codes in hf_bitnet's order, read in another order of rows: byte row r holds row r of
     * each quarter of the rows. */
    bool quarters;
    struct rotated_basis basis;
    bool
        as_int8; /* codes of 2 bits, the lowest first, are read as -1, 0, 1 and 2 in I8 */
};

/* The row of the file that is row `row` of the matrix. */
uint64_t head_order_row(const struct head_order *order, uint64_t row);

/* `rank` must be 3 for experts, 2 for IN_OUT, and at least 1 for OUT_IN. The table has
 * checked that the product of the shape does not overflow. */
struct matrices matrices_of(enum layer_layout layout, uint32_t rank,
                            const uint64_t *shape);

enum { MATRIX_NAME_BYTES = FILES_NAME_BYTES_MAX + 32 };

/* "NAME", or "NAME[7]" where the layer has several matrices. */
const char *matrix_name(char name[MATRIX_NAME_BYTES], const char *layer,
                        const struct matrices *matrices, uint64_t number);

bool layout_is_experts(enum layer_layout layout);

/* The default number of weights per scale: 128, or 0 for an encoding with one scale for
 * the whole tensor. */
uint32_t group_size_default(enum trit_encoding encoding);

/* Does the encoding store its scales in a tensor of their own? */
bool encoding_has_scales(enum trit_encoding encoding);

/* The weights of a block of the encoding; 0: it has no blocks. */
uint32_t encoding_block(enum trit_encoding encoding);

/* INVALID_ARGUMENT: the encoding does not support the group size for any layer. */
int terms_check(const struct layer_terms *terms, struct failure *failure);

/* Do programs that read the encoding expect dense embeddings and a dense head? */
bool encoding_keeps_embeddings(enum trit_encoding encoding);

/* The name of the tensor with a layer's scales: NAME.scales. For HF_BITNET it is
 * NAME_scale, as transformers names it. For MLX_2BIT the scales of STEM.weight are
 * STEM.scales. */
void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES]);

/* The name of the biases of MLX_2BIT's STEM.weight: STEM.biases. They are -scales. */
void biases_name(const char *layer, char name[SCALES_NAME_BYTES]);

/* Can a layer of this encoding have this name? In MLX_2BIT it must end in "weight". */
bool name_suits(enum trit_encoding encoding, const char *layer);

/* The tensors of an encoded layer: the data, under the layer's own name, the scales and
 * the biases. A type of NULL means that the encoding has no such tensor. Names and byte
 * counts are not filled in. */
struct encoded_form {
    struct tensor_entry data, scales, biases;
};

/* The form of the dense tensor `source` (type, rank, shape) after encoding. Dense and
 * int8 data keep its shape and layout. Packed data are [out, bytes per row], or [experts,
 * out, bytes per row], whatever the layout. Scales are [out, groups], or [experts, out,
 * groups]. INVALID_ARGUMENT: the encoding cannot hold the tensor. UNIMPLEMENTED: this
 * encoding is not supported for this layout yet. */
int encoded_form(const struct layer_terms *terms, const struct tensor_entry *source,
                 enum layer_layout layout, struct encoded_form *form,
                 struct failure *failure);

/* Are these the scales or biases of the form, F32, F16 or BF16? They may lie in one run, or
 * have axes of size 1 more or less. A table of as many values in other rows is not: its
 * order is not known. */
bool scales_fit(const struct tensor_entry *form, const struct tensor_entry *scales);

/* Do the encoded data keep the source's layout (dense, int8)? Otherwise they are stored
 * as [out, ...]. */
bool encoding_keeps_layout(enum trit_encoding encoding);

/* The encoding whose blocks a type of GGUF is; false: of none that is ternary. */
bool type_encoding(const struct element_type *type, enum trit_encoding *encoding);

/* The reverse; NULL: GGUF has no type for the encoding's data. */
const struct element_type *encoding_type(enum trit_encoding encoding);

/* The weights that share a scale in a type of GGUF's blocks; 0: all of the tensor. */
uint32_t type_group(const struct element_type *type);

/* Can a tensor of this type hold the data of a layer in this encoding? */
bool type_holds(const struct element_type *type, enum trit_encoding encoding);

/* The reverse: the dense tensor from which `entry` was encoded. The type of `entry` must
 * be one that can hold the encoding. The dense type is F32 if the encoding does not tell
 * it. INVALID_ARGUMENT: its rows are not whole blocks. */
int dense_form(enum trit_encoding encoding, const struct tensor_entry *entry,
               struct tensor_entry *dense, struct failure *failure);

enum { SHAPE_TEXT_BYTES = 192 };

/* "[512, 128]" */
const char *shape_text(char text[SHAPE_TEXT_BYTES], uint32_t rank, const uint64_t *shape);

/* The same of a tensor's values, also where the table counts bytes of blocks. */
const char *entry_shape_text(char text[SHAPE_TEXT_BYTES],
                             const struct tensor_entry *entry);

#endif
