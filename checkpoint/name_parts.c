/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/name_parts.h"

#include <fnmatch.h>
#include <string.h>

static const char *const wrappers[] = {"base_layer", "original_module", NULL};

static const char *const weight_leaves[] = {
    "weight", "weight_*", "weights", "qweight", "_weight_qdata", "kernel", "w", NULL,
};

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

/* The number of the last block that two names or more follow; the first part if there is none. */
static const char *block_of(const struct name *name)
{
    const char *part = name->module;
    size_t names = 0;

    while (part != name->parts && !(is_number(part) && names >= 2)) {
        names += *part != '\0' && !is_number(part);
        part = name_part_before(name, part);
    }
    return part;
}

bool name_has_near_part(const struct name *name, const char *const *patterns)
{
    return has_part_from(name, block_of(name), patterns);
}

bool name_is_weight(const struct name *name)
{
    return part_matches(name->leaf, weight_leaves);
}

void name_split(struct name *name, const char *text)
{
    size_t length = strnlen(text, FILES_NAME_BYTES_MAX);

    memcpy(name->parts, text, length);
    name->parts[length] = '\0';
    name->bytes = length + 1;
    name->leaf = name->parts;
    for (size_t i = 0; i < length; i++)
        if (name->parts[i] == '.') {
            name->parts[i] = '\0';
            name->leaf = &name->parts[i + 1];
        }
    name->module = name->leaf;
    if (name_is_weight(name))
        name->module = name_part_before(name, name->leaf);
    while (name->module != name->parts && part_matches(name->module, wrappers))
        name->module = name_part_before(name, name->module);
}
