/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_special.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "files/gguf_keys.h"

enum special { SPECIAL_BOS, SPECIAL_EOS, SPECIAL_UNK, SPECIAL_PAD, SPECIALS };

static const struct {
    const char *name, *key;
} specials[SPECIALS] = {
    [SPECIAL_BOS] = {"bos", "tokenizer.ggml.bos_token_id"},
    [SPECIAL_EOS] = {"eos", "tokenizer.ggml.eos_token_id"},
    [SPECIAL_UNK] = {"unk", "tokenizer.ggml.unknown_token_id"},
    [SPECIAL_PAD] = {"pad", "tokenizer.ggml.padding_token_id"},
};

enum added { ADDED_UNSAID, ADDED_NO, ADDED_YES };

struct special_tokens {
    const char *texts[SPECIALS]; /* NULL: not said */
    enum added added[SPECIALS];  /* of BOS and EOS */
};

static const json_t *member(const json_t *object, const char *name, const char *end)
{
    char whole[32];

    snprintf(whole, sizeof(whole), "%s%s", name, end);
    return json_object_get(object, whole);
}

/* "<s>", or {"content": "<s>"} */
static const char *text_of(const json_t *value)
{
    return json_string_value(json_is_object(value) ? json_object_get(value, "content")
                                                   : value);
}

static bool type_is(const json_t *object, const char *type)
{
    const char *name = json_string_value(json_object_get(object, "type"));

    return name && strcmp(name, type) == 0;
}

/* The special token of an element of a template. */
static const char *special_of(const json_t *element)
{
    return json_string_value(
        json_object_get(json_object_get(element, "SpecialToken"), "id"));
}

static void take_end(struct special_tokens *tokens, enum special special,
                     const char *text)
{
    if (!text)
        return;
    if (!tokens->texts[special])
        tokens->texts[special] = text;
    tokens->added[special] =
        strcmp(tokens->texts[special], text) == 0 ? ADDED_YES : ADDED_NO;
}

static void take_processor(struct special_tokens *tokens, const json_t *processor)
{
    const json_t *single = json_object_get(processor, "single");
    const size_t count = json_array_size(single);

    if (type_is(processor, "ByteLevel")) {
        if (!tokens->added[SPECIAL_BOS])
            tokens->added[SPECIAL_BOS] = ADDED_NO;
        if (!tokens->added[SPECIAL_EOS])
            tokens->added[SPECIAL_EOS] = ADDED_NO;
    }
    if (!type_is(processor, "TemplateProcessing") || count < 2)
        return;
    take_end(tokens, SPECIAL_BOS, special_of(json_array_get(single, 0)));
    take_end(tokens, SPECIAL_EOS, special_of(json_array_get(single, count - 1)));
}

static void take_all(struct special_tokens *tokens, const struct special_sources *sources)
{
    const json_t *processor = json_object_get(sources->tokenizer, "post_processor");
    const json_t *parts = json_object_get(processor, "processors"), *part;
    size_t i;

    for (i = 0; i < SPECIALS; i++)
        tokens->texts[i] = text_of(member(sources->config, specials[i].name, "_token"));
    take_processor(tokens, processor);
    json_array_foreach(parts, i, part)
    {
        take_processor(tokens, part);
    }
    for (i = SPECIAL_BOS; i <= SPECIAL_EOS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "add_%s_token", specials[i].name);
        const json_t *value = json_object_get(sources->config, name);
        if (json_is_boolean(value) && !tokens->added[i])
            tokens->added[i] = json_is_true(value) ? ADDED_YES : ADDED_NO;
    }
}

/* The number that config.json gives; of a list the first. */
static uint32_t number_in_config(const json_t *root, enum special special,
                                 const struct gguf_vocabulary *vocabulary)
{
    const json_t *value = member(root, specials[special].name, "_token_id");

    if (json_is_array(value))
        value = json_array_get(value, 0);
    const json_int_t number = json_integer_value(value);
    return json_is_integer(value) && number >= 0 && number < (json_int_t)vocabulary->count
               ? (uint32_t)number
               : GGUF_TOKEN_NONE;
}

/* tokenizer_config.json may have a list of templates by name. */
static const char *template_of(const struct special_sources *sources)
{
    const json_t *value = json_object_get(sources->config, "chat_template"), *one;
    size_t i;

    json_array_foreach(value, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));

        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(one, "template"));
    }
    return json_is_string(value) ? json_string_value(value) : sources->chat_template;
}

void gguf_special_put(const struct special_sources *sources,
                      const struct gguf_vocabulary *vocabulary, struct gguf_keys *keys)
{
    struct special_tokens tokens = {.texts = {NULL}};
    const char *chat_template = template_of(sources);

    take_all(&tokens, sources);
    for (int i = 0; i < SPECIALS; i++) {
        const enum special special = (enum special)i;
        uint32_t number = GGUF_TOKEN_NONE;

        if (tokens.texts[i])
            number = gguf_vocabulary_find(vocabulary, tokens.texts[i]);
        if (number == GGUF_TOKEN_NONE)
            number = number_in_config(sources->root, special, vocabulary);
        if (number != GGUF_TOKEN_NONE)
            gguf_keys_u32(keys, specials[i].key, number);
    }
    if (tokens.added[SPECIAL_BOS])
        gguf_keys_bool(keys, "tokenizer.ggml.add_bos_token",
                       tokens.added[SPECIAL_BOS] == ADDED_YES);
    if (tokens.added[SPECIAL_EOS])
        gguf_keys_bool(keys, "tokenizer.ggml.add_eos_token",
                       tokens.added[SPECIAL_EOS] == ADDED_YES);
    if (chat_template)
        gguf_keys_string(keys, "tokenizer.chat_template", chat_template);
}
