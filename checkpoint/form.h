/* SPDX-License-Identifier: Apache-2.0 */
/* How an encoding lays the matrix of a layer out in tensors of a file. */
#ifndef CHECKPOINT_FORM_H
#define CHECKPOINT_FORM_H

#include "checkpoint/options.h"
#include "files/table.h"

enum { SCALES_NAME_BYTES = FILES_NAME_BYTES_MAX + sizeof(".scales") };

/* How the matrices of a layer lie in its tensor. */
enum layer_layout {
    LAYOUT_OUT_IN,         /* [out, in]; of more axes, all after the first are in */
    LAYOUT_IN_OUT,         /* [in, out] */
    LAYOUT_EXPERTS_OUT_IN, /* [experts, out, in] */
    LAYOUT_EXPERTS_IN_OUT, /* [experts, in, out] */
};

/* The matrices [rows, columns] of a layer, rows = out, columns = in. */
struct matrices {
    uint64_t count; /* 1, or the number of experts; they lie one after the other */
    uint64_t rows, columns;
    bool transposed; /* each lies as [columns, rows] */
};

/* rank >= 1, of experts 3, of in_out 2; product checked by the table */
struct matrices matrices_of(enum layer_layout layout, uint32_t rank,
                            const uint64_t *shape);

enum { MATRIX_NAME_BYTES = FILES_NAME_BYTES_MAX + 32 };

/* "NAME", or "NAME[7]" where the layer has several matrices. */
const char *matrix_name(char name[MATRIX_NAME_BYTES], const char *layer,
                        const struct matrices *matrices, uint64_t number);

bool layout_is_experts(enum layer_layout layout);

/* The default number of weights that share a scale: 128; 0 (the tensor) where the
 * encoding has one scale. */
uint32_t group_size_default(enum trit_encoding encoding);

/* Group size and encoding contradict each other whatever the layer: INVALID_ARGUMENT. */
int terms_check(const struct layer_terms *terms, struct failure *failure);

/* Does the encoding's reader want embeddings and head as they are? */
bool encoding_keeps_embeddings(enum trit_encoding encoding);

/* What a layer's scales are called: NAME.scales; NAME_scale of HF_BITNET, since
 * transformers has weight_scale beside weight; STEM.scales of MLX_2BIT's STEM.weight. */
void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES]);

/* What MLX_2BIT's STEM.weight has beside its scales: STEM.biases, which are -scales. */
void biases_name(const char *layer, char name[SCALES_NAME_BYTES]);

/* Can a layer of this encoding have this name? MLX_2BIT's end in "weight". */
bool name_suits(enum trit_encoding encoding, const char *layer);

/* How a matrix looks in a file once encoded: the tensor under the layer's own
 * name, and those of its scales and biases (type NULL: there are none). Names are not set; bytes
 * are not computed. */
struct encoded_form {
    struct tensor_entry data, scales, biases;
};

/* `source`: the dense tensor (type, rank, shape). Data of dense and int8 have its shape
 * and layout; packed data are [out, bytes a row], of experts [experts, out, bytes a row],
 * whatever the layout. Scales are [out, groups], or [experts, out, groups].
 * INVALID_ARGUMENT where the encoding cannot hold it, UNIMPLEMENTED where it has no such
 * form yet. */
int encoded_form(const struct layer_terms *terms, const struct tensor_entry *source,
                 enum layer_layout layout, struct encoded_form *form,
                 struct failure *failure);

/* Do the encoded data lie in the source's layout (dense, int8), or as [out, ...]? */
bool encoding_keeps_layout(enum trit_encoding encoding);

/* Can a tensor of this type hold the data of a layer in this encoding? */
bool type_holds(const struct element_type *type, enum trit_encoding encoding);

/* The dense tensor that `entry`, of a type that holds the encoding, is or was before
 * it was packed in full blocks (F32 where the encoding forgets the type).
 * INVALID_ARGUMENT where its rows are no whole blocks. */
int dense_form(enum trit_encoding encoding, const struct tensor_entry *entry,
               struct tensor_entry *dense, struct failure *failure);

enum { SHAPE_TEXT_BYTES = 192 };

/* "[512, 128]" */
const char *shape_text(char text[SHAPE_TEXT_BYTES], uint32_t rank, const uint64_t *shape);

#endif
