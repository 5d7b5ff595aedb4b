/* SPDX-License-Identifier: Apache-2.0 */
/* A method of a service: one row of the table that grpc is given. grpc passes the bytes
 * of a request through the deframer and the method's scan table (proto/scan.h) and calls
 * the method, in this order for every message:
 *
 *   blob_begin -> blob_bytes* -> blob_end   (each blob of the message)
 *   message                                 (its small fields are complete)
 *
 * It calls `request` once the peer has half-closed after whole messages. Each callback
 * returns 0, or -1 with call->failure filled, which ends the call. All run on the loop's
 * thread. */
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
    size_t state_tail;  /* of them, at the end: not zeroed */
    const void *ops;    /* constant data of the service; grpc does not use it */
    void (*begin)(struct call *call); /* may be NULL */
    /* For a method whose scan table names blobs; otherwise NULL. */
    int (*blob_begin)(struct call *call, uint32_t blob, uint64_t length);
    int (*blob_bytes)(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count);
    int (*blob_end)(struct call *call, uint32_t blob);
    int (*message)(struct call *call); /* may be NULL */
    int (*request)(struct call *call);
    /* After call_writable returned false: the peer has read most of the reply. Returns
     * like `request`. */
    int (*writable)(struct call *call); /* may be NULL */
    /* grpc_notify was called. */
    void (*notice)(struct call *call); /* may be NULL */
    /* The call failed or its stream is gone: stop what can be stopped. */
    void (*cancel)(struct call *call); /* may be NULL */
    /* Frees what the state owns; nothing is running any more. */
    void (*fini)(struct call *call); /* may be NULL */
};

/* NULL when no method has this path; else *id is its index. */
const struct method *method_find(const struct method *const *methods, size_t count,
                                 const char *path, size_t *id);

#endif
