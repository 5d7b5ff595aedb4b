/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_pre.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

/* The expression of the Split before ByteLevel. */
static const struct {
    const char *regex, *name,
        *keeps_merges; /* another name where merges are not ignored */
} splits[] = {
    {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
                  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES,
     "llama-bpe", "smaug-bpe"},
    {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES,
     "qwen2", NULL},
    {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES,
     "qwen35", NULL},
    {"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER
     "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES,
     "tekken", NULL},
    {"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS
     "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" CONTRACTIONS
     "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES,
     "gpt-4o", NULL},
};

static bool type_is(const json_t *object, const char *type)
{
    const char *name = json_string_value(json_object_get(object, "type"));

    return name && strcmp(name, type) == 0;
}

/* A member that is true if it is absent. */
static bool is_on(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return !value || json_is_true(value);
}

bool gguf_pre_is_bytes(const json_t *pre)
{
    const json_t *parts = json_object_get(pre, "pretokenizers"), *part;
    size_t i;

    if (type_is(pre, "ByteLevel"))
        return true;
    json_array_foreach(parts, i, part)
    {
        if (type_is(part, "ByteLevel"))
            return true;
    }
    return false;
}

/* The last step, which turns bytes into characters. */
static bool is_byte_level(const json_t *part, bool use_regex)
{
    return type_is(part, "ByteLevel") && is_on(part, "use_regex") == use_regex &&
           !json_is_true(json_object_get(part, "add_prefix_space"));
}

static const char *name_of_split(const json_t *split, bool ignores_merges)
{
    const json_t *pattern = json_object_get(split, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *behavior = json_string_value(json_object_get(split, "behavior"));

    if (!regex || !behavior || strcmp(behavior, "Isolated") != 0 ||
        json_is_true(json_object_get(split, "invert")))
        return NULL;
    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++)
        if (strcmp(splits[i].regex, regex) == 0)
            return splits[i].keeps_merges && !ignores_merges ? splits[i].keeps_merges
                                                             : splits[i].name;
    return NULL;
}

const char *gguf_pre_name(const json_t *pre, bool ignores_merges)
{
    const json_t *parts = json_object_get(pre, "pretokenizers");
    const json_t *first = json_array_get(parts, 0);

    if (is_byte_level(pre, true))
        return "gpt-2";
    if (!type_is(pre, "Sequence") || json_array_size(parts) != 2)
        return NULL;
    if (type_is(first, "Split") && is_byte_level(json_array_get(parts, 1), false))
        return name_of_split(first, ignores_merges);
    return type_is(first, "Digits") &&
                   json_is_true(json_object_get(first, "individual_digits")) &&
                   is_byte_level(json_array_get(parts, 1), true)
               ? "smollm"
               : NULL;
}
