/* SPDX-License-Identifier: Apache-2.0 */
/* What llama.cpp needs to know of a model: the hyperparameters in config.json, as keys of a
 * GGUF file. The names and meanings are those of llama.cpp (gguf-py/gguf/constants.py, and
 * the loaders in src/models) for the architectures of gguf_names.h. */
#ifndef CHECKPOINT_GGUF_MODEL_H
#define CHECKPOINT_GGUF_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct gguf_keys;

enum {
    GGUF_BLOCKS_MAX = 4096,
    GGUF_HEAD_ROWS_MAX = 4096,
    GGUF_VOCABULARY_MAX = 1 << 21,
    GGUF_REMARK_BYTES = 256,
};

enum gguf_rope {
    GGUF_ROPE_PLAIN,
    GGUF_ROPE_LINEAR,
    GGUF_ROPE_YARN,
    GGUF_ROPE_LLAMA3, /* its factors are a tensor, rope_freqs.weight */
};

struct gguf_model {
    const char *architecture;       /* llama.cpp's name, static; NULL: see `remark` */
    char remark[GGUF_REMARK_BYTES]; /* why there is none, or what differs; "": nothing */
    uint32_t blocks, context, embedding, feed_forward, heads, key_heads, vocabulary;
    uint32_t head_rows; /* of q and k: the size of a head */
    uint32_t experts, experts_used, expert_feed_forward; /* 0: it has no experts */
    float norm_epsilon, rope_base;
    enum gguf_rope rope;
    float factor, low_factor, high_factor; /* of the rotary scaling */
    float beta_fast, beta_slow;            /* of yarn; 0: llama.cpp's */
    uint32_t original_context;
    bool tied;   /* the head is the embeddings */
    bool untied; /* config.json says that it is a tensor of its own */
};

/* Reads config.json. A model that llama.cpp does not know by these rules, or whose values
 * are missing or out of bounds, has architecture NULL and a remark. INVALID_ARGUMENT: it is
 * not a JSON object. */
int gguf_model_read(struct gguf_model *model, const char *text, size_t bytes,
                    struct failure *failure);

/* Adds the keys of the model, general.architecture first. `name` is general.name. */
void gguf_model_put(const struct gguf_model *model, const char *name,
                    struct gguf_keys *keys);

/* The factors of GGUF_ROPE_LLAMA3: head_rows / 2 numbers. */
void gguf_model_factors(const struct gguf_model *model, float *factors);

#endif
