/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the tensors of one piece, on a lane. */
#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "checkpoint/compare.h"
#include "checkpoint/match.h"
#include "drive/both.h"
#include "drive/diff_impl.h"

static const uint64_t PIECE_ELEMENTS = 1 << 20; /* of each side in memory */

/* What a lane needs. */
struct work {
    struct diffing *d;
    struct diff_piece *piece;
    struct progress_piece *progress;
    struct failure *failure;
};

static const struct tensor_entry *entry_of(const struct side *side, size_t index)
{
    return &side->contents.table->entries[index];
}

static int found_other(struct work *work, const char *what)
{
    snprintf(work->piece->what, sizeof(work->piece->what), "%s", what);
    return 0;
}

/* ---- a matrix of a layer ------------------------------------------------------------- */

struct matrix_ref {
    size_t index;
    uint64_t number;
};

/* Rows of both sides in memory. */
struct comparing {
    struct side_matrix left, right;
    struct layer_diff diff;
    struct failure failure;
    int result;
};

static void compare_rows(void *arg)
{
    struct comparing *c = arg;

    c->result = layer_diff(&c->diff, &c->left.matrix, &c->right.matrix, &c->failure);
}

/* Rows [first, first + count) of a matrix. */
static int diff_rows(struct work *work, struct matrix_ref a, struct matrix_ref b,
                     uint64_t first, uint64_t count)
{
    static const struct head_order as_stored = {.rows = 0};
    struct diffing *d = work->d;
    struct comparing c = {.failure = {.status = TRIT_OK}};
    const struct head_order heads =
        head_order_of(d->a.contents.table, a.index, d->b.contents.table, b.index);
    int result = side_load_rows(&d->a, a.index, a.number, &as_stored, first, count,
                                &c.left, work->failure);

    if (result == 0)
        result = side_load_rows(&d->b, b.index, b.number, &heads, first, count, &c.right,
                                work->failure);
    if (result == 0)
        result = engine_compute(d->engine, count * c.left.matrix.columns, compare_rows,
                                &c, work->failure);
    if (result == 0 && c.result < 0) {
        *work->failure = c.failure;
        result = -1;
    }
    if (result == 0)
        layer_diff_add(&work->piece->diff, &c.diff);
    side_unload(&c.left);
    side_unload(&c.right);
    return result;
}

static uint64_t matrix_bytes(const struct side *side, size_t index)
{
    return entry_of(side, index)->bytes /
           content_matrices(&side->contents.items[index]).count;
}

static int diff_matrix(struct work *work, struct matrix_ref a, struct matrix_ref b)
{
    const struct matrices matrix = content_matrices(&work->d->a.contents.items[a.index]);
    const uint64_t rows =
        matrix.columns < PIECE_ELEMENTS ? PIECE_ELEMENTS / matrix.columns : 1;
    const uint64_t bytes =
        matrix_bytes(&work->d->a, a.index) + matrix_bytes(&work->d->b, b.index);
    const uint64_t before = work->progress->before;

    for (uint64_t first = 0; first < matrix.rows; first += rows) {
        const uint64_t count = u64_min(rows, matrix.rows - first);

        if (diff_rows(work, a, b, first, count) < 0)
            return -1;
        work->progress->before = before + bytes / matrix.rows * (first + count);
        if (progress_update(work->progress, 0, 0) != 0)
            return fail(work->failure, TRIT_CANCELLED, NULL, "stopped");
    }
    return 0;
}

/* ---- tensors that are not layers on both sides ------------------------------------------ */

/* 1: their bytes differ, in *count elements, or (0) in type or shape. 0: they are equal. */
static int compare_bytes(struct work *work, size_t a, size_t b, uint64_t *count)
{
    const struct diffing *d = work->d;
    const struct tensor_table *left = d->a.contents.table, *right = d->b.contents.table;
    const struct head_order heads = head_order_of(right, b, left, a);
    struct difference difference;

    *count = 0;
    if (!entries_comparable(right, b, left, a))
        return 1;
    difference_init(&difference, left->entries[a].type, right->entries[b].type);
    if (both_compare(d->a.input.reader, &left->entries[a], &heads, d->b.input.reader,
                     &right->entries[b], &difference, work->failure) < 0)
        return -1;
    *count = difference.count;
    return difference.count > 0;
}

static int diff_other(struct work *work, size_t a, size_t b)
{
    char what[64] = "";
    uint64_t count;
    const int differ = compare_bytes(work, a, b, &count);

    if (differ < 0)
        return -1;
    if (differ && count == 0)
        return found_other(work, "another type or shape");
    if (differ)
        snprintf(what, sizeof(what), "%" PRIu64 " elements differ", count);
    return found_other(work, what);
}

/* A layer that is not ternary on one side: it has no codes to count, so its tensors are
 * compared byte for byte. `why` says what is wrong with it. */
static int diff_not_ternary(struct work *work, size_t a, size_t b, const char *why)
{
    const struct content *left = &work->d->a.contents.items[a];
    const struct content *right = &work->d->b.contents.items[b];
    const size_t parts[][2] = {
        {a, b}, {left->scales, right->scales}, {left->biases, right->biases}};
    char what[sizeof(work->piece->what)] = "";
    uint64_t count;
    int differ = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && differ == 0; i++)
        if (parts[i][0] != CONTENT_NONE && parts[i][1] != CONTENT_NONE)
            differ = compare_bytes(work, parts[i][0], parts[i][1], &count);
        else if (parts[i][0] != parts[i][1])
            differ = 1;
    if (differ < 0)
        return -1;
    if (differ)
        snprintf(what, sizeof(what), "its bytes differ; %s", why);
    return found_other(work, what);
}

/* ---- layers ----------------------------------------------------------------------------- */

static int diff_matrices(struct work *work, size_t a, size_t b)
{
    struct diffing *d = work->d;
    const uint64_t count = content_matrices(&d->a.contents.items[a]).count;

    if (side_check_biases(&d->a, a, work->failure) < 0 ||
        side_check_biases(&d->b, b, work->failure) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        if (diff_matrix(work, (struct matrix_ref){a, i}, (struct matrix_ref){b, i}) < 0)
            return -1;
    return 0;
}

static int diff_layer(struct work *work, size_t a, size_t b)
{
    const struct matrices left = content_matrices(&work->d->a.contents.items[a]);
    const struct matrices right = content_matrices(&work->d->b.contents.items[b]);
    struct failure why;

    if (left.count != right.count || left.rows != right.rows ||
        left.columns != right.columns)
        return found_other(work, "another shape");
    if (diff_matrices(work, a, b) == 0) {
        work->piece->is_layer = true;
        return 0;
    }
    if (work->failure->status != TRIT_INVALID_ARGUMENT)
        return fail_context(work->failure, "%s", work->piece->name);
    why = *work->failure;
    *work->failure = (struct failure){.status = TRIT_OK};
    return diff_not_ternary(work, a, b, why.message);
}

static int diff_expert(struct work *work, const struct diff_experts *e,
                       struct matrix_ref one)
{
    struct diffing *d = work->d;
    const bool of_b = work->piece->of_b;
    const struct matrix_ref each = {
        compared_names_expert(e->each_names, e->one_names->names[one.index], one.number),
        0};
    const struct matrices left = content_matrices(&e->one->contents.items[one.index]);
    const struct matrices right = content_matrices(&e->each->contents.items[each.index]);

    if (right.count != 1 || left.rows != right.rows || left.columns != right.columns)
        return fail(work->failure, TRIT_INVALID_ARGUMENT, NULL, "another shape");
    if (side_check_biases(of_b ? &d->a : &d->b, each.index, work->failure) < 0)
        return -1;
    return of_b ? diff_matrix(work, each, one) : diff_matrix(work, one, each);
}

static int diff_experts(struct work *work, size_t index)
{
    const bool of_b = work->piece->of_b;
    const struct diff_experts e = diff_experts_of(work->d, of_b);
    const uint64_t count = content_matrices(&e.one->contents.items[index]).count;
    int result =
        side_check_biases(of_b ? &work->d->b : &work->d->a, index, work->failure);
    char what[sizeof(work->piece->what)];
    uint64_t i = 0;

    for (; result == 0 && i < count; i += result == 0)
        result = diff_expert(work, &e, (struct matrix_ref){index, i});
    if (result == 0) {
        work->piece->is_layer = true;
        return 0;
    }
    if (work->failure->status != TRIT_INVALID_ARGUMENT)
        return fail_context(work->failure, "%s", work->piece->name);
    snprintf(what, sizeof(what), "expert %" PRIu64 ": %s", i, work->failure->message);
    *work->failure = (struct failure){.status = TRIT_OK};
    return found_other(work, what);
}

int diff_tensors(struct diffing *d, struct diff_piece *piece,
                 struct progress_piece *progress, struct failure *failure)
{
    struct work work = {d, piece, progress, failure};

    piece->diff = (struct layer_diff){.scale_ratio_max = 1};
    switch (piece->kind) {
    case DIFF_LAYER:
        return diff_layer(&work, piece->a, piece->b);
    case DIFF_EXPERTS:
        return diff_experts(&work, piece->a);
    case DIFF_OTHER:
        return diff_other(&work, piece->a, piece->b);
    case DIFF_ONLY:
        break;
    }
    return found_other(&work, piece->of_b ? "only in the second" : "only in the first");
}
