/* SPDX-License-Identifier: Apache-2.0 */
/* The special tokens of a tokenizer, and its chat template, as keys of GGUF. */
#ifndef CHECKPOINT_GGUF_SPECIAL_H
#define CHECKPOINT_GGUF_SPECIAL_H

#include "checkpoint/gguf_vocabulary.h"

struct gguf_keys;
struct json_t;

/* Any of them may be NULL. */
struct special_sources {
    const struct json_t *tokenizer; /* tokenizer.json */
    const struct json_t *config;    /* tokenizer_config.json */
    const struct json_t *root;      /* config.json */
    const char *chat_template;      /* where tokenizer_config.json has none */
};

/* The numbers of the tokens that begin and end a text, of the unknown one and of padding;
 * whether the first two are added; tokenizer.chat_template. */
void gguf_special_put(const struct special_sources *sources,
                      const struct gguf_vocabulary *vocabulary, struct gguf_keys *keys);

#endif
