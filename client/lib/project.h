/* One trit_project under way: what both ways of sending it share. */
#ifndef LIB_PROJECT_H
#define LIB_PROJECT_H

#include "client/lib/call.h"
#include "client/lib/output.h"
#include "client/lib/tensor.h"

struct projecting {
    struct call call;
    const struct trit_tensor *tensor;
    struct extent extent;
    struct wire_project request; /* tensor: the whole */
    struct output data, scales;
    struct trit_report report; /* all zero without one */
};

/* As ProjectRequest. */
int project_unary(struct projecting *project, struct failure *failure);
/* As ProjectStream. `parts` > 1: cut by rows into as many tensors, each on its
 * own connection; only where no report is wanted, for a report is of a whole. */
int project_stream(struct projecting *project, uint32_t parts, struct failure *failure);

#endif
