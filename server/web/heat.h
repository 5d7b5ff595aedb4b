/* SPDX-License-Identifier: Apache-2.0 */
/* Heat maps: a strip of colours for each layer, one place for each step. The strips of a
 * table stand under each other on one axis, so that the table is a map layers x steps. */
#ifndef WEB_HEAT_H
#define WEB_HEAT_H

#include "web/history.h"
#include "web/text.h"

enum {
    HEAT_COLUMNS_MAX = 120,
    HEAT_LEVELS = 8,
    HEAT_FIELDS = 2, /* of a query for heat_strip: the quantity's, and non_finite */
};

/* What a map shows. */
struct quantity {
    const char *name;   /* as a parameter: "zero_share" */
    const char *title;  /* "Zero share" */
    const char *levels; /* what the colours mean, from the first to the last */
    const char *field;
    bool percent;
    /* Of a value of the field and the median of all values in the strip. */
    double (*value)(double value, double median);
    /* Level i + 1 begins at bounds[i]; ascending. */
    double bounds[HEAT_LEVELS - 1];
    bool low_is_bad;   /* the colours run the other way */
    const char *style; /* of the colours: "lv" from little to much, "dv" around a middle,
                          "hs" of health */
};

/* The quantities of the daemon; they end with a NULL name. The first is the default. */
extern const struct quantity quantities[];

/* NULL: there is none of this name. "" is the default. */
const struct quantity *quantity_by_name(const char *name);

/* The fields that heat_strip expects in the history. */
void heat_fields(const struct quantity *quantity,
                 const struct field *fields[HEAT_FIELDS]);

/* What a strip shows in numbers. NaN: nothing. */
struct heat_summary {
    double first, least, most, last;
    size_t bad; /* steps with values that are not finite */
};

/* Writes the strip of a layer with its text. `values` are 2 * step_count places for it to
 * work in. `since`: marks this step; UINT64_MAX: none. `newest` is the number of the newest
 * report: the last place may stand for several reports. */
struct heat_summary heat_strip(struct text *text, const struct quantity *quantity,
                               const struct history *history,
                               const struct history_layer *layer, double *values,
                               uint64_t since, double newest);

void heat_legend(struct text *text, const struct quantity *quantity);

/* A value of the quantity as text. */
void heat_value(struct text *text, const struct quantity *quantity, double value);

#endif
