/* SPDX-License-Identifier: Apache-2.0 */
/* How an encoding lays the matrix of a layer out in tensors of a file. */
#ifndef CHECKPOINT_FORM_H
#define CHECKPOINT_FORM_H

#include "checkpoint/options.h"
#include "files/table.h"

enum { SCALES_NAME_BYTES = FILES_NAME_BYTES_MAX + sizeof(".scales") };

/* [out, in]: the last axis of rank 2; everything after the first of rank 3, 4. */
struct matrix {
    uint64_t rows, columns;
};

/* rank >= 1, product checked by the table */
struct matrix matrix_of(uint32_t rank, const uint64_t *shape);

/* The default number of weights that share a scale: 128; 0 (the tensor) where the
 * encoding has one scale. */
uint32_t group_size_default(enum trit_encoding encoding);

/* Group size and encoding contradict each other whatever the layer: INVALID_ARGUMENT. */
int terms_check(const struct layer_terms *terms, struct failure *failure);

/* Does the encoding's reader want embeddings and head as they are? */
bool encoding_keeps_embeddings(enum trit_encoding encoding);

/* What a layer's scales are called: NAME.scales; NAME_scale of HF_BITNET, since
 * transformers has weight_scale beside weight. */
void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES]);

/* How a matrix looks in a file once encoded: the tensor under the layer's own
 * name, and that of its scales (type NULL: there is none). Names are not set; bytes
 * are not computed. */
struct encoded_form {
    struct tensor_entry data, scales;
};

/* `source`: the dense tensor (type, rank, shape). INVALID_ARGUMENT where the
 * encoding cannot hold it, UNIMPLEMENTED where it has no such form yet. */
int encoded_form(const struct layer_terms *terms, const struct tensor_entry *source,
                 struct encoded_form *form, struct failure *failure);

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
