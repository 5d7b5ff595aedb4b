/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.ggml.pre: llama.cpp's name for how a byte-level tokenizer splits text. Its
 * converter decides by a hash of the tokens of a test text; here the pre_tokenizer of
 * tokenizer.json decides, by the expressions in llama.cpp's src/llama-vocab.cpp. */
#ifndef CHECKPOINT_GGUF_PRE_H
#define CHECKPOINT_GGUF_PRE_H

#include <stdbool.h>

struct json_t;

/* Does it split into bytes? Otherwise the model is one of SentencePiece. */
bool gguf_pre_is_bytes(const struct json_t *pre_tokenizer);

/* The name, static; NULL: llama.cpp has no such splitting, or it is not known here.
 * `ignores_merges`: the BPE model takes a whole word that is a token. */
const char *gguf_pre_name(const struct json_t *pre_tokenizer, bool ignores_merges);

#endif
