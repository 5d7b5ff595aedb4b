/* SPDX-License-Identifier: Apache-2.0 */
/* The Layers service: what each side encodes is what Google's protobuf encodes, and
 * the other side reads it back. */
#include "proto/codec/layers.h"

#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/proto_samples.h"
#include "tests/lib/reading.h"
#include "vectors.h"

static struct reading reading;
static char error[CODEC_ERROR_BYTES];
static uint8_t head[REQUEST_HEAD_BYTES_MAX];

static const struct scan_part *part(uint32_t id)
{
    return &reading.scan.parts[id];
}

static void check_blob(uint32_t id, const void *bytes, size_t count)
{
    const struct reading_blob *blob = &reading.blobs[id - BLOB_DATA];
    CHECK_EQ(blob->ended, 1);
    CHECK_EQ(blob->count, count);
    CHECK_MEM(blob->bytes, bytes, count);
}

static struct wire_layer_spec sample_spec(bool bias)
{
    return (struct wire_layer_spec){.name = "blk.0.l\xc3\xa4uft",
                                    .kind = TRIT_LAYER_EMBEDDING,
                                    .in_features = UINT64_C(1) << 33,
                                    .out_features = 3,
                                    .bias = bias,
                                    .group_size = 64,
                                    .keep_latents = true};
}

static void check_spec(const struct wire_layer_spec *a, const struct wire_layer_spec *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_EQ(a->kind, b->kind);
    CHECK_EQ(a->in_features, b->in_features);
    CHECK_EQ(a->out_features, b->out_features);
    CHECK_EQ(a->bias, b->bias);
    CHECK_EQ(a->group_size, b->group_size);
    CHECK_EQ(a->keep_latents, b->keep_latents);
}

static void check_head(size_t count, const uint8_t *expected, size_t expected_count)
{
    CHECK_EQ(count, expected_count);
    CHECK_MEM(head, expected, count);
}

/* Two pieces of the head, each followed by bulk. */
static struct assembled two_tensors(size_t first_at, size_t count, const void *first,
                                    size_t first_bytes)
{
    struct assembled message = {0};
    assemble(&message, head, first_at);
    assemble(&message, first, first_bytes);
    assemble(&message, head + first_at, count - first_at);
    assemble(&message, sample_data, 24);
    return message;
}

static void check_part_tensor(uint32_t id, uint32_t dtype)
{
    struct wire_tensor expected = sample_tensor(dtype), tensor;
    CHECK_EQ(decode_tensor(part(id), &tensor, error), 0);
    check_tensor(&tensor, &expected);
}

/* ---- requests ---------------------------------------------------------------------- */

CASE(create, "Create is encoded and decoded as protobuf does")
{
    struct wire_layer_spec sample = sample_spec(false), spec;
    uint64_t seed;
    check_head(encode_layer_create(&sample, UINT64_C(1) << 63, head, sizeof(head)),
               vector_layer_create, sizeof(vector_layer_create));
    reading_message(&reading, scan_plain, vector_layer_create,
                    sizeof(vector_layer_create));
    CHECK_EQ(decode_layer_create(part(PART_ROOT), &spec, &seed, error), 0);
    check_spec(&spec, &sample);
    CHECK_EQ(seed, UINT64_C(1) << 63);
    reading_fini(&reading);
}

CASE(load, "Load is encoded with the bias before the weight")
{
    struct wire_layer_spec sample = sample_spec(true), spec;
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    size_t at, count = encode_layer_load(&sample, &tensor, 12, &tensor, 24, head,
                                         sizeof(head), &at);
    struct assembled message = two_tensors(at, count, sample_scales, 12);
    check_assembled(&message, vector_layer_load, sizeof(vector_layer_load));
    reading_message(&reading, scan_layer_tensors, message.bytes, message.count);
    CHECK_EQ(decode_layer_load(part(PART_ROOT), &spec, error), 0);
    check_spec(&spec, &sample);
    check_part_tensor(PART_TENSOR, TRIT_F32);
    check_part_tensor(PART_REFERENCE, TRIT_F32);
    check_blob(BLOB_DATA, sample_data, 24);
    check_blob(BLOB_REFERENCE, sample_scales, 12);
    reading_fini(&reading);
}

CASE(load_start, "the start of LoadStream is encoded with and without a bias")
{
    struct wire_layer_spec sample = sample_spec(true), bare = sample_spec(false), spec;
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    struct assembled message = {0};
    uint32_t dtype;
    assemble(
        &message, head,
        encode_layer_load_start(&sample, TRIT_BF16, &tensor, 12, head, sizeof(head)));
    assemble(&message, sample_scales, 12);
    check_assembled(&message, vector_layer_load_start, sizeof(vector_layer_load_start));
    reading_message(&reading, scan_layer_load_stream, message.bytes, message.count);
    CHECK_EQ(decode_layer_load_start(part(PART_START), &spec, &dtype, error), 0);
    check_spec(&spec, &sample);
    CHECK_EQ(dtype, TRIT_BF16);
    check_part_tensor(PART_REFERENCE, TRIT_F32);
    check_blob(BLOB_REFERENCE, sample_scales, 12);
    reading_fini(&reading);
    check_head(encode_layer_load_start(&bare, TRIT_BF16, NULL, 0, head, sizeof(head)),
               vector_layer_load_bare, sizeof(vector_layer_load_bare));
}

CASE(products, "Forward and AsLinear are encoded and decoded as protobuf does")
{
    struct wire_tensor tensor = sample_tensor(TRIT_F32);
    struct assembled forward = {0}, as_linear = {0};
    struct wire_layer_forward request = {.name = "l",
                                         .activations = TRIT_ACTIVATIONS_INT8,
                                         .report_error = true,
                                         .reply = sample_region()};
    struct wire_layer_forward back;
    assemble(&forward, head,
             encode_layer_forward(&request, &tensor, 24, head, sizeof(head)));
    assemble(&forward, sample_data, 24);
    check_assembled(&forward, vector_layer_forward, sizeof(vector_layer_forward));
    reading_message(&reading, scan_layer_tensor, forward.bytes, forward.count);
    CHECK_EQ(decode_layer_forward(part(PART_ROOT), &back, error), 0);
    CHECK_STR(back.name, "l");
    CHECK_EQ(back.activations, TRIT_ACTIVATIONS_INT8);
    CHECK(back.report_error);
    CHECK_MEM(&back.reply, &request.reply, sizeof(request.reply));
    check_part_tensor(PART_TENSOR, TRIT_F32);
    reading_fini(&reading);

    assemble(&as_linear, head,
             encode_layer_as_linear("l", &tensor, 24, head, sizeof(head)));
    assemble(&as_linear, sample_data, 24);
    check_assembled(&as_linear, vector_layer_as_linear, sizeof(vector_layer_as_linear));
}

CASE(backward, "Backward is encoded with x before grad_output")
{
    struct wire_tensor x = sample_tensor(TRIT_BF16), gradient = sample_tensor(TRIT_F32);
    size_t at, count = encode_layer_backward("l", &x, 12, &gradient, 24, head,
                                             sizeof(head), &at);
    struct assembled message = two_tensors(at, count, sample_latents, 12);
    check_assembled(&message, vector_layer_backward, sizeof(vector_layer_backward));
    reading_message(&reading, scan_layer_tensors, message.bytes, message.count);
    check_part_tensor(PART_REFERENCE, TRIT_BF16);
    check_part_tensor(PART_TENSOR, TRIT_F32);
    check_blob(BLOB_REFERENCE, sample_latents, 12);
    reading_fini(&reading);
}

CASE(embed, "Embed is encoded with packed ids")
{
    static const uint32_t ids[] = {0, 127, 128, 16384, UINT32_MAX};
    uint8_t packed[5 * LAYER_ID_BYTES_MAX];
    size_t count = layer_ids_pack(ids, 5, packed);
    struct assembled message = {0};
    assemble(&message, head, encode_layer_embed("l", count, head, sizeof(head)));
    assemble(&message, packed, count);
    check_assembled(&message, vector_layer_embed, sizeof(vector_layer_embed));
    reading_message(&reading, scan_layer_ids, message.bytes, message.count);
    check_blob(BLOB_DATA, packed, count);
    reading_fini(&reading);
}

CASE(without_bulk, "Get, List, Delete and Verify are encoded as protobuf does")
{
    struct wire_layer_get get = {.name = "l", .part = 1, .encoding = 2, .dtype = 3};
    struct wire_layer_list list = {
        .prefix = "blk.", .page_size = 7, .page_token = "blk.6"};
    struct wire_layer_verify verify = {.prefix = "blk.", .has_tolerance = true};
    check_head(encode_layer_get(&get, head, sizeof(head)), vector_layer_get,
               sizeof(vector_layer_get));
    check_head(encode_layer_list(&list, head, sizeof(head)), vector_layer_list,
               sizeof(vector_layer_list));
    check_head(encode_layer_delete("l", head, sizeof(head)), vector_layer_delete,
               sizeof(vector_layer_delete));
    check_head(encode_layer_verify(&verify, head, sizeof(head)), vector_layer_verify,
               sizeof(vector_layer_verify));
    reading_message(&reading, scan_plain, vector_layer_verify,
                    sizeof(vector_layer_verify));
    CHECK_EQ(decode_layer_verify(part(PART_ROOT), &verify, error), 0);
    CHECK(verify.has_tolerance && verify.tolerance == 0);
    reading_fini(&reading);
}

CASE(longest_heads,
     "the longest heads fit their bound, and one that does not fit is not written")
{
    struct wire_layer_spec spec = sample_spec(true);
    struct wire_tensor tensor = {.dtype = UINT32_MAX, .rank = TRIT_RANK_MAX};
    uint64_t much = UINT64_C(1) << 60;
    char name[TRIT_NAME_BYTES_MAX + 1] = "";
    size_t at;
    memset(name, 'n', TRIT_NAME_BYTES_MAX);
    memset(spec.name, 'n', TRIT_NAME_BYTES_MAX);
    memset(tensor.shape, 0xff, sizeof(tensor.shape));
    CHECK(encode_layer_load(&spec, &tensor, much, &tensor, much, head, sizeof(head),
                            &at) > 0);
    CHECK(encode_layer_load_start(&spec, UINT32_MAX, &tensor, much, head, sizeof(head)) >
          0);
    CHECK(encode_layer_backward(name, &tensor, much, &tensor, much, head, sizeof(head),
                                &at) > 0);
    CHECK_EQ(encode_layer_backward(name, &tensor, much, &tensor, much, head, 64, &at), 0);
    CHECK_EQ(encode_layer_embed(name, much, head, 64), 0);
}

/* ---- replies ----------------------------------------------------------------------- */

CASE(created, "the spec of a created layer is read back; a missing one is refused")
{
    struct wire_layer_spec sample = sample_spec(false), spec = {.group_size = 1};
    check_head(encode_layer_spec(&sample, head, sizeof(head)), vector_layer_made,
               sizeof(vector_layer_made));
    reading_message(&reading, scan_plain, vector_layer_made, sizeof(vector_layer_made));
    CHECK_EQ(decode_layer_made(part(PART_ROOT), &spec, error), 0);
    check_spec(&spec, &sample);
    reading_fini(&reading);
    reading_message(&reading, scan_plain, head, 0);
    CHECK_EQ(decode_layer_made(part(PART_ROOT), &spec, error), -1);
    CHECK_STR(error, "spec: missing");
    reading_fini(&reading);
}

CASE(got, "a layer in a reply to Get is read back, in the shape of its spec")
{
    struct wire_layer_got sample = {.spec = sample_spec(false),
                                    .has_seed = true,
                                    .encoding = TRIT_ENCODING_INT8,
                                    .dtype = TRIT_I8,
                                    .bias_bytes = 12,
                                    .scale_bytes = 12,
                                    .data_bytes = 24},
                          back;
    struct assembled message = {0};
    size_t cut[2], count = encode_layer_got(&sample, head, sizeof(head), cut);
    assemble(&message, head, cut[0]);
    assemble(&message, sample_latents, 12);
    assemble(&message, head + cut[0], cut[1] - cut[0]);
    assemble(&message, sample_scales, 12);
    assemble(&message, head + cut[1], count - cut[1]);
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_layer_got, sizeof(vector_layer_got));
    reading_message(&reading, scan_layer_got, message.bytes, message.count);
    CHECK_EQ(decode_layer_got(part(PART_ROOT), &back, error), 0);
    check_spec(&back.spec, &sample.spec);
    CHECK(back.has_seed && back.seed == 0);
    CHECK_EQ(back.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(back.dtype, TRIT_I8);
    check_blob(BLOB_REFERENCE, sample_latents, 12);
    check_blob(BLOB_SCALES, sample_scales, 12);
    check_blob(BLOB_DATA, sample_data, 24);
    reading_fini(&reading);
    reading_message(&reading, scan_plain, vector_layer_made, sizeof(vector_layer_made));
    CHECK_EQ(decode_layer_got(part(PART_ROOT), &back, error), -1);
    CHECK_STR(error, "shape: not [out_features, in_features]");
    reading_fini(&reading);
}

CASE(forwarded, "y in memory of the client is a region in place of its bytes")
{
    struct wire_tensor sample = sample_tensor(TRIT_F32), back;
    struct assembled message = {0};

    sample.region = sample_region();
    assemble(&message, head, encode_layer_tensor(15, &sample, 0, head, sizeof(head)));
    check_assembled(&message, vector_layer_forwarded_region,
                    sizeof(vector_layer_forwarded_region));
    reading_message(&reading, scan_layer_tensor, message.bytes, message.count);
    CHECK_EQ(decode_tensor(part(PART_TENSOR), &back, error), 0);
    CHECK_MEM(&back.region, &sample.region, sizeof(back.region));
    reading_fini(&reading);
}

CASE(errors, "in a reply to Forward, errors come before y if they were requested")
{
    struct wire_tensor sample = sample_tensor(TRIT_F32);
    struct assembled message = {0};
    float max_error, relative_error;
    bool found;
    assemble(&message, head, encode_layer_errors(0.5f, 0.25f, head, sizeof(head)));
    assemble(&message, head, encode_layer_tensor(15, &sample, 24, head, sizeof(head)));
    assemble(&message, sample_data, 24);
    check_assembled(&message, vector_layer_forwarded, sizeof(vector_layer_forwarded));
    reading_message(&reading, scan_layer_tensor, message.bytes, message.count);
    CHECK_EQ(
        decode_layer_errors(part(PART_ROOT), &found, &max_error, &relative_error, error),
        0);
    CHECK(found && max_error == 0.5f && relative_error == 0.25f);
    check_part_tensor(PART_TENSOR, TRIT_F32);
    reading_fini(&reading);
    reading_message(&reading, scan_layer_tensor, message.bytes, 0);
    CHECK_EQ(
        decode_layer_errors(part(PART_ROOT), &found, &max_error, &relative_error, error),
        0);
    CHECK(!found);
    reading_fini(&reading);
}

CASE(gradients, "the gradients of a reply to Backward are separate")
{
    reading_message(&reading, scan_layer_gradients, vector_layer_gradients,
                    sizeof(vector_layer_gradients));
    check_part_tensor(PART_TENSOR, TRIT_F32);
    check_part_tensor(PART_REFERENCE, TRIT_BF16);
    check_part_tensor(PART_OPTIONS, TRIT_F32);
    check_blob(BLOB_DATA, sample_data, 24);
    check_blob(BLOB_REFERENCE, sample_latents, 12);
    check_blob(BLOB_SCALES, sample_scales, 12);
    reading_fini(&reading);
}

struct seen {
    struct wire_layer_spec specs[2];
    size_t count;
};

static void see(void *arg, const struct wire_layer_spec *spec)
{
    struct seen *seen = arg;
    CHECK(seen->count < 2);
    seen->specs[seen->count++] = *spec;
}

CASE(pages, "a page of specs is read with its token; a truncated page sets no token")
{
    struct wire_layer_spec sample = sample_spec(false);
    char token[TRIT_NAME_BYTES_MAX + 1] = "as it was";
    struct seen seen = {.count = 0};
    CHECK_EQ(decode_layers_page(vector_layer_page, sizeof(vector_layer_page), see, &seen,
                                token, error),
             0);
    CHECK_EQ(seen.count, 2);
    check_spec(&seen.specs[0], &sample);
    CHECK_STR(seen.specs[1].name, "z");
    CHECK_STR(token, "z");
    for (size_t count = 1; count < sizeof(vector_layer_page); count++) {
        seen.count = 0;
        strcpy(token, "as it was");
        if (decode_layers_page(vector_layer_page, count, see, &seen, token, error) != 0)
            CHECK_STR(token, "as it was");
    }
}
