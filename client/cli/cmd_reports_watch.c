/* SPDX-License-Identifier: Apache-2.0 */
/* trit reports watch: prints reports as they are filed. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "client/cli/report_rows.h"
#include "client/cli/summary.h"
#include "proto/report_json.h"
#include "proto/utf8.h"

enum { SHOWN_BYTES = 4 * TRIT_NAME_BYTES_MAX + 1 };

struct watching {
    bool json;
    enum exit_code code;
};

static void print_text(const struct trit_report *report)
{
    char run[SHOWN_BYTES], layer[SHOWN_BYTES], time[TIME_TEXT_BYTES];
    char verdict[VERDICT_BYTES], health[HEALTH_TEXT_BYTES];

    utf8_show_text(run, sizeof(run), report->run);
    utf8_show_text(layer, sizeof(layer), report->layer);
    printf("%s  %s  %s  step %" PRIu64 "  %s  %s\n",
           time_text(time, report->time_unix_ns), run, layer, report->step,
           verdict_text(verdict, report), health_text(health, report));
}

/* Writes each line when its report comes. Ends the watch when the output is closed. */
static int visit(void *arg, const struct trit_report *report, const char *cursor)
{
    struct watching *watching = arg;

    if (watching->json)
        watching->code = print_json_line(
            json_pack("{s:s, s:o}", "cursor", cursor, "report", report_json(report)));
    else
        print_text(report);
    if (fflush(stdout) != 0)
        watching->code = FAILED;
    return watching->code != DONE;
}

static enum exit_code run_watch(const struct options *options)
{
    const struct trit_watch_options how = {
        .size = sizeof(how), .run = options->arguments[0], .cursor = options->cursor};
    struct watching watching = {.json = option_given(options, OPTION_JSON)};
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_client *client;
    enum trit_status status;
    const enum exit_code code = cli_connect(options, &client);

    if (code != DONE)
        return code;
    status = trit_reports_watch(client, &how, &report, visit, &watching, &error);
    trit_close(client);
    /* The time that --timeout gave is over. */
    if (status == TRIT_DEADLINE_EXCEEDED && options->timeout_ms)
        return watching.code;
    return status == TRIT_OK ? watching.code : complain_of_call(&error);
}

const struct command cmd_reports_watch = {
    .name = "reports watch",
    .arguments = "[RUN] [--cursor CURSOR] [--timeout S]",
    .summary = "print each report when it is stored, until it is interrupted",
    .details =
        "With --json each line is {\"cursor\": ..., \"report\": {...}}. Give the last cursor\n"
        "to go on where an earlier watch ended. It also ends after --timeout seconds.",
    .options = REPORTS_OPTIONS | OPTION_BIT(OPTION_CURSOR),
    .arguments_max = 1,
    .run = run_watch,
};
