#include "checkpoint/match.h"

#include <stdlib.h>

/* The latents' tensor can be projected to the layer: a float of the same matrix. */
static bool reference_fits(const struct tensor_entry *reference,
                           const struct tensor_entry *dense)
{
    uint64_t elements, wanted;

    return type_holds(reference->type, TRIT_ENCODING_DENSE) && reference->rank >= 1 &&
           reference->shape[0] == dense->shape[0] &&
           shape_elements(reference->rank, reference->shape, &elements) &&
           shape_elements(dense->rank, dense->shape, &wanted) && elements == wanted;
}

static enum match_kind kind_of_claim(const struct contents *claim, size_t index,
                                     const struct tensor_entry *reference)
{
    const struct content *item = &claim->items[index];

    switch (item->kind) {
    case CONTENT_LAYER:
        if (!reference)
            return MATCH_EXTRA_LAYER;
        return reference_fits(reference, &item->dense) ? MATCH_PROJECTION
                                                       : MATCH_MISSING_LAYER;
    case CONTENT_UNFIT:
        return MATCH_JUDGED;
    case CONTENT_SCALES:
        return reference ? MATCH_BYTES : MATCH_JUDGED;
    case CONTENT_KEPT_BY_RECORD:
        return reference ? MATCH_BYTES : MATCH_EXTRA_LAYER;
    case CONTENT_KEPT:
    case CONTENT_EXCLUDED:
    case CONTENT_FOREIGN_WEIGHT:
    case CONTENT_FOREIGN_TABLE:
    case CONTENT_UNKNOWN_DTYPE:
        break;
    }
    return reference ? MATCH_BYTES : MATCH_EXTRA_TENSOR;
}

/* A tensor of the latents that the claim does not have. */
static enum match_kind kind_of_missing(const struct contents *claim,
                                       const struct contents *latents, size_t index)
{
    struct tensor_entry dense;

    if (latents->items[index].kind == CONTENT_LAYER ||
        (claim->record && claim->record->layers &&
         record_find(claim->record, latents->table->entries[index].name, &dense, NULL) >
             0))
        return MATCH_MISSING_LAYER;
    return MATCH_MISSING_TENSOR;
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
        const struct tensor_entry *reference = table_find(right, left->entries[i].name);

        match->pairs[match->count++] = (struct match_pair){
            kind_of_claim(claim, i, reference), i,
            reference ? (size_t)(reference - right->entries) : CONTENT_NONE};
    }
    for (size_t i = 0; i < right->count; i++)
        if (!table_find(left, right->entries[i].name))
            match->pairs[match->count++] =
                (struct match_pair){kind_of_missing(claim, latents, i), CONTENT_NONE, i};
    return 0;
}

void match_destroy(struct match *match)
{
    free(match->pairs);
    *match = (struct match){.pairs = NULL};
}
