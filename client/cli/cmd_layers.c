/* SPDX-License-Identifier: Apache-2.0 */
/* trit layers: layers held by the daemon: list, create, load, get, verify, delete. Those
 * that read or write files have a file each. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "checkpoint/form.h"
#include "client/cli/grid.h"
#include "client/cli/held.h"
#include "client/cli/summary.h"
#include "proto/report_json.h"

/* A table or JSON, filled row by row. */
struct listing {
    struct grid *grid; /* what is shown: this, */
    json_t *rows;      /* or this */
    size_t count, failing;
};

static enum exit_code listing_start(struct listing *listing,
                                    const struct options *options, struct grid *grid)
{
    *listing = (struct listing){.grid = grid};
    if (option_given(options, OPTION_JSON)) {
        grid_destroy(grid);
        *listing = (struct listing){.rows = json_array()};
    }
    return listing->grid || listing->rows ? DONE : complain(FAILED, "out of memory");
}

static void listing_end(struct listing *listing)
{
    grid_destroy(listing->grid);
    json_decref(listing->rows);
}

static bool whole(const struct listing *listing)
{
    return listing->grid || json_array_size(listing->rows) == listing->count;
}

static enum exit_code show_table(const struct listing *listing, enum exit_code code)
{
    if (listing->count == 0) {
        puts(code == DONE ? "no layers" : "no layers: nothing was verified");
        return code;
    }
    return grid_print(listing->grid, stdout) == 0 ? code
                                                  : complain(FAILED, "out of memory");
}

/* ---- list ------------------------------------------------------------------------- */

static struct grid *specs_grid(void)
{
    static const struct grid_column columns[] = {
        {"layer", GRID_LEFT}, {"kind", GRID_LEFT},   {"shape", GRID_LEFT},
        {"bias", GRID_LEFT},  {"group", GRID_RIGHT}, {"latents", GRID_LEFT},
    };

    return grid_create(columns, sizeof(columns) / sizeof(columns[0]));
}

static int visit_spec(void *arg, const struct trit_layer_spec *spec)
{
    struct listing *listing = arg;
    char shape[SHAPE_TEXT_BYTES];

    listing->count++;
    if (!listing->grid)
        return json_array_append_new(listing->rows, held_json(spec));
    grid_cell(listing->grid, "%s", spec->name);
    grid_cell(listing->grid, "%s", held_kind(spec->kind));
    grid_cell(listing->grid, "%s",
              shape_text(shape, 2, (uint64_t[]){spec->out_features, spec->in_features}));
    grid_cell(listing->grid, "%s", spec->bias ? "yes" : "");
    grid_cell(listing->grid, "%u", (unsigned)spec->group_size);
    grid_cell(listing->grid, "%s", spec->keep_latents ? "kept" : "");
    return 0;
}

static enum exit_code list(struct trit_client *client, const struct options *options)
{
    struct listing listing;
    struct trit_layer_spec spec = TRIT_LAYER_SPEC_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    enum exit_code code = listing_start(&listing, options, specs_grid());

    if (code == DONE && trit_layer_list(client, options->arguments[0], NULL, &spec,
                                        visit_spec, &listing, &error) != TRIT_OK)
        code = complain_of_call(&error);
    else if (code == DONE && !whole(&listing))
        code = complain(FAILED, "out of memory");
    else if (code == DONE && listing.grid)
        code = show_table(&listing, DONE);
    else if (code == DONE)
        code = print_json(json_pack("{s:O}", "layers", listing.rows), DONE);
    listing_end(&listing);
    return code;
}

/* ---- verify ----------------------------------------------------------------------- */

static int visit_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;
    char shape[SHAPE_TEXT_BYTES];

    listing->count++;
    listing->failing += !report_passes(report);
    if (!listing->grid)
        return json_array_append_new(listing->rows, report_json(report));
    summary_row(listing->grid, report->layer,
                shape_text(shape, report->rank, report->shape), report);
    return 0;
}

static enum exit_code show_reports(const struct listing *listing)
{
    enum exit_code code = listing->failing ? MISMATCH : DONE;

    if (listing->count == 0)
        code = INCONCLUSIVE;
    if (listing->grid)
        return show_table(listing, code);
    return print_json(
        json_pack("{s:b, s:O}", "is_ternary", code == DONE, "layers", listing->rows),
        code);
}

static enum exit_code verify(struct trit_client *client, const struct options *options)
{
    struct trit_layer_verify_options call = {.size = sizeof(call),
                                             .prefix = options->arguments[0],
                                             .has_tolerance =
                                                 option_given(options, OPTION_TOLERANCE),
                                             .tolerance = options->tolerance};
    struct listing listing;
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    enum exit_code code = listing_start(&listing, options, summary_create());

    if (code == DONE && trit_layer_verify(client, &call, &report, visit_report, &listing,
                                          &error) != TRIT_OK)
        code = complain_of_call(&error);
    else if (code == DONE && !whole(&listing))
        code = complain(FAILED, "out of memory");
    else if (code == DONE)
        code = show_reports(&listing);
    listing_end(&listing);
    return code;
}

/* ---- create and delete ------------------------------------------------------------ */

static enum exit_code create(struct trit_client *client, const struct options *options)
{
    struct trit_layer_spec spec;
    struct trit_error error = TRIT_ERROR_INIT;

    if (held_spec(options, options->arguments[0], &spec) != 0)
        return USAGE;
    spec.in_features = options->in_features;
    spec.out_features = options->out_features;
    if (trit_layer_create(client, &spec, options->seed, NULL, &spec, &error) != TRIT_OK)
        return complain_of_call(&error);
    return held_show(options, "created", &spec);
}

static enum exit_code remove_layer(struct trit_client *client,
                                   const struct options *options)
{
    const char *name = options->arguments[0];
    struct trit_error error = TRIT_ERROR_INIT;

    if (trit_layer_delete(client, name, NULL, &error) != TRIT_OK)
        return complain_of_call(&error);
    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:s}", "deleted", name), DONE);
    puts("deleted");
    return DONE;
}

/* ---- the commands ----------------------------------------------------------------- */

static enum exit_code run_list(const struct options *options)
{
    return cli_with_client(list, options);
}

static enum exit_code run_verify(const struct options *options)
{
    return cli_with_client(verify, options);
}

static enum exit_code run_create(const struct options *options)
{
    if (!option_given(options, OPTION_IN_FEATURES) ||
        !option_given(options, OPTION_OUT_FEATURES))
        return complain(USAGE, "layers create: --in-features and "
                               "--out-features are needed");
    return cli_with_client(create, options);
}

static enum exit_code run_delete(const struct options *options)
{
    return cli_with_client(remove_layer, options);
}

static const struct command cmd_layers_list = {
    .name = "layers list",
    .arguments = "[PREFIX]",
    .summary = "list all layers, or those whose names begin with PREFIX",
    .options = HELD_OPTIONS,
    .arguments_max = 1,
    .run = run_list,
};

static const struct command cmd_layers_create = {
    .name = "layers create",
    .arguments = "NAME --in-features N --out-features N [OPTION...]",
    .summary = "create a layer of random latents",
    .details = "They are drawn from N(0, 1) * in_features^-0.5; the same seed gives the "
               "same\nweights everywhere.",
    .options = HELD_OPTIONS | OPTION_BIT(OPTION_KIND) | OPTION_BIT(OPTION_IN_FEATURES) |
               OPTION_BIT(OPTION_OUT_FEATURES) | OPTION_BIT(OPTION_BIAS) |
               OPTION_BIT(OPTION_SEED) | OPTION_BIT(OPTION_GROUP_SIZE) |
               OPTION_BIT(OPTION_KEEP_LATENTS),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_create,
};

static const struct command cmd_layers_verify = {
    .name = "layers verify",
    .arguments = "[PREFIX] [--tolerance T]",
    .summary =
        "verify that all layers, or those whose names begin with PREFIX, are ternary",
    .details = "Exit code 1: one is not. 4: there is none.",
    .options = HELD_OPTIONS | OPTION_BIT(OPTION_TOLERANCE),
    .arguments_max = 1,
    .run = run_verify,
};

static const struct command cmd_layers_delete = {
    .name = "layers delete",
    .arguments = "NAME",
    .summary = "delete a layer",
    .options = HELD_OPTIONS,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_delete,
};

static const struct command *const commands[] = {
    &cmd_layers_list,
    &cmd_layers_create,
    &cmd_layers_load,
    &cmd_layers_get,
    &cmd_layers_verify,
    &cmd_layers_delete,
    NULL,
};

const struct command cmd_layers = {
    .name = "layers",
    .summary = "layers held by the daemon: list, create, load, get, verify, delete",
    .commands = commands,
};
