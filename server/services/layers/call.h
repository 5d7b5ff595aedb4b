/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the methods of the Layers service: tensors of a request, kept in memory as a
 * whole; tensors of a reply; conversion of specs. */
#ifndef SERVICES_LAYERS_CALL_H
#define SERVICES_LAYERS_CALL_H

#include "layers/layers.h"
#include "proto/codec/layers.h"
#include "services/client_memory.h"
#include "services/shared.h"
#include "work/blocks.h"

/* Bytes of a request, kept as a whole. The memory grows as they arrive, to at most four times
 * what has arrived. */
struct bulk {
    struct block block;
    size_t count;
    uint64_t length; /* as the peer declared; 0: not known */
    bool seen;
};
/* A blob begins. Fails if it is the second one; the message names `field`. */
int bulk_begin(struct bulk *bulk, struct call *call, const char *field, uint64_t length);
int bulk_put(struct bulk *bulk, struct call *call, const uint8_t *bytes, size_t count);
/* `blob_end` of a method that has nothing to check there. */
int bulk_end(struct call *call, uint32_t blob);
void bulk_fini(struct bulk *bulk, struct call *call);

/* A tensor of a request. */
struct operand {
    const char *path;          /* "x." */
    struct wire_tensor tensor; /* its region is the next member */
    struct wire_region region;
    const uint8_t *source; /* the data in the client's memory; NULL: they were sent */
    struct bulk data;
    uint64_t rows;       /* product of all axes except the last */
    struct block wide;   /* for f16 and bf16: the elements as f32 */
    const float *values; /* rows * last axis; NULL until operand_prepare */
};
/* Decodes the tensor's part. Call it before its message goes away. */
int operand_decode(struct operand *operand, struct call *call, const char *path,
                   const struct scan_part *part);
/* Where the tensor has a region: finds it in `memory`, which stays as long as the operand.
 * INVALID_ARGUMENT: it has data, too. */
int operand_map(struct operand *operand, struct call *call, struct client_memory *memory);
/* Checks that the dtype is F32, F16 or BF16, that the last axis is `columns`, and that
 * the data has as many bytes as the shape needs. */
int operand_check(struct operand *operand, struct call *call, uint64_t columns);
uint64_t operand_elements(const struct operand *operand);
/* Whether the values are not there before operand_load. */
bool operand_is_loaded(const struct operand *operand);
/* Allocates memory for the values as f32, unless they came as f32. */
int operand_prepare(struct operand *operand, struct call *call);
/* Makes these values, each once, of a copy of the client's bytes. Any thread. */
void operand_load(struct operand *operand, uint64_t first, uint64_t count);
void operand_fini(struct operand *operand, struct call *call);

/* Convert elements of a dtype to f32, and back with one rounding. `narrow` may convert in
 * place. */
void widen(enum trit_dtype dtype, const void *in, uint64_t count, float *out);
void narrow(enum trit_dtype dtype, const float *in, uint64_t count, void *out);
/* Finds the READY layer that a request names, with a reference that the caller releases,
 * and labels the call with its name, which must live as long as the call. */
int call_layer(struct call *call, const char *name, struct layer **layer);
/* Fails unless the dtype is F32, F16 or BF16. */
int check_dtype(struct call *call, const char *field, uint32_t dtype);

/* A tensor of the reply: computed as f32, then narrowed to its dtype. Where it has a region, its
 * bytes are there, and are not sent. */
struct result {
    struct wire_tensor tensor;
    uint64_t elements;
    struct block block; /* the values; narrowed in place */
    struct h2_slice slice;
};
uint64_t result_bytes(const struct result *result);
/* Memory for `elements` f32 values, or -1. */
int result_prepare(struct result *result, struct call *call, uint64_t elements);
float *result_values(const struct result *result);
void result_narrow(struct result *result); /* any thread */
void result_fini(struct result *result, struct call *call);

/* Fails when a reply of that many bytes would exceed message_bytes_max. */
int check_reply_bytes(struct call *call, const char *field, uint64_t bytes);

/* Sends bytes of a reply, none where count is 0, from memory that the call frees. */
void reply_lend(struct call *call, struct h2_slice *slice, const void *bytes,
                uint64_t count);
/* Call it if a part of a message was sent and the rest cannot follow. Resets the stream,
 * because the peer could no longer read a status. */
void reply_broken(struct call *call);

/* Sends a message that begins with small fields already encoded (at most
 * REPLY_FIELDS_BYTES_MAX, or none), then `count` results as the fields `first`,
 * `first` + 1..., and ends the call. */
enum { REPLY_FIELDS_BYTES_MAX = 64 };
struct reply_fields {
    uint8_t bytes[REPLY_FIELDS_BYTES_MAX];
    size_t count;
};
void reply_tensors(struct call *call, const struct reply_fields *fields,
                   struct result *const results[], uint32_t first, uint32_t count);

struct wire_layer_spec wire_of_spec(const struct layer_spec *spec);
struct layer_spec spec_of_wire(const struct wire_layer_spec *wire);

/* Answers with the spec of a layer and ends the call. */
void reply_spec(struct call *call, const struct layer *layer);

#endif
