/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of the Layers service. The parts, blobs and bounds of codec.h apply here
 * too. */
#ifndef CODEC_LAYERS_H
#define CODEC_LAYERS_H

#include "proto/codec/codec.h"

struct wire_layer_spec {
    char name[TRIT_NAME_BYTES_MAX + 1];
    uint32_t kind;
    uint64_t in_features, out_features;
    bool bias;
    uint32_t group_size;
    bool keep_latents;
};

struct wire_layer_get {
    char name[TRIT_NAME_BYTES_MAX + 1];
    uint32_t part, encoding, dtype;
};

struct wire_layer_list {
    char prefix[TRIT_NAME_BYTES_MAX + 1];
    uint32_t page_size;
    char page_token[TRIT_NAME_BYTES_MAX + 1];
};

struct wire_layer_verify {
    char prefix[TRIT_NAME_BYTES_MAX + 1];
    bool has_tolerance;
    float tolerance;
};

struct wire_layer_forward {
    char name[TRIT_NAME_BYTES_MAX + 1];
    uint32_t activations;
    bool report_error;
    struct wire_region reply;
};

/* Where the tensors of a request go. Forward and AsLinear: x is PART_TENSOR and
 * BLOB_DATA. Load and Backward: the first tensor (bias, x) is PART_REFERENCE and
 * BLOB_REFERENCE, the second (weight, grad_output) is PART_TENSOR and BLOB_DATA.
 * LoadStream: the start is PART_START, its bias is PART_REFERENCE and BLOB_REFERENCE,
 * a chunk is PART_CHUNK and BLOB_DATA. Embed: the ids are BLOB_DATA, packed varints. */
extern const struct scan_field scan_layer_tensor[], scan_layer_tensors[],
    scan_layer_load_stream[], scan_layer_ids[];

/* ---- the daemon's side ---------------------------------------------------- */

int decode_layer_create(const struct scan_part *root, struct wire_layer_spec *spec,
                        uint64_t *seed, char error[CODEC_ERROR_BYTES]);
int decode_layer_load(const struct scan_part *root, struct wire_layer_spec *spec,
                      char error[CODEC_ERROR_BYTES]);
int decode_layer_load_start(const struct scan_part *start, struct wire_layer_spec *spec,
                            uint32_t *dtype, char error[CODEC_ERROR_BYTES]);
/* For Delete, Embed, AsLinear and Backward, whose only small field is a name. */
int decode_layer_name(const struct scan_part *root, char name[TRIT_NAME_BYTES_MAX + 1],
                      char error[CODEC_ERROR_BYTES]);
int decode_layer_forward(const struct scan_part *root, struct wire_layer_forward *out,
                         char error[CODEC_ERROR_BYTES]);
int decode_layer_get(const struct scan_part *root, struct wire_layer_get *out,
                     char error[CODEC_ERROR_BYTES]);
int decode_layer_list(const struct scan_part *root, struct wire_layer_list *out,
                      char error[CODEC_ERROR_BYTES]);
int decode_layer_verify(const struct scan_part *root, struct wire_layer_verify *out,
                        char error[CODEC_ERROR_BYTES]);

/* How many ids the root part has. It has ids only if the peer sent them unpacked. */
size_t layer_loose_ids(const struct scan_part *root);

/* Create's, Load's and LoadStream's response, whole; also one `layers` entry of List's.
 */
enum { LAYER_SPEC_BYTES_MAX = 384 };
size_t encode_layer_spec(const struct wire_layer_spec *spec, uint8_t *out,
                         size_t capacity);

/* LayerGetResponse up to the bytes of `data`. The caller sends the bias after the
 * first cut[0] bytes and the scales after cut[1] bytes. A field of 0 bytes is left
 * out. */
struct wire_layer_got {
    struct wire_layer_spec spec;
    bool has_seed;
    uint64_t seed;
    uint32_t encoding, dtype;
    uint64_t bias_bytes, scale_bytes, data_bytes;
};
size_t encode_layer_got(const struct wire_layer_got *reply, uint8_t *out, size_t capacity,
                        size_t cut[2]);

/* LayerForwardResponse's errors; y, field 15, follows. */
size_t encode_layer_errors(float max_error, float relative_error, uint8_t *out,
                           size_t capacity);

/* A Tensor as field `number`, up to its bytes: y, rows, logits, gradients. */
size_t encode_layer_tensor(uint32_t number, const struct wire_tensor *tensor,
                           uint64_t data_bytes, uint8_t *out, size_t capacity);

/* ---- libtrit's side -------------------------------------------------------- */

/* Heads as in codec.h, up to the bytes of the last field. REQUEST_HEAD_BYTES_MAX bytes
 * hold every head. In a request with two tensors the caller sends the bytes of the
 * first one after the first *first_at bytes. */
size_t encode_layer_create(const struct wire_layer_spec *spec, uint64_t seed,
                           uint8_t *out, size_t capacity);
/* `bias` may be NULL. */
size_t encode_layer_load(const struct wire_layer_spec *spec,
                         const struct wire_tensor *bias, uint64_t bias_bytes,
                         const struct wire_tensor *weight, uint64_t weight_bytes,
                         uint8_t *out, size_t capacity, size_t *first_at);
/* LoadStream's start; the bytes of the bias, where there is one, follow. */
size_t encode_layer_load_start(const struct wire_layer_spec *spec, uint32_t dtype,
                               const struct wire_tensor *bias, uint64_t bias_bytes,
                               uint8_t *out, size_t capacity);
size_t encode_layer_forward(const struct wire_layer_forward *request,
                            const struct wire_tensor *x, uint64_t bytes, uint8_t *out,
                            size_t capacity);
size_t encode_layer_as_linear(const char *name, const struct wire_tensor *x,
                              uint64_t bytes, uint8_t *out, size_t capacity);
size_t encode_layer_backward(const char *name, const struct wire_tensor *x,
                             uint64_t x_bytes, const struct wire_tensor *grad_output,
                             uint64_t grad_bytes, uint8_t *out, size_t capacity,
                             size_t *first_at);
/* The caller sends the `id_bytes` bytes that layer_ids_pack wrote; it returns their
 * count. */
enum { LAYER_ID_BYTES_MAX = 5 };
size_t encode_layer_embed(const char *name, uint64_t id_bytes, uint8_t *out,
                          size_t capacity);
size_t layer_ids_pack(const uint32_t *ids, uint64_t count, uint8_t *out);
/* Whole messages. A message whose fields all have their defaults is 0 bytes long. */
size_t encode_layer_get(const struct wire_layer_get *request, uint8_t *out,
                        size_t capacity);
size_t encode_layer_list(const struct wire_layer_list *request, uint8_t *out,
                         size_t capacity);
size_t encode_layer_delete(const char *name, uint8_t *out, size_t capacity);
size_t encode_layer_verify(const struct wire_layer_verify *request, uint8_t *out,
                           size_t capacity);

/* Where the tensors of a reply go. Get: the bias is BLOB_REFERENCE; scales and data
 * are BLOB_SCALES and BLOB_DATA. Backward: grad_input is PART_TENSOR and BLOB_DATA,
 * grad_weight is PART_REFERENCE and BLOB_REFERENCE, grad_bias is PART_OPTIONS and
 * BLOB_SCALES. Embed and AsLinear use scan_backward_reply, Forward uses
 * scan_layer_tensor. */
extern const struct scan_field scan_layer_got[], scan_layer_gradients[];

/* Create, Load, LoadStream. */
int decode_layer_made(const struct scan_part *root, struct wire_layer_spec *spec,
                      char error[CODEC_ERROR_BYTES]);
/* Does not set the counts of bytes: they are the sizes of the blobs. */
int decode_layer_got(const struct scan_part *root, struct wire_layer_got *out,
                     char error[CODEC_ERROR_BYTES]);
/* *found says whether LayerForwardResponse has errors. */
int decode_layer_errors(const struct scan_part *root, bool *found, float *max_error,
                        float *relative_error, char error[CODEC_ERROR_BYTES]);
/* Calls visit for each spec of a whole LayerListResponse. */
int decode_layers_page(const uint8_t *bytes, size_t count,
                       void (*visit)(void *arg, const struct wire_layer_spec *spec),
                       void *arg, char token[TRIT_NAME_BYTES_MAX + 1],
                       char error[CODEC_ERROR_BYTES]);

#endif
