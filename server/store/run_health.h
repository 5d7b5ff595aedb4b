/* SPDX-License-Identifier: Apache-2.0 */
/* How the layers of a run do now, without reading their reports. */
#ifndef STORE_RUN_HEALTH_H
#define STORE_RUN_HEALTH_H

#include "store/history.h"

/* One layer, of all its replicas, in the run's newest attempt with what it resumed from. */
struct store_layer_health {
    const char *layer;
    enum trit_health health; /* the worst of its replicas, staleness included */
    uint32_t replica;        /* the lowest one that is so unwell */
    uint32_t attempt;        /* of the newest report of the lowest replica */
    uint64_t step;           /* of the newest report of any */
    int64_t time_unix_ns;    /* likewise */
    double interval_seconds; /* usual, between reports; NAN: there is one report */
    double
        values[STORE_FIELDS]; /* the worst of the replicas' newest reports; NAN: absent */
    int64_t stale_ns;         /* when a replica became stale last; INT64_MIN: none is */
};

/* Visits the layers of a run in order of names, until `visit` returns false. NOT_FOUND:
 * there is no such run. DATA_LOSS. If the newest report before a rewind is damaged, the
 * layer's health is a warning, without values, at the step of the rewind. */
int store_read_layer_health(struct store_reader *reader, const char *run,
                            int64_t now_unix_ns,
                            bool (*visit)(void *arg,
                                          const struct store_layer_health *layer),
                            void *arg, struct failure *failure);

struct store_run_health {
    enum trit_health health;                  /* of the worst layer */
    uint64_t layers[TRIT_HEALTH_FAILING + 1]; /* how many have that health */
    int64_t time_unix_ns;                     /* of the newest report */
    int64_t stale_ns;        /* when a layer became stale last; INT64_MIN: none is */
    uint64_t step;           /* the newest of any layer */
    double interval_seconds; /* usual, between reports of the layer that reports most
                                often; NAN: no layer has two reports */
    /* The value of the layer and replica that is worst in it: the smallest scale_min and sqnr_db, the
     * scale_drift farthest from 1, the largest of the others. NAN: no layer has it. */
    double worst[STORE_FIELDS];
};
int store_read_run_health(struct store_reader *reader, const char *run,
                          int64_t now_unix_ns, struct store_run_health *health,
                          struct failure *failure);

#endif
