/* What a projected checkpoint will look like: for every tensor of the input, the
 * tensor or tensors of the output that it becomes. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "client/cli/layers.h"
#include "client/cli/record.h"

#define PLAN_NONE SIZE_MAX

struct plan_item {
    bool layer;    /* else it passes through */
    size_t data;   /* index in the output's table */
    size_t scales; /* likewise, or PLAN_NONE */
};

struct plan {
    struct tensor_table table; /* of the output, unsealed */
    struct plan_item *items;   /* one for each tensor of the input's table */
    size_t layers;
    uint64_t bytes; /* of the input's tensors */
};

/* Every metadata entry of the input stays, but for the record of an earlier
 * projection; this one's is added (a .npy output has no place for it). */
int plan_create(struct plan *plan, const struct options *options,
                const struct tensor_table *input, struct failure *failure);
void plan_destroy(struct plan *plan); /* harmless on a zeroed one */

#endif
