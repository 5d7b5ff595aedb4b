/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/gguf_keys.h"
#include "proto/utf8.h"

enum { TEXTS_BYTES_MAX = 128 << 20 };

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for the tokens");
}

int gguf_vocabulary_init(struct gguf_vocabulary *vocabulary, uint32_t count,
                         struct failure *failure)
{
    *vocabulary = (struct gguf_vocabulary){.count = count};
    arena_init(&vocabulary->texts, TEXTS_BYTES_MAX);
    vocabulary->tokens = calloc((size_t)count + 1, sizeof(*vocabulary->tokens));
    vocabulary->sorted = calloc((size_t)count + 1, sizeof(*vocabulary->sorted));
    if (vocabulary->tokens && vocabulary->sorted)
        return 0;
    gguf_vocabulary_fini(vocabulary);
    return no_memory(failure);
}

void gguf_vocabulary_fini(struct gguf_vocabulary *vocabulary)
{
    if (vocabulary->tokens || vocabulary->sorted)
        arena_fini(&vocabulary->texts);
    free(vocabulary->tokens);
    free(vocabulary->sorted);
    *vocabulary = (struct gguf_vocabulary){.count = 0};
}

int gguf_vocabulary_set(struct gguf_vocabulary *vocabulary, uint64_t number,
                        const struct gguf_token *token, struct failure *failure)
{
    if (number >= vocabulary->count)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "token %" PRIu64 " is beyond config.json's vocab_size %" PRIu32,
                    number, vocabulary->count);
    if (token->bytes == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "token %" PRIu64 " is empty",
                    number);
    const char *text = arena_strndup(&vocabulary->texts, token->text, token->bytes);
    if (!text)
        return no_memory(failure);
    if (strlen(text) != token->bytes || !utf8_is_valid(text))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "token %" PRIu64 " is not UTF-8", number);
    vocabulary->tokens[number] = *token;
    vocabulary->tokens[number].text = text;
    return 0;
}

static int pad(struct gguf_vocabulary *vocabulary, uint32_t number,
               struct failure *failure)
{
    char text[32];
    const int bytes = snprintf(text, sizeof(text), "[PAD%" PRIu32 "]", number);
    const struct gguf_token token = {
        .text = text, .bytes = (size_t)bytes, .score = -1000, .type = GGUF_TOKEN_UNUSED};

    return gguf_vocabulary_set(vocabulary, number, &token, failure);
}

static int compare(const void *left, const void *right, void *arg)
{
    const struct gguf_vocabulary *vocabulary = arg;

    return strcmp(vocabulary->tokens[*(const uint32_t *)left].text,
                  vocabulary->tokens[*(const uint32_t *)right].text);
}

int gguf_vocabulary_seal(struct gguf_vocabulary *vocabulary, struct failure *failure)
{
    uint32_t *sorted = vocabulary->sorted;

    for (uint32_t i = 0; i < vocabulary->count; i++) {
        sorted[i] = i;
        if (!vocabulary->tokens[i].text && pad(vocabulary, i, failure) < 0)
            return -1;
    }
    qsort_r(sorted, vocabulary->count, sizeof(*sorted), compare, vocabulary);
    for (uint32_t i = 1; i < vocabulary->count; i++)
        if (strcmp(vocabulary->tokens[sorted[i - 1]].text,
                   vocabulary->tokens[sorted[i]].text) == 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "tokens %" PRIu32 " and %" PRIu32 " have one text, %.40s",
                        sorted[i - 1], sorted[i], vocabulary->tokens[sorted[i]].text);
    return 0;
}

uint32_t gguf_vocabulary_find(const struct gguf_vocabulary *vocabulary, const char *text)
{
    uint32_t low = 0, high = vocabulary->count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order =
            strcmp(text, vocabulary->tokens[vocabulary->sorted[middle]].text);

        if (order == 0)
            return vocabulary->sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return GGUF_TOKEN_NONE;
}

void gguf_vocabulary_put(const struct gguf_vocabulary *vocabulary, bool scores,
                         struct gguf_keys *keys)
{
    const size_t count = vocabulary->count;
    int32_t *types = calloc(count + 1, sizeof(*types));
    float *all = calloc(count + 1, sizeof(*all));

    gguf_keys_strings(keys, "tokenizer.ggml.tokens", count);
    for (size_t i = 0; i < count; i++)
        gguf_keys_text(keys, vocabulary->tokens[i].text, vocabulary->tokens[i].bytes);
    for (size_t i = 0; types && all && i < count; i++) {
        types[i] = vocabulary->tokens[i].type;
        all[i] = vocabulary->tokens[i].score;
    }
    keys->lost |= !types || !all;
    if (types && all)
        gguf_keys_i32s(keys, "tokenizer.ggml.token_type", types, count);
    if (types && all && scores)
        gguf_keys_f32s(keys, "tokenizer.ggml.scores", all, count);
    free(types);
    free(all);
}
