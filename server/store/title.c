/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "store/commit_steps.h"

void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES])
{
    struct layer_key key = {.replica = report->replica,
                            .attempt = report->attempt ? report->attempt : 1};
    char later[KEY_TEXT_BYTES];

    snprintf(title, REPORT_TITLE_BYTES,
             "report of run \"%s\", layer \"%s\"%s, step %" PRIu64, report->run,
             report->layer, key_text(&key, later), report->step);
}
