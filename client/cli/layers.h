/* Which tensors of a file are layers, as which matrix each is computed with,
 * and how an encoding lays that matrix out in tensors of a file. */
#ifndef CLI_LAYERS_H
#define CLI_LAYERS_H

#include "client/cli/opt.h"
#include "files/reader.h"

enum {
    SHAPE_TEXT_BYTES = 192,
    SCALES_NAME_BYTES = FILES_NAME_BYTES_MAX + sizeof(".scales"),
};

/* [out, in]: the last axis of rank 2; everything after the first of rank 3, 4. */
struct matrix {
    uint64_t rows, columns;
};

/* Does the name pass --include and --exclude? */
bool name_selected(const struct options *options, const char *name);

/* A tensor whose rank makes it a layer (2, with --convolutions 3 and 4 too), not
 * empty, and selected by name. Says nothing about its type. */
bool shape_selected(const struct options *options, const struct tensor_entry *entry);

/* Weights that can be projected: selected, of f32, f16 or bf16. */
bool layer_selected(const struct options *options, const struct tensor_entry *entry);

/* rank >= 1, product checked by the table */
struct matrix matrix_of(uint32_t rank, const uint64_t *shape);

/* Of the weights that share a scale, where nobody said: 128; 0 (the tensor) where the
 * encoding has one scale. */
uint32_t group_size_default(enum trit_encoding encoding);

/* What a layer's scales are called: NAME.scales; NAME_scale of HF_BITNET, since
 * transformers has weight_scale beside weight. */
void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES]);

/* How a matrix looks in a file once encoded: the tensor under the layer's own
 * name, and that of its scales (type NULL: there is none). Names are not set. */
struct encoded_form {
    struct tensor_entry data, scales;
};

/* `source`: the dense tensor (type, rank, shape). INVALID_ARGUMENT where the
 * encoding cannot hold it, UNIMPLEMENTED where it has no such form yet. */
int encoded_form(enum trit_encoding encoding, uint32_t group_size,
                 const struct tensor_entry *source, struct encoded_form *form,
                 struct failure *failure);

/* All bytes of a tensor, malloc'ed. */
int load_tensor(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure);

/* "[512, 128]" */
const char *shape_text(char text[SHAPE_TEXT_BYTES], uint32_t rank, const uint64_t *shape);

#endif
