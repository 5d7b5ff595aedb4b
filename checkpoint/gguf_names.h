/* SPDX-License-Identifier: Apache-2.0 */
/* llama.cpp's names of tensors, and the names that transformers gives them (llama.cpp's
 * gguf-py/gguf/tensor_mapping.py), for the architectures llama, qwen2, qwen3, qwen3moe,
 * bitnet and gpt2. */
#ifndef CHECKPOINT_GGUF_NAMES_H
#define CHECKPOINT_GGUF_NAMES_H

#include "files/table.h"

/* Is it the table of a GGUF file? */
bool table_is_gguf(const struct tensor_table *table);

/* The name that transformers gives the tensor. NULL: the architecture is not one of these,
 * or it has no such tensor; or the table is not of a GGUF file. */
const char *gguf_name_of(const struct tensor_table *table, const char *name,
                         char text[FILES_NAME_BYTES_MAX + 1]);

/* llama.cpp stores the rows of each head of llama's q and k in another order: rows i and
 * i + head / 2 are neighbours. Returns the rows of a head of this tensor; 0: its rows are
 * in transformers' order. */
uint64_t gguf_head_rows(const struct tensor_table *table,
                        const struct tensor_entry *entry);

#endif
