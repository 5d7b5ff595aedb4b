/* SPDX-License-Identifier: Apache-2.0 */
/* Projects, verifies, packs and unpacks tensors that the caller holds.
 *
 * A group is `group_size` weights that lie along a row and share one scale. Requests are
 * one message or a stream, by their size; the result is the same, bit for bit. */
#ifndef TRIT_TERNARY_H
#define TRIT_TERNARY_H

#include <trit/client.h>
#include <trit/report.h>
#include <trit/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trit_project_options {
    size_t size;
    /* Weights per scale. 0: 128, or the whole tensor for I2_S and HF_BITNET, which accept
     * only 0. */
    uint32_t group_size;
    enum trit_partial_group partial_group;
    enum trit_encoding encoding;    /* of the result */
    enum trit_report_detail report; /* how much is measured */
    /* Packed encodings only: give the result although the scale of a group rounds to 0 or
     * infinity in the encoding's type. The report then has the finding scale_lost.
     * false: such a tensor is INVALID_ARGUMENT. Dense results are given either way. */
    bool allow_lost_scales;
    const struct trit_layer_ref *layer; /* NULL: the report is not stored */
    /* Memory of the caller for the encoded tensor, `out_bytes` long. NULL: allocated.
     * After a failure its content is unspecified. It may be tensor.data if the result is
     * no longer; otherwise it must not overlap. */
    void *out;
    uint64_t out_bytes;
    const struct trit_call_options *call; /* may be NULL */
    /* Takes the encoded tensor while it arrives, in place of `out`; projection.data stays
     * NULL. NULL: the tensor is in memory. */
    trit_write write;
    void *write_arg; /* first argument of `write` */
    /* Whether the call waits for its stored report, and fails with it. */
    enum trit_durability durability;
    uint32_t reserved;
};
#define TRIT_PROJECT_OPTIONS_INIT TRIT_INIT(trit_project_options)

struct trit_projection {
    size_t size;
    /* Set it before the call to a report of the caller, initialized with
     * TRIT_REPORT_INIT, or leave it NULL. The call fills that report. */
    struct trit_report *report;
    enum trit_encoding encoding;
    enum trit_dtype dtype; /* of the elements of data: U8 for packed encodings */
    bool data_owned;       /* data was allocated, is not options.out */
    void *data;            /* the encoded tensor */
    uint64_t data_bytes;
    void *scales; /* allocated; NULL for encodings without separate scales */
    uint64_t scale_bytes;
};
#define TRIT_PROJECTION_INIT TRIT_INIT(trit_projection)

/* Ternarizes latents of dtype F32, F16 or BF16. `options` may be NULL. Release the
 * projection with trit_projection_free. INVALID_ARGUMENT: a NaN or an infinity (the
 * message has the count and the first flat index), a shape that the encoding cannot
 * hold, a lost scale. */
TRIT_API enum trit_status trit_project(struct trit_client *client,
                                       const struct trit_tensor *tensor,
                                       const struct trit_project_options *options,
                                       struct trit_projection *projection,
                                       struct trit_error *error);

/* Releases data and scales and makes the projection empty; its report stays. NULL is
 * harmless. */
TRIT_API void trit_projection_free(struct trit_projection *projection);

struct trit_batch_options {
    size_t size;
    uint32_t group_size; /* weights per scale; 0: 128 */
    uint32_t reserved;
    const struct trit_call_options *call; /* may be NULL */
};
#define TRIT_BATCH_OPTIONS_INIT TRIT_INIT(trit_batch_options)

/* Projects `count` tensors of one dtype by one call, without a round trip for each. outs[i]
 * gets the dense result of tensors[i], as long as its data and with the bits that
 * trit_project gives; it must not overlap any tensor or another result. There are no reports.
 * `options` may be NULL. After a failure the content of `outs` is unspecified. INVALID_ARGUMENT:
 * a NaN or an infinity; the error names the tensor, as "tensors[2]", or an overlap: "outs[2]". */
TRIT_API enum trit_status trit_project_batch(struct trit_client *client,
                                             const struct trit_tensor *const *tensors,
                                             void *const *outs, size_t count,
                                             const struct trit_batch_options *options,
                                             struct trit_error *error);

struct trit_verify_options {
    size_t size;
    enum trit_verify_mode mode;
    uint32_t group_size; /* as for a projection; 1 only with reference or latents */
    enum trit_partial_group partial_group;
    enum trit_encoding encoding; /* of tensor.data */
    bool has_tolerance;
    float tolerance;              /* relative; 0: bit-equal. Not has_tolerance: 1e-5 */
    enum trit_dtype scales_dtype; /* F32, F16 or BF16; 0: that of the encoding. Scales of
                                     the reference are rounded to it before they are
                                     compared */
    const void *scales;           /* encodings with separate scales, else NULL */
    uint64_t scale_bytes;
    const struct trit_tensor *reference;  /* latents of tensor's shape, or NULL */
    const struct trit_layer_ref *layer;   /* NULL: the report is not stored */
    const struct trit_call_options *call; /* may be NULL */
    /* Whether the call waits for its stored report, and fails with it. */
    enum trit_durability durability;
    uint32_t reserved;
};
#define TRIT_VERIFY_OPTIONS_INIT TRIT_INIT(trit_verify_options)

/* Verifies that a tensor is ternary, and with a reference that it is the projection of
 * those latents. `tensor` has the logical shape; its data are encoded. TRIT_OK also
 * where it is not: see trit_report_verdict. `options` may be NULL. */
TRIT_API enum trit_status trit_verify(struct trit_client *client,
                                      const struct trit_tensor *tensor,
                                      const struct trit_verify_options *options,
                                      struct trit_report *report,
                                      struct trit_error *error);

struct trit_unpack_options {
    size_t size;
    enum trit_encoding encoding;  /* of packed.data */
    enum trit_dtype dtype;        /* of the result: F32 (also 0), F16 or BF16 */
    uint32_t group_size;          /* as in trit_project_options */
    enum trit_dtype scales_dtype; /* as in trit_verify_options */
    const void *scales;
    uint64_t scale_bytes;
    const struct trit_call_options *call; /* may be NULL */
};
#define TRIT_UNPACK_OPTIONS_INIT TRIT_INIT(trit_unpack_options)

/* Computes the dense tensor of an encoded one. `packed` has the logical shape. `options`
 * may be NULL. *data is allocated; release it with trit_free. A tensor of stream_bytes_min
 * or more is sent in pieces; an error then names the elements of its piece, and counts from
 * the first of them. */
TRIT_API enum trit_status trit_unpack(struct trit_client *client,
                                      const struct trit_tensor *packed,
                                      const struct trit_unpack_options *options,
                                      void **data, uint64_t *data_bytes,
                                      struct trit_error *error);

struct trit_pack_options {
    size_t size;
    enum trit_encoding source_encoding; /* of tensor.data */
    enum trit_encoding encoding;        /* of the result; not DENSE, see trit_unpack */
    /* Weights per scale of the result, and of a source with separate scales. 0: 128. A
     * source and a result in blocks have a scale in each block in any case. 0 is needed
     * where the result has one scale for the tensor, unless the source has groups. */
    uint32_t group_size;
    enum trit_dtype scales_dtype; /* as in trit_verify_options */
    const void *scales;           /* of the source, if they are separate, else NULL */
    uint64_t scale_bytes;
    /* Rounds a scale once if the result's type does not hold it. The report then has the
     * finding scale_rounded. false: such a tensor is INVALID_ARGUMENT. */
    bool allow_rounded_scales;
    enum trit_report_detail report;
    const struct trit_layer_ref *layer; /* NULL: the report is not stored */
    /* Memory of the caller for the encoded tensor, `out_bytes` long. NULL: allocated.
     * After a failure its content is unspecified. It may be tensor.data if the result is
     * no longer; otherwise it must not overlap tensor or scales. */
    void *out;
    uint64_t out_bytes;
    const struct trit_call_options *call; /* may be NULL */
    /* As in trit_project_options. */
    trit_write write;
    void *write_arg; /* first argument of `write` */
    /* Whether the call waits for its stored report, and fails with it. */
    enum trit_durability durability;
    uint32_t reserved;
};
#define TRIT_PACK_OPTIONS_INIT TRIT_INIT(trit_pack_options)

/* Encodes a tensor that is ternary already. Nothing is projected: every weight and every
 * scale stays as it is. `tensor` has the logical shape; its data are in source_encoding.
 * The report is that of a verification of the source. Release the projection with
 * trit_projection_free. INVALID_ARGUMENT: a group is not exactly ternary, or its scale
 * does not fit into the result; the message names the first such group. */
TRIT_API enum trit_status trit_pack(struct trit_client *client,
                                    const struct trit_tensor *tensor,
                                    const struct trit_pack_options *options,
                                    struct trit_projection *projection,
                                    struct trit_error *error);

/* Straight-through estimator: writes the gradient with respect to the latents to
 * `grad_latent`, which has grad_ternary.bytes bytes and is grad_ternary.data, or does not
 * overlap it. `options` may be NULL. */
TRIT_API enum trit_status trit_backward(struct trit_client *client,
                                        const struct trit_tensor *grad_ternary,
                                        const struct trit_call_options *options,
                                        void *grad_latent, struct trit_error *error);

#ifdef __cplusplus
}
#endif

#endif
