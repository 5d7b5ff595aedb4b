/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The latents' tensor can be projected to the layer: a float of the same shape, or of
 * the same matrix where a packed layer without a record does not tell its shape. */
static bool reference_fits(const struct contents *claim, const struct content *item,
                           const struct tensor_entry *reference)
{
    const struct tensor_entry *dense = &item->dense;
    const enum trit_encoding encoding = item->terms.encoding;
    uint64_t elements, wanted;

    if (!type_holds(reference->type, TRIT_ENCODING_DENSE) || reference->rank < 1)
        return false;
    if ((claim->record && claim->record->layers) || encoding == TRIT_ENCODING_DENSE ||
        encoding == TRIT_ENCODING_INT8)
        return reference->rank == dense->rank &&
               memcmp(reference->shape, dense->shape,
                      dense->rank * sizeof(dense->shape[0])) == 0;
    return reference->shape[0] == dense->shape[0] &&
           shape_elements(reference->rank, reference->shape, &elements) &&
           shape_elements(dense->rank, dense->shape, &wanted) && elements == wanted;
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

static enum match_kind kind_of_claim(const struct contents *claim, size_t index,
                                     const struct contents *latents,
                                     const struct tensor_entry *reference)
{
    const struct content *item = &claim->items[index];

    switch (item->kind) {
    case CONTENT_LAYER:
        if (!reference)
            return MATCH_EXTRA_LAYER;
        return reference_fits(claim, item, reference) ? MATCH_PROJECTION
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
    struct tensor_entry dense;

    if (is_packed_there(claim, name))
        return MATCH_JUDGED;
    if (latents->items[index].kind == CONTENT_LAYER ||
        (claim->record && claim->record->layers &&
         record_find(claim->record, name, &dense, NULL) > 0))
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

        match->pairs[match->count++] = (struct match_pair){
            kind_of_claim(claim, i, latents, reference), i,
            reference ? (size_t)(reference - right->entries) : CONTENT_NONE};
    }
    for (size_t i = 0; i < right->count; i++)
        if (!counterpart(latents, claim, right->entries[i].name))
            match->pairs[match->count++] =
                (struct match_pair){kind_of_missing(claim, latents, i), CONTENT_NONE, i};
    return 0;
}

void match_destroy(struct match *match)
{
    free(match->pairs);
    *match = (struct match){.pairs = NULL};
}
