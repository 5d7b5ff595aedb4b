/* SPDX-License-Identifier: Apache-2.0 */
#include "web/waiting.h"

#include <inttypes.h>

#include "store/store.h"

enum { WAITING_MAX = 20 }; /* layers that are named */

struct waiting_list {
    struct text *text;
    unsigned count;
};

static bool put_waiting(void *arg, const struct trit_report *report)
{
    struct waiting_list *list = arg;

    if (list->count == WAITING_MAX) {
        text_put(list->text, "<li>and more</li>\n");
        return false;
    }
    if (list->count++ == 0)
        text_put(list->text, "<h2>Layers that wait for shards</h2>\n<ul>\n");
    text_put(list->text, "<li>");
    text_html(list->text, report->layer);
    text_format(list->text,
                ", step %" PRIu64 ": %" PRIu32 " of %" PRIu32 " shards</li>\n",
                report->step, report->shards_present, report->shards_expected);
    return true;
}

/* They have no report yet, and are neither healthy nor sick. */
int html_waiting(const struct web_config *web, struct text *text, const char *run,
                 struct failure *failure)
{
    struct waiting_list list = {.text = text};
    const struct store_query query = {
        .run = run, .step_to = UINT64_MAX, .limit = WAITING_MAX + 1};

    if (store_read_waiting(web->reader, &query, put_waiting, &list, failure) < 0)
        return -1;
    if (list.count > 0)
        text_put(text, "</ul>\n");
    return 0;
}
