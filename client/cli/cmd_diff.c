/* SPDX-License-Identifier: Apache-2.0 */
/* trit diff: which layers of two checkpoints differ, and by how much; needs no daemon.
 * Each file is read as its own record says, so that a packed file can be compared with a
 * dense one. Layers are compared by codes and scales, all other tensors byte for byte. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/compare.h"
#include "checkpoint/match.h"
#include "client/cli/diff.h"
#include "drive/both.h"

static const uint64_t PIECE_ELEMENTS = 1 << 20; /* of each side in memory */

/* ---- one tensor -------------------------------------------------------------------- */

/* A matrix of a layer. */
struct matrix_ref {
    size_t index;
    uint64_t number;
};

/* Rows [first, first + count) of a matrix. */
static int diff_rows(struct diffing *d, struct matrix_ref a, struct matrix_ref b,
                     uint64_t first, uint64_t count, struct layer_diff *diff)
{
    struct side_matrix left = {.data = NULL}, right = {.data = NULL};
    static const struct head_order as_stored = {.rows = 0};
    const struct head_order heads =
        head_order_of(d->a.contents.table, a.index, d->b.contents.table, b.index);
    int result = side_load_rows(&d->a, a.index, a.number, &as_stored, first, count, &left,
                                &d->failure);

    if (result == 0)
        result = side_load_rows(&d->b, b.index, b.number, &heads, first, count, &right,
                                &d->failure);
    if (result == 0)
        result = layer_diff(diff, &left.matrix, &right.matrix, &d->failure);
    side_unload(&left);
    side_unload(&right);
    return result;
}

static int diff_matrix(struct diffing *d, struct matrix_ref a, struct matrix_ref b,
                       struct layer_diff *diff)
{
    const struct matrices matrix = content_matrices(&d->a.contents.items[a.index]);
    const uint64_t rows =
        matrix.columns < PIECE_ELEMENTS ? PIECE_ELEMENTS / matrix.columns : 1;
    struct layer_diff part;

    for (uint64_t first = 0; first < matrix.rows; first += rows) {
        const uint64_t count = u64_min(rows, matrix.rows - first);

        if (diff_rows(d, a, b, first, count, &part) < 0)
            return -1;
        layer_diff_add(diff, &part);
    }
    return 0;
}

/* 1: their bytes differ, in *count elements, or (0) in type or shape. 0: they are equal. */
static int compare_bytes(struct diffing *d, size_t a, size_t b, uint64_t *count)
{
    const struct tensor_entry *left = &d->a.contents.table->entries[a];
    const struct tensor_entry *right = &d->b.contents.table->entries[b];
    struct difference difference;
    const struct head_order heads =
        head_order_of(d->b.contents.table, b, d->a.contents.table, a);

    *count = 0;
    if (!entries_comparable(d->b.contents.table, b, d->a.contents.table, a))
        return 1;
    difference_init(&difference, left->type, right->type);
    if (both_compare(d->a.input.reader, left, &heads, d->b.input.reader, right,
                     &difference, &d->failure) < 0)
        return -1;
    *count = difference.count;
    return difference.count > 0;
}

static int diff_other(struct diffing *d, const char *name, size_t a, size_t b)
{
    char what[64];
    uint64_t count;
    const int differ = compare_bytes(d, a, b, &count);

    if (differ < 0)
        return -1;
    if (differ && count == 0)
        return diff_show_other(d, name, "another type or shape");
    snprintf(what, sizeof(what), "%" PRIu64 " elements differ", count);
    return diff_show_other(d, name, differ ? what : NULL);
}

/* A layer that is not ternary on one side: it has no codes to count, so its tensors are
 * compared byte for byte. `why` says what is wrong with it. */
static int diff_not_ternary(struct diffing *d, const char *name, size_t a, size_t b,
                            const char *why)
{
    const struct content *left = &d->a.contents.items[a];
    const struct content *right = &d->b.contents.items[b];
    const size_t parts[][2] = {
        {a, b}, {left->scales, right->scales}, {left->biases, right->biases}};
    char what[sizeof(d->failure.message) + 32];
    uint64_t count;
    int differ = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && differ == 0; i++)
        if (parts[i][0] != CONTENT_NONE && parts[i][1] != CONTENT_NONE)
            differ = compare_bytes(d, parts[i][0], parts[i][1], &count);
        else if (parts[i][0] != parts[i][1])
            differ = 1;
    if (differ < 0)
        return -1;
    snprintf(what, sizeof(what), "its bytes differ; %s", why);
    return diff_show_other(d, name, differ ? what : NULL);
}

static int diff_matrices(struct diffing *d, size_t a, size_t b, struct layer_diff *diff)
{
    const uint64_t count = content_matrices(&d->a.contents.items[a]).count;

    if (side_check_biases(&d->a, a, &d->failure) < 0 ||
        side_check_biases(&d->b, b, &d->failure) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        if (diff_matrix(d, (struct matrix_ref){a, i}, (struct matrix_ref){b, i}, diff) <
            0)
            return -1;
    return 0;
}

static int diff_layer(struct diffing *d, const char *name, size_t a, size_t b)
{
    const struct matrices left = content_matrices(&d->a.contents.items[a]);
    const struct matrices right = content_matrices(&d->b.contents.items[b]);
    struct layer_diff diff = {.scale_ratio_max = 1};
    struct failure why;

    if (left.count != right.count || left.rows != right.rows ||
        left.columns != right.columns)
        return diff_show_other(d, name, "another shape");
    if (diff_matrices(d, a, b, &diff) == 0)
        return diff_show_layer(d, name, &diff);
    if (d->failure.status != TRIT_INVALID_ARGUMENT)
        return fail_context(&d->failure, "%s", name);
    why = d->failure;
    d->failure = (struct failure){.status = TRIT_OK};
    return diff_not_ternary(d, name, a, b, why.message);
}

static bool is_layer(const struct side *side, size_t index)
{
    return content_is_complete(&side->contents.items[index]);
}

/* The scales and other tables of a layer are compared together with it. */
static bool goes_along(const struct side *side, size_t index)
{
    const struct content *items = side->contents.items;

    return items[index].kind == CONTENT_SCALES ||
           (items[index].kind == CONTENT_FOREIGN_TABLE &&
            items[index].owner != CONTENT_NONE &&
            items[items[index].owner].kind == CONTENT_LAYER);
}

/* ---- experts that are one tensor on one side and one each on the other ------------------- */

/* The experts of a layer of A, or with `swapped` of B. */
struct experts {
    const struct side *one, *each;
    const struct compared_names *one_names, *each_names;
    bool *taken; /* of the side that has one each */
    bool swapped;
};

static struct experts experts_of(struct diffing *d, bool swapped)
{
    return swapped ? (struct experts){&d->b,       &d->a,      &d->b_names,
                                      &d->a_names, d->a_taken, true}
                   : (struct experts){&d->a,       &d->b,      &d->a_names,
                                      &d->b_names, d->b_taken, false};
}

/* Does the other side have every expert of the layer as a layer of its own? */
static bool is_apart(const struct experts *e, size_t index)
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

static void take_experts(const struct experts *e)
{
    for (size_t index = 0; index < e->one->contents.table->count; index++) {
        const char *name = e->one_names->names[index];
        const uint64_t count =
            is_apart(e, index) ? content_matrices(&e->one->contents.items[index]).count
                               : 0;

        for (uint64_t i = 0; i < count; i++)
            e->taken[compared_names_expert(e->each_names, name, i)] = true;
    }
}

static int diff_expert(struct diffing *d, const struct experts *e, struct matrix_ref one,
                       struct layer_diff *diff)
{
    const struct matrix_ref each = {
        compared_names_expert(e->each_names, e->one_names->names[one.index], one.number),
        0};
    const struct matrices left = content_matrices(&e->one->contents.items[one.index]);
    const struct matrices right = content_matrices(&e->each->contents.items[each.index]);

    if (right.count != 1 || left.rows != right.rows || left.columns != right.columns)
        return fail(&d->failure, TRIT_INVALID_ARGUMENT, NULL, "another shape");
    if (side_check_biases(e->swapped ? &d->a : &d->b, each.index, &d->failure) < 0)
        return -1;
    return e->swapped ? diff_matrix(d, each, one, diff) : diff_matrix(d, one, each, diff);
}

static int diff_experts(struct diffing *d, const struct experts *e, size_t index)
{
    const char *name = e->one_names->names[index];
    const uint64_t count = content_matrices(&e->one->contents.items[index]).count;
    struct layer_diff diff = {.scale_ratio_max = 1};
    int result = side_check_biases(e->swapped ? &d->b : &d->a, index, &d->failure);
    char what[sizeof(d->failure.message) + 32];
    uint64_t i = 0;

    for (; result == 0 && i < count; i += result == 0)
        result = diff_expert(d, e, (struct matrix_ref){index, i}, &diff);
    if (result == 0)
        return diff_show_layer(d, name, &diff);
    if (d->failure.status != TRIT_INVALID_ARGUMENT)
        return fail_context(&d->failure, "%s", name);
    snprintf(what, sizeof(what), "expert %" PRIu64 ": %s", i, d->failure.message);
    d->failure = (struct failure){.status = TRIT_OK};
    return diff_show_other(d, name, what);
}

static int take_all_experts(struct diffing *d)
{
    d->a_taken = calloc(d->a.contents.table->count + 1, sizeof(*d->a_taken));
    d->b_taken = calloc(d->b.contents.table->count + 1, sizeof(*d->b_taken));
    if (!d->a_taken || !d->b_taken)
        return fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (int swapped = 0; swapped < 2; swapped++) {
        const struct experts experts = experts_of(d, swapped);

        take_experts(&experts);
    }
    return 0;
}

/* ---- all of them ------------------------------------------------------------------- */

static int diff_tensor(struct diffing *d, size_t index)
{
    const struct experts experts = experts_of(d, false);
    const char *name = d->a_names.names[index];
    const size_t other = compared_names_find(&d->b_names, name);

    if (goes_along(&d->a, index) || d->a_taken[index])
        return 0;
    if (is_apart(&experts, index))
        return diff_experts(d, &experts, index);
    if (other == CONTENT_NONE) {
        d->only++;
        return diff_show_other(d, name, "only in the first");
    }
    if (is_layer(&d->a, index) && is_layer(&d->b, other))
        return diff_layer(d, name, index, other);
    return diff_other(d, name, index, other);
}

/* Tensors of B that A does not have under their name. */
static int diff_other_side(struct diffing *d, size_t index)
{
    const struct experts experts = experts_of(d, true);
    const char *name = d->b_names.names[index];

    if (goes_along(&d->b, index) || d->b_taken[index] ||
        compared_names_find(&d->a_names, name) != CONTENT_NONE)
        return 0;
    if (is_apart(&experts, index))
        return diff_experts(d, &experts, index);
    d->only++;
    return diff_show_other(d, name, "only in the second");
}

static int diff_all(struct diffing *d)
{
    const struct tensor_table *left = d->a.contents.table, *right = d->b.contents.table;

    for (size_t i = 0; i < left->count; i++)
        if (diff_tensor(d, i) < 0)
            return -1;
    for (size_t i = 0; i < right->count; i++)
        if (diff_other_side(d, i) < 0)
            return -1;
    if (reader_unchanged(d->a.input.reader, &d->failure) < 0)
        return -1;
    return reader_unchanged(d->b.input.reader, &d->failure);
}

static enum exit_code show_result(struct diffing *d)
{
    const enum exit_code code =
        d->layers_differing || d->others_differing ? MISMATCH : DONE;

    if (!d->grid)
        return print_json(json_pack("{s:s, s:s, s:b, s:O, s:O}", "a",
                                    d->options->arguments[0], "b",
                                    d->options->arguments[1], "equal", code == DONE,
                                    "layers", d->layers, "tensors", d->tensors),
                          code);
    if (code != DONE && grid_print(d->grid, stdout) < 0)
        return complain(FAILED, "out of memory");
    printf("%zu layers differ, %zu are equal; %zu other tensors differ, %zu are equal\n",
           d->layers_differing, d->layers_equal, d->others_differing, d->others_equal);
    return code;
}

static int start(struct diffing *d)
{
    static const struct grid_column columns[] = {
        {"tensor", GRID_LEFT},       {"codes", GRID_RIGHT}, {"share", GRID_RIGHT},
        {"scale ratio", GRID_RIGHT}, {"what", GRID_LEFT},
    };

    if (option_given(d->options, OPTION_JSON)) {
        d->layers = json_array();
        d->tensors = json_array();
    } else {
        d->grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    }
    return d->grid || (d->layers && d->tensors)
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static enum exit_code run_steps(struct diffing *d)
{
    const struct options *options = d->options;
    enum exit_code code = side_open(&d->a, "diff", options->arguments[0], options);
    const char *unused;

    if (code == DONE)
        code = side_open(&d->b, "diff", options->arguments[1], options);
    if (code != DONE)
        return code;
    const struct tensor_table *tables[] = {d->a.contents.table, d->b.contents.table};
    unused = selection_unused(&d->a.rules, tables, 2);
    if (!unused)
        unused = rename_unused(&d->a.rules, tables[0], tables[1]);
    if (unused)
        return complain(USAGE, "diff: the pattern '%s' matches no tensor", unused);
    if (compared_names_init(&d->a_names, &d->a.rules, true, d->a.contents.table,
                            &d->failure) < 0 ||
        compared_names_init(&d->b_names, &d->b.rules, false, d->b.contents.table,
                            &d->failure) < 0)
        return complain(USAGE, "diff: %s", d->failure.message);
    if (take_all_experts(d) < 0 || start(d) < 0 || diff_all(d) < 0)
        return complain(FAILED, "%s", d->failure.message);
    return show_result(d);
}

static enum exit_code run_diff(const struct options *options)
{
    struct diffing d = {.options = options};
    enum exit_code code = run_steps(&d);

    compared_names_fini(&d.a_names);
    compared_names_fini(&d.b_names);
    free(d.a_taken);
    free(d.b_taken);
    grid_destroy(d.grid);
    json_decref(d.layers);
    json_decref(d.tensors);
    side_close(&d.a);
    side_close(&d.b);
    return code;
}

const struct command cmd_diff = {
    .name = "diff",
    .arguments = "A B [OPTION...]",
    .summary = "compare the layers of two checkpoints (no daemon needed)",
    .details =
        "Each file is read as its own record says, so that a packed file can be "
        "compared\n"
        "with a dense one. For layers it shows how many codes differ and the largest\n"
        "ratio of two scales; other tensors are compared byte for byte. --rename "
        "applies\n"
        "to the names of A.\n"
        "Exit code 0: equal; 1: something differs.",
    .options = OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_BITS) |
               OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_RENAME) |
               OPTION_BIT(OPTION_STRIP_PREFIX) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_diff,
};
