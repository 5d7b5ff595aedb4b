/* SPDX-License-Identifier: Apache-2.0 */
/* One call of trit_project or trit_pack: shared by the unary and the streamed way, and
 * the streamed way. */
#ifndef LIB_PROJECT_STREAM_H
#define LIB_PROJECT_STREAM_H

#include "client/lib/call.h"
#include "client/lib/chunks.h"
#include "client/lib/output.h"
#include "client/lib/tensor.h"

struct projecting {
    struct call call;
    const struct trit_tensor *tensor;
    chunks_find find; /* of a tensor that is read: see chunks.h; or NULL */
    struct extent extent;
    struct wire_project request; /* `tensor` is the whole tensor */
    struct output data, scales;
    struct wire_region reply;  /* of a unary call: where the daemon writes the data */
    struct trit_report report; /* all zero when none was asked for */
    /* For trit_pack, else NULL: the request to send. `request` repeats those of its
     * members that determine the reply. */
    const struct packing_request *pack;
};

struct packing_request {
    struct wire_pack wire;
    const void *scales; /* of the source */
    uint64_t scale_bytes;
};

/* Decodes the reply of Project or Pack into project->report. */
int projected_decode(void *project, const struct scan *reply, struct failure *failure);

/* Prepares the outputs for `encoding` of project->extent. The data go to `out`, to `write`,
 * or, if both are NULL, to memory of the library. INVALID_ARGUMENT: both are set. */
int projection_outputs(struct projecting *project, uint32_t group_size, void *out,
                       uint64_t out_bytes, trit_write write, void *write_arg,
                       struct failure *failure);

/* Does the tensor or the result go through a function of the caller? */
bool projecting_is_called_back(const struct projecting *project);

/* Checks the caller's projection. *report: the caller's report to fill, or NULL. */
int projection_check(const struct trit_projection *projection,
                     struct trit_report **report, struct failure *failure);

/* Gives the outputs to the caller. `report` is the caller's, or NULL. */
void projection_give(struct projecting *project, struct trit_report *report,
                     struct trit_projection *projection);

/* Calls ProjectStream, or PackStream with parts = 1. `parts` > 1: cuts the tensor by rows into that many tensors,
 * each on its own connection; only without a report, which is of the whole tensor. */
int project_stream(struct projecting *project, uint32_t parts, struct failure *failure);

#endif
