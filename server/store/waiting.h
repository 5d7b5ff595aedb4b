/* SPDX-License-Identifier: Apache-2.0 */
/* Shards that wait for the others of their layer. A layer at a step has one row with the
 * list of its shards (part 0), and one row per shard with its state (found.h) and the
 * uploads of its codes and groups. Both prove each other: the list has as many shards as
 * there are rows. When the last shard has come, all of it becomes a report, in one
 * transaction. Neither layers nor runs have a row because of waiting shards. */
#ifndef STORE_WAITING_H
#define STORE_WAITING_H

#include "shards/found.h"
#include "shards/list.h"
#include "store/row.h"

struct store_get;

enum { WAITING_SHARDS_MAX = 1024 }; /* of one layer */

/* What waits under one key and step. */
struct waiting {
    struct layer_key key;
    int64_t step;
    int64_t time_unix_ns; /* of the newest shard */
    struct shard_list list;
};

/* Each returns 1: found; *waiting is filled, and the caller calls waiting_fini. 0: nothing
 * waits. -1: failure. DATA_LOSS: a row is damaged or missing. */
int waiting_find(struct db *db, const struct layer_key *key, int64_t step,
                 struct waiting *waiting, struct failure *failure);
/* The newest step from `from` to `to`. Attempt 0 of the key: of any attempt. */
int waiting_find_newest(struct db *db, const struct layer_key *key, int64_t from,
                        int64_t to, struct waiting *waiting, struct failure *failure);
void waiting_fini(struct waiting *waiting);

/* Visits in the order of run, layer, step, replica and attempt, behind `after`. A visit
 * returns 1 to go on, 0 to stop, -1 for failure. It may not change the table. */
int waiting_walk(struct db *db, const struct layer_key *after, int64_t after_step,
                 int (*visit)(void *arg, const struct waiting *waiting,
                              struct failure *failure),
                 void *arg, struct failure *failure);

/* One shard that waits. */
struct waiting_part {
    int64_t upload, groups, bytes;
    struct shard_state state;
};
/* Visits the shards of the list, in its order; as waiting_walk. A missing one is
 * DATA_LOSS. */
int waiting_parts(struct db *db, const struct waiting *waiting,
                  int (*visit)(void *arg, size_t index, const struct waiting_part *part,
                               struct failure *failure),
                  void *arg, struct failure *failure);

/* Writes the list, and its last shard. */
int waiting_put(struct db *db, const struct waiting *waiting,
                const struct waiting_part *last, struct failure *failure);

/* Deletes all rows of the key and step, with their uploads. */
int waiting_delete(struct db *db, const struct waiting *waiting, struct failure *failure);

/* Deletes at most `max` waiting layers that `chosen` chooses, in the order of
 * waiting_walk. Returns how many, or -1. */
int waiting_drop(struct db *db, size_t max,
                 bool (*chosen)(void *arg, const struct waiting *waiting), void *arg,
                 struct failure *failure);

/* Deletes the rows of all layers that wait under this run and layer ("": any) at these steps,
 * damaged ones too. A store that opens deletes their uploads. Returns how many rows, or -1. */
int waiting_drop_damaged(struct db *db, const char *run, const char *layer, int64_t from,
                         int64_t to, struct failure *failure);

/* Deletes what waits for attempts of the run below this one: it cannot be completed. */
int waiting_drop_older(struct db *db, const char *run, int64_t attempt,
                       struct failure *failure);

/* Sums db->waiting up again, at the start and after a rollback. */
int waiting_sum(struct db *db, struct failure *failure);

/* Makes a report of what is known so far: key, shape, counts, the finding shards_missing. */
int waiting_report(struct db *db, const struct waiting *waiting,
                   struct trit_report *report, struct failure *failure);

/* The same for what waits of a layer at a step, or the newest. 1: found. 0: nothing. */
int waiting_get(struct db *db, const struct store_get *get, struct trit_report *report,
                struct failure *failure);

#endif
