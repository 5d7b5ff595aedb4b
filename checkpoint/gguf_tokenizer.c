/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_tokenizer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_pre.h"
#include "checkpoint/gguf_sentencepiece.h"
#include "checkpoint/gguf_special.h"
#include "checkpoint/gguf_vocabulary.h"
#include "files/gguf_keys.h"
#include "proto/utf8.h"
#include "json/json.h"

struct reading {
    const struct tokenizer_files *files;
    json_t *tokenizer, *config, *root; /* NULL: there is none */
    struct gguf_vocabulary vocabulary;
    struct gguf_keys keys; /* of the tokenizer */
    struct failure failure;
};

static bool type_is(const json_t *object, const char *type)
{
    const char *name = json_string_value(json_object_get(object, "type"));

    return name && strcmp(name, type) == 0;
}

static int refuse(struct reading *r, const char *file, const char *why)
{
    return fail(&r->failure, TRIT_INVALID_ARGUMENT, NULL, "%s: %s", file, why);
}

/* ---- tokens ----------------------------------------------------------------------------- */

static int add(struct reading *r, const json_t *number, const char *text, float score,
               int32_t type)
{
    const struct gguf_token token = {
        .text = text, .bytes = strlen(text), .score = score, .type = type};
    const json_int_t value = json_integer_value(number);

    if (!json_is_integer(number) || value < 0)
        return refuse(r, "tokenizer.json", "the number of a token is not a number");
    return gguf_vocabulary_set(&r->vocabulary, (uint64_t)value, &token, &r->failure);
}

/* Tokens that are called ordinary although no text has them. */
static bool looks_special(const char *text)
{
    const size_t bytes = strlen(text);

    return strcmp(text, "<pad>") == 0 || strcmp(text, "<mask>") == 0 ||
           (bytes >= 4 && strncmp(text, "<|", 2) == 0 &&
            strcmp(text + bytes - 2, "|>") == 0);
}

/* A copy in which each `from` is `to`; NULL: memory ran out. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const size_t wide = strlen(from) > strlen(to) ? strlen(from) : strlen(to);
    char *copy = malloc(strlen(text) * wide + 1), *put = copy;

    while (copy && *text) {
        const bool found = strncmp(text, from, strlen(from)) == 0;

        if (found) {
            memcpy(put, to, strlen(to));
            put += strlen(to);
            text += strlen(from);
        } else {
            *put++ = *text++;
        }
    }
    if (copy)
        *put = '\0';
    return copy;
}

/* Added tokens stand as they are written. llama.cpp looks for them in the text itself, where
 * a space is a space and not SentencePiece's mark. */
static int add_added(struct reading *r, const json_t *added, const char *unknown)
{
    const json_t *number = json_object_get(added, "id");
    const char *text = json_string_value(json_object_get(added, "content"));
    int result;

    if (!text)
        return refuse(r, "tokenizer.json", "an added token has no content");
    if (unknown && strcmp(text, unknown) == 0)
        return add(r, number, text, 0, GGUF_TOKEN_UNKNOWN);
    if (json_is_true(json_object_get(added, "special")) || looks_special(text))
        return add(r, number, text, 0, GGUF_TOKEN_CONTROL);
    char *plain = replaced(text, "\u2581", " ");
    if (!plain)
        return fail(&r->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    result = add(r, number, plain, 0, GGUF_TOKEN_USER_DEFINED);
    free(plain);
    return result;
}

static int add_all_added(struct reading *r, const char *unknown)
{
    const json_t *list = json_object_get(r->tokenizer, "added_tokens"), *added;
    size_t i;

    json_array_foreach(list, i, added)
    {
        if (add_added(r, added, unknown) < 0)
            return -1;
    }
    return 0;
}

/* ---- merges ------------------------------------------------------------------------------ */

/* A merge is "a b" or ["a", "b"]. The halves as one text with `between`; NULL: it is
 * neither, or memory ran out. */
static char *merge_text(const json_t *merge, const char *between)
{
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    const char *whole = json_string_value(merge);
    const char *space = whole ? strchr(whole + (*whole != 0), ' ') : NULL;
    char *text = NULL, *a = NULL, *b = NULL;

    if (space) {
        if (asprintf(&text, "%.*s%s%s", (int)(space - whole), whole, between, space + 1) <
            0)
            text = NULL;
        return text;
    }
    if (!left || !right || json_array_size(merge) != 2)
        return NULL;
    /* Byte-level tokens have this character for a space. */
    a = *between ? replaced(left, " ", "\u0120") : strdup(left);
    b = *between ? replaced(right, " ", "\u0120") : strdup(right);
    if (a && b && asprintf(&text, "%s%s%s", a, between, b) < 0)
        text = NULL;
    free(a);
    free(b);
    return text;
}

static int put_merges(struct reading *r, const json_t *merges)
{
    const json_t *merge;
    size_t i;

    gguf_keys_strings(&r->keys, "tokenizer.ggml.merges", json_array_size(merges));
    json_array_foreach(merges, i, merge)
    {
        char *text = merge_text(merge, " ");

        if (!text)
            return refuse(r, "tokenizer.json", "a merge is not a pair of texts");
        gguf_keys_text(&r->keys, text, strlen(text));
        free(text);
    }
    return 0;
}

/* llama.cpp merges the pair with the highest score first, so the score of a token is its
 * place among the merges, counted down. */
static int score_by_merges(struct reading *r, const json_t *merges)
{
    const json_t *merge;
    size_t i;

    json_array_foreach(merges, i, merge)
    {
        char *text = merge_text(merge, "");
        const uint32_t number =
            text ? gguf_vocabulary_find(&r->vocabulary, text) : GGUF_TOKEN_NONE;

        if (!text)
            return refuse(r, "tokenizer.json", "a merge is not a pair of texts");
        free(text);
        if (number != GGUF_TOKEN_NONE && r->vocabulary.tokens[number].score == 0.0F)
            r->vocabulary.tokens[number].score = -(float)(i + 1);
    }
    return 0;
}

/* ---- byte-level BPE ------------------------------------------------------------------------ */

static bool normalizer_is_known(const json_t *normalizer)
{
    return !normalizer || json_is_null(normalizer) || type_is(normalizer, "NFC") ||
           (type_is(normalizer, "Sequence") &&
            json_array_size(json_object_get(normalizer, "normalizers")) == 0);
}

static int read_vocabulary(struct reading *r, const json_t *model, int32_t byte_type)
{
    const char *text;
    json_t *number;

    json_object_foreach(json_object_get(model, "vocab"), text, number)
    {
        const size_t bytes = strlen(text);
        const bool byte = bytes == 6 && strncmp(text, "<0x", 3) == 0 && text[5] == '>';

        if (add(r, number, text, 0, byte ? byte_type : GGUF_TOKEN_NORMAL) < 0)
            return -1;
    }
    return 0;
}

static int read_byte_level(struct reading *r, const json_t *model)
{
    const json_t *pre = json_object_get(r->tokenizer, "pre_tokenizer");
    const char *name =
        gguf_pre_name(pre, json_is_true(json_object_get(model, "ignore_merges")));

    if (!name)
        return refuse(r, "tokenizer.json",
                      "its pre_tokenizer is none that is known of llama.cpp");
    if (!normalizer_is_known(json_object_get(r->tokenizer, "normalizer")))
        return refuse(r, "tokenizer.json", "llama.cpp has no such normalizer");
    if (read_vocabulary(r, model, GGUF_TOKEN_NORMAL) < 0 || add_all_added(r, NULL) < 0 ||
        gguf_vocabulary_seal(&r->vocabulary, &r->failure) < 0)
        return -1;
    gguf_keys_string(&r->keys, "tokenizer.ggml.model", "gpt2");
    gguf_keys_string(&r->keys, "tokenizer.ggml.pre", name);
    gguf_vocabulary_put(&r->vocabulary, false, &r->keys);
    return put_merges(r, json_object_get(model, "merges"));
}

/* ---- SentencePiece -------------------------------------------------------------------------- */

/* Does tokenizer.json put SentencePiece's mark before a text? */
static bool puts_mark(const json_t *tokenizer)
{
    const json_t *pre = json_object_get(tokenizer, "pre_tokenizer");
    const json_t *normalizer = json_object_get(tokenizer, "normalizer");
    const json_t *steps = json_object_get(normalizer, "normalizers"), *step;
    const char *scheme = json_string_value(json_object_get(pre, "prepend_scheme"));
    size_t i;

    json_array_foreach(steps, i, step)
    {
        if (type_is(step, "Prepend"))
            return true;
    }
    return type_is(normalizer, "Prepend") ||
           (type_is(pre, "Metaspace") &&
            (scheme ? strcmp(scheme, "never") != 0
                    : !json_is_false(json_object_get(pre, "add_prefix_space"))));
}

static void put_pieces(struct reading *r)
{
    const json_t *space = json_object_get(r->config, "add_prefix_space");

    gguf_keys_string(&r->keys, "tokenizer.ggml.model", "llama");
    gguf_keys_string(&r->keys, "tokenizer.ggml.pre", "default");
    gguf_vocabulary_put(&r->vocabulary, true, &r->keys);
    if (json_is_boolean(space))
        gguf_keys_bool(&r->keys, "tokenizer.ggml.add_space_prefix", json_is_true(space));
    else if (r->tokenizer)
        gguf_keys_bool(&r->keys, "tokenizer.ggml.add_space_prefix",
                       puts_mark(r->tokenizer));
}

/* Pieces of tokenizer.model; added tokens of tokenizer.json. */
static int read_sentencepiece(struct reading *r)
{
    if (gguf_sentencepiece_read(&r->vocabulary, r->files->model.text,
                                r->files->model.bytes, &r->failure) < 0)
        return fail_context(&r->failure, "tokenizer.model");
    const json_t *model = json_object_get(r->tokenizer, "model");
    if (add_all_added(r, json_string_value(json_object_get(model, "unk_token"))) < 0 ||
        gguf_vocabulary_seal(&r->vocabulary, &r->failure) < 0)
        return -1;
    put_pieces(r);
    return 0;
}

static int read_byte_fallback(struct reading *r, const json_t *model)
{
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));

    if (!json_is_true(json_object_get(model, "byte_fallback")))
        return refuse(r, "tokenizer.json",
                      "its BPE model splits neither into bytes nor falls back to them");
    if (read_vocabulary(r, model, GGUF_TOKEN_BYTE) < 0 || add_all_added(r, unknown) < 0 ||
        gguf_vocabulary_seal(&r->vocabulary, &r->failure) < 0 ||
        score_by_merges(r, json_object_get(model, "merges")) < 0)
        return -1;
    put_pieces(r);
    return 0;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int read_model(struct reading *r)
{
    const json_t *model = json_object_get(r->tokenizer, "model");

    if (r->tokenizer &&
        gguf_pre_is_bytes(json_object_get(r->tokenizer, "pre_tokenizer")) &&
        json_is_object(json_object_get(model, "vocab")))
        return read_byte_level(r, model);
    if (r->files->model.text)
        return read_sentencepiece(r);
    if (!r->tokenizer)
        return refuse(r, "tokenizer.json", "it is missing");
    /* Older files of BPE do not name the type. */
    if ((json_object_get(model, "type") && !type_is(model, "BPE")) ||
        !json_is_object(json_object_get(model, "vocab")))
        return refuse(r, "tokenizer.json", "its model is not BPE");
    return read_byte_fallback(r, model);
}

/* NULL: there is no such file. */
static int parse(struct reading *r, const struct tokenizer_text *text, const char *name,
                 json_t **json)
{
    struct json_fault fault;

    *json = text->text ? json_read(text->text, text->bytes, 0, &fault) : NULL;
    return *json || !text->text ? 0
                                : fail(&r->failure, json_fault_status(&fault), NULL,
                                       "%s: line %zu: %s", name, fault.line, fault.words);
}

static int read_tokenizer(struct reading *r)
{
    const struct tokenizer_text *chat = &r->files->chat_template;

    if (parse(r, &r->files->tokenizer, "tokenizer.json", &r->tokenizer) < 0 ||
        parse(r, &r->files->config, "tokenizer_config.json", &r->config) < 0 ||
        parse(r, &r->files->root, "config.json", &r->root) < 0 || read_model(r) < 0)
        return -1;
    const bool is_text =
        chat->text && strlen(chat->text) == chat->bytes && utf8_is_valid(chat->text);
    const struct special_sources sources = {.tokenizer = r->tokenizer,
                                            .config = r->config,
                                            .root = r->root,
                                            .chat_template = is_text ? chat->text : NULL};
    gguf_special_put(&sources, &r->vocabulary, &r->keys);
    return r->keys.lost ? fail(&r->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                               "out of memory for the tokenizer")
                        : 0;
}

static void reading_fini(struct reading *r)
{
    json_decref(r->tokenizer);
    json_decref(r->config);
    json_decref(r->root);
    gguf_keys_fini(&r->keys);
    gguf_vocabulary_fini(&r->vocabulary);
}

int gguf_tokenizer_put(const struct tokenizer_files *files, uint32_t vocabulary,
                       struct gguf_keys *keys, char remark[TOKENIZER_REMARK_BYTES],
                       struct failure *failure)
{
    struct reading r = {.files = files};
    int result = gguf_vocabulary_init(&r.vocabulary, vocabulary, &r.failure);

    remark[0] = '\0';
    if (result == 0)
        result = read_tokenizer(&r);
    if (result == 0) {
        gguf_put(keys, r.keys.bytes, r.keys.size);
        keys->count += r.keys.count;
    } else if (r.failure.status == TRIT_RESOURCE_EXHAUSTED) {
        fail_as(failure, &r.failure);
    } else {
        result = 0;
        gguf_keys_string(keys, "tokenizer.ggml.model", "no_vocab");
        snprintf(
            remark, TOKENIZER_REMARK_BYTES,
            "written without a tokenizer, so llama.cpp reads no text with it: %.180s",
            r.failure.message);
    }
    reading_fini(&r);
    return result;
}
