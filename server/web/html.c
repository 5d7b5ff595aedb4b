/* SPDX-License-Identifier: Apache-2.0 */
#include "web/html.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "proto/finding.h"

#define NARROW_SPACE "\xe2\x80\xaf"
#define MINUS "\xe2\x88\x92"
#define TIMES "\xc3\x97"

void html_begin(struct reply *reply, const struct web_config *web, const char *title)
{
    struct text *text = &reply->body;

    reply->type = "text/html; charset=utf-8";
    text_put(text, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                   "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    text_html(text, title);
    text_put(text, "</title><link rel=\"stylesheet\" href=\"/style.css\">"
                   "<link rel=\"icon\" href=\"/icon.svg\"></head>\n<body><header>"
                   "<a href=\"/\"><b>tritd</b></a><span>");
    text_html(text, web->version);
    text_put(text, "</span><nav><a href=\"/v1/runs\">JSON</a>"
                   "<a href=\"/metrics\">Metrics</a><a href=\"/healthz\">Health</a></nav>"
                   "</header>\n<main>\n");
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

void html_time(struct text *text, int64_t time_unix_ns)
{
    time_t seconds = (time_t)(time_unix_ns / 1000000000);
    char words[32];
    struct tm utc;

    if (!gmtime_r(&seconds, &utc) ||
        strftime(words, sizeof(words), "%Y-%m-%d %H:%M:%S", &utc) == 0)
        return;
    text_format(text, "<time>%s</time>", words);
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
            text_put(text, "<span class=\"warn\">\xe2\x9c\x93 ternary, but ");
            html_finding_kind(text, report->findings[0].kind);
        } else {
            text_put(text, "<span class=\"good\">\xe2\x9c\x93 ternary");
        }
        break;
    }
    text_put(text, "</span>");
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

/* ---- links and tables ---------------------------------------------------------- */

void html_run_link(struct text *text, const char *run, const char *words)
{
    text_put(text, "<a href=\"/runs/");
    text_url(text, run);
    text_put(text, "\">");
    text_html(text, words);
    text_put(text, "</a>");
}

void html_layer_link(struct text *text, const char *run, const char *layer,
                     const char *words)
{
    text_put(text, "<a href=\"/runs/");
    text_url(text, run);
    text_put(text, "/layers/");
    text_url(text, layer);
    text_put(text, "\">");
    text_html(text, words);
    text_put(text, "</a>");
}

void html_layers_begin(struct text *text)
{
    text_put(text, "<div class=\"scroll\"><table><thead><tr><th>Layer</th>"
                   "<th>Verdict</th><th class=\"num\">Step</th><th>Shape</th>"
                   "<th>" MINUS "1 / 0 / +1</th><th class=\"num\">Zeros</th>"
                   "<th class=\"num\">Scales</th><th class=\"num\">SQNR dB</th>"
                   "<th class=\"num\">Flips</th><th>Time (UTC)</th></tr></thead>"
                   "<tbody>\n");
}

static void zero_share(struct text *text, const struct trit_report *report)
{
    if (report->elements > 0)
        html_percent(text, (double)report->zeros / (double)report->elements);
}

void html_layers_row(struct text *text, const struct trit_report *report)
{
    text_put(text, "<tr><td class=\"name\">");
    html_layer_link(text, report->run, report->layer, report->layer);
    text_put(text, "</td><td>");
    html_verdict(text, report);
    text_format(text, "</td><td class=\"num\">%" PRIu64 "</td><td>", report->step);
    html_shape(text, report);
    text_put(text, "</td><td>");
    html_bar(text, report);
    text_put(text, "</td><td class=\"num\">");
    zero_share(text, report);
    text_put(text, "</td><td class=\"num\">");
    if (report->has_scales) {
        html_real(text, (double)report->scale_min);
        text_put(text, " \xe2\x80\x93 ");
        html_real(text, (double)report->scale_max);
    }
    text_put(text, "</td><td class=\"num\">");
    if (report->has_sqnr_db)
        html_real(text, report->sqnr_db);
    text_put(text, "</td><td class=\"num\">");
    html_flips(text, report);
    text_put(text, "</td><td class=\"soft\">");
    html_time(text, report->time_unix_ns);
    text_put(text, "</td></tr>\n");
}

void html_table_end(struct text *text)
{
    text_put(text, "</tbody></table></div>\n");
}
