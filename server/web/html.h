/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of pages: the frame around every page, numbers as people read them, the
 * row of a layer. text_html, text_url or text_segment escapes everything that came from a
 * peer. */
#ifndef WEB_HTML_H
#define WEB_HTML_H

#include "trit/types.h"
#include "web/request.h"
#include "web/run_state.h"

void html_begin(struct reply *reply, const struct web_config *web, const char *title);
/* The same without the script that keeps the page up to date. */
void html_begin_still(struct reply *reply, const struct web_config *web,
                      const char *title);
void html_end(struct reply *reply);

void html_count(struct text *text, uint64_t count); /* 1 234 567 */
void html_real(struct text *text, double value);    /* 4 digits; infinity as its sign */
void html_real_where(struct text *text, bool there, double value);    /* or a dash */
void html_percent(struct text *text, double share);                   /* of 1 */
void html_percent_where(struct text *text, bool there, double share); /* or a dash */
void html_time(struct text *text, int64_t time_unix_ns); /* UTC, to the second */
void html_age(struct text *text, int64_t time_unix_ns);  /* "3 min ago" */
void html_shape(struct text *text, const struct trit_report *report);
void html_finding_kind(struct text *text, enum trit_finding_kind kind);
void html_verdict(struct text *text, const struct trit_report *report);
/* Badges with a word and a sign, so that no meaning is in a colour alone. */
void html_condition(struct text *text, enum condition condition);
void html_health(struct text *text, enum trit_health health);
void html_flips(struct text *text, const struct trit_report *report);
/* The shares of -1, 0 and +1 as one bar. */
void html_bar(struct text *text, const struct trit_report *report);

/* Layers by condition, as a bar and words. */
void html_conditions(struct text *text, const size_t conditions[CONDITIONS]);
void html_duration(struct text *text, double seconds); /* "12 s"; NaN: a dash */

/* Links to the pages before and behind; `query` ends where the number of the page goes. */
void html_pages(struct text *text, const char *query, uint64_t page, bool more);

/* Which reports of a run a page shows; links lead to the same ones. 0: the newest attempt,
 * and the reference. */
struct html_view {
    uint64_t attempt, replica;
};
struct html_view html_view_of(const struct request *request);
/* The view as parameters of an address in HTML, behind `lead` ("?" or "&amp;"); nothing
 * where both are 0. */
void html_view(struct text *text, const char *lead, struct html_view view);

void html_run_link(struct text *text, const char *run, struct html_view view);
void html_layer_link(struct text *text, const char *run, const char *layer,
                     struct html_view view);

/* A table that scrolls by itself where it is wider than the page: begin, heads (they end
 * with NULL words), rows, end. `style` is a class. */
struct html_head {
    const char *words; /* HTML */
    const char *style;
};
void html_table_begin(struct text *text, const char *caption, const char *style);
void html_heads(struct text *text, const struct html_head *heads);
void html_table_end(struct text *text);

/* The range of a run's steps. */
void html_steps(struct text *text, bool has_steps, uint64_t min, uint64_t max);

/* In the place of sums, where rows are damaged. */
void html_not_known(struct text *text);

#endif
