/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of the Layers service: accept or name what is wrong (decoders.h). */
#include "decoders.h"

#include "proto/codec/layers.h"

static const struct wire_tensor none; /* on the wire: a tag and the length 0 */
enum { NONE_BYTES = 2 };

/* ---- requests ------------------------------------------------------------------- */

static bool create(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_spec spec;
    uint64_t seed;
    if (!accepted(decode_layer_create(in, &spec, &seed, error)))
        return false;
    out->count = encode_layer_create(&spec, seed, out->bytes, sizeof(out->bytes));
    return true;
}

static bool load(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_spec spec;
    size_t first_at;
    if (!accepted(decode_layer_load(in, &spec, error)))
        return false;
    out->count = encode_layer_load(&spec, NULL, 0, &none, 0, out->bytes,
                                   sizeof(out->bytes), &first_at);
    assert(out->count == first_at + NONE_BYTES);
    out->count = first_at;
    return true;
}

static bool load_start(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_spec spec;
    uint32_t dtype;
    if (!accepted(decode_layer_load_start(in, &spec, &dtype, error)))
        return false;
    out->count =
        encode_layer_load_start(&spec, dtype, NULL, 0, out->bytes, sizeof(out->bytes));
    unwrap(out);
    return true;
}

static bool name(const struct scan_part *in, struct encoded *out)
{
    char found[TRIT_NAME_BYTES_MAX + 1];
    if (!accepted(decode_layer_name(in, found, error)))
        return false;
    out->count = encode_layer_delete(found, out->bytes, sizeof(out->bytes));
    return true;
}

static bool forward(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_forward request;
    if (!accepted(decode_layer_forward(in, &request, error)))
        return false;
    out->count =
        encode_layer_forward(&request, &none, 0, out->bytes, sizeof(out->bytes)) -
        NONE_BYTES;
    return true;
}

static bool get(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_get request;
    if (!accepted(decode_layer_get(in, &request, error)))
        return false;
    out->count = encode_layer_get(&request, out->bytes, sizeof(out->bytes));
    return true;
}

static bool list(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_list request;
    if (!accepted(decode_layer_list(in, &request, error)))
        return false;
    out->count = encode_layer_list(&request, out->bytes, sizeof(out->bytes));
    return true;
}

static bool verify(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_verify request;
    if (!accepted(decode_layer_verify(in, &request, error)))
        return false;
    out->count = encode_layer_verify(&request, out->bytes, sizeof(out->bytes));
    return true;
}

/* Those that are not packed are counted, and no count is above the bytes. */
static bool loose_ids(const struct scan_part *in, struct encoded *out)
{
    assert(layer_loose_ids(in) <= in->count);
    out->count = 0;
    return true;
}

/* ---- replies -------------------------------------------------------------------- */

static bool made(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_spec spec;
    if (!accepted(decode_layer_made(in, &spec, error)))
        return false;
    out->count = encode_layer_spec(&spec, out->bytes, LAYER_SPEC_BYTES_MAX);
    return true;
}

static bool got(const struct scan_part *in, struct encoded *out)
{
    struct wire_layer_got found;
    size_t cut[2];
    if (!accepted(decode_layer_got(in, &found, error)))
        return false;
    out->count = encode_layer_got(&found, out->bytes, REPLY_HEAD_BYTES_MAX, cut);
    return true;
}

static bool errors(const struct scan_part *in, struct encoded *out)
{
    float max_error, relative_error;
    bool found;
    if (!accepted(decode_layer_errors(in, &found, &max_error, &relative_error, error)))
        return false;
    out->count = found ? encode_layer_errors(max_error, relative_error, out->bytes,
                                             sizeof(out->bytes))
                       : 0;
    return true;
}

static void page_visit(void *arg, const struct wire_layer_spec *found)
{
    struct encoded *out = arg;
    if (sizeof(out->bytes) - out->count >= 2 * LAYER_SPEC_BYTES_MAX)
        out->count += encode_layer_spec(found, out->bytes + out->count,
                                        sizeof(out->bytes) - out->count);
}

static bool page(const struct scan_part *in, struct encoded *out)
{
    char token[TRIT_NAME_BYTES_MAX + 1];
    out->count = 0;
    if (!accepted(
            decode_layers_page(in->bytes, in->count, page_visit, out, token, error)))
        return false;
    out->count += encode_page_token(token, out->bytes + out->count,
                                    sizeof(out->bytes) - out->count);
    return true;
}

static decoder *const decoders[] = {create, load,   load_start, name,      forward,
                                    get,    list,   verify,     loose_ids, made,
                                    got,    errors, page};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoders(decoders, sizeof(decoders) / sizeof(*decoders), data, size);
}

#include "replay.h"
