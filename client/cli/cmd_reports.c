/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports: lists the reports that the daemon stores. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/cli.h"
#include "client/cli/grid.h"
#include "client/cli/summary.h"
#include "proto/report_json.h"

struct listing {
    struct grid *grid; /* what is shown: this, */
    json_t *reports;   /* or this */
    size_t count;
};

static struct grid *listing_grid(void)
{
    static const struct grid_column columns[] = {
        {"run", GRID_LEFT},        {"layer", GRID_LEFT},  {"step", GRID_RIGHT},
        {"time", GRID_LEFT},       {"zeros", GRID_RIGHT}, {"scales", GRID_LEFT},
        {"SQNR (dB)", GRID_RIGHT}, {"flips", GRID_RIGHT}, {"verdict", GRID_LEFT},
    };

    return grid_create(columns, sizeof(columns) / sizeof(columns[0]));
}

/* "2026-01-31 12:00:00", UTC */
static void time_cell(struct grid *grid, int64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / 1000000000);
    struct tm parts;
    char text[32];

    if (!gmtime_r(&seconds, &parts) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, sizeof(text), "-");
    grid_cell(grid, "%s", text);
}

static void listing_row(struct grid *grid, const struct trit_report *report)
{
    char verdict[VERDICT_BYTES];

    grid_cell(grid, "%s", report->run);
    grid_cell(grid, "%s", report->layer);
    grid_cell(grid, "%" PRIu64, report->step);
    time_cell(grid, report->time_unix_ns);
    share_cell(grid, report->zeros, report->elements);
    scale_cell(grid, report);
    if (report->has_sqnr_db)
        grid_cell(grid, "%.2f", report->sqnr_db);
    else
        grid_cell(grid, "-");
    if (report->has_previous)
        share_cell(grid, report->flips, report->elements);
    else
        grid_cell(grid, "-");
    grid_cell(grid, "%s", verdict_text(verdict, report));
}

static int visit_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;

    listing->count++;
    if (listing->grid) {
        listing_row(listing->grid, report);
        return 0;
    }
    return json_array_append_new(listing->reports, report_json(report));
}

static enum exit_code show_listing(struct listing *listing)
{
    if (!listing->grid) {
        if (json_array_size(listing->reports) != listing->count)
            return complain(FAILED, "out of memory");
        return print_json(json_pack("{s:O}", "reports", listing->reports), DONE);
    }
    if (listing->count == 0) {
        puts("no reports");
        return DONE;
    }
    return grid_print(listing->grid, stdout) == 0 ? DONE
                                                  : complain(FAILED, "out of memory");
}

/* A missing report is NOT_FOUND if its step is given; a list is empty. */
static enum trit_status fetch(struct trit_client *client, const struct options *options,
                              struct listing *listing, struct trit_error *error)
{
    bool one_step = option_given(options, OPTION_STEP);
    struct trit_report_query query = {
        .size = sizeof(query),
        .run = options->run ? options->run : options->arguments[0],
        .layer = options->arguments[options->run ? 0 : 1],
        .has_from = one_step || option_given(options, OPTION_FROM),
        .has_to = one_step || option_given(options, OPTION_TO),
        .step_from = one_step ? options->step : options->step_from,
        .step_to = one_step ? options->step : options->step_to,
        .latest_only = option_given(options, OPTION_LATEST),
    };
    struct trit_report report = TRIT_REPORT_INIT;
    enum trit_status status;

    if (!query.layer || !(one_step || query.latest_only) ||
        (query.latest_only && (query.has_from || query.has_to)))
        return trit_report_list(client, &query, &report, visit_report, listing, error);
    status = trit_report_get(client, query.run, query.layer,
                             one_step ? &options->step : NULL, NULL, &report, error);
    if (status == TRIT_OK)
        visit_report(listing, &report);
    return status;
}

static enum exit_code run_reports(const struct options *options)
{
    struct listing listing = {.count = 0};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;
    enum exit_code code;

    if (option_given(options, OPTION_STEP) &&
        (options->given &
         (OPTION_BIT(OPTION_FROM) | OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_LATEST))))
        return complain(USAGE, "reports: --step excludes --from, --to and --latest");
    if (options->run && options->argument_count > 1)
        return complain(USAGE, "reports: the run is named twice");
    client = cli_connect(options);
    if (!client)
        return FAILED;
    if (option_given(options, OPTION_JSON))
        listing.reports = json_array();
    else
        listing.grid = listing_grid();
    if (!listing.reports && !listing.grid)
        code = complain(FAILED, "out of memory");
    else if (fetch(client, options, &listing, &error) != TRIT_OK)
        code = complain_of_call(&error);
    else
        code = show_listing(&listing);
    grid_destroy(listing.grid);
    json_decref(listing.reports);
    trit_close(client);
    return code;
}

const struct command cmd_reports = {
    .name = "reports",
    .arguments = "[RUN [LAYER]] [--step N | --from N --to N] [--latest]",
    .summary = "list the reports that the daemon stores",
    .options =
        OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) | OPTION_BIT(OPTION_FROM) |
        OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_LATEST) | OPTION_BIT(OPTION_SERVER) |
        OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_max = 2,
    .run = run_reports,
};
