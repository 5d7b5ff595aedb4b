/* The methods of the daemon: one row each. A call pumps the bytes of its
 * request through the deframer and the method's scan table, and tells the
 * method what it found, in this order for every message:
 *
 *   blob_begin -> blob_bytes* -> blob_end   (each blob of the message)
 *   message                                 (its small fields are complete)
 *
 * and `request` once the peer has half-closed after whole messages. Each
 * returns 0, or -1 with call->failure filled, which ends the call. */
#ifndef RPC_METHOD_H
#define RPC_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct scan_field;
struct tensor_ops;

struct method {
    const char *path; /* "/trit.v1.Ternary/Project" */
    bool streaming;   /* the request may hold many messages */
    const struct scan_field *scan;
    size_t state_bytes;               /* zeroed for each call: call->method_state */
    const struct tensor_ops *tensor;  /* what a method that takes a tensor adds */
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

/* NULL when no method has this path. */
const struct method *method_find(const char *path, size_t *id);

extern const struct method method_project, method_verify, method_unpack, method_backward,
    method_project_stream, method_verify_stream, method_reports_get, method_reports_list,
    method_health_check, method_layers_create, method_layers_load,
    method_layers_load_stream, method_layers_get, method_layers_list,
    method_layers_delete, method_layers_forward, method_layers_backward,
    method_layers_embed, method_layers_as_linear, method_layers_verify;

#endif
