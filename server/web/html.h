/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of pages: the frame around every page, numbers as people read them, the
 * row of a layer. text_html or text_url escapes everything that came from a peer. */
#ifndef WEB_HTML_H
#define WEB_HTML_H

#include "trit/types.h"
#include "web/request.h"

void html_begin(struct reply *reply, const struct web_config *web, const char *title);
void html_end(struct reply *reply);

void html_count(struct text *text, uint64_t count); /* 1 234 567 */
void html_real(struct text *text, double value);    /* 4 digits; infinity as its sign */
void html_percent(struct text *text, double share); /* of 1 */
void html_time(struct text *text, int64_t time_unix_ns); /* UTC, to the second */
void html_shape(struct text *text, const struct trit_report *report);
void html_finding_kind(struct text *text, enum trit_finding_kind kind);
void html_verdict(struct text *text, const struct trit_report *report);
void html_flips(struct text *text, const struct trit_report *report);
/* The shares of -1, 0 and +1 as one bar. */
void html_bar(struct text *text, const struct trit_report *report);

void html_run_link(struct text *text, const char *run, const char *words);
void html_layer_link(struct text *text, const char *run, const char *layer,
                     const char *words);

/* The table of layers: head, a row for each report, foot. */
void html_layers_begin(struct text *text);
void html_layers_row(struct text *text, const struct trit_report *report);
void html_table_end(struct text *text);

#endif
