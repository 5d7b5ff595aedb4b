/* SPDX-License-Identifier: Apache-2.0 */
#include "web/heat.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/health.h"
#include "web/html.h"

static double same(double value, double median)
{
    (void)median;
    return value;
}

static double drift(double value, double median)
{
    return median > 0 ? value / median : (double)NAN;
}

#define P(percent) ((percent) / 100.0)

const struct quantity quantities[] = {
    {.name = "health",
     .title = "Health",
     .field = "health",
     .value = same,
     .bounds = {2, 3, 9, 9, 9, 9, 9},
     .style = "hs"},
    {.name = "zero_share",
     .title = "Zero share",
     .levels = "below 10 %, from 10, 20, 27, 36, 50, 70, 90 %",
     .field = "zero_fraction",
     .percent = true,
     .value = same,
     .bounds = {P(10), P(20), P(27), P(36), P(50), P(70), P(90)},
     .style = "lv"},
    {.name = "dead_groups",
     .title = "Dead groups",
     .levels = "none, more than 0, 0.1, 1, 5, 10, 25, 50 %",
     .field = "zero_group_fraction",
     .percent = true,
     .value = same,
     .bounds = {1e-12, P(0.1), P(1), P(5), P(10), P(25), P(50)},
     .style = "lv"},
    {.name = "flips",
     .title = "Flips",
     .levels = "below 0.01 %, from 0.01, 0.1, 0.5, 1, 2, 5, 10 %",
     .field = "flip_fraction",
     .percent = true,
     .value = same,
     .bounds = {P(0.01), P(0.1), P(0.5), P(1), P(2), P(5), P(10)},
     .style = "lv"},
    {.name = "scale_drift",
     .title = "Scale drift",
     .levels =
         "mean scale over its median: below 1/4, 1/2, 4/5; about 1; from 5/4, 2, 4, 8",
     .field = "scale_mean",
     .value = drift,
     .bounds = {0.25, 0.5, 0.8, 1.25, 2, 4, 8},
     .style = "dv"},
    {.name = "sqnr",
     .title = "SQNR",
     .levels = "10 dB and more, below 10, 8, 6, 5, 4, 2, 0 dB",
     .field = "sqnr_db",
     .value = same,
     .bounds = {0, 2, 4, 5, 6, 8, 10},
     .low_is_bad = true,
     .style = "lv"},
    {.name = NULL},
};

const struct quantity *quantity_by_name(const char *name)
{
    if (!name[0])
        return &quantities[0];
    for (const struct quantity *q = quantities; q->name; q++)
        if (strcmp(q->name, name) == 0)
            return q;
    return NULL;
}

void heat_fields(const struct quantity *quantity, const struct field *fields[HEAT_FIELDS])
{
    fields[0] = field_by_name(quantity->field);
    fields[1] = field_by_name("non_finite");
}

void heat_value(struct text *text, const struct quantity *quantity, double value)
{
    if (isnan(value))
        text_put(text, "\xe2\x80\x93");
    else if (strcmp(quantity->name, "health") == 0)
        text_put(text, health_name((enum trit_health)value));
    else if (quantity->percent)
        html_percent(text, value);
    else
        html_real(text, value);
}

/* ---- the strip ---------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

/* The middle one of those that are there. `room` has `count` places. */
static double median_of(const double *values, size_t count, double *room)
{
    size_t there = 0;

    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            room[there++] = values[i];
    qsort(room, there, sizeof(room[0]), compare);
    return there ? room[there / 2] : (double)NAN;
}

/* 0 to HEAT_LEVELS - 1; -1: absent. */
static int level_of(const struct quantity *quantity, double value)
{
    int level = 0;

    if (isnan(value))
        return -1;
    while (level < HEAT_LEVELS - 1 && value >= quantity->bounds[level])
        level++;
    return quantity->low_is_bad ? HEAT_LEVELS - 1 - level : level;
}

/* One path for each level, with a box for each run of equal steps. */
static void level_path(struct text *text, const struct quantity *quantity,
                       const double *values, size_t count, int level)
{
    bool begun = false;

    for (size_t i = 0; i < count;) {
        size_t end = i;

        while (end < count && level_of(quantity, values[end]) == level)
            end++;
        if (end == i) {
            i++;
            continue;
        }
        if (!begun)
            text_format(text, "<path class=\"%s%d\" d=\"", quantity->style, level);
        begun = true;
        text_format(text, "M%zu 0h%zuv1h-%zuz", i, end - i, end - i);
        i = end;
    }
    text_put(text, begun ? "\"/>" : "");
}

/* Steps with a NaN or an infinity, whatever the quantity. */
static size_t bad_path(struct text *text, const double *non_finite, size_t count)
{
    size_t bad = 0;

    for (size_t i = 0; i < count; i++) {
        if (isnan(non_finite[i]) || non_finite[i] <= 0)
            continue;
        text_format(text, "%sM%zu 0h1v1h-1z", bad ? "" : "<path class=\"nan\" d=\"", i);
        bad++;
    }
    text_put(text, bad ? "\"/>" : "");
    return bad;
}

/* The place of a step on the axis. */
static size_t place_of(const struct history *history, uint64_t step)
{
    size_t place = 0;

    while (place + 1 < history->step_count && history->steps[place + 1] <= step)
        place++;
    return place;
}

static struct heat_summary summarize(const double *values, size_t count)
{
    struct heat_summary sum = {(double)NAN, (double)NAN, (double)NAN, (double)NAN, 0};

    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        if (isnan(sum.first))
            sum.first = values[i];
        sum.least = fmin(sum.least, values[i]);
        sum.most = fmax(sum.most, values[i]);
    }
    return sum;
}

static void strip_words(struct text *text, const struct quantity *quantity,
                        const struct history *history, const struct heat_summary *sum)
{
    text_format(text, "%s, steps %" PRIu64 " to %" PRIu64 ": ", quantity->title,
                history->steps[0], history->end);
    if (isnan(sum->first) && isnan(sum->last)) {
        text_put(text, "nothing");
    } else {
        text_put(text, "first ");
        heat_value(text, quantity, sum->first);
        text_put(text, ", least ");
        heat_value(text, quantity, sum->least);
        text_put(text, ", most ");
        heat_value(text, quantity, sum->most);
        text_put(text, ", newest ");
        heat_value(text, quantity, sum->last);
    }
    if (sum->bad)
        text_format(text, "; %zu with NaN or infinity", sum->bad);
}

struct heat_summary heat_strip(struct text *text, const struct quantity *quantity,
                               const struct history *history,
                               const struct history_layer *layer, double *values,
                               uint64_t since, double newest)
{
    size_t count = history->step_count;
    double *room = values + count, median;
    struct text paths = {0};
    struct heat_summary sum;

    history_values(history, layer, 0, values);
    median = median_of(values, count, room);
    for (size_t i = 0; i < count; i++)
        values[i] = quantity->value(values[i], median);
    history_values(history, layer, 1, room);
    sum = summarize(values, count);
    sum.last = quantity->value(newest, median);
    for (int level = 0; level < HEAT_LEVELS; level++)
        level_path(&paths, quantity, values, count, level);
    sum.bad = bad_path(&paths, room, count);
    if (since != UINT64_MAX)
        text_format(&paths, "<path class=\"since\" d=\"M%zu 0v1\"/>",
                    place_of(history, since));
    text_format(text,
                "<svg class=\"strip\" viewBox=\"0 0 %zu 1\" preserveAspectRatio=\"none\" "
                "role=\"img\" aria-label=\"",
                count);
    strip_words(text, quantity, history, &sum);
    text_put(text, "\"><title>");
    strip_words(text, quantity, history, &sum);
    text_put(text, "</title>");
    text_add(text, paths.bytes, paths.count);
    text_put(text, "</svg>");
    text->failed |= paths.failed;
    text_fini(&paths);
    return sum;
}

void heat_legend(struct text *text, const struct quantity *quantity)
{
    bool health = strcmp(quantity->name, "health") == 0;

    text_put(text, "<p class=\"legend\">");
    if (health) {
        text_put(text, "<span class=\"key hs0\"></span>healthy "
                       "<span class=\"key hs1\"></span>warning "
                       "<span class=\"key hs2\"></span>failing ");
    } else {
        for (int level = 0; level < HEAT_LEVELS; level++)
            text_format(text, "<span class=\"key %s%d\"></span>", quantity->style, level);
        text_format(text, " %s ", quantity->levels);
    }
    text_put(text, "<span class=\"key nan\"></span>NaN or infinity "
                   "<span class=\"key none\"></span>no report</p>\n");
}
