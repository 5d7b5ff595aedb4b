/* SPDX-License-Identifier: Apache-2.0 */
/* trit diff: which layers of two checkpoints differ, and by how much; needs no daemon.
 * Each file is read as its own record says, so that a packed file can be compared with a
 * dense one. Layers are compared by codes and scales, all other tensors byte for byte. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "checkpoint/compare.h"
#include "checkpoint/json.h"
#include "checkpoint/layer_diff.h"
#include "checkpoint/match.h"
#include "client/cli/grid.h"
#include "client/cli/side.h"
#include "drive/both.h"
#include "proto/json_value.h"

static const uint64_t PIECE_ELEMENTS = 1 << 20; /* of each side in memory */

struct diffing {
    const struct options *options;
    struct side a, b;
    struct compared_names a_names, b_names;
    struct grid *grid;        /* output as JSON: */
    json_t *layers, *tensors; /* output as text: */
    size_t layers_differing, layers_equal, others_differing, others_equal, only;
    struct failure failure;
};

/* ---- one tensor -------------------------------------------------------------------- */

static json_t *diff_json(const char *name, const struct layer_diff *diff)
{
    json_t *transitions = json_array();
    json_t *json;

    for (size_t i = 0; i < 9; i++)
        json_array_append_new(transitions, json_uint64(diff->transitions[i / 3][i % 3]));
    /* The ratio to an infinite scale is infinite, which JSON cannot express. */
    json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "layer", name, "elements",
                     json_uint64(diff->elements), "codes_differing",
                     json_uint64(diff->codes_differing), "transitions", transitions,
                     "magnitudes_differing", json_uint64(diff->magnitudes_differing),
                     "scale_ratio_max", json_number(diff->scale_ratio_max), "equal",
                     !diff->has_first);
    if (json && diff->has_first)
        json_put(json, "first", json_uint64(diff->first));
    return json;
}

static void layer_row(struct grid *grid, const char *name, const struct layer_diff *diff)
{
    grid_cell(grid, "%s", name);
    grid_cell(grid, "%" PRIu64, diff->codes_differing);
    grid_cell(grid, "%.4f %%",
              diff->elements
                  ? 100.0 * (double)diff->codes_differing / (double)diff->elements
                  : 0.0);
    grid_cell(grid, "%.6g", diff->scale_ratio_max);
    if (diff->has_first)
        grid_cell(grid, "at element %" PRIu64, diff->first);
    else
        grid_cell(grid, "equal");
}

static int show_layer(struct diffing *d, const char *name, const struct layer_diff *diff)
{
    *(diff->has_first ? &d->layers_differing : &d->layers_equal) += 1;
    if (d->grid) {
        if (diff->has_first)
            layer_row(d->grid, name, diff);
        return 0;
    }
    return json_array_append_new(d->layers, diff_json(name, diff)) == 0
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* A tensor that is not a layer on both sides: equal, or what differs. */
static int show_other(struct diffing *d, const char *name, const char *what)
{
    json_t *json;

    *(what ? &d->others_differing : &d->others_equal) += 1;
    if (d->grid) {
        if (!what)
            return 0;
        grid_cell(d->grid, "%s", name);
        for (int i = 0; i < 3; i++)
            grid_cell(d->grid, "-");
        grid_cell(d->grid, "%s", what);
        return 0;
    }
    json = json_pack("{s:s, s:b, s:s*}", "tensor", name, "equal", !what, "what", what);
    return json_array_append_new(d->tensors, json) == 0
               ? 0
               : fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Rows [first, first + count) of a matrix. */
static int diff_rows(struct diffing *d, size_t a, size_t b, uint64_t number,
                     uint64_t first, uint64_t count, struct layer_diff *diff)
{
    struct side_matrix left = {.data = NULL}, right = {.data = NULL};
    static const struct head_order as_stored = {.rows = 0};
    const struct head_order heads =
        head_order_of(d->a.contents.table, a, d->b.contents.table, b);
    int result =
        side_load_rows(&d->a, a, number, &as_stored, first, count, &left, &d->failure);

    if (result == 0)
        result =
            side_load_rows(&d->b, b, number, &heads, first, count, &right, &d->failure);
    if (result == 0)
        result = layer_diff(diff, &left.matrix, &right.matrix, &d->failure);
    side_unload(&left);
    side_unload(&right);
    return result;
}

static int diff_matrix(struct diffing *d, size_t a, size_t b, uint64_t number,
                       struct layer_diff *diff)
{
    const struct matrices matrix = content_matrices(&d->a.contents.items[a]);
    const uint64_t rows =
        matrix.columns < PIECE_ELEMENTS ? PIECE_ELEMENTS / matrix.columns : 1;
    struct layer_diff part;

    for (uint64_t first = 0; first < matrix.rows; first += rows) {
        const uint64_t count = u64_min(rows, matrix.rows - first);

        if (diff_rows(d, a, b, number, first, count, &part) < 0)
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
        return show_other(d, name, "another type or shape");
    snprintf(what, sizeof(what), "%" PRIu64 " elements differ", count);
    return show_other(d, name, differ ? what : NULL);
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
    return show_other(d, name, differ ? what : NULL);
}

static int diff_matrices(struct diffing *d, size_t a, size_t b, struct layer_diff *diff)
{
    const uint64_t count = content_matrices(&d->a.contents.items[a]).count;

    if (side_check_biases(&d->a, a, &d->failure) < 0 ||
        side_check_biases(&d->b, b, &d->failure) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++)
        if (diff_matrix(d, a, b, i, diff) < 0)
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
        return show_other(d, name, "another shape");
    if (diff_matrices(d, a, b, &diff) == 0)
        return show_layer(d, name, &diff);
    if (d->failure.status != TRIT_INVALID_ARGUMENT)
        return fail_context(&d->failure, "%s", name);
    why = d->failure;
    d->failure = (struct failure){.status = TRIT_OK};
    return diff_not_ternary(d, name, a, b, why.message);
}

/* ---- all of them ------------------------------------------------------------------- */

static bool is_layer(const struct side *side, size_t index)
{
    return content_is_complete(&side->contents.items[index]);
}

/* The scales of a layer are compared together with it. */
static bool goes_along(const struct side *side, size_t index)
{
    return side->contents.items[index].kind == CONTENT_SCALES;
}

static int diff_tensor(struct diffing *d, size_t index)
{
    const char *name = d->a_names.names[index];
    const size_t other = compared_names_find(&d->b_names, name);

    if (goes_along(&d->a, index))
        return 0;
    if (other == CONTENT_NONE) {
        d->only++;
        return show_other(d, name, "only in the first");
    }
    if (is_layer(&d->a, index) && is_layer(&d->b, other))
        return diff_layer(d, name, index, other);
    return diff_other(d, name, index, other);
}

static int diff_all(struct diffing *d)
{
    const struct tensor_table *left = d->a.contents.table, *right = d->b.contents.table;

    for (size_t i = 0; i < left->count; i++)
        if (diff_tensor(d, i) < 0)
            return -1;
    for (size_t i = 0; i < right->count; i++)
        if (!goes_along(&d->b, i) &&
            compared_names_find(&d->a_names, d->b_names.names[i]) == CONTENT_NONE) {
            d->only++;
            if (show_other(d, d->b_names.names[i], "only in the second") < 0)
                return -1;
        }
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
    if (start(d) < 0 || diff_all(d) < 0)
        return complain(FAILED, "%s", d->failure.message);
    return show_result(d);
}

static enum exit_code run_diff(const struct options *options)
{
    struct diffing d = {.options = options};
    enum exit_code code = run_steps(&d);

    compared_names_fini(&d.a_names);
    compared_names_fini(&d.b_names);
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
