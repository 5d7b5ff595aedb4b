/* SPDX-License-Identifier: Apache-2.0 */
/* TernaryLinear and TernaryEmbedding, held by the daemon.
 *
 * A layer is a ternary matrix Wt = [out_features, in_features] with a scale per group,
 * and perhaps a bias (proto/trit/v1/layers.proto). Its name is UTF-8, 1 to
 * TRIT_NAME_BYTES_MAX bytes. Statuses of every call: INVALID_ARGUMENT (field and value
 * named), NOT_FOUND (no such layer), FAILED_PRECONDITION (the layer is of the other kind
 * or lacks what is asked for), RESOURCE_EXHAUSTED (the daemon's memory, or a reply above
 * message_bytes_max). Where a parameter `options` stands, it may be NULL. */
#ifndef TRIT_LAYERS_H
#define TRIT_LAYERS_H

#include <trit/client.h>
#include <trit/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trit_layer_spec {
    size_t size;
    char name[TRIT_NAME_BYTES_MAX + 1];
    enum trit_layer_kind kind;
    uint32_t group_size; /* weights per scale, a multiple of 16; 0: 128 */
    bool bias;           /* linear layers only */
    bool keep_latents;   /* keep the latents, so that trit_layer_get can give them */
    uint64_t in_features, out_features; /* of an embedding: dimension, number of ids */
};
#define TRIT_LAYER_SPEC_INIT TRIT_INIT(trit_layer_spec)

/* Creates a layer with latents drawn from N(0, 1) * in_features^-0.5, and a bias of
 * zeros. The same seed gives the same bits everywhere. `made` (may be NULL) gets the spec
 * with its defaults filled in. ALREADY_EXISTS: the name is taken.
 *
 * Create, load and delete return when the daemon's disk has the change. They are never
 * sent twice: after UNAVAILABLE or DEADLINE_EXCEEDED the change may have happened. */
TRIT_API enum trit_status
trit_layer_create(struct trit_client *client, const struct trit_layer_spec *spec,
                  uint64_t seed, const struct trit_call_options *options,
                  struct trit_layer_spec *made, struct trit_error *error);

/* Creates a layer of the caller's latents: `weight` is [out_features, in_features] of
 * F32, F16 or BF16; `bias` is [out_features] where spec.bias is set, else NULL. One
 * message or a stream, by size; the layer is the same, bit for bit. `made` may be NULL.
 * INVALID_ARGUMENT: a NaN or an infinity, with count and first flat index. */
TRIT_API enum trit_status
trit_layer_load(struct trit_client *client, const struct trit_layer_spec *spec,
                const struct trit_tensor *weight, const struct trit_tensor *bias,
                const struct trit_call_options *options, struct trit_layer_spec *made,
                struct trit_error *error);

struct trit_forward_options {
    size_t size;
    enum trit_activations activations;
    bool report_error; /* also compute y with TRIT_ACTIVATIONS_F32, and compare */
    const struct trit_call_options *call; /* may be NULL */
    /* Memory of the caller for the elements of y, which has `out_bytes` bytes or more than y
     * needs; else INVALID_ARGUMENT. NULL: memory of the library. See trit/buffer.h. */
    void *out;
    uint64_t out_bytes;
};
#define TRIT_FORWARD_OPTIONS_INIT TRIT_INIT(trit_forward_options)

struct trit_forward {
    size_t size;
    /* Set it before the call to an array of the caller: x's shape with out_features as
     * the last axis, x's dtype. With options.out its data are NULL: they are there. */
    struct trit_array *y;
    /* With report_error, before y is rounded to its dtype: */
    bool has_error;
    float max_error;      /* max |y - y by f32| */
    float relative_error; /* max_error / max |y by f32| */
    uint32_t reserved;
};
#define TRIT_FORWARD_INIT TRIT_INIT(trit_forward)

/* y = x . Wt^T + bias of a linear layer. x: [..., in_features] of F32, F16 or BF16.
 * Computed in f32, rounded once. Release y with trit_array_free. */
TRIT_API enum trit_status trit_layer_forward(struct trit_client *client, const char *name,
                                             const struct trit_tensor *x,
                                             const struct trit_forward_options *options,
                                             struct trit_forward *forward,
                                             struct trit_error *error);

/* Set each before the call to an array of the caller, or leave it NULL. */
struct trit_gradients {
    size_t size;
    struct trit_array *input;  /* x's shape and dtype */
    struct trit_array *weight; /* [out_features, in_features], dtype of grad_output */
    struct trit_array *bias;   /* [out_features]; data NULL for a layer without a bias */
};
#define TRIT_GRADIENTS_INIT TRIT_INIT(trit_gradients)

/* Gradients of y by the straight-through estimator; of an embedding, those of
 * trit_layer_as_linear. grad_output: y's shape. Release them with
 * trit_gradients_free. */
TRIT_API enum trit_status
trit_layer_backward(struct trit_client *client, const char *name,
                    const struct trit_tensor *x, const struct trit_tensor *grad_output,
                    const struct trit_call_options *options,
                    struct trit_gradients *gradients, struct trit_error *error);

/* Releases the data of the arrays that the gradients point to. NULL is harmless. */
TRIT_API void trit_gradients_free(struct trit_gradients *gradients);

/* Rows of an embedding: F32 [count, in_features]. Release them with trit_array_free.
 * INVALID_ARGUMENT names an id that is not below out_features. `ids` may be NULL where
 * count is 0. */
TRIT_API enum trit_status trit_layer_embed(struct trit_client *client, const char *name,
                                           const uint32_t *ids, uint64_t count,
                                           const struct trit_call_options *options,
                                           struct trit_array *rows,
                                           struct trit_error *error);

/* x . Wt^T of an embedding: the output layer that shares its weights. Release the logits
 * with trit_array_free. */
TRIT_API enum trit_status
trit_layer_as_linear(struct trit_client *client, const char *name,
                     const struct trit_tensor *x, const struct trit_call_options *options,
                     struct trit_array *logits, struct trit_error *error);

struct trit_layer_get_options {
    size_t size;
    enum trit_layer_part part;
    enum trit_encoding encoding;          /* of the ternary weights */
    enum trit_dtype dtype;                /* of dense ones: F32 (also 0), F16 or BF16 */
    const struct trit_call_options *call; /* may be NULL */
};
#define TRIT_LAYER_GET_OPTIONS_INIT TRIT_INIT(trit_layer_get_options)

struct trit_layer {
    size_t size;
    /* Set each before the call to a struct of the caller, or leave it NULL. */
    struct trit_layer_spec *spec;
    struct trit_array *weight; /* the logical shape [out_features, in_features]; its data
                                  are encoded, and NULL with TRIT_LAYER_SPEC */
    struct trit_array *bias;   /* F32 [out_features], with the ternary weights */
    enum trit_encoding encoding;
    bool has_seed; /* made by trit_layer_create with `seed` */
    uint64_t seed;
    void *scales; /* NULL for encodings without separate scales */
    uint64_t scale_bytes;
};
#define TRIT_LAYER_INIT TRIT_INIT(trit_layer)

/* Gets a layer. Release it with trit_layer_free. */
TRIT_API enum trit_status trit_layer_get(struct trit_client *client, const char *name,
                                         const struct trit_layer_get_options *options,
                                         struct trit_layer *layer,
                                         struct trit_error *error);

/* Releases the scales and the data of the arrays that the layer points to. NULL is
 * harmless. */
TRIT_API void trit_layer_free(struct trit_layer *layer);

/* Writes the spec of each layer whose name begins with `prefix` (NULL or "": all) into
 * `spec`, by name, and calls `visit` with it; other than 0 from `visit` ends the list
 * with TRIT_OK. `arg` may be NULL. */
TRIT_API enum trit_status
trit_layer_list(struct trit_client *client, const char *prefix,
                const struct trit_call_options *options, struct trit_layer_spec *spec,
                int (*visit)(void *arg, const struct trit_layer_spec *spec), void *arg,
                struct trit_error *error);

TRIT_API enum trit_status trit_layer_delete(struct trit_client *client, const char *name,
                                            const struct trit_call_options *options,
                                            struct trit_error *error);

struct trit_layer_verify_options {
    size_t size;
    const char *prefix; /* of the names; NULL or "": all layers */
    bool has_tolerance;
    float tolerance;                      /* as in trit_verify_options */
    const struct trit_call_options *call; /* may be NULL */
};
#define TRIT_LAYER_VERIFY_OPTIONS_INIT TRIT_INIT(trit_layer_verify_options)

/* Verifies the ternary weights of layers as TRIT_VERIFY_TERNARY does. Writes each report
 * into `report`, by name, and calls `visit` with it; report.layer is the name, report.run
 * is "". Other than 0 from `visit` ends the list with TRIT_OK. `arg` may be NULL. */
TRIT_API enum trit_status trit_layer_verify(
    struct trit_client *client, const struct trit_layer_verify_options *options,
    struct trit_report *report, int (*visit)(void *arg, const struct trit_report *report),
    void *arg, struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
