/* SPDX-License-Identifier: Apache-2.0 */
/* What the blocks of known architectures consist of. */
#ifndef CHECKPOINT_NEEDED_TABLE_H
#define CHECKPOINT_NEEDED_TABLE_H

#include "checkpoint/config.h"
#include "files/table.h"

enum { NEEDED_GROUPS = 3 };

/* Modules whose names in a block begin alike: "self_attn." and "q_proj", "k_proj". */
struct needed_group {
    const char *around;
    const char *const *modules; /* NULL ends them */
    bool norms;                 /* they are norms */
};

struct needed_model {
    const char *blocks; /* what precedes the number of a block */
    struct needed_group groups[NEEDED_GROUPS];
    /* Where experts are numbered: "mlp.experts." and the modules of each, and the router. */
    struct needed_group experts;
    const char *router;
    const char *embedding, *norm; /* outside of the blocks */
    const char *said_by;          /* "config.json" */
    uint64_t block_count, expert_count;
};

/* False: the architecture is not known. */
bool needed_model_of(const struct model_config *config, const struct tensor_table *table,
                     struct needed_model *model);

#endif
