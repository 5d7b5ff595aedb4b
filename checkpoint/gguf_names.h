/* SPDX-License-Identifier: Apache-2.0 */
/* llama.cpp's names of tensors, and the names that transformers gives them (llama.cpp's
 * gguf-py/gguf/tensor_mapping.py), for the architectures llama, qwen2, qwen3, qwen3moe,
 * bitnet and gpt2. */
#ifndef CHECKPOINT_GGUF_NAMES_H
#define CHECKPOINT_GGUF_NAMES_H

#include "files/table.h"

/* Is it the table of a GGUF file? */
bool table_is_gguf(const struct tensor_table *table);

/* The value of the key ARCHITECTURE.KEY of a GGUF file as a number; 0: there is none. */
uint64_t gguf_model_number(const struct tensor_table *table, const char *key);

/* The name that transformers gives the tensor. NULL: the architecture is not one of these,
 * or it has no such tensor; or the table is not of a GGUF file. */
const char *gguf_name_of(const struct tensor_table *table, const char *name,
                         char text[FILES_NAME_BYTES_MAX + 1]);

/* The same for an output in another format. NULL too for architectures whose matrices
 * transformers stores in another way (gpt2), and for several experts in one tensor, which its
 * checkpoints have one by one. */
const char *gguf_name_in_output(const struct tensor_table *table,
                                const struct tensor_entry *entry,
                                char text[FILES_NAME_BYTES_MAX + 1]);

/* llama.cpp stores the rows of each head of llama's q and k in another order: rows i and
 * i + head / 2 are neighbours. Returns the rows of a head of this tensor; 0: its rows are
 * in transformers' order. */
uint64_t gguf_head_rows(const struct tensor_table *table,
                        const struct tensor_entry *entry);

enum { GGUF_NAME_BYTES = 64 };

/* Where llama.cpp stores a tensor of transformers. */
struct gguf_place {
    char name[GGUF_NAME_BYTES]; /* "blk.7.ffn_up_exps.weight" */
    bool in_block;
    uint64_t block;
    bool is_expert; /* it is one of the matrices of the tensor */
    uint64_t expert;
    bool has_heads, of_key; /* its rows are in another order (gguf_head_rows); of k */
};

/* False: llama.cpp's architecture is not one of these, or has no such tensor. */
bool gguf_place_of(const char *architecture, const char *name, struct gguf_place *place);

/* Is it the table of a GGUF file of one of these architectures? */
bool gguf_is_known(const struct tensor_table *table);

/* Does llama.cpp's converter compute the tensor of a GGUF file from config.json? */
bool gguf_is_derived(const struct tensor_table *table, const char *name);

/* Is it a buffer of transformers that llama.cpp computes itself? */
bool gguf_leaves_out(const char *name);

#endif
