/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/layer.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

int spec_wire(const struct trit_layer_spec *given, struct wire_layer_spec *wire,
              struct failure *failure)
{
    struct trit_layer_spec taken, *spec = &taken;

    if (sized_take(&sized_layer_spec, "spec", given, spec, failure) < 0)
        return -1;
    if (!memchr(spec->name, '\0', sizeof(spec->name)))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.name",
                          "longer than %d bytes", (int)TRIT_NAME_BYTES_MAX);
    *wire = (struct wire_layer_spec){.kind = (uint32_t)spec->kind,
                                     .in_features = spec->in_features,
                                     .out_features = spec->out_features,
                                     .bias = spec->bias,
                                     .group_size = spec->group_size,
                                     .keep_latents = spec->keep_latents};
    memcpy(wire->name, spec->name, sizeof(wire->name));
    return 0;
}

struct trit_layer_spec layer_spec_given(const struct wire_layer_spec *wire)
{
    struct trit_layer_spec spec = {.kind = (enum trit_layer_kind)wire->kind,
                                   .in_features = wire->in_features,
                                   .out_features = wire->out_features,
                                   .bias = wire->bias,
                                   .group_size = wire->group_size,
                                   .keep_latents = wire->keep_latents};

    memcpy(spec.name, wire->name, sizeof(spec.name));
    return spec;
}

/* ---- tensors that arrive ------------------------------------------------------- */

void arrival_init(struct arrival *arrival, const char *name)
{
    *arrival = (struct arrival){.sink = {.output = &arrival->output}};
    output_init_open(&arrival->output, name);
}

void arrival_fini(struct arrival *arrival)
{
    output_fini(&arrival->output);
}

static int misshapen(const struct arrival *arrival, struct failure *failure)
{
    return fail(failure, TRIT_INTERNAL, NULL,
                "malformed reply: %s.shape is not as the request implies",
                arrival->output.name);
}

static bool shape_as(const struct wire_tensor *tensor, const struct wire_tensor *expected)
{
    if (tensor->rank != expected->rank)
        return false;
    for (uint32_t axis = 0; axis < tensor->rank; axis++)
        if (tensor->shape[axis] == 0 ||
            (expected->shape[axis] && tensor->shape[axis] != expected->shape[axis]))
            return false;
    return true;
}

int arrival_decode(struct arrival *arrival, const struct scan_part *part,
                   const struct wire_tensor *expected, struct failure *failure)
{
    struct wire_tensor tensor;
    char why[CODEC_ERROR_BYTES];
    uint64_t bytes;

    if (decode_tensor(part, &tensor, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s.%s",
                    arrival->output.name, why);
    if (tensor.dtype != expected->dtype)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "%s of the reply is of dtype %u, not %u", arrival->output.name,
                    tensor.dtype, expected->dtype);
    if (!shape_as(&tensor, expected))
        return misshapen(arrival, failure);
    bytes = dtype_bytes((enum trit_dtype)tensor.dtype);
    for (uint32_t axis = 0; axis < tensor.rank; axis++)
        if (mul_overflows(bytes, tensor.shape[axis], &bytes))
            return misshapen(arrival, failure);
    if (bytes != arrival->output.size)
        return fail(failure, TRIT_DATA_LOSS, NULL,
                    "the reply holds %" PRIu64
                    " bytes of %s where its shape needs %" PRIu64,
                    arrival->output.size, arrival->output.name, bytes);
    arrival->array = (struct trit_array){
        .dtype = (enum trit_dtype)tensor.dtype, .rank = tensor.rank, .bytes = bytes};
    memcpy(arrival->array.shape, tensor.shape, sizeof(tensor.shape));
    return 0;
}

void arrival_give(struct arrival *arrival, struct trit_array *array)
{
    struct trit_array full = arrival->array;

    if (!array)
        return;
    full.data = output_give(&arrival->output);
    sized_give(&sized_array, array, &full);
}

int array_check(const char *field, const struct trit_array *array,
                struct failure *failure)
{
    return array ? sized_check(&sized_array, field, array, failure) : 0;
}

void trit_array_free(struct trit_array *array)
{
    struct trit_array in, empty = TRIT_ARRAY_INIT;

    if (sized_read(&sized_array, "array", array, &in, NULL) < 0)
        return;
    trit_free(in.data);
    sized_give(&sized_array, array, &empty);
}
