/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/name_parts.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const wrappers[] = {"base_layer", "original_module", NULL};

static const char *const weight_leaves[] = {
    "weight", "weight_*", "weights", "qweight", "_weight_qdata", "kernel", "w", NULL,
};

static const char *const numbered_blocks[] = {
    "*layer_*", "*layers_*", "*block_*", "*blocks_*", "h_*", NULL,
};

const char *name_leaf(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

bool name_ends_with(const char *name, const char *ending)
{
    const size_t length = strlen(name), bytes = strlen(ending);

    return length >= bytes && strcmp(name + length - bytes, ending) == 0;
}

void name_beside(const char *name, const char *leaf, char beside[NAME_BESIDE_BYTES])
{
    snprintf(beside, NAME_BESIDE_BYTES, "%.*s%s", (int)(name_leaf(name) - name), name,
             leaf);
}

bool part_matches(const char *part, const char *const *patterns)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, part, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

const char *name_part_before(const struct name *name, const char *part)
{
    if (part == name->parts)
        return part;
    part -= 2; /* the last byte of the previous part, or its NUL if it is empty */
    while (part > name->parts && part[-1] != '\0')
        part--;
    return part < name->parts ? name->parts : part;
}

static bool has_part_from(const struct name *name, const char *from,
                          const char *const *patterns)
{
    for (const char *end = name->parts + name->bytes; from < end;
         from += strlen(from) + 1)
        if (part_matches(from, patterns))
            return true;
    return false;
}

bool name_has_part(const struct name *name, const char *const *patterns)
{
    return has_part_from(name, name->parts, patterns);
}

static bool is_number(const char *part)
{
    return *part != '\0' && part[strspn(part, "0123456789")] == '\0';
}

/* The digits of a part that is the number of a block, or ends in it as Flax's do ("layers_0");
 * NULL: it has none. Flax numbers modules of other names, too: Router_0, Dense_3. */
static const char *digits_of(const char *part)
{
    const char *last = strrchr(part, '_');

    if (last && is_number(last + 1) && part_matches(part, numbered_blocks))
        return last + 1;
    return is_number(part) ? part : NULL;
}

/* What follows the last block that has a number and that two names or more follow; the first
 * part if there is none. */
static const char *block_of(const struct name *name)
{
    const char *part = name->module;
    size_t names = 0;

    for (;; part = name_part_before(name, part)) {
        if (digits_of(part) && names >= 2)
            return is_number(part) ? part : part + strlen(part) + 1;
        if (part == name->parts)
            return part;
        names += *part != '\0' && !is_number(part);
    }
}

bool name_has_near_part(const struct name *name, const char *const *patterns)
{
    return has_part_from(name, block_of(name), patterns);
}

bool name_is_weight(const struct name *name)
{
    return part_matches(name->leaf, weight_leaves);
}

const char *name_embedder(const struct name *name)
{
    return strcmp(name->module, "embedding") == 0 ? name_part_before(name, name->module)
                                                  : name->module;
}

void name_split(struct name *name, const char *text)
{
    size_t length = strnlen(text, FILES_NAME_BYTES_MAX);

    memcpy(name->parts, text, length);
    name->parts[length] = '\0';
    name->bytes = length + 1;
    name->leaf = name->parts;
    for (size_t i = 0; i < length; i++)
        if (name->parts[i] == '.' || name->parts[i] == '/') {
            name->parts[i] = '\0';
            name->leaf = &name->parts[i + 1];
        }
    name->module = name->leaf;
    if (name_is_weight(name))
        name->module = name_part_before(name, name->leaf);
    while (name->module != name->parts && part_matches(name->module, wrappers))
        name->module = name_part_before(name, name->module);
}

bool name_block_of(const struct name *name, struct name_block *block)
{
    enum { NUMBER_MAX_DIGITS = 9 };
    const char *part = name->parts;
    const char *digits = digits_of(part);

    while (!digits && part < name->module) {
        part += strlen(part) + 1;
        digits = digits_of(part);
    }
    if (!digits || part >= name->module || strlen(digits) > NUMBER_MAX_DIGITS)
        return false;
    block->prefix = (size_t)(digits - name->parts);
    block->number = strtoull(digits, NULL, 10);
    block->rest = block->prefix + strlen(digits);
    block->end = (size_t)(name->module - name->parts) + strlen(name->module);
    return true;
}
