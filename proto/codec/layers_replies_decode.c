/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the Layers service as libtrit reads them. Lists: page.c. */
#include "layers_wire.h"

#include <stdio.h>

_Static_assert(sizeof(trit_v1_LayerGetResponse) <= sizeof(trit_v1_VerifyRequest) &&
                   sizeof(trit_v1_LayerCreateResponse) <= sizeof(trit_v1_VerifyRequest),
               "the scratch message holds it");

static int missing(const char *field, char error[CODEC_ERROR_BYTES])
{
    snprintf(error, CODEC_ERROR_BYTES, "%s: missing", field);
    return -1;
}

int decode_layer_made(const struct scan_part *root, struct wire_layer_spec *spec,
                      char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {{1, "spec", 0, &message_layer_spec}, {0}};
    static const struct message message_made = {trit_v1_LayerCreateResponse_fields,
                                                names};
    trit_v1_LayerCreateResponse reply;
    if (wire_decode(&message_made, root->bytes, root->count, &reply, error) != 0)
        return -1;
    return reply.has_spec ? wire_layer_spec(&reply.spec, spec, error)
                          : missing("spec", error);
}

int decode_layer_got(const struct scan_part *root, struct wire_layer_got *out,
                     char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "spec", 0, &message_layer_spec},
        {2, "seed", 0, NULL},
        {3, "encoding", 0, NULL},
        {4, "dtype", 0, NULL},
        {5, "shape", 2, NULL},
        {0},
    };
    static const struct message message_got = {trit_v1_LayerGetResponse_fields, names};
    trit_v1_LayerGetResponse reply;
    struct wire_layer_got got = {0};
    if (wire_decode(&message_got, root->bytes, root->count, &reply, error) != 0)
        return -1;
    if (!reply.has_spec)
        return missing("spec", error);
    if (wire_layer_spec(&reply.spec, &got.spec, error) != 0)
        return -1;
    if (reply.shape_count != 2 || reply.shape[0] != got.spec.out_features ||
        reply.shape[1] != got.spec.in_features) {
        snprintf(error, CODEC_ERROR_BYTES, "shape: not [out_features, in_features]");
        return -1;
    }
    got.has_seed = reply.has_seed;
    got.seed = reply.seed;
    got.encoding = (uint32_t)reply.encoding;
    got.dtype = (uint32_t)reply.dtype;
    *out = got;
    return 0;
}

int decode_layer_errors(const struct scan_part *root, bool *found, float *max_error,
                        float *relative_error, char error[CODEC_ERROR_BYTES])
{
    static const struct field_name names[] = {
        {1, "max_error", 0, NULL}, {2, "relative_error", 0, NULL}, {0}};
    static const struct message message_errors = {trit_v1_LayerForwardResponse_fields,
                                                  names};
    trit_v1_LayerForwardResponse reply;
    if (wire_decode(&message_errors, root->bytes, root->count, &reply, error) != 0)
        return -1;
    *found = reply.has_max_error && reply.has_relative_error;
    *max_error = *found ? reply.max_error : 0;
    *relative_error = *found ? reply.relative_error : 0;
    return 0;
}
