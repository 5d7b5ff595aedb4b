/* SPDX-License-Identifier: Apache-2.0 */
/* trit diff: which layers of two checkpoints differ, and by how much; needs no daemon. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cli/bar.h"
#include "client/cli/file.h"
#include "client/cli/grid.h"
#include "drive/diff.h"

struct diff_command {
    const struct options *options;
    struct diffing run;
    struct bar bar;
    struct grid *grid; /* NULL with --json */
};

static void show_layer(void *owner, const char *name, const struct layer_diff *diff)
{
    struct grid *grid = owner;

    if (!diff->has_first)
        return;
    grid_cell(grid, "%s", name);
    grid_cell(grid, "%" PRIu64, diff->codes_differing);
    grid_cell(grid, "%.4f %%",
              diff->elements
                  ? 100.0 * (double)diff->codes_differing / (double)diff->elements
                  : 0.0);
    grid_cell(grid, "%.6g", diff->scale_ratio_max);
    grid_cell(grid, "at element %" PRIu64, diff->first);
}

static void show_other(void *owner, const char *name, const char *what)
{
    struct grid *grid = owner;

    if (!what)
        return;
    grid_cell(grid, "%s", name);
    for (int i = 0; i < 3; i++)
        grid_cell(grid, "-");
    grid_cell(grid, "%s", what);
}

static void show_key(void *owner, const char *key, const char *a, const char *b)
{
    struct grid *grid = owner;

    grid_cell(grid, "%s", key);
    for (int i = 0; i < 3; i++)
        grid_cell(grid, "-");
    grid_cell(grid, "%s in A, %s in B", a ? a : "missing", b ? b : "missing");
}

static enum exit_code show_result(struct diff_command *c)
{
    const struct diffing *d = &c->run;
    const enum exit_code code = diff_is_equal(d) ? DONE : MISMATCH;

    if (!c->grid)
        return print_json(
            diff_json(d, c->options->arguments[0], c->options->arguments[1]), code);
    if (code != DONE && grid_print(c->grid, stdout) < 0)
        return complain(FAILED, "out of memory");
    printf("%zu layers differ, %zu are equal; %zu other tensors differ, %zu are equal",
           d->layers_differing, d->layers_equal, d->others_differing, d->others_equal);
    if (json_array_size(d->keys))
        printf("; %zu keys differ", json_array_size(d->keys));
    printf("\n");
    return code;
}

static int start(struct diff_command *c)
{
    static const struct grid_column columns[] = {
        {"tensor", GRID_LEFT},       {"codes", GRID_RIGHT}, {"share", GRID_RIGHT},
        {"scale ratio", GRID_RIGHT}, {"what", GRID_LEFT},
    };

    c->run.progress = &c->bar.progress;
    if (option_given(c->options, OPTION_JSON))
        return 0;
    c->grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    c->run.layer = show_layer;
    c->run.other = show_other;
    c->run.key = show_key;
    c->run.owner = c->grid;
    return c->grid ? 0 : -1;
}

static enum exit_code run_steps(struct diff_command *c)
{
    const struct options *options = c->options;
    struct diffing *d = &c->run;
    enum exit_code code = side_open(&d->a, "diff", options->arguments[0], options);

    if (code == DONE)
        code = side_open(&d->b, "diff", options->arguments[1], options);
    if (code != DONE)
        return code;
    if (diff_prepare(d) < 0)
        return complain(d->failure.status == TRIT_INVALID_ARGUMENT ? USAGE : FAILED,
                        "diff: %s", d->failure.message);
    if (start(c) < 0)
        return complain(FAILED, "out of memory");
    bar_start(&c->bar, diff_bytes(d));
    const int result = diff_run(d);
    bar_stop(&c->bar);
    return result < 0 ? complain(FAILED, "%s", d->failure.message) : show_result(c);
}

static enum exit_code run_diff(const struct options *options)
{
    struct diff_command c = {.options = options};
    enum exit_code code;

    diff_init(&c.run);
    code = run_steps(&c);
    diff_fini(&c.run);
    grid_destroy(c.grid);
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
        "ratio of two scales; other tensors are compared byte for byte, and so are those\n"
        "that --exclude, or --include of others, makes no layers. Of two GGUF files it\n"
        "also compares the hyperparameters and the basis of rotated weights in their keys.\n"
        "--rename applies to the names of A.\n"
        "Exit code 0: equal; 1: something differs.",
    .options = OPTION_BIT(OPTION_ENCODING) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_PARTIAL) | OPTION_BIT(OPTION_INCLUDE) |
               OPTION_BIT(OPTION_EXCLUDE) | OPTION_BIT(OPTION_CONVOLUTIONS) |
               OPTION_BIT(OPTION_EXPERTS) | OPTION_BIT(OPTION_BITS) |
               OPTION_BIT(OPTION_TRANSPOSED) | OPTION_BIT(OPTION_RENAME) |
               OPTION_BIT(OPTION_STRIP_PREFIX) | OPTION_BIT(OPTION_NPY_BF16) |
               OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_diff,
};
