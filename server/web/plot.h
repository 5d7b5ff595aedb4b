/* SPDX-License-Identifier: Apache-2.0 */
/* Plots of values over steps, as SVG that the style sheet colours. The words stand
 * outside of the SVG, so that they keep their size on a narrow screen. */
#ifndef WEB_PLOT_H
#define WEB_PLOT_H

#include <stddef.h>
#include <stdint.h>

#include "web/text.h"

enum { PLOT_LINES_MAX = 4, PLOT_COLUMNS_MAX = 240 };

struct plot_line {
    const char *name;     /* HTML */
    const char *style;    /* class of the line: "pos", "run-a" */
    const double *values; /* step_count of them; NaN: a gap */
};

struct plot {
    const char *title; /* HTML */
    bool percent;      /* the values are shares */
    bool logarithmic;  /* where all values are positive */
    bool from_zero;    /* the axis begins with 0 */
    const uint64_t *steps;
    size_t step_count;
    struct plot_line lines[PLOT_LINES_MAX];
    size_t line_count;
    bool bridges;   /* an absent value is no gap: the lines have steps of their own */
    uint64_t since; /* a mark at this step; UINT64_MAX: none */
};

/* A figure with its title, legend, axes and text. */
void plot_figure(struct text *text, const struct plot *plot);

/* A small line without axes; `words` is its text. */
void plot_spark(struct text *text, const double *values, size_t count, const char *words);

#endif
