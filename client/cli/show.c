/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/show.h"
#include "client/cli/wording.h"

#include <jansson.h>
#include <stdio.h>

#include "drive/input.h"
#include "proto/utf8.h"

int showing_start(struct showing *showing, const struct options *options)
{
    const bool json = option_given(options, OPTION_JSON);

    *showing = (struct showing){.grid = NULL};
    if (json || options->report)
        showing->reports = json_array();
    if (!json)
        showing->grid = summary_create();
    return (showing->reports || !(json || options->report)) && (showing->grid || json)
               ? 0
               : -1;
}

void showing_end(struct showing *showing)
{
    grid_destroy(showing->grid);
    json_decref(showing->reports);
    *showing = (struct showing){.grid = NULL};
}

int showing_layer(void *arg, const char *name, const struct tensor_entry *dense,
                  struct trit_report *report, struct failure *failure)
{
    struct showing *showing = arg;
    char shape[SHAPE_TEXT_BYTES];

    showing->layers++;
    showing->not_stored += report->has_stored && !report->stored;
    if (!report->layer[0]) /* without --run the daemon was not told the name */
        snprintf(report->layer, sizeof(report->layer), "%.*s", TRIT_NAME_BYTES_MAX, name);
    if (showing->grid)
        summary_row(showing->grid, name, shape_text(shape, dense->rank, dense->shape),
                    report);
    if (!showing->reports)
        return 0;
    return json_array_append_new(showing->reports, layer_report_json(report)) == 0
               ? 0
               : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int showing_print(const struct showing *showing, const struct file_findings *findings)
{
    char text[FINDING_TEXT_BYTES], escaped[2 * FINDING_TEXT_BYTES];

    if (showing->layers > 0 && grid_print(showing->grid, stdout) != 0)
        return -1;
    for (size_t i = 0; i < findings->count; i++) {
        utf8_show_text(escaped, sizeof(escaped), finding_words(text, &findings->list[i]));
        puts(escaped);
    }
    if (showing->not_stored)
        printf(
            "%zu of %zu reports are not stored, as best_effort allows; the daemon's log "
            "says why\n",
            showing->not_stored, showing->layers);
    return 0;
}
