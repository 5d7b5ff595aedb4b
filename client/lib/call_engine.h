/* SPDX-License-Identifier: Apache-2.0 */
/* An engine (drive/engine.h) that has a daemon compute, by the calls of this library. */
#ifndef LIB_CALL_ENGINE_H
#define LIB_CALL_ENGINE_H

#include <trit.h>

#include "drive/engine.h"

struct call_engine {
    struct engine engine; /* for the run */
    struct trit_client *client;
    struct trit_layer_ref layer; /* where reports are stored; each matrix has its name */
    enum trit_durability durability;
    uint64_t timeout_ms; /* of each call; 0: that of the client */
    /* 0, or -1 with *failure: a call has failed. A failure that is set already, because the
     * file could not be read or written, stays. */
    int (*ended)(enum trit_status status, const struct trit_error *error,
                 struct failure *failure);
};

/* The struct must stay where it is. */
void call_engine_init(struct call_engine *engine, struct trit_client *client,
                      const struct trit_layer_ref *layer,
                      int (*ended)(enum trit_status status,
                                   const struct trit_error *error,
                                   struct failure *failure));

#endif
