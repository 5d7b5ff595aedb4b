/* SPDX-License-Identifier: Apache-2.0 */
#include "services/layers/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "obs/metrics.h"
#include "services/ternary/tensor_call.h"

enum {
    BULK_BYTES_FIRST = 4096,
    BULK_GROWTH = 4,
};

/* ---- bytes of a request ---------------------------------------------------------- */

int bulk_begin(struct bulk *bulk, struct call *call, const char *field, uint64_t length)
{
    if (bulk->seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field, "given twice");
    bulk->seen = true;
    bulk->length = length;
    return 0;
}

int bulk_end(struct call *call, uint32_t blob)
{
    (void)call, (void)blob;
    return 0;
}

/* The declared length only ends the growth early; it reserves nothing. */
static int bulk_grow(struct bulk *bulk, struct call *call, size_t needed)
{
    size_t size =
        needed < BULK_BYTES_FIRST / BULK_GROWTH ? BULK_BYTES_FIRST : needed * BULK_GROWTH;
    struct block grown;

    if (bulk->length >= needed && bulk->length < size)
        size = (size_t)bulk->length;
    if (call_block(call, size, &grown) < 0)
        return memory_spent(call);
    if (bulk->count)
        memcpy(grown.bytes, bulk->block.bytes, bulk->count);
    blocks_put(services_of(call)->config.blocks, &bulk->block);
    bulk->block = grown;
    return 0;
}

int bulk_put(struct bulk *bulk, struct call *call, const uint8_t *bytes, size_t count)
{
    if (bulk->block.size - bulk->count < count &&
        bulk_grow(bulk, call, bulk->count + count) < 0)
        return -1;
    memcpy(bulk->block.bytes + bulk->count, bytes, count);
    bulk->count += count;
    metric_add(call->config->metrics, M_TENSOR_IN_BYTES, count);
    return 0;
}

void bulk_fini(struct bulk *bulk, struct call *call)
{
    blocks_put(services_of(call)->config.blocks, &bulk->block);
    *bulk = (struct bulk){0};
}

/* ---- element types ----------------------------------------------------------------- */

void widen(enum trit_dtype dtype, const void *in, uint64_t count, float *out)
{
    const uint8_t *from = in;

    for (uint64_t i = 0; i < count; i++) {
        uint16_t bits;

        if (dtype == TRIT_F32) {
            memcpy(&out[i], from + 4 * i, 4);
            continue;
        }
        memcpy(&bits, from + 2 * i, 2);
        out[i] = dtype == TRIT_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
    }
}

void narrow(enum trit_dtype dtype, const float *in, uint64_t count, void *out)
{
    uint8_t *into = out;

    for (uint64_t i = 0; i < count; i++) {
        uint16_t bits;

        if (dtype == TRIT_F32) {
            memmove(into + 4 * i, &in[i], 4);
            continue;
        }
        bits = dtype == TRIT_F16 ? f32_to_f16(in[i]) : f32_to_bf16(in[i]);
        memcpy(into + 2 * i, &bits, 2);
    }
}

int check_dtype(struct call *call, const char *field, uint32_t dtype)
{
    switch (dtype) {
    case TRIT_F32:
    case TRIT_F16:
    case TRIT_BF16:
        return 0;
    }
    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                      "%u is not F32 (1), F16 (2) or BF16 (3)", (unsigned)dtype);
}

/* ---- a tensor of a request --------------------------------------------------------- */

static int check_shape(struct operand *operand, struct call *call, const char *field,
                       uint64_t columns)
{
    const struct wire_tensor *tensor = &operand->tensor;
    uint64_t rows = 1, elements, bytes;

    if (tensor->rank == 0)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field, "rank 0");
    if (tensor->shape[tensor->rank - 1] != columns)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "the last axis is %" PRIu64 ", the layer has %" PRIu64,
                          tensor->shape[tensor->rank - 1], columns);
    for (uint32_t i = 0; i + 1 < tensor->rank; i++) {
        if (tensor->shape[i] == 0)
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                              "axis %u is 0", (unsigned)i);
        if (mul_overflows(rows, tensor->shape[i], &rows))
            return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                              "the product overflows at %" PRIu64, tensor->shape[i]);
    }
    if (mul_overflows(rows, columns, &elements) || mul_overflows(elements, 8, &bytes))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "the product overflows at %" PRIu64, columns);
    operand->rows = rows;
    return 0;
}

int operand_decode(struct operand *operand, struct call *call, const char *path,
                   const struct scan_part *part)
{
    char error[CODEC_ERROR_BYTES];

    operand->path = path;
    if (decode_tensor(part, &operand->tensor, error) < 0)
        return decode_failed(call, path, error);
    operand->region = operand->tensor.region;
    operand->tensor.region.present = false;
    return 0;
}

enum { FIELD_BYTES = 64 };

int operand_map(struct operand *operand, struct call *call, struct client_memory *memory)
{
    char field[FIELD_BYTES];
    uint8_t *bytes;

    if (!operand->region.present)
        return 0;
    snprintf(field, sizeof(field), "%sregion", operand->path);
    if (operand->data.seen)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "set together with data; leave one of them out");
    if (client_memory_map(memory, &operand->region, field, &bytes) < 0)
        return -1;
    operand->source = bytes;
    metric_add(call->config->metrics, M_TENSOR_IN_BYTES, operand->region.bytes);
    return 0;
}

int operand_check(struct operand *operand, struct call *call, uint64_t columns)
{
    const uint64_t given = operand->source ? operand->region.bytes : operand->data.count;
    const char *path = operand->path;
    char field[FIELD_BYTES];
    uint64_t bytes;

    snprintf(field, sizeof(field), "%sdtype", path);
    if (check_dtype(call, field, operand->tensor.dtype) < 0)
        return -1;
    snprintf(field, sizeof(field), "%sshape", path);
    if (check_shape(operand, call, field, columns) < 0)
        return -1;
    bytes =
        operand_elements(operand) * dtype_bytes((enum trit_dtype)operand->tensor.dtype);
    snprintf(field, sizeof(field), "%s%s", path, operand->source ? "region" : "data");
    if (given != bytes)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, field,
                          "%" PRIu64 " bytes, but the shape needs %" PRIu64, given,
                          bytes);
    return 0;
}

uint64_t operand_elements(const struct operand *operand)
{
    return operand->rows * operand->tensor.shape[operand->tensor.rank - 1];
}

bool operand_is_loaded(const struct operand *operand)
{
    return operand->source || operand->tensor.dtype != TRIT_F32;
}

int operand_prepare(struct operand *operand, struct call *call)
{
    if (operand->source &&
        call_block(call, (size_t)operand->region.bytes, &operand->data.block) < 0)
        return memory_spent(call);
    if (operand->tensor.dtype == TRIT_F32) {
        operand->values = (const float *)(const void *)operand->data.block.bytes;
        return 0;
    }
    if (call_block(call, (size_t)operand_elements(operand) * sizeof(float),
                   &operand->wide) < 0)
        return memory_spent(call);
    operand->values = (const float *)(const void *)operand->wide.bytes;
    return 0;
}

void operand_load(struct operand *operand, uint64_t first, uint64_t count)
{
    enum trit_dtype dtype = (enum trit_dtype)operand->tensor.dtype;
    const uint64_t at = first * dtype_bytes(dtype);
    uint8_t *bytes = operand->data.block.bytes + at;

    if (operand->source)
        memcpy(bytes, operand->source + at, (size_t)(count * dtype_bytes(dtype)));
    if (operand->wide.bytes)
        widen(dtype, bytes, count, (float *)(void *)operand->wide.bytes + first);
}

void operand_fini(struct operand *operand, struct call *call)
{
    bulk_fini(&operand->data, call);
    blocks_put(services_of(call)->config.blocks, &operand->wide);
}

/* ---- a tensor of a reply ----------------------------------------------------------- */

int result_prepare(struct result *result, struct call *call, uint64_t elements)
{
    result->elements = elements;
    if (call_block(call, (size_t)elements * sizeof(float), &result->block) < 0)
        return memory_spent(call);
    return 0;
}

uint64_t result_bytes(const struct result *result)
{
    return result->elements * dtype_bytes((enum trit_dtype)result->tensor.dtype);
}

float *result_values(const struct result *result)
{
    return (float *)(void *)result->block.bytes;
}

void result_narrow(struct result *result)
{
    if (result->tensor.dtype != TRIT_F32)
        narrow((enum trit_dtype)result->tensor.dtype, result_values(result),
               result->elements, result->block.bytes);
}

void result_fini(struct result *result, struct call *call)
{
    blocks_put(services_of(call)->config.blocks, &result->block);
}

int check_reply_bytes(struct call *call, const char *field, uint64_t bytes)
{
    uint64_t limit = call->config->limits->message_bytes_max;

    if (bytes <= limit)
        return 0;
    metric_limit(call->config->metrics, L_MESSAGE);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, field,
                      "the reply would have %" PRIu64
                      " bytes, message_bytes_max is %" PRIu64,
                      bytes, limit);
}

/* The call frees the memory; it outlives its slices. */
static void slice_released(struct h2_slice *slice)
{
    (void)slice;
}

void reply_lend(struct call *call, struct h2_slice *slice, const void *bytes,
                uint64_t count)
{
    if (count == 0)
        return;
    *slice = (struct h2_slice){
        .bytes = bytes, .count = (size_t)count, .release = slice_released};
    call_write(call, slice);
}

void reply_broken(struct call *call)
{
    h2_reset(call->stream, HTTP2_INTERNAL_ERROR);
}

static uint64_t bytes_sent(const struct result *result)
{
    return result->tensor.region.present ? 0 : result_bytes(result);
}

void reply_tensors(struct call *call, const struct reply_fields *fields,
                   struct result *const results[], uint32_t first, uint32_t count)
{
    uint8_t head[GRPC_PREFIX_BYTES + REPLY_FIELDS_BYTES_MAX + REPLY_HEAD_BYTES_MAX];
    uint64_t total = fields ? fields->count : 0;

    for (uint32_t i = 0; i < count; i++)
        total += encode_layer_tensor(first + i, &results[i]->tensor,
                                     bytes_sent(results[i]), head, sizeof(head)) +
                 bytes_sent(results[i]);
    for (uint32_t i = 0; i < count; i++) {
        struct result *result = results[i];
        size_t at = 0;

        if (i == 0) {
            frame_prefix(head, (uint32_t)total);
            at = GRPC_PREFIX_BYTES;
            if (fields) {
                memcpy(head + at, fields->bytes, fields->count);
                at += fields->count;
            }
        }
        at += encode_layer_tensor(first + i, &result->tensor, bytes_sent(result),
                                  head + at, sizeof(head) - at);
        if (call_write_copy(call, head, at) < 0) {
            if (i > 0)
                reply_broken(call);
            break;
        }
        reply_lend(call, &result->slice, result->block.bytes, bytes_sent(result));
        metric_add(call->config->metrics, M_TENSOR_OUT_BYTES, result_bytes(result));
    }
    call_end(call);
}

/* ---- layers ------------------------------------------------------------------------ */

struct wire_layer_spec wire_of_spec(const struct layer_spec *spec)
{
    struct wire_layer_spec wire = {
        .kind = spec->kind,
        .in_features = spec->in_features,
        .out_features = spec->out_features,
        .bias = spec->bias,
        .group_size = spec->group_size,
        .keep_latents = spec->keep_latents,
    };

    memcpy(wire.name, spec->name, sizeof(wire.name));
    return wire;
}

struct layer_spec spec_of_wire(const struct wire_layer_spec *wire)
{
    struct layer_spec spec = {
        .kind = (enum layer_kind)wire->kind,
        .in_features = wire->in_features,
        .out_features = wire->out_features,
        .bias = wire->bias,
        .group_size = wire->group_size,
        .keep_latents = wire->keep_latents,
    };

    memcpy(spec.name, wire->name, sizeof(spec.name));
    return spec;
}

void reply_spec(struct call *call, const struct layer *layer)
{
    struct wire_layer_spec spec = wire_of_spec(&layer->spec);
    uint8_t reply[LAYER_SPEC_BYTES_MAX];

    call_write_message(call, reply, encode_layer_spec(&spec, reply, sizeof(reply)));
    call_end(call);
}

int call_layer(struct call *call, const char *name, struct layer **layer)
{
    call_label(call, "layer", name);
    return layers_find(services_of(call)->config.layers, name, layer, &call->failure);
}
