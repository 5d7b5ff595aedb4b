/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/match.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/name_parts.h"

static const size_t STRING_BYTES_MAX = 64u << 20; /* of hints */

/* Both sides, by their compared names. */
struct sides {
    const struct contents *claim, *latents;
    const struct compared_names *claim_names, *latents_names;
    const struct model_config *config; /* NULL: not known */
};

/* Does the claim give the layer's shape before it was encoded? */
static bool tells_shape(const struct contents *claim, const struct content *item)
{
    return (claim->record && claim->record->layers) ||
           encoding_keeps_layout(item->terms.encoding);
}

/* How the latents' tensor stores the matrices of the claim's layer. */
static enum layer_layout reference_layout(const struct contents *claim,
                                          const struct content *item,
                                          const struct contents *latents, size_t index)
{
    return tells_shape(claim, item) || latents->items[index].kind != CONTENT_LAYER
               ? item->layout
               : latents->items[index].layout;
}

/* Can the latents' tensor be projected to the layer? It must be a float of the same
 * shape. If the layer is packed without a record, its shape is unknown, and equal
 * matrices suffice. */
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

/* Names that packings use for the weight that models call "weight". */
static const char *const packed_leaves[] = {"qweight", "weight_packed", "_weight_qdata"};

enum { PACKED_LEAVES = sizeof(packed_leaves) / sizeof(packed_leaves[0]) };

/* Have the latents STEM.weight for the claim's STEM.qweight? */
static bool is_unpacked_there(const struct sides *sides, const char *name)
{
    const char *leaf = name_leaf(name);
    char weight[NAME_BESIDE_BYTES];

    for (size_t i = 0; i < PACKED_LEAVES; i++)
        if (strcmp(leaf, packed_leaves[i]) == 0) {
            name_beside(name, "weight", weight);
            return compared_names_find(sides->latents_names, weight) != CONTENT_NONE;
        }
    return false;
}

/* STEM.weight -> a packed weight of that stem in the claim? */
static bool is_packed_there(const struct sides *sides, const char *name)
{
    const char *leaf = name_leaf(name);
    char packed[NAME_BESIDE_BYTES];

    for (size_t i = 0; i < PACKED_LEAVES && strcmp(leaf, "weight") == 0; i++) {
        name_beside(name, packed_leaves[i], packed);
        size_t index = compared_names_find(sides->claim_names, packed);

        if (index != CONTENT_NONE &&
            sides->claim->items[index].kind == CONTENT_FOREIGN_WEIGHT)
            return true;
    }
    return false;
}

/* For a tensor that cannot be checked: if the latents have a layer in its place, it has a
 * finding already; otherwise the two should be equal. */
static enum match_kind kind_of_undecided(const struct sides *sides, size_t index,
                                         size_t reference)
{
    const struct contents *claim = sides->claim;
    const enum content_kind kind = claim->items[index].kind;

    if (claim->record && claim->record->layers && kind == CONTENT_UNFIT)
        return MATCH_NO_STEP;
    /* Neither rules nor record make it a layer: compared like any other tensor. */
    if (claim->record && claim->record->layers && kind == CONTENT_UNKNOWN_DTYPE)
        return reference == CONTENT_NONE ? MATCH_EXTRA_TENSOR : MATCH_BYTES;
    if (reference == CONTENT_NONE)
        return is_unpacked_there(sides, sides->claim_names->names[index])
                   ? MATCH_NO_STEP
                   : MATCH_EXTRA_TENSOR;
    return sides->latents->items[reference].kind == CONTENT_LAYER ? MATCH_NO_STEP
                                                                  : MATCH_BYTES;
}

/* `layout`: how the latents' tensor stores the layer's matrices. */
static enum match_kind kind_of_claim(const struct sides *sides, size_t index,
                                     size_t reference, enum layer_layout layout)
{
    const struct content *item = &sides->claim->items[index];
    const bool has = reference != CONTENT_NONE;

    switch (item->kind) {
    case CONTENT_LAYER:
        if (!has)
            return MATCH_EXTRA_LAYER;
        if (item->beside != CONTENT_NONE)
            return MATCH_NO_STEP;
        return reference_fits(sides->claim, item,
                              &sides->latents->table->entries[reference], layout)
                   ? MATCH_PROJECTION
                   : MATCH_MISSING_LAYER;
    case CONTENT_UNFIT:
    case CONTENT_FOREIGN_WEIGHT:
    case CONTENT_UNKNOWN_DTYPE:
        return kind_of_undecided(sides, index, reference);
    case CONTENT_SCALES:
        return has ? MATCH_BYTES : MATCH_NO_STEP;
    case CONTENT_FOREIGN_TABLE:
        if (!has && item->owner != CONTENT_NONE)
            return MATCH_NO_STEP;
        break;
    case CONTENT_KEPT_BY_RECORD:
        return has ? MATCH_BYTES : MATCH_EXTRA_LAYER;
    case CONTENT_KEPT:
    case CONTENT_EXCLUDED:
        break;
    }
    return has ? MATCH_BYTES : MATCH_EXTRA_TENSOR;
}

/* A GGUF file of llama.cpp lacks what llama.cpp computes, and a head that is tied. */
static bool is_left_out(const struct sides *sides, const char *name)
{
    return gguf_is_known(sides->claim->table) &&
           (gguf_leaves_out(name) || (sides->config && sides->config->tied &&
                                      strcmp(name, "lm_head.weight") == 0));
}

/* A tensor of the latents that the claim does not have. */
static enum match_kind kind_of_missing(const struct sides *sides, size_t index)
{
    const struct record *record = sides->claim->record;

    if (is_packed_there(sides, sides->latents_names->names[index]) ||
        is_left_out(sides, sides->latents->table->entries[index].name))
        return MATCH_NO_STEP;
    if (sides->latents->items[index].kind == CONTENT_LAYER ||
        (record && record->layers &&
         record_names(record, sides->latents->table->entries[index].name)))
        return MATCH_MISSING_LAYER;
    return MATCH_MISSING_TENSOR;
}

struct head_order head_order_of(const struct tensor_table *table, size_t index,
                                const struct tensor_table *file, size_t stored)
{
    const uint64_t rows = gguf_head_rows(table, &table->entries[index]);
    const uint64_t stored_rows = gguf_head_rows(file, &file->entries[stored]);

    return (rows != 0) == (stored_rows != 0)
               ? (struct head_order){.rows = 0}
               : (struct head_order){.rows = rows ? rows : stored_rows,
                                     .interleaves = rows != 0};
}

static struct match_pair pair_of(const struct sides *sides, size_t index, size_t answer)
{
    const struct content *item = &sides->claim->items[index];
    struct match_pair pair = {.claim = index, .latents = answer};

    if (item->kind == CONTENT_LAYER && answer != CONTENT_NONE)
        pair.layout = reference_layout(sides->claim, item, sides->latents, answer);
    pair.kind = kind_of_claim(sides, index, answer, pair.layout);
    if (answer != CONTENT_NONE)
        pair.heads =
            head_order_of(sides->claim->table, index, sides->latents->table, answer);
    return pair;
}

/* ---- experts that are one tensor each in the latents ---------------------------------- */

/* Is it a float [rows, columns] of the matrices? */
static bool is_expert(const struct tensor_entry *entry, const struct matrices *matrices)
{
    return type_holds(entry->type, TRIT_ENCODING_DENSE) && entry->rank == 2 &&
           entry->shape[0] == matrices->rows && entry->shape[1] == matrices->columns;
}

/* 1: the latents have every expert, and the pair is filled; 0: they do not. */
static int pair_experts(struct match *match, const struct sides *sides, size_t index,
                        struct match_pair *pair)
{
    const struct content *item = &sides->claim->items[index];
    const char *name = sides->claim_names->names[index];

    if (item->kind != CONTENT_LAYER || !layout_is_experts(item->layout) ||
        compared_names_expert(sides->latents_names, name, 0) == CONTENT_NONE)
        return 0;
    const struct matrices matrices = content_matrices(item);
    size_t *parts = matrices.count <= sides->latents->table->count
                        ? arena_alloc(&match->strings, matrices.count * sizeof(*parts))
                        : NULL;
    if (!parts)
        return matrices.count <= sides->latents->table->count ? -1 : 0;
    for (uint64_t i = 0; i < matrices.count; i++) {
        parts[i] = compared_names_expert(sides->latents_names, name, i);
        if (parts[i] == CONTENT_NONE ||
            !is_expert(&sides->latents->table->entries[parts[i]], &matrices))
            return 0;
    }
    for (uint64_t i = 0; i < matrices.count; i++)
        match->answered[parts[i]] = true;
    *pair = (struct match_pair){.kind = MATCH_PROJECTION,
                                .claim = index,
                                .latents = parts[0],
                                .layout = LAYOUT_OUT_IN,
                                .parts = parts};
    return 1;
}

/* ---- experts that are one tensor in the latents ---------------------------------------- */

/* Does the claim have every expert of this tensor of the latents as a layer of its own? */
static bool has_all_experts(const struct sides *sides, size_t index)
{
    const struct content *all = &sides->latents->items[index];
    const struct matrices matrices = content_matrices(all);

    for (uint64_t i = 0; i < matrices.count; i++) {
        const size_t part = compared_names_expert(sides->claim_names,
                                                  sides->latents_names->names[index], i);
        const struct content *item =
            part == CONTENT_NONE ? NULL : &sides->claim->items[part];

        if (!item || item->kind != CONTENT_LAYER)
            return false;
        const struct matrices own = content_matrices(item);
        if (own.count != 1 || own.rows != matrices.rows ||
            own.columns != matrices.columns)
            return false;
    }
    return true;
}

/* Whether the latents have this layer of the claim, an expert, in a tensor with all of them;
 * then the pair is filled. */
static bool pair_expert(struct match *match, const struct sides *sides, size_t index,
                        struct match_pair *pair)
{
    const char *name = sides->claim_names->names[index];
    uint64_t number;

    if (sides->claim->items[index].kind != CONTENT_LAYER)
        return false;
    const size_t answer = compared_names_experts(sides->latents_names, name, &number);
    if (answer == CONTENT_NONE || sides->latents->items[answer].kind != CONTENT_LAYER ||
        !layout_is_experts(sides->latents->items[answer].layout) ||
        number >= content_matrices(&sides->latents->items[answer]).count ||
        !has_all_experts(sides, answer) ||
        compared_names_expert(sides->claim_names, sides->latents_names->names[answer],
                              number) != index)
        return false;
    match->answered[answer] = true;
    *pair = (struct match_pair){.kind = MATCH_PROJECTION,
                                .claim = index,
                                .latents = answer,
                                .layout = sides->latents->items[answer].layout,
                                .first = number};
    return true;
}

/* ---- all tensors ----------------------------------------------------------------------- */

static int add_pairs(struct match *match, const struct sides *sides)
{
    const size_t left = sides->claim->table->count, right = sides->latents->table->count;
    const bool alone =
        (sides->claim->nameless || sides->latents->nameless) && left == 1 && right == 1;

    for (size_t i = 0; i < left; i++) {
        const size_t answer = alone ? 0
                                    : compared_names_find(sides->latents_names,
                                                          sides->claim_names->names[i]);
        struct match_pair *pair = &match->pairs[match->count++];
        const int experts =
            answer == CONTENT_NONE ? pair_experts(match, sides, i, pair) : 0;

        if (experts < 0)
            return -1;
        if (experts == 0 &&
            (answer != CONTENT_NONE || !pair_expert(match, sides, i, pair)))
            *pair = pair_of(sides, i, answer);
        if (answer != CONTENT_NONE)
            match->answered[answer] = true;
    }
    for (size_t i = 0; i < right; i++)
        if (!match->answered[i])
            match->pairs[match->count++] = (struct match_pair){
                .kind = kind_of_missing(sides, i), .claim = CONTENT_NONE, .latents = i};
    return 0;
}

int match_create(struct match *match, const struct checkpoint_options *options,
                 const struct contents *claim, const struct contents *latents,
                 struct failure *failure)
{
    const struct sides sides = {claim, latents, &match->claim_names,
                                &match->latents_names, options->config};

    *match =
        (struct match){.pairs = calloc(claim->table->count + latents->table->count + 1,
                                       sizeof(*match->pairs))};
    match->answered = calloc(latents->table->count + 1, sizeof(*match->answered));
    arena_init(&match->strings, STRING_BYTES_MAX);
    if (!match->pairs || !match->answered)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (compared_names_init(&match->claim_names, options, true, claim->table, failure) <
            0 ||
        compared_names_init(&match->latents_names, options, false, latents->table,
                            failure) < 0)
        return -1;
    if (add_pairs(match, &sides) < 0)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return 0;
}

void match_destroy(struct match *match)
{
    compared_names_fini(&match->claim_names);
    compared_names_fini(&match->latents_names);
    if (match->pairs)
        arena_fini(&match->strings);
    free(match->pairs);
    free(match->answered);
    *match = (struct match){.pairs = NULL};
}
