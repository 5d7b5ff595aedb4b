/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the methods that take a tensor: they feed the messages of a request, unary or
 * in chunks, to a pipeline. A method adds how its small fields make a task and how it
 * replies. */
#ifndef TERNARY_TENSOR_CALL_H
#define TERNARY_TENSOR_CALL_H

#include "grpc/checks.h"
#include "proto/codec/codec.h"
#include "services/chunk.h"
#include "services/ternary/pipeline.h"

struct tensor_ops {
    const char *data_field; /* "tensor.data" */
    bool stream;
    bool verifies; /* its report is that of a verification, not of a projection */
    /* Decodes the small fields, fills pipeline->task (the plan last), and takes the
     * request's layer (tensor_call_layer). Called when the tensor's data begins, in a
     * stream when `start` is complete. */
    int (*task)(struct call *call, struct pipeline *pipeline);
    /* The same, called when the reference's data begins: the tensor's own header has
     * not come yet. NULL: the method takes no reference. */
    int (*reference_task)(struct call *call, struct pipeline *pipeline);
    /* All tiles are merged: reply and end the call. */
    void (*complete)(struct call *call);
};

/* Which tensor of a unary request came last. A stream has chunks of both instead.
 *
 *   HEADERS --reference.data--> REFERENCE --data--> DATA
 *      |                                             ^
 *      +--------------------data---------------------+
 */
enum tensor_call_state {
    TENSOR_CALL_HEADERS,
    TENSOR_CALL_REFERENCE,
    TENSOR_CALL_DATA,
    TENSOR_CALL_STATES
};
extern const struct states tensor_call_states;

struct tensor_call {
    struct pipeline pipeline;
    const struct tensor_ops *ops;
    enum tensor_call_state state;     /* unary */
    size_t small_bytes;               /* unary: when the data began */
    bool without_region;              /* unary: the tensor's header has none */
    struct chunk_reader chunk;        /* stream */
    void (*reply)(struct call *call); /* once the report is final */
    bool reports;                     /* `report` is in use */
    /* The call's only one, of 8 KiB; report_write borrows it. Undefined before the first
     * tensor_call_report_of. */
    struct trit_report report;
};

struct pipeline *tensor_call_pipeline(struct call *call);

/* Zeroed at first. */
struct trit_report *tensor_call_report_of(struct call *call);

/* Whether the method verifies (tensor_ops). */
bool tensor_call_verifies(struct call *call);

/* The callbacks of struct method. */
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
    .state_bytes = sizeof(struct tensor_call),                                           \
    .state_tail = sizeof(struct tensor_call) - offsetof(struct tensor_call, report),     \
    .begin = tensor_begin, .blob_begin = tensor_blob_begin,                              \
    .blob_bytes = tensor_blob_bytes, .blob_end = tensor_blob_end,                        \
    .message = tensor_message, .request = tensor_request, .cancel = tensor_cancel,       \
    .fini = tensor_fini

/* Decodes the header of a unary request's tensor, `path` in messages. */
int tensor_call_header(struct call *call, const char *path, struct wire_tensor *tensor);

/* plan_init, with metrics for refusals at a limit, and with the checks of a shard. */
int tensor_call_plan(struct call *call, const struct plan_spec *spec, struct plan *plan);

/* Checks options.durability. If the request carries a layer: copies it into the report
 * and wants a write. */
int tensor_call_layer(struct call *call, const struct wire_layer_ref *layer,
                      uint32_t durability);

/* Makes the report from the merged tiles, files it if the request carries a layer, and
 * then calls `reply`. */
void tensor_call_report(struct call *call, void (*reply)(struct call *call));

#endif
