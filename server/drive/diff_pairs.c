/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensor of A is compared with which of B: that of the same name. Experts that are one
 * tensor on one side may be one tensor each on the other. */
#include <stdlib.h>

#include "drive/diff_impl.h"

static bool is_layer(const struct side *side, size_t index)
{
    return content_is_complete(&side->contents.items[index]);
}

/* The scales and other tables of a layer are compared together with it. A scale beside a dense layer
 * is not part of the layer's values. */
static bool goes_along(const struct side *side, size_t index)
{
    const struct content *items = side->contents.items;

    return items[index].kind == CONTENT_SCALES ||
           (items[index].kind == CONTENT_FOREIGN_TABLE &&
            items[index].owner != CONTENT_NONE &&
            items[items[index].owner].kind == CONTENT_LAYER &&
            items[items[index].owner].beside != index);
}

/* ---- experts ------------------------------------------------------------------------- */

struct diff_experts diff_experts_of(const struct diffing *d, bool of_b)
{
    return of_b ? (struct diff_experts){&d->b, &d->a, &d->b_names, &d->a_names}
                : (struct diff_experts){&d->a, &d->b, &d->a_names, &d->b_names};
}

/* Does the other side have every expert of the layer as a layer of its own? */
static bool is_apart(const struct diff_experts *e, size_t index)
{
    const struct content *item = &e->one->contents.items[index];
    const char *name = e->one_names->names[index];

    if (!is_layer(e->one, index) || !layout_is_experts(item->layout) ||
        compared_names_find(e->each_names, name) != CONTENT_NONE)
        return false;
    const uint64_t count = content_matrices(item).count;
    for (uint64_t i = 0; i < count; i++) {
        const size_t part = compared_names_expert(e->each_names, name, i);

        if (part == CONTENT_NONE || !is_layer(e->each, part))
            return false;
    }
    return count > 0;
}

static void take_experts(const struct diff_experts *e, bool *taken)
{
    for (size_t index = 0; index < e->one->contents.table->count; index++) {
        const char *name = e->one_names->names[index];
        const uint64_t count =
            is_apart(e, index) ? content_matrices(&e->one->contents.items[index]).count
                               : 0;

        for (uint64_t i = 0; i < count; i++)
            taken[compared_names_expert(e->each_names, name, i)] = true;
    }
}

int diff_take_experts(struct diffing *d)
{
    const struct diff_experts of_a = diff_experts_of(d, false);
    const struct diff_experts of_b = diff_experts_of(d, true);

    d->a_taken = calloc(d->a.contents.table->count + 1, sizeof(*d->a_taken));
    d->b_taken = calloc(d->b.contents.table->count + 1, sizeof(*d->b_taken));
    if (!d->a_taken || !d->b_taken)
        return fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    take_experts(&of_a, d->b_taken);
    take_experts(&of_b, d->a_taken);
    return 0;
}

/* ---- pieces -------------------------------------------------------------------------- */

/* False: the tensor of A has no piece of its own. */
static bool piece_of_a(const struct diffing *d, size_t index, struct diff_piece *piece)
{
    const struct diff_experts experts = diff_experts_of(d, false);
    const char *name = d->a_names.names[index];
    const size_t other = compared_names_find(&d->b_names, name);

    if (goes_along(&d->a, index) || d->a_taken[index])
        return false;
    *piece = (struct diff_piece){.a = index, .b = other, .name = name};
    if (is_apart(&experts, index))
        piece->kind = DIFF_EXPERTS;
    else if (other == CONTENT_NONE)
        piece->kind = DIFF_ONLY;
    else
        piece->kind =
            is_layer(&d->a, index) && is_layer(&d->b, other) ? DIFF_LAYER : DIFF_OTHER;
    return true;
}

/* Only a tensor of B that A does not have under its name has one. */
static bool piece_of_b(const struct diffing *d, size_t index, struct diff_piece *piece)
{
    const struct diff_experts experts = diff_experts_of(d, true);
    const char *name = d->b_names.names[index];

    if (goes_along(&d->b, index) || d->b_taken[index] ||
        compared_names_find(&d->a_names, name) != CONTENT_NONE)
        return false;
    *piece =
        (struct diff_piece){.kind = is_apart(&experts, index) ? DIFF_EXPERTS : DIFF_ONLY,
                            .of_b = true,
                            .a = index,
                            .name = name};
    return true;
}

bool diff_next(const struct diffing *d, size_t *next, struct diff_piece *piece)
{
    const size_t of_a = d->a.contents.table->count;
    const size_t all = of_a + d->b.contents.table->count;

    while (*next < all) {
        const size_t index = (*next)++;

        if (index < of_a ? piece_of_a(d, index, piece)
                         : piece_of_b(d, index - of_a, piece))
            return true;
    }
    return false;
}
