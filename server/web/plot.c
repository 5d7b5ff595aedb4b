/* SPDX-License-Identifier: Apache-2.0 */
#include "web/plot.h"

#include <inttypes.h>
#include <math.h>

#include "web/html.h"

enum { WIDTH = 1000, HEIGHT = 300 }; /* of the coordinates; the page stretches them */

/* From values to coordinates. */
struct axis {
    double low, high; /* logarithms where `logarithmic` */
    bool logarithmic;
    uint64_t first, last; /* steps */
};

static void range_of(const struct plot *plot, double *low, double *high)
{
    *low = *high = (double)NAN;
    for (size_t line = 0; line < plot->line_count; line++)
        for (size_t i = 0; i < plot->step_count; i++) {
            *low = fmin(*low, plot->lines[line].values[i]);
            *high = fmax(*high, plot->lines[line].values[i]);
        }
}

/* The next of 1, 2, 2.5, 5, 10 times a power of ten. */
static double round_step(double step)
{
    double power = pow(10, floor(log10(step)));
    double digits = step / power;

    return power * (digits <= 1     ? 1
                    : digits <= 2   ? 2
                    : digits <= 2.5 ? 2.5
                    : digits <= 5   ? 5
                                    : 10);
}

static struct axis axis_of(const struct plot *plot)
{
    struct axis axis = {.first = plot->steps[0],
                        .last = plot->steps[plot->step_count - 1]};
    double low, high, step;

    range_of(plot, &low, &high);
    if (isnan(low))
        low = 0, high = 1;
    if (plot->logarithmic && low > 0 && high / low > 8) {
        axis.logarithmic = true;
        axis.low = floor(log10(low));
        axis.high = ceil(log10(high));
        if ((axis.high - axis.low) / 2 != floor((axis.high - axis.low) / 2))
            axis.high++; /* so that the middle is a power of ten too */
        return axis;
    }
    if (plot->from_zero && low > 0)
        low = 0;
    if (high - low < 1e-9 * fmax(fabs(high), 1e-30)) { /* a constant: in the middle */
        double room = high != 0 ? fabs(high) / 2 : 1;

        high += room;
        low = low >= 0 && low < room ? 0 : low - room;
    }
    step = round_step((high - low) / 4);
    axis.low = floor(low / step) * step;
    axis.high = axis.low + 4 * step;
    if (axis.high < high) {
        step = round_step(step * 1.01);
        axis.low = floor(low / step) * step;
        axis.high = axis.low + 4 * step;
    }
    return axis;
}

static double x_of(const struct axis *axis, uint64_t step)
{
    return axis->last > axis->first
               ? (double)(step - axis->first) / (double)(axis->last - axis->first) * WIDTH
               : WIDTH / 2.0;
}

static double y_of(const struct axis *axis, double value)
{
    double at = axis->logarithmic ? log10(value) : value;

    return HEIGHT - (at - axis->low) / (axis->high - axis->low) * HEIGHT;
}

static void put_value(struct text *text, const struct plot *plot, double value)
{
    if (isnan(value))
        text_put(text, "\xe2\x80\x93");
    else if (plot->percent)
        html_percent(text, value);
    else
        html_real(text, value);
}

/* A gap ends the line; a point alone is a line without length, which round ends show. */
static void put_line(struct text *text, const struct plot *plot, const struct axis *axis,
                     const struct plot_line *line)
{
    bool pen = false;

    text_format(text, "<path class=\"line %s\" d=\"", line->style);
    for (size_t i = 0; i < plot->step_count; i++) {
        double value = line->values[i];

        if (isnan(value)) {
            pen = pen && plot->bridges;
            continue;
        }
        text_format(text, "%s%.1f %.1f", pen ? "L" : "M", x_of(axis, plot->steps[i]),
                    y_of(axis, value));
        if (!pen)
            text_put(text, "h0");
        pen = true;
    }
    text_put(text, "\"/>");
}

static double newest(const struct plot *plot, const struct plot_line *line)
{
    for (size_t i = plot->step_count; i-- > 0;)
        if (!isnan(line->values[i]))
            return line->values[i];
    return (double)NAN;
}

static void put_words(struct text *text, const struct plot *plot)
{
    double low, high;

    range_of(plot, &low, &high);
    text_format(text, "%s over steps %" PRIu64 " to %" PRIu64 ", from ", plot->title,
                plot->steps[0], plot->steps[plot->step_count - 1]);
    put_value(text, plot, low);
    text_put(text, " to ");
    put_value(text, plot, high);
    for (size_t i = 0; i < plot->line_count; i++) {
        text_format(text, "%s newest %s ", i ? "," : ";", plot->lines[i].name);
        put_value(text, plot, newest(plot, &plot->lines[i]));
    }
    if (plot->since != UINT64_MAX)
        text_format(text, "; not healthy since step %" PRIu64, plot->since);
}

static void put_caption(struct text *text, const struct plot *plot)
{
    text_format(text, "<figcaption><b>%s</b>", plot->title);
    for (size_t i = 0; i < plot->line_count; i++) {
        text_format(text, "<span><i class=\"key %s\"></i>%s ", plot->lines[i].style,
                    plot->lines[i].name);
        put_value(text, plot, newest(plot, &plot->lines[i]));
        text_put(text, "</span>");
    }
    text_put(text, "</figcaption>\n");
}

/* Five marks from the top to the bottom. */
static void put_scale(struct text *text, const struct plot *plot, const struct axis *axis)
{
    text_put(text, "<div class=\"ys\" aria-hidden=\"true\">");
    for (int mark = 4; mark >= 0; mark -= 2) {
        double at = axis->low + (axis->high - axis->low) * mark / 4;

        text_put(text, "<span>");
        if (plot->percent)
            text_format(text, "%.3g\xe2\x80\xaf%%", at * 100);
        else
            html_real(text, axis->logarithmic ? pow(10, at) : at);
        text_put(text, "</span>");
    }
    text_put(text, "</div>");
}

void plot_figure(struct text *text, const struct plot *plot)
{
    struct axis axis;

    if (plot->step_count == 0)
        return;
    axis = axis_of(plot);
    text_put(text, "<figure class=\"plot\">");
    put_caption(text, plot);
    text_put(text, "<div class=\"area\">");
    put_scale(text, plot, &axis);
    text_format(text,
                "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
                "aria-label=\"",
                WIDTH, HEIGHT);
    put_words(text, plot);
    text_format(text,
                "\"><path class=\"grid\" d=\"M0 0H%dM0 75H%dM0 150H%dM0 225H%d"
                "M0 300H%d\"/>",
                WIDTH, WIDTH, WIDTH, WIDTH, WIDTH);
    if (plot->since != UINT64_MAX && plot->since >= axis.first &&
        plot->since <= axis.last)
        text_format(text, "<path class=\"since\" d=\"M%.1f 0V%d\"/>",
                    x_of(&axis, plot->since), HEIGHT);
    for (size_t i = 0; i < plot->line_count; i++)
        put_line(text, plot, &axis, &plot->lines[i]);
    text_format(text,
                "</svg><div class=\"xs\" aria-hidden=\"true\"><span>%" PRIu64
                "</span><span>step</span><span>%" PRIu64 "</span></div></div></figure>\n",
                axis.first, axis.last);
}

void plot_spark(struct text *text, const double *values, size_t count, const char *words)
{
    double low = (double)NAN, high = (double)NAN;
    bool pen = false;

    for (size_t i = 0; i < count; i++) {
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    if (isnan(low))
        return;
    text_put(text, "<svg class=\"spark\" viewBox=\"0 0 100 20\" "
                   "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    text_html(text, words);
    text_put(text, "\"><title>");
    text_html(text, words);
    text_put(text, "</title><path class=\"line\" d=\"");
    for (size_t i = 0; i < count; i++) {
        double x = count > 1 ? (double)i / (double)(count - 1) * 98 + 1 : 50;
        double y = high > low ? 18 - (values[i] - low) / (high - low) * 16 : 10;

        if (isnan(values[i])) {
            pen = false;
            continue;
        }
        text_format(text, "%s%.1f %.1f%s", pen ? "L" : "M", x, y, pen ? "" : "h0");
        pen = true;
    }
    text_put(text, "\"/></svg>");
}
