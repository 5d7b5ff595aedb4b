/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of consecutive steps of a layer that are to be deleted, and their neighbours. */
#ifndef STORE_STRETCH_H
#define STORE_STRETCH_H

#include "store/row.h"

enum { STRETCH_REPORTS_MAX = 256 };

struct stretch {
    size_t count, max;
    int64_t sequences[STRETCH_REPORTS_MAX];
    size_t lost;    /* reports whose rows are missing, but which a later report names */
    int64_t before; /* the step before the first, or STEP_NONE */
    int64_t last;   /* the last step that is deleted */
    int64_t to;
    bool has_next;     /* a report follows: */
    int64_t next_step; /* its step */
    bool next_intact;  /* then it must name `before` as previous, and has this CRC: */
    uint32_t next_crc;
    bool ends;    /* the layer's newest report is among them */
    bool damaged; /* a row among them, or beside them, is damaged or missing */
};

/* Finds the first reports from `from` to `to`, at most `max` and STRETCH_REPORTS_MAX. All
 * that is damaged or missing among them is found too, as far as the table and its neighbours
 * tell. count and lost 0: there are none. */
int stretch_find(struct db *db, const struct layer_row *layer, int64_t from, int64_t to,
                 size_t max, struct stretch *stretch, struct failure *failure);

#endif
