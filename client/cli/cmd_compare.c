/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports compare: what differs between the ternary tensors of reports. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "client/cli/report_rows.h"
#include "client/cli/report_spec.h"
#include "proto/json_value.h"

struct comparing {
    struct trit_client *client;
    struct grid *grid; /* what is shown: this, */
    json_t *rows;      /* or this */
    bool differs;
};

static json_t *side_json(const struct report_spec *side)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "run", side->run, "layer", side->layer,
                     "step", json_uint64(side->step), "attempt",
                     json_uint32(side->attempt), "replica", json_uint32(side->replica));
}

static json_t *row_json(const struct report_spec *a, const struct report_spec *b,
                        const struct trit_comparison *found)
{
    return json_pack(
        "{s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "a", side_json(a), "b", side_json(b),
        "equal", (int)found->equal, "elements", json_uint64(found->elements),
        "codes_differing", json_uint64(found->codes_differing), "scale_ratio_max",
        json_number(found->scale_ratio_max), "first_group",
        found->has_first_group ? json_uint64(found->first_group) : json_null());
}

static void row_text(struct grid *grid, const char *a, const char *b,
                     const struct trit_comparison *found)
{
    grid_cell(grid, "%s", a);
    grid_cell(grid, "%s", b);
    grid_cell(grid, "%" PRIu64 " of %" PRIu64, found->codes_differing, found->elements);
    grid_cell(grid, "%.6g", found->scale_ratio_max);
    if (found->has_first_group)
        grid_cell(grid, "%" PRIu64, found->first_group);
    else
        grid_cell(grid, "-");
    grid_cell(grid, "%s", found->equal ? "equal" : "DIFFERENT");
}

static int add(struct comparing *comparing, const struct options *options, size_t index)
{
    const char *texts[] = {options->arguments[0], options->arguments[index]};
    struct report_spec a, b;
    struct trit_comparison found = TRIT_COMPARISON_INIT;
    struct trit_error error = TRIT_ERROR_INIT;

    report_spec_read(&a, texts[0]);
    report_spec_read(&b, texts[1]);
    const struct trit_layer_ref left = report_spec_ref(&a), right = report_spec_ref(&b);

    if (trit_reports_compare(comparing->client, &left, &right, NULL, &found, &error) !=
        TRIT_OK) {
        complain_of_call(&error);
        return -1;
    }
    comparing->differs |= !found.equal;
    if (comparing->grid)
        row_text(comparing->grid, texts[0], texts[1], &found);
    else if (json_array_append_new(comparing->rows, row_json(&a, &b, &found)) < 0) {
        complain(FAILED, "out of memory");
        return -1;
    }
    return 0;
}

static enum exit_code compare(struct comparing *comparing, const struct options *options)
{
    for (size_t i = 1; i < options->argument_count; i++)
        if (add(comparing, options, i) < 0)
            return FAILED;
    const enum exit_code code = comparing->differs ? MISMATCH : DONE;

    if (!comparing->grid)
        return print_json(json_pack("{s:b, s:O}", "equal", (int)!comparing->differs,
                                    "comparisons", comparing->rows),
                          code);
    return grid_print(comparing->grid, stdout) == 0 ? code
                                                    : complain(FAILED, "out of memory");
}

static enum exit_code check(const struct options *options)
{
    struct report_spec spec;

    for (size_t i = 0; i < options->argument_count; i++)
        if (!report_spec_read(&spec, options->arguments[i]))
            return complain(
                USAGE,
                "reports compare: '%s' is not RUN/LAYER@STEP, with "
                ":ATTEMPT or :ATTEMPT:REPLICA behind where needed; write %%2F "
                "for a / in RUN",
                options->arguments[i]);
    return DONE;
}

static enum exit_code run_compare(const struct options *options)
{
    static const struct grid_column columns[] = {
        {"a", GRID_LEFT},
        {"b", GRID_LEFT},
        {"codes", GRID_RIGHT},
        {"scale ratio", GRID_RIGHT},
        {"first group", GRID_RIGHT},
        {"", GRID_LEFT},
    };
    struct comparing comparing = {.client = NULL};
    enum exit_code code = check(options);

    if (code != DONE)
        return code;
    code = cli_connect(options, &comparing.client);
    if (code != DONE)
        return code;
    if (option_given(options, OPTION_JSON))
        comparing.rows = json_array();
    else
        comparing.grid = grid_create(columns, sizeof(columns) / sizeof(columns[0]));
    code = comparing.rows || comparing.grid ? compare(&comparing, options)
                                            : complain(FAILED, "out of memory");
    grid_destroy(comparing.grid);
    json_decref(comparing.rows);
    trit_close(comparing.client);
    return code;
}

const struct command cmd_reports_compare = {
    .name = "reports compare",
    .arguments = "RUN/LAYER@STEP RUN/LAYER@STEP...",
    .summary = "compare the ternary weights of reports with those of the first",
    .details =
        "Prints how many codes differ and the largest ratio of two scales. The exit code\n"
        "is 0 if all are equal, and 1 if one differs. STEP can be followed by :ATTEMPT or\n"
        ":ATTEMPT:REPLICA. RUN ends at the first slash; write %2F for a slash in it, and\n"
        "%25 for a percent sign.\n"
        "The daemon keeps the codes of older steps within a bound (tritd --codes-max).",
    .options = REPORTS_OPTIONS,
    .arguments_min = 2,
    .arguments_max = ARGUMENTS_MAX,
    .run = run_compare,
};
