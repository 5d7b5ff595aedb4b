/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of a model by their number, as GGUF stores them. llama.cpp ends the process
 * where two tokens have one text or a token has none, so both are refused here. */
#ifndef CHECKPOINT_GGUF_VOCABULARY_H
#define CHECKPOINT_GGUF_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct gguf_keys;

/* llama.cpp's numbers, which are SentencePiece's. */
enum gguf_token_type {
    GGUF_TOKEN_NORMAL = 1,
    GGUF_TOKEN_UNKNOWN = 2,
    GGUF_TOKEN_CONTROL = 3,
    GGUF_TOKEN_USER_DEFINED = 4,
    GGUF_TOKEN_UNUSED = 5,
    GGUF_TOKEN_BYTE = 6,
};

#define GGUF_TOKEN_NONE UINT32_MAX

struct gguf_token {
    const char *text; /* NULL: the number is not used */
    size_t bytes;
    float score;
    int32_t type;
};

struct gguf_vocabulary {
    struct gguf_token *tokens;
    uint32_t count;
    uint32_t
        *sorted; /* numbers in the order of their texts; after gguf_vocabulary_seal */
    struct arena texts;
};

int gguf_vocabulary_init(struct gguf_vocabulary *vocabulary, uint32_t count,
                         struct failure *failure);
void gguf_vocabulary_fini(struct gguf_vocabulary *vocabulary); /* or of a zeroed one */

/* Copies the text. INVALID_ARGUMENT: the number is beyond the count, or the text is empty or
 * not UTF-8. A later token of a number replaces an earlier one. */
int gguf_vocabulary_set(struct gguf_vocabulary *vocabulary, uint64_t number,
                        const struct gguf_token *token, struct failure *failure);

/* Gives numbers without a token the text "[PAD7]" and the type unused. INVALID_ARGUMENT: two
 * tokens have one text. */
int gguf_vocabulary_seal(struct gguf_vocabulary *vocabulary, struct failure *failure);

/* The number of a text, or GGUF_TOKEN_NONE. Sealed only. */
uint32_t gguf_vocabulary_find(const struct gguf_vocabulary *vocabulary, const char *text);

/* tokenizer.ggml.tokens, .token_type and, if asked, .scores. */
void gguf_vocabulary_put(const struct gguf_vocabulary *vocabulary, bool scores,
                         struct gguf_keys *keys);

#endif
