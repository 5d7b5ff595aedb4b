/* SPDX-License-Identifier: Apache-2.0 */
/* One call of trit_project: what its two ways of sending share, and the way that
 * streams. */
#ifndef LIB_PROJECT_STREAM_H
#define LIB_PROJECT_STREAM_H

#include "client/lib/call.h"
#include "client/lib/output.h"
#include "client/lib/tensor.h"

struct projecting {
    struct call call;
    const struct trit_tensor *tensor;
    struct extent extent;
    struct wire_project request; /* its tensor is the whole one */
    struct output data, scales;
    struct trit_report report; /* all zero when none was asked for */
};

/* Calls ProjectStream. `parts` > 1: cuts the tensor by rows into that many tensors,
 * each on its own connection; only without a report, which is of the whole tensor. */
int project_stream(struct projecting *project, uint32_t parts, struct failure *failure);

#endif
