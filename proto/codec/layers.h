/* The codec of the Layers service, the daemon's side; as codec.h, whose parts,
 * blobs and bounds hold here too. */
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
};

/* x of Forward and AsLinear: PART_TENSOR, BLOB_DATA. Two tensors (Load: bias and
 * weight; Backward: x and grad_output): PART_REFERENCE, BLOB_REFERENCE, then
 * PART_TENSOR, BLOB_DATA. LoadStream: PART_START with the bias as PART_REFERENCE,
 * BLOB_REFERENCE; chunks as PART_CHUNK, BLOB_DATA. The ids of Embed: BLOB_DATA,
 * packed varints. */
extern const struct scan_field scan_layer_tensor[], scan_layer_tensors[],
    scan_layer_load_stream[], scan_layer_ids[];

int decode_layer_create(const struct scan_part *root, struct wire_layer_spec *spec,
                        uint64_t *seed, char error[CODEC_ERROR_BYTES]);
int decode_layer_load(const struct scan_part *root, struct wire_layer_spec *spec,
                      char error[CODEC_ERROR_BYTES]);
int decode_layer_load_start(const struct scan_part *start, struct wire_layer_spec *spec,
                            uint32_t *dtype, char error[CODEC_ERROR_BYTES]);
/* Delete, Embed, AsLinear and Backward: but for bulk, a name. */
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

/* Ids that came one by one, not packed: how many the root holds. */
size_t layer_loose_ids(const struct scan_part *root);

/* Create's, Load's and LoadStream's response, whole; also one `layers` entry of List's.
 */
enum { LAYER_SPEC_BYTES_MAX = 384 };
size_t encode_layer_spec(const struct wire_layer_spec *spec, uint8_t *out,
                         size_t capacity);

/* LayerGetResponse up to the bytes of `data`: bias goes in at cut[0], scales at
 * cut[1]; those that are 0 bytes long leave their field out. */
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

#endif
