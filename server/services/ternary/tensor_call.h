/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods that take a tensor share: from the messages of their
 * request to a pipeline, unary or in chunks. A method adds how its small fields
 * make a task, and how its result is answered. */
#ifndef TERNARY_TENSOR_CALL_H
#define TERNARY_TENSOR_CALL_H

#include "grpc/checks.h"
#include "proto/codec/codec.h"
#include "services/chunk.h"
#include "services/ternary/pipeline.h"

struct tensor_ops {
    const char *data_field; /* "tensor.data" */
    bool stream;
    bool verifies; /* makes a verification's report, not a projection's */
    /* Decodes the small fields that have come and fills pipeline->task (plan last)
     * and record.put's run, layer, step. For a unary request this is when its
     * tensor's data begins, for a stream when `start` is complete. */
    int (*task)(struct call *call, struct pipeline *pipeline);
    /* As task, when only the reference's header has come. NULL: no reference. */
    int (*reference_task)(struct call *call, struct pipeline *pipeline);
    /* All tiles are merged: answer and end the call. */
    void (*complete)(struct call *call);
};

struct tensor_call {
    struct pipeline pipeline;
    const struct tensor_ops *ops;
    size_t small_bytes; /* unary: when the data began */
    bool data_seen;     /* unary: the data field has come */
    bool reference_seen;
    struct chunk_reader chunk;        /* stream */
    void (*reply)(struct call *call); /* once the report is final */
};

struct pipeline *tensor_call_pipeline(struct call *call);

/* The call's only report. */
struct trit_report *tensor_call_report_of(struct call *call);

/* The rows of struct method. */
void tensor_begin(struct call *call);
int tensor_blob_begin(struct call *call, uint32_t blob, uint64_t length);
int tensor_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count);
int tensor_blob_end(struct call *call, uint32_t blob);
int tensor_message(struct call *call);
int tensor_request(struct call *call);
void tensor_cancel(struct call *call);
void tensor_fini(struct call *call);

#define TENSOR_METHOD                                                                    \
    .state_bytes = sizeof(struct tensor_call), .begin = tensor_begin,                    \
    .blob_begin = tensor_blob_begin, .blob_bytes = tensor_blob_bytes,                    \
    .blob_end = tensor_blob_end, .message = tensor_message, .request = tensor_request,   \
    .cancel = tensor_cancel, .fini = tensor_fini

/* plan_init, counting what the bounds refuse; a tensor with one scale is refused in a
 * stream, and where its codes would be too much for the store at once. */
int tensor_call_plan(struct call *call, const struct plan_spec *spec, struct plan *plan);

/* Takes a request's layer into the record; harmless when absent. */
int tensor_call_layer(struct pipeline *pipeline, const struct wire_layer_ref *layer);

/* Makes the report of a merged pipeline; then files it, if the request carried a
 * layer; then calls `reply` with the call's report final. */
void tensor_call_report(struct call *call, void (*reply)(struct call *call));

#endif
