/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Does the claim say which shape the layer had before it was encoded? */
static bool tells_shape(const struct contents *claim, const struct content *item)
{
    return (claim->record && claim->record->layers) ||
           encoding_keeps_layout(item->terms.encoding);
}

/* How the latents' tensor holds the matrices of the claim's layer. */
static enum layer_layout reference_layout(const struct contents *claim,
                                          const struct content *item,
                                          const struct contents *latents, size_t index)
{
    return tells_shape(claim, item) || latents->items[index].kind != CONTENT_LAYER
               ? item->layout
               : latents->items[index].layout;
}

/* The latents' tensor can be projected to the layer: a float of the same shape, or of
 * the same matrices where a packed layer without a record does not tell its shape. */
static bool reference_fits(const struct contents *claim, const struct content *item,
                           const struct tensor_entry *reference, enum layer_layout layout)
{
    const struct tensor_entry *dense = &item->dense;

    if (!type_holds(reference->type, TRIT_ENCODING_DENSE) || reference->rank < 1)
        return false;
    if (tells_shape(claim, item))
        return reference->rank == dense->rank &&
               memcmp(reference->shape, dense->shape,
                      dense->rank * sizeof(dense->shape[0])) == 0;
    if (reference->rank < (layout_is_experts(layout) ? 3
                           : layout == LAYOUT_IN_OUT ? 2
                                                     : 1))
        return false;
    const struct matrices found = matrices_of(layout, reference->rank, reference->shape);
    const struct matrices wanted = content_matrices(item);
    return found.count == wanted.count && found.rows == wanted.rows &&
           found.columns == wanted.columns;
}

/* The names under which packings keep the weight that models call "weight". */
static const char *const packed_leaves[] = {"qweight", "weight_packed", "_weight_qdata"};

enum { PACKED_LEAVES = sizeof(packed_leaves) / sizeof(packed_leaves[0]) };

/* STEM.qweight -> STEM.weight, or NULL where the name is no such. */
static const struct tensor_entry *unpacked_of(const struct tensor_table *latents,
                                              const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *leaf = dot ? dot + 1 : name;
    char weight[FILES_NAME_BYTES_MAX + sizeof("weight")];

    for (size_t i = 0; i < PACKED_LEAVES; i++)
        if (strcmp(leaf, packed_leaves[i]) == 0) {
            snprintf(weight, sizeof(weight), "%.*sweight", (int)(leaf - name), name);
            return table_find(latents, weight);
        }
    return NULL;
}

/* STEM.weight -> a packed weight of that stem in the claim? */
static bool is_packed_there(const struct contents *claim, const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *leaf = dot ? dot + 1 : name;
    char packed[FILES_NAME_BYTES_MAX + 32];

    for (size_t i = 0; i < PACKED_LEAVES && strcmp(leaf, "weight") == 0; i++) {
        snprintf(packed, sizeof(packed), "%.*s%s", (int)(leaf - name), name,
                 packed_leaves[i]);
        const struct tensor_entry *entry = table_find(claim->table, packed);

        if (entry &&
            claim->items[entry - claim->table->entries].kind == CONTENT_FOREIGN_WEIGHT)
            return true;
    }
    return false;
}

/* Of a tensor that could not be judged: that was found already where the latents have
 * a layer in its place. Anything else should be equal. */
static enum match_kind kind_of_undecided(const struct contents *claim, size_t index,
                                         const struct contents *latents,
                                         const struct tensor_entry *reference)
{
    const char *name = claim->table->entries[index].name;
    const enum content_kind kind = claim->items[index].kind;

    if (claim->record && claim->record->layers && kind == CONTENT_UNFIT)
        return MATCH_JUDGED;
    /* No layer by the rules or the record: like any other tensor. */
    if (claim->record && claim->record->layers && kind == CONTENT_UNKNOWN_DTYPE)
        return reference ? MATCH_BYTES : MATCH_EXTRA_TENSOR;
    if (!reference)
        return unpacked_of(latents->table, name) ? MATCH_JUDGED : MATCH_EXTRA_TENSOR;
    return latents->items[reference - latents->table->entries].kind == CONTENT_LAYER
               ? MATCH_JUDGED
               : MATCH_BYTES;
}

/* `layout`: how the latents' tensor holds the layer's matrices. */
static enum match_kind kind_of_claim(const struct contents *claim, size_t index,
                                     const struct contents *latents,
                                     const struct tensor_entry *reference,
                                     enum layer_layout layout)
{
    const struct content *item = &claim->items[index];

    switch (item->kind) {
    case CONTENT_LAYER:
        if (!reference)
            return MATCH_EXTRA_LAYER;
        return reference_fits(claim, item, reference, layout) ? MATCH_PROJECTION
                                                              : MATCH_MISSING_LAYER;
    case CONTENT_UNFIT:
    case CONTENT_FOREIGN_WEIGHT:
    case CONTENT_UNKNOWN_DTYPE:
        return kind_of_undecided(claim, index, latents, reference);
    case CONTENT_SCALES:
        return reference ? MATCH_BYTES : MATCH_JUDGED;
    case CONTENT_FOREIGN_TABLE:
        if (!reference && item->owner != CONTENT_NONE)
            return MATCH_JUDGED;
        break;
    case CONTENT_KEPT_BY_RECORD:
        return reference ? MATCH_BYTES : MATCH_EXTRA_LAYER;
    case CONTENT_KEPT:
    case CONTENT_EXCLUDED:
        break;
    }
    return reference ? MATCH_BYTES : MATCH_EXTRA_TENSOR;
}

/* A tensor of the latents that the claim does not have. */
static enum match_kind kind_of_missing(const struct contents *claim,
                                       const struct contents *latents, size_t index)
{
    const char *name = latents->table->entries[index].name;

    if (is_packed_there(claim, name))
        return MATCH_JUDGED;
    if (latents->items[index].kind == CONTENT_LAYER ||
        (claim->record && claim->record->layers && record_names(claim->record, name)))
        return MATCH_MISSING_LAYER;
    return MATCH_MISSING_TENSOR;
}

/* The tensor of `other` that answers to the name. */
static const struct tensor_entry *
counterpart(const struct contents *one, const struct contents *other, const char *name)
{
    if ((one->nameless || other->nameless) && one->table->count == 1 &&
        other->table->count == 1)
        return &other->table->entries[0];
    return table_find(other->table, name);
}

static struct match_pair pair_of(const struct contents *claim, size_t index,
                                 const struct contents *latents, size_t answer)
{
    const struct content *item = &claim->items[index];
    struct match_pair pair = {.claim = index, .latents = answer};

    if (item->kind == CONTENT_LAYER && answer != CONTENT_NONE)
        pair.layout = reference_layout(claim, item, latents, answer);
    pair.kind = kind_of_claim(
        claim, index, latents,
        answer == CONTENT_NONE ? NULL : &latents->table->entries[answer], pair.layout);
    return pair;
}

int match_create(struct match *match, const struct contents *claim,
                 const struct contents *latents, struct failure *failure)
{
    const struct tensor_table *left = claim->table, *right = latents->table;

    *match = (struct match){
        .pairs = calloc(left->count + right->count + 1, sizeof(*match->pairs))};
    if (!match->pairs)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < left->count; i++) {
        const struct tensor_entry *reference =
            counterpart(claim, latents, left->entries[i].name);

        match->pairs[match->count++] =
            pair_of(claim, i, latents,
                    reference ? (size_t)(reference - right->entries) : CONTENT_NONE);
    }
    for (size_t i = 0; i < right->count; i++)
        if (!counterpart(latents, claim, right->entries[i].name))
            match->pairs[match->count++] =
                (struct match_pair){.kind = kind_of_missing(claim, latents, i),
                                    .claim = CONTENT_NONE,
                                    .latents = i};
    return 0;
}

void match_destroy(struct match *match)
{
    free(match->pairs);
    *match = (struct match){.pairs = NULL};
}
