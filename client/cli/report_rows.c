/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/report_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/cli/summary.h"
#include "proto/health.h"

const char *health_text(char text[HEALTH_TEXT_BYTES], const struct trit_report *report)
{
    int at;

    if (report->shards_present < report->shards_expected) {
        snprintf(text, HEALTH_TEXT_BYTES, "%" PRIu32 " of %" PRIu32 " shards",
                 report->shards_present, report->shards_expected);
        return text;
    }
    at = snprintf(text, HEALTH_TEXT_BYTES, "%s",
                  report->health == TRIT_HEALTH_ABSENT ? "-"
                                                       : health_name(report->health));

    for (size_t i = 0; i < report->health_reason_count; i++) {
        const struct trit_health_reason *reason = &report->health_reasons[i];

        if (at < HEALTH_TEXT_BYTES)
            at += snprintf(text + at, (size_t)(HEALTH_TEXT_BYTES - at),
                           "%s%s since step %" PRIu64, i ? ", " : ": ", reason->rule,
                           reason->since_step);
    }
    return text;
}

const char *time_text(char text[TIME_TEXT_BYTES], int64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / 1000000000);
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(text, TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, TIME_TEXT_BYTES, "-");
    return text;
}

struct grid *report_rows_create(void)
{
    static const struct grid_column columns[] = {
        {"run", GRID_LEFT},     {"layer", GRID_LEFT},      {"step", GRID_RIGHT},
        {"attempt", GRID_LEFT}, {"time", GRID_LEFT},       {"zeros", GRID_RIGHT},
        {"scales", GRID_LEFT},  {"SQNR (dB)", GRID_RIGHT}, {"flips", GRID_RIGHT},
        {"verdict", GRID_LEFT}, {"health", GRID_LEFT},
    };

    return grid_create(columns, sizeof(columns) / sizeof(columns[0]));
}

/* "2"; "1, superseded"; "2, replica 3" */
static void attempt_cell(struct grid *grid, const struct trit_report *report)
{
    char replica[24] = "";

    if (report->replica)
        snprintf(replica, sizeof(replica), ", replica %u", (unsigned)report->replica);
    if (report->attempt)
        grid_cell(grid, "%u%s%s", (unsigned)report->attempt, replica,
                  report->superseded ? ", superseded" : "");
    else
        grid_cell(grid, "-");
}

void report_row(struct grid *grid, const struct trit_report *report)
{
    char verdict[VERDICT_BYTES], time[TIME_TEXT_BYTES], health[HEALTH_TEXT_BYTES];

    grid_cell(grid, "%s", report->run);
    grid_cell(grid, "%s", report->layer);
    grid_cell(grid, "%" PRIu64, report->step);
    attempt_cell(grid, report);
    grid_cell(grid, "%s", time_text(time, report->time_unix_ns));
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
    grid_cell(grid, "%s", health_text(health, report));
}
