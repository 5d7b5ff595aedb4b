/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports show: one report, with the reasons of its health and its findings. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/report_rows.h"
#include "proto/finding.h"
#include "proto/health.h"
#include "proto/report_json.h"
#include "proto/utf8.h"

enum { SHOWN_BYTES = 4 * TRIT_NAME_BYTES_MAX + 1 };

static void show_findings(const struct trit_report *report)
{
    for (uint32_t i = 0; i < report->finding_count; i++) {
        const struct trit_finding *finding = &report->findings[i];
        char hint[SHOWN_BYTES];

        utf8_show_text(hint, sizeof(hint), finding->hint);
        printf("%s: %s", severity_name(finding->severity),
               finding_kind_name(finding->kind));
        if (finding->has_count)
            printf(", %" PRIu64, finding->count);
        printf(hint[0] ? ": %s\n" : "%s\n", hint);
    }
}

static void show_reasons(const struct trit_report *report)
{
    for (size_t i = 0; i < report->health_reason_count; i++) {
        const struct trit_health_reason *reason = &report->health_reasons[i];
        char text[SHOWN_BYTES];

        utf8_show_text(text, sizeof(text), reason->text);
        printf("%s: %s since step %" PRIu64 ": %s\n", health_name(reason->severity),
               reason->rule, reason->since_step, text);
    }
}

static enum exit_code show_report(const struct trit_report *report)
{
    struct grid *grid = report_rows_create();

    if (!grid)
        return complain(FAILED, "out of memory");
    report_row(grid, report);
    if (grid_print(grid, stdout) < 0) {
        grid_destroy(grid);
        return complain(FAILED, "out of memory");
    }
    grid_destroy(grid);
    show_reasons(report);
    show_findings(report);
    return DONE;
}

static enum exit_code run_show(const struct options *options)
{
    const struct trit_report_key key = {.size = sizeof(key),
                                        .run = options->arguments[0],
                                        .layer = options->arguments[1],
                                        .has_step = option_given(options, OPTION_STEP),
                                        .step = options->step,
                                        .attempt = (uint32_t)options->attempt,
                                        .replica = (uint32_t)options->replica};
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    enum exit_code code = cli_connect(options, &client);

    if (code != DONE)
        return code;
    if (trit_reports_get(client, &key, NULL, &report, &error) != TRIT_OK)
        code = complain_of_call(&error);
    else if (option_given(options, OPTION_JSON))
        code = print_json(report_json(&report), DONE);
    else
        code = show_report(&report);
    trit_close(client);
    return code;
}

const struct command cmd_reports_show = {
    .name = "reports show",
    .arguments = "RUN LAYER [--step N]",
    .summary = "show one report, with what is wrong and since when",
    .details = "Without --step it is the newest one.",
    .options = REPORTS_OPTIONS | OPTION_BIT(OPTION_STEP) | OPTION_BIT(OPTION_ATTEMPT) |
               OPTION_BIT(OPTION_REPLICA),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_show,
};
