/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer of a folder of transformers, as keys of GGUF: byte-level BPE (llama.cpp's
 * "gpt2") and SentencePiece's BPE (llama.cpp's "llama"). The meanings of the keys are those
 * of llama.cpp's src/llama-vocab.cpp. */
#ifndef CHECKPOINT_GGUF_TOKENIZER_H
#define CHECKPOINT_GGUF_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct gguf_keys;

enum { TOKENIZER_REMARK_BYTES = 256 };

/* A file as it is, followed by a NUL; NULL: there is none. */
struct tokenizer_text {
    char *text;
    size_t bytes;
};

struct tokenizer_files {
    struct tokenizer_text tokenizer;     /* tokenizer.json */
    struct tokenizer_text config;        /* tokenizer_config.json */
    struct tokenizer_text model;         /* tokenizer.model */
    struct tokenizer_text chat_template; /* chat_template.jinja */
    struct tokenizer_text root;          /* config.json */
};

/* Adds the keys of the tokenizer. Where there is none that llama.cpp knows, adds
 * tokenizer.ggml.model "no_vocab", with which llama.cpp computes but reads no text; `remark`
 * then says why, else it is "". `vocabulary`: config.json's vocab_size. Fails only where
 * memory runs out. */
int gguf_tokenizer_put(const struct tokenizer_files *files, uint32_t vocabulary,
                       struct gguf_keys *keys, char remark[TOKENIZER_REMARK_BYTES],
                       struct failure *failure);

#endif
