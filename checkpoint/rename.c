/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern is literal text between stars. The name must begin with the first part and
 * end with the last part. Each part between them is matched at its first occurrence. The
 * text between two parts is what the star matched. */
#include "checkpoint/rename.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_names.h"
#include "checkpoint/packing.h"

enum { STARS_MAX = 16 };

static const size_t STRING_BYTES_MAX = 2 * (size_t)FILES_HEADER_BYTES_MAX;

struct span {
    const char *text;
    size_t bytes;
};

struct rule {
    struct span old, new;
};

static size_t count_stars(struct span pattern)
{
    size_t stars = 0;

    for (size_t i = 0; i < pattern.bytes; i++)
        stars += pattern.text[i] == '*';
    return stars;
}

static struct rule rule_of(const char *text)
{
    const char *equals = strchr(text, '=');
    size_t old = equals ? (size_t)(equals - text) : strlen(text);

    return (struct rule){{text, old},
                         {equals ? equals + 1 : "", equals ? strlen(equals + 1) : 0}};
}

bool rename_is_valid(const char *text)
{
    const char *equals = strchr(text, '=');
    struct rule rule = rule_of(text);

    return equals && equals != text && !strchr(equals + 1, '=') && rule.new.bytes > 0 &&
           count_stars(rule.old) <= STARS_MAX &&count_stars(rule.new) <=
               count_stars(rule.old);
}

/* The literal part of the pattern that begins at `at`. */
static struct span part_at(struct span pattern, size_t at)
{
    size_t end = at;

    while (end < pattern.bytes && pattern.text[end] != '*')
        end++;
    return (struct span){pattern.text + at, end - at};
}

/* Finds what each star matched; false if the pattern does not match. */
static bool match(struct span pattern, const char *name, struct span stars[STARS_MAX])
{
    struct span part = part_at(pattern, 0);
    const char *at = name, *end = name + strlen(name);
    size_t next = part.bytes, star = 0;

    if (strncmp(name, part.text, part.bytes) != 0)
        return false;
    at += part.bytes;
    while (next < pattern.bytes) {
        const char *found;

        next++; /* after the star */
        part = part_at(pattern, next);
        next += part.bytes;
        if (next == pattern.bytes)
            found = (size_t)(end - at) >= part.bytes &&
                            memcmp(end - part.bytes, part.text, part.bytes) == 0
                        ? end - part.bytes
                        : NULL;
        else
            found = memmem(at, (size_t)(end - at), part.text, part.bytes);
        if (!found)
            return false;
        stars[star++] = (struct span){at, (size_t)(found - at)};
        at = found + part.bytes;
    }
    return at == end;
}

bool rename_matches(const char *text, const char *name)
{
    struct span stars[STARS_MAX];

    return match(rule_of(text).old, name, stars);
}

static const char *without_prefix(const struct checkpoint_options *options,
                                  const char *name)
{
    for (size_t i = 0; i < options->strip_prefixes.count; i++) {
        size_t bytes = strlen(options->strip_prefixes.patterns[i]);

        if (strncmp(name, options->strip_prefixes.patterns[i], bytes) == 0 && name[bytes])
            return name + bytes;
    }
    return name;
}

/* Before prefixes and renames; in `text` if it is not the table's own. */
static const char *name_at(const struct tensor_table *table, size_t index,
                           char text[FILES_NAME_BYTES_MAX + 1])
{
    const char *name = table->entries[index].name;
    const char *mapped = gguf_name_of(table, name, text);

    if (!mapped)
        mapped = packing_dense_name(table, name, text);
    return mapped ? mapped : name;
}

static bool begins_one(const char *prefix, const struct tensor_table *table)
{
    char text[FILES_NAME_BYTES_MAX + 1];

    for (size_t i = 0; table && i < table->count; i++)
        if (strncmp(name_at(table, i, text), prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

const char *rename_unused(const struct checkpoint_options *options,
                          const struct tensor_table *claim,
                          const struct tensor_table *latents)
{
    char text[FILES_NAME_BYTES_MAX + 1];

    for (size_t i = 0; i < options->strip_prefixes.count; i++)
        if (!begins_one(options->strip_prefixes.patterns[i], claim) &&
            !begins_one(options->strip_prefixes.patterns[i], latents))
            return options->strip_prefixes.patterns[i];
    for (size_t i = 0; i < options->renames.count; i++) {
        bool used = false;

        for (size_t k = 0; k < claim->count && !used; k++)
            used = rename_matches(options->renames.patterns[i],
                                  without_prefix(options, name_at(claim, k, text)));
        if (!used)
            return options->renames.patterns[i];
    }
    return NULL;
}

/* Writes NEW with its stars filled in; false if the name is empty or too long. */
static bool fill(struct span pattern, const struct span stars[STARS_MAX],
                 char out[FILES_NAME_BYTES_MAX + 1])
{
    size_t length = 0, star = 0;

    for (size_t i = 0; i < pattern.bytes; i++) {
        struct span piece =
            pattern.text[i] == '*' ? stars[star++] : (struct span){&pattern.text[i], 1};

        if (piece.bytes > FILES_NAME_BYTES_MAX - length)
            return false;
        memcpy(out + length, piece.text, piece.bytes);
        length += piece.bytes;
    }
    out[length] = '\0';
    return length > 0;
}

/* The first rename that matches applies. */
static int renamed(struct compared_names *names, const struct checkpoint_options *options,
                   const char **name, struct failure *failure)
{
    char out[FILES_NAME_BYTES_MAX + 1];

    for (size_t i = 0; i < options->renames.count; i++) {
        struct rule rule = rule_of(options->renames.patterns[i]);
        struct span stars[STARS_MAX];

        if (!match(rule.old, *name, stars))
            continue;
        if (!fill(rule.new, stars, out))
            return fail(failure, TRIT_INVALID_ARGUMENT, "rename",
                        "%s makes a name that is empty or has more than %d bytes",
                        options->renames.patterns[i], FILES_NAME_BYTES_MAX);
        *name = arena_strndup(&names->strings, out, strlen(out));
        return *name ? 0 : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct compared_name *a = left, *b = right;

    return strcmp(a->name, b->name);
}

int compared_names_init(struct compared_names *names,
                        const struct checkpoint_options *options, bool renames,
                        const struct tensor_table *table, struct failure *failure)
{
    char text[FILES_NAME_BYTES_MAX + 1];

    *names = (struct compared_names){.count = table->count};
    arena_init(&names->strings, STRING_BYTES_MAX);
    names->sorted = calloc(table->count + 1, sizeof(*names->sorted));
    names->names = calloc(table->count + 1, sizeof(*names->names));
    if (!names->sorted || !names->names)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < table->count; i++) {
        const char *name = name_at(table, i, text);

        if (name == text)
            name = arena_strndup(&names->strings, text, strlen(text));
        if (!name)
            return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        names->names[i] = without_prefix(options, name);
        if (renames && renamed(names, options, &names->names[i], failure) < 0)
            return -1;
        names->sorted[i] = (struct compared_name){names->names[i], i};
    }
    qsort(names->sorted, names->count, sizeof(*names->sorted), compare);
    for (size_t i = 1; i < names->count; i++)
        if (strcmp(names->sorted[i - 1].name, names->sorted[i].name) == 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, "rename",
                        "%s and %s would both be compared as %s",
                        table->entries[names->sorted[i - 1].index].name,
                        table->entries[names->sorted[i].index].name,
                        names->sorted[i].name);
    return 0;
}

void compared_names_fini(struct compared_names *names)
{
    if (names->sorted)
        arena_fini(&names->strings);
    free(names->sorted);
    free(names->names);
    *names = (struct compared_names){.count = 0};
}

size_t compared_names_find(const struct compared_names *names, const char *name)
{
    struct compared_name wanted = {name, 0};
    const struct compared_name *found =
        names->count ? bsearch(&wanted, names->sorted, names->count,
                               sizeof(*names->sorted), compare)
                     : NULL;

    return found ? found->index : SIZE_MAX;
}

/* Names of the module that has all experts, and what may follow the expert's own name. */
static const char *const expert_modules[] = {".experts.", ".switch_mlp."};
static const char *const expert_leaves[] = {"", ".weight"};

size_t compared_names_expert(const struct compared_names *names, const char *name,
                             uint64_t number)
{
    char text[FILES_NAME_BYTES_MAX + 1];
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < sizeof(expert_modules) / sizeof(expert_modules[0]); i++) {
        const char *at = strstr(name, expert_modules[i]);

        for (size_t k = 0; at && found == SIZE_MAX && k < 2; k++) {
            const int length = snprintf(
                text, sizeof(text), "%.*s.experts.%" PRIu64 ".%s%s", (int)(at - name),
                name, number, at + strlen(expert_modules[i]), expert_leaves[k]);

            if (length < (int)sizeof(text))
                found = compared_names_find(names, text);
        }
    }
    return found;
}

size_t compared_names_experts(const struct compared_names *names, const char *name,
                              uint64_t *number)
{
    const char *at = strstr(name, expert_modules[0]);
    char text[FILES_NAME_BYTES_MAX + 1];
    size_t found = SIZE_MAX;
    char *rest;

    if (!at || at[strlen(expert_modules[0])] < '0' || at[strlen(expert_modules[0])] > '9')
        return SIZE_MAX;
    *number = strtoull(at + strlen(expert_modules[0]), &rest, 10);
    for (size_t i = 0; i < 4 && *rest == '.' && found == SIZE_MAX; i++) {
        const char *leaf = expert_leaves[i % 2];
        const size_t length = strlen(rest + 1), tail = strlen(leaf);

        if (length <= tail || strcmp(rest + 1 + length - tail, leaf) != 0)
            continue;
        snprintf(text, sizeof(text), "%.*s%s%.*s", (int)(at - name), name,
                 expert_modules[i / 2], (int)(length - tail), rest + 1);
        found = compared_names_find(names, text);
    }
    return found;
}
