/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports: lists the reports that the daemon stores. Its own commands have files of
 * their own. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "client/cli/cli.h"
#include "client/cli/grid.h"
#include "client/cli/report_rows.h"
#include "proto/json_value.h"
#include "proto/report_json.h"

struct listing {
    struct grid *grid; /* what is shown: this, */
    json_t *reports;   /* or this */
    json_t *damaged;   /* keys of reports that the daemon cannot read; NULL: none */
    bool any_damaged, out_of_memory;
    size_t count;
    /* With --latest the worst layers come first: rows are kept until all are there. */
    bool worst_first;
    struct trit_report *kept;
    size_t capacity;
};

static int keep(struct listing *listing, const struct trit_report *report)
{
    struct trit_report *grown =
        array_grow(listing->kept, &listing->capacity, listing->count, sizeof(*grown));

    if (!grown)
        return -1;
    listing->kept = grown;
    listing->kept[listing->count - 1] = *report;
    return 0;
}

static int visit_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;

    listing->count++;
    if (!listing->grid)
        return json_array_append_new(listing->reports, report_json(report));
    if (listing->worst_first && keep(listing, report) < 0) {
        listing->count--;
        return -1;
    }
    if (!listing->worst_first)
        report_row(listing->grid, report);
    return 0;
}

/* Reports that are damaged in the daemon's store are told beside the list. */
static void visit_damaged(void *arg, const char *run, const char *layer, uint64_t step,
                          uint32_t attempt, uint32_t replica)
{
    struct listing *listing = arg;

    listing->any_damaged = true;
    complain(FAILED,
             "run \"%s\", layer \"%s\": one or more reports up to step %" PRIu64
             " are damaged in the daemon's store; tritd --check-data names them",
             run, layer, step);
    if (listing->grid)
        return;
    if (!listing->damaged)
        listing->damaged = json_array();
    if (json_array_append_new(listing->damaged,
                              json_pack("{s:s, s:s, s:o, s:o, s:o}", "run", run, "layer",
                                        layer, "step", json_uint64(step), "attempt",
                                        json_uint32(attempt), "replica",
                                        json_uint32(replica))) < 0)
        listing->out_of_memory = true;
}

/* The worst first; otherwise by run and layer. */
static int compare_health(const void *a, const void *b)
{
    const struct trit_report *one = a, *other = b;
    const int run = strcmp(one->run, other->run);

    if (one->health != other->health)
        return one->health > other->health ? -1 : 1;
    return run ? run : strcmp(one->layer, other->layer);
}

static void show_kept(struct listing *listing)
{
    if (listing->count)
        qsort(listing->kept, listing->count, sizeof(listing->kept[0]), compare_health);
    for (size_t i = 0; i < listing->count; i++)
        report_row(listing->grid, &listing->kept[i]);
}

static enum exit_code show_listing(struct listing *listing)
{
    const enum exit_code code = listing->any_damaged ? FAILED : DONE;

    if (!listing->grid) {
        if (json_array_size(listing->reports) != listing->count || listing->out_of_memory)
            return complain(FAILED, "out of memory");
        return print_json(json_pack("{s:O, s:O*}", "reports", listing->reports, "damaged",
                                    listing->damaged),
                          code);
    }
    if (listing->count == 0) {
        if (!listing->any_damaged)
            puts("no reports");
        return code;
    }
    if (listing->worst_first)
        show_kept(listing);
    return grid_print(listing->grid, stdout) == 0 ? code
                                                  : complain(FAILED, "out of memory");
}

/* A missing report is NOT_FOUND if its step is given, and so is a run or layer that is not
 * there; a list of other steps is empty. */
static enum trit_status fetch(struct trit_client *client, const struct options *options,
                              struct listing *listing, struct trit_error *error)
{
    const bool one_step = option_given(options, OPTION_STEP);
    const struct trit_report_query query = {
        .size = sizeof(query),
        .run = options->run ? options->run : options->arguments[0],
        .layer = options->arguments[options->run ? 0 : 1],
        .has_from = one_step || option_given(options, OPTION_FROM),
        .has_to = one_step || option_given(options, OPTION_TO),
        .step_from = one_step ? options->step : options->step_from,
        .step_to = one_step ? options->step : options->step_to,
        .latest_only = option_given(options, OPTION_LATEST),
        .waiting = option_given(options, OPTION_WAITING),
        .attempt = (uint32_t)options->attempt,
        .replica = (uint32_t)options->replica,
        .damaged = visit_damaged,
    };
    const struct trit_report_key key = {.size = sizeof(key),
                                        .run = query.run,
                                        .layer = query.layer,
                                        .has_step = one_step,
                                        .step = options->step,
                                        .attempt = query.attempt,
                                        .replica = query.replica};
    struct trit_report report = TRIT_REPORT_INIT;
    enum trit_status status;

    if (query.waiting || !query.layer || !(one_step || query.latest_only) ||
        (query.latest_only && (query.has_from || query.has_to)))
        return trit_report_list(client, &query, &report, visit_report, listing, error);
    status = trit_reports_get(client, &key, NULL, &report, error);
    if (status == TRIT_OK)
        visit_report(listing, &report);
    return status;
}

static enum exit_code run_reports(const struct options *options)
{
    struct listing listing = {.worst_first = option_given(options, OPTION_LATEST)};
    struct trit_client *client;
    struct trit_error error = TRIT_ERROR_INIT;
    enum exit_code code;

    if (option_given(options, OPTION_STEP) &&
        (options->given &
         (OPTION_BIT(OPTION_FROM) | OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_LATEST))))
        return complain(USAGE, "reports: --step excludes --from, --to and --latest");
    if (option_given(options, OPTION_WAITING) && option_given(options, OPTION_LATEST))
        return complain(USAGE, "reports: --waiting excludes --latest");
    if (options->run && options->argument_count > 1)
        return complain(USAGE, "reports: the run is named twice");
    code = cli_check_steps("reports", options);
    if (code == DONE)
        code = cli_connect(options, &client);
    if (code != DONE)
        return code;
    if (option_given(options, OPTION_JSON))
        listing.reports = json_array();
    else
        listing.grid = report_rows_create();
    if (!listing.reports && !listing.grid)
        code = complain(FAILED, "out of memory");
    else if (fetch(client, options, &listing, &error) != TRIT_OK)
        code = complain_of_call(&error);
    else
        code = show_listing(&listing);
    free(listing.kept);
    grid_destroy(listing.grid);
    json_decref(listing.reports);
    json_decref(listing.damaged);
    trit_close(client);
    return code;
}

#define LIST_ARGUMENTS "[RUN [LAYER]] [--step N | --from N --to N] [--latest | --waiting]"
#define LIST_DETAILS                                                                         \
    "A run that is rewound has several attempts. Without --attempt the list has the\n"       \
    "newest one, and the steps before it from which it went on. With --latest the\n"         \
    "layers in the worst health come first. With --waiting it has the layers whose shards\n" \
    "have not all come, in place of reports."
#define LIST_OPTIONS                                                                     \
    (REPORTS_OPTIONS | OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) |                \
     OPTION_BIT(OPTION_FROM) | OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_LATEST) |       \
     OPTION_BIT(OPTION_WAITING) | OPTION_BIT(OPTION_ATTEMPT) |                           \
     OPTION_BIT(OPTION_REPLICA))

static const struct command cmd_reports_list = {
    .name = "reports list",
    .arguments = LIST_ARGUMENTS,
    .summary = "list the reports that the daemon stores",
    .details = LIST_DETAILS,
    .options = LIST_OPTIONS,
    .arguments_max = 2,
    .run = run_reports,
};

static const struct command *const commands[] = {
    &cmd_reports_list, &cmd_reports_show,   &cmd_reports_watch,   &cmd_reports_rewind,
    &cmd_reports_fork, &cmd_reports_delete, &cmd_reports_compare, NULL,
};

const struct command cmd_reports = {
    .name = "reports",
    .arguments = LIST_ARGUMENTS,
    .summary = "list, watch, compare and change the reports that the daemon stores",
    .details = LIST_DETAILS
    "\nA run that is called like one of the commands below: trit reports list RUN.",
    .options = LIST_OPTIONS,
    .arguments_max = 2,
    .run = run_reports,
    .commands = commands,
};
