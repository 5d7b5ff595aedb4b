/* SPDX-License-Identifier: Apache-2.0 */
/* Options for reading a checkpoint: which tensors are layers, and how layers are encoded.
 * A zeroed struct sets no option: the rules and the file's record decide. */
#ifndef CHECKPOINT_OPTIONS_H
#define CHECKPOINT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

/* How the matrices of a rank-3 tensor of experts are stored. */
enum experts_layout {
    EXPERTS_UNKNOWN,
    EXPERTS_OUT_IN, /* [experts, out, in] */
    EXPERTS_IN_OUT, /* [experts, in, out] */
};

struct model_config;
struct tensor_entry;

/* Shell patterns (fnmatch without flags) of tensor names, borrowed. */
struct name_patterns {
    const char *const *patterns;
    size_t count;
};

struct checkpoint_options {
    struct name_patterns include; /* if there are any: only tensors that match are layers,
                                     even if the rules would not make them layers */
    struct name_patterns
        exclude;       /* tensors that match are not layers; wins over include */
    bool convolutions; /* convolutions are layers too */
    enum experts_layout experts;     /* EXPERTS_UNKNOWN: as `config` says; if it does not
                                     know, experts are not layers */
    struct name_patterns transposed; /* these are stored [in, out] */
    struct name_patterns renames;    /* "OLD=NEW" of the claim's names, see rename.h */
    struct name_patterns strip_prefixes; /* of the names of both sides */
    const struct model_config *config;   /* of the model, borrowed; NULL: not known */
    bool to_gguf;                        /* the output of a plan is a GGUF file */
    bool keep_names;   /* of a GGUF input, in a plan whose output is another format */
    bool has_encoding; /* else: as the record says, else dense */
    enum trit_encoding encoding;
    unsigned bits; /* of weights that MLX packed, where neither config.json nor their
                               shapes tell; 0: not known */
    /* Reads the first bytes of a tensor: shapes and other numbers that a packing stores. NULL:
     * weights that need them are not decoded. Returns 0 or -1. */
    int (*read_small)(void *arg, const struct tensor_entry *entry, void *values,
                      size_t bytes);
    void *read_arg;
    uint32_t group_size;    /* 0: as the record says, else the encoding's default */
    bool has_partial_group; /* else: as the record says, else padded */
    enum trit_partial_group partial_group;
};

/* The terms of a file: how all its layers are encoded. */
struct layer_terms {
    enum trit_encoding encoding;
    uint32_t group_size; /* 0: one scale for the tensor */
    enum trit_partial_group partial_group;
};

#endif
