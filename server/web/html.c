/* SPDX-License-Identifier: Apache-2.0 */
#include "web/html.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "proto/finding.h"

#define NARROW_SPACE "\xe2\x80\xaf"
#define MINUS "\xe2\x88\x92"
#define TIMES "\xc3\x97"

static void begin(struct reply *reply, const struct web_config *web, const char *title,
                  bool live)
{
    struct text *text = &reply->body;

    reply->type = "text/html; charset=utf-8";
    text_put(text, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    text_html(text, title);
    text_put(text, "</title><link rel=\"stylesheet\" href=\"/style.css\">"
                   "<link rel=\"icon\" href=\"/icon.svg\">");
    if (live)
        text_put(text, "<script src=\"/live.js\" defer></script>");
    text_put(
        text,
        "</head>\n<body><a class=\"skip\" href=\"#main\">Skip to the content</a><header>"
        "<a href=\"/\"><b>tritd</b></a><span>");
    text_html(text, web->version);
    text_put(text, "</span><span id=\"live\" role=\"status\"></span>"
                   "<nav aria-label=\"Service\"><a href=\"/\">Runs</a>");
    if (web->jobs)
        text_put(text, "<a href=\"/jobs\">Jobs</a>");
    text_put(text, "<a href=\"/v1/openapi.json\">API</a>"
                   "<a href=\"/metrics\">Metrics</a><a href=\"/healthz\">Health</a></nav>"
                   "</header>\n<main id=\"main\">\n");
}

void html_begin(struct reply *reply, const struct web_config *web, const char *title)
{
    begin(reply, web, title, true);
}

void html_begin_still(struct reply *reply, const struct web_config *web,
                      const char *title)
{
    begin(reply, web, title, false);
}

void html_end(struct reply *reply)
{
    text_put(&reply->body, "</main></body></html>\n");
}

/* ---- values ------------------------------------------------------------------ */

void html_count(struct text *text, uint64_t count)
{
    uint64_t unit = 1;

    while (count / unit >= 1000)
        unit *= 1000;
    text_format(text, "%" PRIu64, count / unit);
    for (unit /= 1000; unit > 0; unit /= 1000)
        text_format(text, NARROW_SPACE "%03" PRIu64, count / unit % 1000);
}

void html_real(struct text *text, double value)
{
    if (isnan(value))
        text_put(text, "NaN");
    else if (isinf(value))
        text_put(text, value > 0 ? "\xe2\x88\x9e" : MINUS "\xe2\x88\x9e");
    else
        text_format(text, "%s%.4g", value < 0 ? MINUS : "", fabs(value));
}

void html_real_where(struct text *text, bool there, double value)
{
    if (there && !isnan(value))
        html_real(text, value);
    else
        text_put(text, "\xe2\x80\x93");
}

/* Shows 0 % and 100 % only for exactly none and all. */
void html_percent(struct text *text, double share)
{
    double percent = share * 100;

    if (percent > 0 && percent < 0.01)
        text_put(text, "&lt;0.01");
    else if (percent < 100 && percent > 99.99)
        text_put(text, "&gt;99.99");
    else
        text_format(text, "%.*f", percent <= 0 || percent >= 100 ? 0 : 2, percent);
    text_put(text, NARROW_SPACE "%");
}

void html_percent_where(struct text *text, bool there, double share)
{
    if (there)
        html_percent(text, share);
    else
        text_put(text, "\xe2\x80\x93");
}

void html_time(struct text *text, int64_t time_unix_ns)
{
    time_t seconds = (time_t)(time_unix_ns / 1000000000);
    char words[32], machine[32];
    struct tm utc;

    if (!gmtime_r(&seconds, &utc) ||
        strftime(words, sizeof(words), "%Y-%m-%d %H:%M:%S", &utc) == 0 ||
        strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return;
    text_format(text, "<time datetime=\"%s\">%s</time>", machine, words);
}

void html_age(struct text *text, int64_t time_unix_ns)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};
    int64_t seconds = (int64_t)time(NULL) - time_unix_ns / 1000000000;
    time_t at = (time_t)(time_unix_ns / 1000000000);
    char machine[32];
    struct tm utc;

    if (!gmtime_r(&at, &utc) ||
        strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return;
    text_format(text, "<time datetime=\"%s\" title=\"%s\">", machine, machine);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (seconds >= units[i].seconds) {
            text_format(text, "%" PRId64 NARROW_SPACE "%s ago</time>",
                        seconds / units[i].seconds, units[i].name);
            return;
        }
    text_put(text, "just now</time>");
}

void html_shape(struct text *text, const struct trit_report *report)
{
    for (uint32_t i = 0; i < report->rank && i < TRIT_RANK_MAX; i++)
        text_format(text, "%s%" PRIu64, i ? TIMES : "", report->shape[i]);
}

/* "dead_layer" as "dead layer". */
void html_finding_kind(struct text *text, enum trit_finding_kind kind)
{
    for (const char *name = finding_kind_name(kind); *name; name++)
        text_format(text, "%c", *name == '_' ? ' ' : *name);
}

/* Why a report fails, in two words: its worst finding; without findings, the reason
 * that its figures give. */
static void why_failed(struct text *text, const struct trit_report *report)
{
    if (report->finding_count > 0)
        html_finding_kind(text, report->findings[0].kind);
    else if (report->non_finite > 0)
        text_put(text, "not finite");
    else if (!report->is_ternary)
        text_put(text, "not ternary");
    else
        text_put(text, "unlike the reference");
}

/* Green is for a layer that is well in every respect, so a passing verdict is plain. */
void html_verdict(struct text *text, const struct trit_report *report)
{
    switch (report_verdict(report)) {
    case TRIT_VERDICT_FAIL:
        text_put(text, "<span class=\"bad\">\xe2\x9c\x97 ");
        why_failed(text, report);
        break;
    case TRIT_VERDICT_INCONCLUSIVE:
        text_put(text, "<span class=\"warn\">? inconclusive");
        break;
    case TRIT_VERDICT_PASS:
        if (report->finding_count > 0 &&
            report->findings[0].severity == TRIT_SEVERITY_WARNING) {
            text_put(text, "<span class=\"warn\">! ");
            html_finding_kind(text, report->findings[0].kind);
        } else {
            text_put(text, "<span>\xe2\x9c\x93 pass");
        }
        break;
    }
    text_put(text, "</span>");
}

void html_condition(struct text *text, enum condition condition)
{
    static const char *const badges[CONDITIONS] = {
        [CONDITION_UNKNOWN] =
            "<span class=\"badge none\">\xe2\x80\x93 <span>not judged</span></span>",
        [CONDITION_HEALTHY] =
            "<span class=\"badge good\">\xe2\x9c\x93 <span>healthy</span></span>",
        [CONDITION_WARNING] = "<span class=\"badge warn\">! <span>warning</span></span>",
        [CONDITION_FAILING] =
            "<span class=\"badge bad\">\xe2\x9c\x97 <span>failing</span></span>",
    };

    text_put(text, badges[condition]);
}

void html_health(struct text *text, enum trit_health health)
{
    static const enum condition conditions[] = {
        [TRIT_HEALTH_ABSENT] = CONDITION_UNKNOWN,
        [TRIT_HEALTHY] = CONDITION_HEALTHY,
        [TRIT_HEALTH_WARNING] = CONDITION_WARNING,
        [TRIT_HEALTH_FAILING] = CONDITION_FAILING,
    };

    html_condition(text, health <= TRIT_HEALTH_FAILING ? conditions[health]
                                                       : CONDITION_FAILING);
}

void html_flips(struct text *text, const struct trit_report *report)
{
    if (report->has_previous)
        html_percent(text, report->flip_fraction);
    else
        text_put(text, "<span class=\"soft\">\xe2\x80\x93</span>");
}

void html_bar(struct text *text, const struct trit_report *report)
{
    double all =
        (double)report->negatives + (double)report->zeros + (double)report->positives;
    double neg = all > 0 ? (double)report->negatives / all * 100 : 0;
    double zero = all > 0 ? (double)report->zeros / all * 100 : 0;

    if (all <= 0)
        return;
    text_format(text,
                "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" "
                "role=\"img\" aria-label=\"%.1f %% " MINUS "1, %.1f %% 0, %.1f %% +1\">"
                "<title>" MINUS "1: %.2f %%, 0: %.2f %%, +1: %.2f %%</title>",
                neg, zero, 100 - neg - zero, neg, zero, 100 - neg - zero);
    text_format(text,
                "<rect class=\"neg\" width=\"%.3f\" height=\"8\"/>"
                "<rect class=\"zero\" x=\"%.3f\" width=\"%.3f\" height=\"8\"/>"
                "<rect class=\"pos\" x=\"%.3f\" width=\"%.3f\" height=\"8\"/></svg>",
                neg, neg, zero, neg + zero, 100 - neg - zero);
}

void html_conditions(struct text *text, const size_t conditions[CONDITIONS])
{
    static const enum condition order[] = {CONDITION_FAILING, CONDITION_WARNING,
                                           CONDITION_HEALTHY, CONDITION_UNKNOWN};
    size_t at = 0, all = 0;
    bool first = true;

    for (size_t i = 0; i < CONDITIONS; i++)
        all += conditions[i];
    text_format(text,
                "<svg class=\"bar\" viewBox=\"0 0 %zu 8\" preserveAspectRatio=\"none\" "
                "aria-hidden=\"true\">",
                all);
    for (size_t i = 0; i < CONDITIONS; i++) {
        size_t count = conditions[order[i]];

        if (count)
            text_format(text, "<rect class=\"%s\" x=\"%zu\" width=\"%zu\" height=\"8\"/>",
                        condition_name(order[i]), at, count);
        at += count;
    }
    text_put(text, "</svg> <span class=\"counts\">");
    for (size_t i = 0; i < CONDITIONS; i++) {
        size_t count = conditions[order[i]];

        if (!count)
            continue;
        text_format(text, "%s%zu %s", first ? "" : ", ", count,
                    order[i] == CONDITION_UNKNOWN ? "not judged"
                                                  : condition_name(order[i]));
        first = false;
    }
    text_put(text, "</span>");
}

void html_duration(struct text *text, double seconds)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}, {0, "ms"}};
    size_t unit = 0;

    if (isnan(seconds)) {
        text_put(text, "\xe2\x80\x93");
        return;
    }
    while (seconds < units[unit].seconds)
        unit++;
    text_format(text, "%.3g" NARROW_SPACE "%s",
                units[unit].seconds > 0 ? seconds / units[unit].seconds : seconds * 1000,
                units[unit].name);
}

/* ---- links and tables ---------------------------------------------------------- */

struct html_view html_view_of(const struct request *request)
{
    return (struct html_view){request->attempt, request->replica};
}

void html_view(struct text *text, const char *lead, struct html_view view)
{
    if (view.attempt)
        text_format(text, "%sattempt=%" PRIu64, lead, view.attempt);
    if (view.replica)
        text_format(text, "%sreplica=%" PRIu64, view.attempt ? "&amp;" : lead,
                    view.replica);
}

static void link_end(struct text *text, struct html_view view, const char *words)
{
    html_view(text, "?", view);
    text_put(text, "\">");
    text_html(text, words);
    text_put(text, "</a>");
}

void html_run_link(struct text *text, const char *run, struct html_view view)
{
    text_put(text, "<a href=\"/runs/");
    text_segment(text, run);
    link_end(text, view, run);
}

void html_layer_link(struct text *text, const char *run, const char *layer,
                     struct html_view view)
{
    text_put(text, "<a href=\"/runs/");
    text_segment(text, run);
    text_put(text, "/layers/");
    text_segment(text, layer);
    link_end(text, view, layer);
}

void html_table_begin(struct text *text, const char *caption, const char *style)
{
    text_format(text,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">"
                "<table class=\"%s\"><caption>%s</caption><thead><tr>",
                caption, style, caption);
}

void html_heads(struct text *text, const struct html_head *heads)
{
    for (; heads->words; heads++)
        text_format(text, "<th scope=\"col\"%s%s%s>%s</th>",
                    heads->style[0] ? " class=\"" : "", heads->style,
                    heads->style[0] ? "\"" : "", heads->words);
    text_put(text, "</tr></thead><tbody>\n");
}

void html_table_end(struct text *text)
{
    text_put(text, "</tbody></table></div>\n");
}

void html_pages(struct text *text, const char *query, uint64_t page, bool more)
{
    if (page == 0 && !more)
        return;
    text_put(text, "<nav class=\"pages\" aria-label=\"Pages\">");
    if (page > 0)
        text_format(text,
                    "<a rel=\"prev\" href=\"%s%" PRIu64 "\">\xe2\x86\x90 Previous</a>",
                    query, page - 1);
    if (more)
        text_format(text, "<a rel=\"next\" href=\"%s%" PRIu64 "\">Next \xe2\x86\x92</a>",
                    query, page + 1);
    text_put(text, "</nav>\n");
}

void html_steps(struct text *text, bool has_steps, uint64_t min, uint64_t max)
{
    if (has_steps)
        text_format(text, "%" PRIu64 " \xe2\x80\x93 %" PRIu64, min, max);
    else
        text_put(text, "none");
}

void html_not_known(struct text *text)
{
    text_put(text, "<span class=\"soft\" title=\"rows of the daemon's store are damaged; "
                   "tritd --check-data names them\">not known: damaged</span>");
}
