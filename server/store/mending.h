/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows are mended, and when: all of them in turns, or those that one layer needs. Inside
 * the caller's transaction. */
#ifndef STORE_MENDING_H
#define STORE_MENDING_H

#include "store/mend.h"

/* The keys that one turn looks at. A row that is made again counts with all reports of its
 * layer, so a turn takes at most this many, and one layer. */
enum { MENDING_TURN_ROWS = 512 };

enum mending_stage { MENDING_STRAYS, MENDING_LAYERS, MENDING_RUNS, MENDING_DONE };

/* All rows, turn after turn; puts may come between two. All zero: from the beginning. */
struct mending {
    enum mending_stage stage;
    struct layer_key at; /* the next key of the stage */
    int count;           /* rows that were mended */
};

/* Mends the rows of one turn. 1: more turns are to follow. 0: the end. -1: failure. */
int mending_turn(struct db *db, struct mending *mending, struct failure *failure);

/* Mends all rows that can be mended: how many, or -1. */
int layers_mend(struct db *db, struct failure *failure);

/* Mends the rows that a put or a deletion at this layer needs: those of the layer, of its
 * neighbours and of its run. How many, or -1. */
int layers_mend_near(struct db *db, const struct layer_key *key, struct failure *failure);

/* When such rows were last mended. The pause until the next time is ten times as long if nothing
 * could be mended. All zero: never. */
struct mend_turn {
    uint64_t last_ns; /* monotonic */
    bool in_vain;
};

struct mender {
    struct mend_turn met, asked; /* for puts; for readers */
    struct mending all;          /* under way, or MENDING_DONE */
};

/* The put of this report has met this damage. True: rows that it needs were mended. Once a
 * second at most. If nothing could be mended, what it needs may depend on other rows: then
 * this is mend_asked, too. */
bool mend_met(struct db *db, struct mender *mender, const struct trit_report *report,
              const struct failure *damage, uint64_t now_ns);

/* A reader has met damage. Begins to mend all rows, at most once a minute. When the last turn has
 * ended, the caller sets asked.in_vain. */
void mend_asked(struct mender *mender, uint64_t now_ns);

#endif
