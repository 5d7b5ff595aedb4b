/* SPDX-License-Identifier: Apache-2.0 */
/* What a method of a service is to grpc: one row of the table that grpc is given. A
 * call pumps the bytes of its
 * request through the deframer and the method's scan table, and tells the
 * method what it found, in this order for every message:
 *
 *   blob_begin -> blob_bytes* -> blob_end   (each blob of the message)
 *   message                                 (its small fields are complete)
 *
 * and `request` once the peer has half-closed after whole messages. Each
 * returns 0, or -1 with call->failure filled, which ends the call. */
#ifndef GRPC_METHOD_H
#define GRPC_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct scan_field;

struct method {
    const char *path; /* "/trit.v1.Ternary/Project" */
    bool streaming;   /* the request may hold many messages */
    const struct scan_field *scan;
    size_t state_bytes; /* zeroed for each call: call->method_state */
    const void *ops;    /* constant data of the service's own; grpc does not look at it */
    void (*begin)(struct call *call); /* may be NULL */
    /* Those of a method whose scan table names blobs; else NULL. */
    int (*blob_begin)(struct call *call, uint32_t blob, uint64_t length);
    int (*blob_bytes)(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count);
    int (*blob_end)(struct call *call, uint32_t blob);
    int (*message)(struct call *call); /* may be NULL */
    int (*request)(struct call *call);
    /* The call failed or its stream is gone: stop what can be stopped. */
    void (*cancel)(struct call *call); /* may be NULL */
    /* Frees what the state owns; nothing is running any more. */
    void (*fini)(struct call *call); /* may be NULL */
};

/* NULL when no method has this path; else *id is its index. */
const struct method *method_find(const struct method *const *methods, size_t count,
                                 const char *path, size_t *id);

#endif
