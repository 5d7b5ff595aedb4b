/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/renamed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct renaming {
    struct match *match;
    const struct contents *claim, *latents;
    struct lonely {
        const char *name;
        size_t pair;
        bool taken;
    } * extra, *missing; /* in order of name */
    size_t extra_count, missing_count;
};

static bool is_extra(enum match_kind kind)
{
    return kind == MATCH_EXTRA_LAYER || kind == MATCH_EXTRA_TENSOR;
}

static bool is_missing(const struct match_pair *pair)
{
    return pair->claim == CONTENT_NONE &&
           (pair->kind == MATCH_MISSING_LAYER || pair->kind == MATCH_MISSING_TENSOR);
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct lonely *)left)->name,
                  ((const struct lonely *)right)->name);
}

static void collect(struct renaming *r)
{
    for (size_t i = 0; i < r->match->count; i++) {
        const struct match_pair *pair = &r->match->pairs[i];

        if (is_extra(pair->kind))
            r->extra[r->extra_count++] = (struct lonely){
                .name = r->match->claim_names.names[pair->claim], .pair = i};
        else if (is_missing(pair))
            r->missing[r->missing_count++] = (struct lonely){
                .name = r->match->latents_names.names[pair->latents], .pair = i};
    }
    qsort(r->extra, r->extra_count, sizeof(*r->extra), compare);
    qsort(r->missing, r->missing_count, sizeof(*r->missing), compare);
}

/* The shape that the tensor has in the latents. */
static const struct tensor_entry *form_of(const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];

    return item->kind == CONTENT_LAYER ? &item->dense : &contents->table->entries[index];
}

static bool same_form(const struct renaming *r, const struct lonely *extra,
                      const struct lonely *missing)
{
    const struct tensor_entry *a = form_of(r->claim, r->match->pairs[extra->pair].claim);
    const struct tensor_entry *b =
        form_of(r->latents, r->match->pairs[missing->pair].latents);

    return a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof(a->shape[0])) == 0;
}

static void pair_up(struct renaming *r, struct lonely *extra, struct lonely *missing,
                    const char *option, const char *value)
{
    char hint[2 * FILES_NAME_BYTES_MAX + 64];
    struct match_pair *left = &r->match->pairs[extra->pair];
    struct match_pair *right = &r->match->pairs[missing->pair];

    snprintf(hint, sizeof(hint), "%s '%s' compares them", option, value);
    left->hint = arena_strndup(&r->match->strings, hint, strlen(hint));
    if (!left->hint)
        return;
    left->kind = MATCH_RENAMED;
    left->latents = right->latents;
    right->kind = MATCH_NO_STEP;
    extra->taken = missing->taken = true;
}

static struct lonely *find(struct lonely *list, size_t count, const char *name)
{
    struct lonely wanted = {.name = name};

    return count ? bsearch(&wanted, list, count, sizeof(*list), compare) : NULL;
}

/* Is `longer`, without a prefix that ends in a dot, in `list`? */
static void find_prefix(struct renaming *r, struct lonely *longer, struct lonely *list,
                        size_t count, bool longer_is_extra)
{
    char prefix[FILES_NAME_BYTES_MAX + 1];

    for (const char *dot = strchr(longer->name, '.'); dot && !longer->taken;
         dot = strchr(dot + 1, '.')) {
        struct lonely *other = find(list, count, dot + 1);

        if (!other || other->taken ||
            !same_form(r, longer_is_extra ? longer : other,
                       longer_is_extra ? other : longer))
            continue;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)(dot + 1 - longer->name),
                 longer->name);
        pair_up(r, longer_is_extra ? longer : other, longer_is_extra ? other : longer,
                "--strip-prefix", prefix);
    }
}

/* Is there exactly one extra and one missing tensor of a form? */
static void find_only(struct renaming *r, struct lonely *extra)
{
    struct lonely *answer = NULL;
    char rule[2 * FILES_NAME_BYTES_MAX + 2];

    for (size_t i = 0; i < r->missing_count; i++)
        if (!r->missing[i].taken && same_form(r, extra, &r->missing[i])) {
            if (answer)
                return;
            answer = &r->missing[i];
        }
    for (size_t i = 0; answer && i < r->extra_count; i++)
        if (&r->extra[i] != extra && !r->extra[i].taken &&
            same_form(r, &r->extra[i], answer))
            return;
    if (!answer)
        return;
    snprintf(rule, sizeof(rule), "%s=%s", extra->name, answer->name);
    pair_up(r, extra, answer, "--rename", rule);
}

void match_find_renamed(struct match *match, const struct contents *claim,
                        const struct contents *latents)
{
    enum { ONLY_MAX = 64 }; /* above this, unique forms are not searched */
    struct renaming r = {.match = match, .claim = claim, .latents = latents};

    r.extra = calloc(match->count + 1, sizeof(*r.extra));
    r.missing = calloc(match->count + 1, sizeof(*r.missing));
    if (r.extra && r.missing) {
        collect(&r);
        for (size_t i = 0; i < r.extra_count; i++)
            find_prefix(&r, &r.extra[i], r.missing, r.missing_count, true);
        for (size_t i = 0; i < r.missing_count; i++)
            if (!r.missing[i].taken)
                find_prefix(&r, &r.missing[i], r.extra, r.extra_count, false);
        for (size_t i = 0; i < r.extra_count && r.extra_count <= ONLY_MAX; i++)
            if (!r.extra[i].taken)
                find_only(&r, &r.extra[i]);
    }
    free(r.extra);
    free(r.missing);
}
