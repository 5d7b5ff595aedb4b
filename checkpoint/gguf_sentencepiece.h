/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.model: the pieces of SentencePiece's ModelProto (sentencepiece_model.proto),
 * which is a message of protocol buffers. */
#ifndef CHECKPOINT_GGUF_SENTENCEPIECE_H
#define CHECKPOINT_GGUF_SENTENCEPIECE_H

#include "checkpoint/gguf_vocabulary.h"

/* Adds the pieces. INVALID_ARGUMENT: it is not such a message, the model is not BPE, or a
 * piece does not suit the vocabulary. */
int gguf_sentencepiece_read(struct gguf_vocabulary *vocabulary, const char *bytes,
                            size_t count, struct failure *failure);

#endif
