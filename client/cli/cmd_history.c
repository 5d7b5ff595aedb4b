/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports rewind, fork, delete: what changes the history of a run. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/report_rows.h"
#include "proto/json_value.h"
#include "proto/utf8.h"

enum { SHOWN_BYTES = 4 * TRIT_NAME_BYTES_MAX + 1, RANGE_BYTES = 2 * SHOWN_BYTES + 160 };

/* ---- rewind ----------------------------------------------------------------------- */

static enum exit_code rewind_run(struct trit_client *client,
                                 const struct options *options)
{
    const char *run = options->arguments[0];
    struct trit_error error = TRIT_ERROR_INIT;
    uint32_t attempt = 0;
    char shown[SHOWN_BYTES];

    if (trit_reports_rewind(client, run, options->step, NULL, &attempt, &error) !=
        TRIT_OK)
        return complain_of_call(&error);
    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:s, s:o, s:o}", "run", run, "step",
                                    json_uint64(options->step), "attempt",
                                    json_uint32(attempt)),
                          DONE);
    utf8_show_text(shown, sizeof(shown), run);
    printf("%s: attempt %u goes on after step %" PRIu64 "\n", shown, (unsigned)attempt,
           options->step);
    return DONE;
}

static enum exit_code run_rewind(const struct options *options)
{
    if (!option_given(options, OPTION_STEP))
        return complain(USAGE,
                        "reports rewind: --step is needed: the last step that stays");
    return cli_with_client(rewind_run, options);
}

const struct command cmd_reports_rewind = {
    .name = "reports rewind",
    .arguments = "RUN --step N",
    .summary = "start the next attempt of a run, after step N",
    .details =
        "Step N and those before stay. Later reports are superseded: they can still\n"
        "be read with --attempt. A token needs the policy admin.",
    .options = REPORTS_OPTIONS | OPTION_BIT(OPTION_STEP),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_rewind,
};

/* ---- fork ------------------------------------------------------------------------- */

static enum exit_code fork_run(struct trit_client *client, const struct options *options)
{
    const char *run = options->arguments[0], *new_run = options->arguments[1];
    struct trit_error error = TRIT_ERROR_INIT;
    uint64_t reports = 0;
    char shown[SHOWN_BYTES];

    if (trit_reports_fork(client, run, options->step, new_run, NULL, &reports, &error) !=
        TRIT_OK)
        return complain_of_call(&error);
    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:s, s:o, s:s, s:o}", "run", run, "step",
                                    json_uint64(options->step), "new_run", new_run,
                                    "reports", json_uint64(reports)),
                          DONE);
    utf8_show_text(shown, sizeof(shown), new_run);
    printf("%s: %" PRIu64 " reports up to step %" PRIu64 "\n", shown, reports,
           options->step);
    return DONE;
}

static enum exit_code run_fork(const struct options *options)
{
    if (!option_given(options, OPTION_STEP))
        return complain(USAGE,
                        "reports fork: --step is needed: the last step that is copied");
    return cli_with_client(fork_run, options);
}

const struct command cmd_reports_fork = {
    .name = "reports fork",
    .arguments = "RUN --step N NEW",
    .summary = "start the run NEW with the reports of RUN up to step N",
    .details = "RUN stays as it is. A token needs the policy admin.",
    .options = REPORTS_OPTIONS | OPTION_BIT(OPTION_STEP),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_fork,
};

/* ---- delete ----------------------------------------------------------------------- */

/* "all reports of run r, layer l, from step 1 to step 9" */
static void range_text(char text[RANGE_BYTES], const struct options *options)
{
    char run[SHOWN_BYTES], layer[SHOWN_BYTES] = "", from[48] = "", to[48] = "";

    utf8_show_text(run, sizeof(run), options->arguments[0]);
    if (options->layer)
        utf8_show_text(layer, sizeof(layer), options->layer);
    if (option_given(options, OPTION_FROM))
        snprintf(from, sizeof(from), ", from step %" PRIu64, options->step_from);
    if (option_given(options, OPTION_TO))
        snprintf(to, sizeof(to), ", up to step %" PRIu64, options->step_to);
    snprintf(text, RANGE_BYTES, "all reports of run %s%s%s%s%s", run,
             options->layer ? ", layer " : "", layer, from, to);
}

/* Asks on a terminal. Without a terminal there is no answer, so --yes is needed. */
static enum exit_code confirm(const struct options *options)
{
    char range[RANGE_BYTES], answer[8] = "";

    if (option_given(options, OPTION_YES))
        return DONE;
    range_text(range, options);
    if (!isatty(STDIN_FILENO))
        return complain(USAGE, "reports delete: this would delete %s; --yes does it",
                        range);
    fprintf(stderr, "Delete %s? [y/N] ", range);
    if (!fgets(answer, sizeof(answer), stdin) ||
        (strcmp(answer, "y\n") != 0 && strcmp(answer, "yes\n") != 0))
        return complain(MISMATCH, "nothing was deleted");
    return DONE;
}

static enum exit_code delete_reports(struct trit_client *client,
                                     const struct options *options)
{
    const struct trit_report_range range = {.size = sizeof(range),
                                            .run = options->arguments[0],
                                            .layer = options->layer,
                                            .has_from =
                                                option_given(options, OPTION_FROM),
                                            .has_to = option_given(options, OPTION_TO),
                                            .step_from = options->step_from,
                                            .step_to = options->step_to};
    struct trit_error error = TRIT_ERROR_INIT;
    uint64_t reports = 0;

    if (trit_reports_delete(client, &range, NULL, &reports, &error) != TRIT_OK)
        return complain_of_call(&error);
    if (option_given(options, OPTION_JSON))
        return print_json(json_pack("{s:s, s:s*, s:o}", "run", range.run, "layer",
                                    range.layer, "reports", json_uint64(reports)),
                          DONE);
    printf("%" PRIu64 " reports deleted\n", reports);
    return DONE;
}

static enum exit_code run_delete(const struct options *options)
{
    enum exit_code code = cli_check_steps("reports delete", options);

    if (code == DONE)
        code = confirm(options);
    return code == DONE ? cli_with_client(delete_reports, options) : code;
}

const struct command cmd_reports_delete = {
    .name = "reports delete",
    .arguments = "RUN [--layer LAYER] [--from N] [--to N] [--yes]",
    .summary = "delete reports of a run for good",
    .details = "Of all attempts and replicas. It asks on a terminal; elsewhere it needs\n"
               "--yes. A token needs the policy admin.",
    .options = REPORTS_OPTIONS | OPTION_BIT(OPTION_LAYER) | OPTION_BIT(OPTION_FROM) |
               OPTION_BIT(OPTION_TO) | OPTION_BIT(OPTION_YES),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_delete,
};
