/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of a verification: lanes do them, the main thread takes what they found. */
#include <inttypes.h>

#include "drive/verify_impl.h"

static size_t pair_count(const struct verifying *v)
{
    return v->against.reader ? v->match.count : v->claim.table->count;
}

static struct match_pair pair_at(const struct verifying *v, size_t index)
{
    if (v->against.reader)
        return v->match.pairs[index];
    return (struct match_pair){
        .kind = MATCH_EXTRA_LAYER, .claim = index, .latents = CONTENT_NONE};
}

/* A layer without its scales cannot be sent; it has a finding already. */
static bool is_layer(const struct verifying *v, const struct match_pair *pair)
{
    return (pair->kind == MATCH_PROJECTION || pair->kind == MATCH_EXTRA_LAYER) &&
           content_is_complete(&v->claim.items[pair->claim]) &&
           content_matrices(&v->claim.items[pair->claim]).count > 0;
}

uint64_t verify_piece_count(const struct verifying *v)
{
    uint64_t count = 0;

    for (size_t i = 0; i < pair_count(v); i++) {
        const struct match_pair pair = pair_at(v, i);

        if (is_layer(v, &pair))
            count += content_matrices(&v->claim.items[pair.claim]).count;
        else
            count += pair.kind == MATCH_BYTES;
    }
    return count;
}

/* ---- on a lane -------------------------------------------------------------------- */

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct verify_piece *piece = arg;
    struct verifying *v = owner;
    const int result = piece->is_layer ? verify_layer_run(v, piece, stopped, failure)
                                       : verify_other_run(v, piece, stopped, failure);

    if (result < 0 && piece->matrices.count > 1)
        fail_context(failure, "expert %" PRIu64, piece->number);
    return result < 0 ? fail_context(failure, "%s",
                                     v->claim.table->entries[piece->pair.claim].name)
                      : 0;
}

/* ---- on the main thread, except for the first -------------------------------------- */

static bool next_piece(void *owner, void *arg)
{
    struct verify_piece *piece = arg;
    struct verifying *v = owner;

    for (; v->next_pair < pair_count(v); v->next_pair++) {
        piece->pair = pair_at(v, v->next_pair);
        piece->is_layer = is_layer(v, &piece->pair);
        if (piece->is_layer || piece->pair.kind == MATCH_BYTES)
            break;
    }
    if (v->next_pair == pair_count(v))
        return false;
    piece->matrices = piece->is_layer
                          ? content_matrices(&v->claim.items[piece->pair.claim])
                          : (struct matrices){.count = 1};
    piece->number = v->next_number;
    matrix_name(piece->name, v->claim.table->entries[piece->pair.claim].name,
                &piece->matrices, piece->number);
    if (++v->next_number == piece->matrices.count) {
        v->next_number = 0;
        v->next_pair++;
    }
    return true;
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct verify_piece *piece = arg;
    struct verifying *v = owner;

    if (piece->is_layer)
        return verify_layer_take(v, piece, failure);
    verify_other_take(v, piece);
    return 0;
}

int verify_pieces(struct verifying *v)
{
    const struct lanes_work work = {.owner = v,
                                    .piece_bytes = sizeof(struct verify_piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    return lanes_run(&work, &v->failure);
}
