/* SPDX-License-Identifier: Apache-2.0 */
/* libtrit: the client of tritd, blocking calls with deadlines.
 *
 * A `trit_client` is thread-safe: any number of threads may call at once; each
 * call has a connection of the client's pool to itself while it runs (at most
 * 64 at a time, more calls wait). Every call returns TRIT_OK or a gRPC status;
 * the optional `trit_error` says more. Outputs are untouched on failure, but for
 * the bytes of a buffer of yours that the result was being written into: those
 * are then unspecified. Memory a call gives you is released with the function
 * named beside it. Nothing is logged, no signal is touched, no event loop and
 * no thread is started. A client belongs to the process that made it: after a
 * fork the child's calls fail with FAILED_PRECONDITION, and it may only close.
 *
 *   struct trit_client *client;
 *   struct trit_error error;
 *   struct trit_projection projection = TRIT_PROJECTION_INIT;
 *   if (trit_connect(&client, NULL, &error) == TRIT_OK &&
 *       trit_project(client, &(struct trit_tensor){ .dtype = TRIT_F32, .rank = 2,
 *                    .shape = { 4096, 4096 }, .data = w, .bytes = sizeof w },
 *                    NULL, &projection, &error) == TRIT_OK)
 *       printf("%.3f zero\n", (double)projection.report.zeros /
 *              (double)projection.report.elements);
 *   trit_projection_free(&projection);
 *   trit_close(client);
 */
#ifndef TRIT_H
#define TRIT_H

#include <trit/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIT_API __attribute__((visibility("default")))

struct trit_client;

struct trit_error {
    enum trit_status status;
    char field[64]; /* the request field at fault, or "" */
    char message[TRIT_MESSAGE_BYTES_MAX + 1];
};

/* "INVALID_ARGUMENT"; the enum's names in words, for messages and files. */
TRIT_API const char *trit_status_name(enum trit_status status);
TRIT_API const char *trit_dtype_name(enum trit_dtype dtype);          /* "bf16" */
TRIT_API const char *trit_encoding_name(enum trit_encoding encoding); /* "pq2_0" */
TRIT_API size_t trit_dtype_bytes(enum trit_dtype dtype);              /* 0: none */
TRIT_API const char *
trit_finding_kind_name(enum trit_finding_kind kind);                  /* "scale_lost" */
TRIT_API const char *trit_severity_name(enum trit_severity severity); /* "error" */
TRIT_API const char *trit_verdict_name(enum trit_verdict verdict);    /* "pass" */
TRIT_API const char *trit_version(void);

/* What the report of one tensor comes to: fail where it is not ternary, has mismatches
 * or a finding of severity error; else inconclusive where one is undecided; else pass. */
TRIT_API enum trit_verdict trit_report_verdict(const struct trit_report *report);

struct trit_connect_options {
    const char *address;        /* "host:port" or "unix:/path"; NULL: TRITD_ADDRESS,
                                   else 127.0.0.1:6561 */
    uint64_t timeout_ms;        /* default deadline of every call; 0 = none. It
                                   does not interrupt the resolution of a name */
    uint32_t connections;       /* that one streamed projection is spread over, by
                                   rows, where it asks for no report (a report is
                                   of a whole); all else takes one. 0 = 2, max 16 */
    uint64_t stream_bytes_min;  /* tensors from here on are streamed; 0 = 4 MiB */
    uint64_t message_bytes_max; /* largest reply message accepted; 0 = 1 GiB */
};

/* Connects lazily: an unreachable daemon shows at the first call
 * (UNAVAILABLE). Options NULL = defaults; strings are copied. */
TRIT_API enum trit_status trit_connect(struct trit_client **client,
                                       const struct trit_connect_options *options,
                                       struct trit_error *error);
/* No call may be in progress. NULL is harmless. */
TRIT_API void trit_close(struct trit_client *client);

/* A tensor of yours, borrowed for the call. Row-major, little-endian. */
struct trit_tensor {
    enum trit_dtype dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    const void *data; /* any alignment */
    uint64_t bytes;
};

/* Told the bytes sent so far, from the calling thread, some ten times a second
 * or more; nonzero cancels. A call that is tried again starts from 0. */
typedef int (*trit_progress)(void *arg, uint64_t bytes_done, uint64_t bytes_total);

struct trit_call_options {
    uint64_t timeout_ms; /* 0 = the client's */
    trit_progress progress;
    void *progress_arg;
};

struct trit_project_options {
    uint32_t group_size; /* 0 = 128; of I2_S and HF_BITNET, which take no other, all */
    enum trit_partial_group partial_group;
    enum trit_encoding encoding;
    enum trit_report_detail report;
    /* Packed encodings: give the result although the scale of some group rounds to 0
     * or infinity; the report then has the finding scale_lost. Else such a tensor is
     * refused. Dense results are given in either case. */
    bool allow_lost_scales;
    struct trit_layer_ref layer; /* run NULL or "": the report is not stored */
    struct trit_call_options call;
    /* Where the encoded tensor goes. NULL: allocated. Else `out_bytes` of room. */
    void *out;
    uint64_t out_bytes;
};

struct trit_projection {
    struct trit_report report;
    enum trit_encoding encoding;
    enum trit_dtype dtype;
    void *data; /* the encoded tensor: options.out, or allocated */
    uint64_t data_bytes;
    void *scales; /* allocated; NULL for encodings without separate scales */
    uint64_t scale_bytes;
    bool data_owned;
};
#define TRIT_PROJECTION_INIT                                                             \
    {                                                                                    \
        .data = NULL, .scales = NULL                                                     \
    }

/* Unary or streamed by size; the result is the same bit for bit. */
TRIT_API enum trit_status trit_project(struct trit_client *client,
                                       const struct trit_tensor *tensor,
                                       const struct trit_project_options *options,
                                       struct trit_projection *projection,
                                       struct trit_error *error);
TRIT_API void trit_projection_free(struct trit_projection *projection);

struct trit_verify_options {
    enum trit_verify_mode mode;
    uint32_t group_size;
    enum trit_partial_group partial_group;
    float tolerance;             /* used where has_tolerance; 0 = bit-equal */
    bool has_tolerance;          /* else 1e-5 */
    enum trit_encoding encoding; /* of tensor.data; shape stays the logical one */
    const void *scales;          /* encodings with scales beside the data */
    uint64_t scale_bytes;
    enum trit_dtype scales_dtype;        /* F32, F16 or BF16; 0: that of the encoding. The
                                            reference's scales are compared after rounding to it */
    const struct trit_tensor *reference; /* latents, or NULL */
    struct trit_layer_ref layer;
    struct trit_call_options call;
};

/* A tensor that is not ternary is no error: see report->is_ternary. */
TRIT_API enum trit_status trit_verify(struct trit_client *client,
                                      const struct trit_tensor *tensor,
                                      const struct trit_verify_options *options,
                                      struct trit_report *report,
                                      struct trit_error *error);

struct trit_unpack_options {
    enum trit_encoding encoding;
    enum trit_dtype dtype; /* of the result */
    uint32_t group_size;
    const void *scales;
    uint64_t scale_bytes;
    enum trit_dtype scales_dtype; /* as in trit_verify_options */
    struct trit_call_options call;
};
/* `packed`: rank and shape are the logical ones, data the encoded bytes.
 * *data is allocated; release it with trit_free. */
TRIT_API enum trit_status trit_unpack(struct trit_client *client,
                                      const struct trit_tensor *packed,
                                      const struct trit_unpack_options *options,
                                      void **data, uint64_t *data_bytes,
                                      struct trit_error *error);

/* Straight-through estimator: writes the gradient with respect to the latents
 * to `grad_latent` (as many bytes as grad_ternary). */
TRIT_API enum trit_status trit_backward(struct trit_client *client,
                                        const struct trit_tensor *grad_ternary,
                                        const struct trit_call_options *options,
                                        void *grad_latent, struct trit_error *error);

/* The report of (run, layer) at `step`, or the latest where step is NULL. */
TRIT_API enum trit_status trit_report_get(struct trit_client *client, const char *run,
                                          const char *layer, const uint64_t *step,
                                          const struct trit_call_options *options,
                                          struct trit_report *report,
                                          struct trit_error *error);

struct trit_report_query {
    const char *run, *layer; /* NULL or "" = all */
    bool has_from, has_to;
    uint64_t step_from, step_to; /* inclusive */
    bool latest_only;
    struct trit_call_options call;
};
/* Visits every match in (run, layer, step) order; nonzero from visit stops. */
TRIT_API enum trit_status
trit_report_list(struct trit_client *client, const struct trit_report_query *query,
                 int (*visit)(void *arg, const struct trit_report *report), void *arg,
                 struct trit_error *error);

/* Health of the daemon (service NULL or "") or of one service. */
TRIT_API enum trit_status trit_ping(struct trit_client *client, const char *service,
                                    const struct trit_call_options *options,
                                    bool *serving, struct trit_error *error);

/* ---- layers: TernaryLinear and TernaryEmbedding, held by the daemon ----------------
 *
 * A layer is a ternary matrix Wt = [out_features, in_features] with a scale a
 * group and a bias or none (proto/trit/v1/layers.proto). Its name is UTF-8, 1 to
 * TRIT_NAME_BYTES_MAX bytes. Every call may fail with INVALID_ARGUMENT (field and
 * value named), NOT_FOUND (no such layer), FAILED_PRECONDITION (a layer of the other
 * kind, or without what is asked for), RESOURCE_EXHAUSTED (the daemon's memory, or a
 * reply above message_bytes_max). `options` and `error` may be NULL everywhere. */

struct trit_layer_spec {
    char name[TRIT_NAME_BYTES_MAX + 1];
    enum trit_layer_kind kind;
    uint64_t in_features, out_features; /* an embedding: its dim, its ids */
    bool bias;                          /* linear layers only */
    uint32_t group_size;                /* 0 = 128; a multiple of 16 */
    bool keep_latents;                  /* trit_layer_get may ask for them */
};

/* A tensor that a call gives, row-major: `data` is yours, for trit_array_free (or
 * trit_free, once you have taken it). data NULL: there is none. */
struct trit_array {
    enum trit_dtype dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    void *data;
    uint64_t bytes;
};
#define TRIT_ARRAY_INIT                                                                  \
    {                                                                                    \
        .rank = 0, .data = NULL                                                          \
    }
TRIT_API void trit_array_free(struct trit_array *array); /* NULL is harmless */

/* Latents drawn from N(0, 1) * in_features^-0.5, projected at once; bias zero. The
 * same seed gives the same bits everywhere. ALREADY_EXISTS: the name is taken. `made`
 * (may be NULL) gets the spec with its defaults filled in. This, load and delete are
 * answered when the daemon's disk has them, and are never sent twice: after
 * UNAVAILABLE or a deadline they may have happened. */
TRIT_API enum trit_status
trit_layer_create(struct trit_client *client, const struct trit_layer_spec *spec,
                  uint64_t seed, const struct trit_call_options *options,
                  struct trit_layer_spec *made, struct trit_error *error);

/* Latents [out_features, in_features] of yours (f32, f16, bf16), and the bias
 * [out_features] where spec->bias is set, else NULL. Unary or streamed by size; the
 * layer is the same bit for bit. A NaN or infinity fails it, with count and index. */
TRIT_API enum trit_status
trit_layer_load(struct trit_client *client, const struct trit_layer_spec *spec,
                const struct trit_tensor *weight, const struct trit_tensor *bias,
                const struct trit_call_options *options, struct trit_layer_spec *made,
                struct trit_error *error);

struct trit_forward_options {
    enum trit_activations activations;
    bool report_error; /* also computes y by TRIT_ACTIVATIONS_F32, and compares */
    struct trit_call_options call;
};
struct trit_forward {
    struct trit_array y;  /* x's shape with out_features as the last axis; x's dtype */
    bool has_error;       /* with report_error; before y is rounded to its dtype: */
    float max_error;      /* the largest |y - y by f32| */
    float relative_error; /* the same, by the largest |y by f32| */
};
/* y = x . Wt^T + bias of a linear layer. x: [..., in_features] of f32, f16 or bf16.
 * Computed in f32, rounded once. Release y with trit_array_free. */
TRIT_API enum trit_status trit_layer_forward(struct trit_client *client, const char *name,
                                             const struct trit_tensor *x,
                                             const struct trit_forward_options *options,
                                             struct trit_forward *forward,
                                             struct trit_error *error);

struct trit_gradients {
    struct trit_array input;  /* x's shape and dtype */
    struct trit_array weight; /* [out_features, in_features], dtype of grad_output */
    struct trit_array bias;   /* [out_features]; data NULL without a bias */
};
/* The gradients of y by the straight-through estimator; of an embedding, those of
 * trit_layer_as_linear. grad_output: y's shape. */
TRIT_API enum trit_status
trit_layer_backward(struct trit_client *client, const char *name,
                    const struct trit_tensor *x, const struct trit_tensor *grad_output,
                    const struct trit_call_options *options,
                    struct trit_gradients *gradients, struct trit_error *error);
TRIT_API void trit_gradients_free(struct trit_gradients *gradients);

/* Rows of an embedding: f32 [count, in_features]. INVALID_ARGUMENT names an id that
 * is not below out_features. */
TRIT_API enum trit_status trit_layer_embed(struct trit_client *client, const char *name,
                                           const uint32_t *ids, uint64_t count,
                                           const struct trit_call_options *options,
                                           struct trit_array *rows,
                                           struct trit_error *error);

/* x . Wt^T of an embedding: the output layer that shares its weights. */
TRIT_API enum trit_status
trit_layer_as_linear(struct trit_client *client, const char *name,
                     const struct trit_tensor *x, const struct trit_call_options *options,
                     struct trit_array *logits, struct trit_error *error);

struct trit_layer_get_options {
    enum trit_layer_part part;
    enum trit_encoding encoding; /* of the ternary weights */
    enum trit_dtype dtype;       /* of dense ones: F32 (also unspecified), F16, BF16 */
    struct trit_call_options call;
};
struct trit_layer {
    struct trit_layer_spec spec;
    bool has_seed; /* made by trit_layer_create, with: */
    uint64_t seed;
    enum trit_encoding encoding;
    struct trit_array weight; /* the logical shape [out_features, in_features]; the
                                 encoded bytes; data NULL with TRIT_LAYER_SPEC */
    struct trit_array bias;   /* f32 [out_features], with the ternary weights */
    void *scales;             /* NULL for encodings without separate scales */
    uint64_t scale_bytes;
};
TRIT_API enum trit_status trit_layer_get(struct trit_client *client, const char *name,
                                         const struct trit_layer_get_options *options,
                                         struct trit_layer *layer,
                                         struct trit_error *error);
TRIT_API void trit_layer_free(struct trit_layer *layer);

/* Visits the specs whose names begin with `prefix` (NULL or "": all) by name; nonzero
 * from visit stops. */
TRIT_API enum trit_status
trit_layer_list(struct trit_client *client, const char *prefix,
                const struct trit_call_options *options,
                int (*visit)(void *arg, const struct trit_layer_spec *spec), void *arg,
                struct trit_error *error);

TRIT_API enum trit_status trit_layer_delete(struct trit_client *client, const char *name,
                                            const struct trit_call_options *options,
                                            struct trit_error *error);

struct trit_layer_verify_options {
    const char *prefix; /* of the names; NULL or "": all layers */
    float tolerance;    /* used where has_tolerance; 0 = bit-equal */
    bool has_tolerance; /* else 1e-5 */
    struct trit_call_options call;
};
/* Visits a report of each layer's ternary weights by name, as TRIT_VERIFY_TERNARY:
 * `layer` is the layer's name, `run` empty. Nonzero from visit stops. */
TRIT_API enum trit_status
trit_layer_verify(struct trit_client *client,
                  const struct trit_layer_verify_options *options,
                  int (*visit)(void *arg, const struct trit_report *report), void *arg,
                  struct trit_error *error);

/* ---- checkpoints: files of tensors, by names, types and shapes ------------------------
 *
 * Which tensors of a checkpoint are layers, what becomes of each in a projection, and
 * what a verification comes to: the rules of the command `trit`, for callers with files
 * or arrays of any origin. These calls ask no daemon and read no file: a table of
 * tensors goes in, and the bytes of tensors where a rule needs them.
 *
 * What they find comes as JSON, one string for trit_free. A JSON object of today keeps
 * its members; later versions may add some. Numbers are numbers, absent members do not
 * apply. dtype is the name in safetensors files ("BF16"), encoding and partial_group are
 * the names of the enums ("pq2_0", "padded"), shapes are arrays, parameters count
 * elements of the dense tensor.
 *
 * A NULL argument gives INVALID_ARGUMENT, except `options` and `error`, which may be
 * NULL, and where a function says so. After a failure outputs are untouched. An object
 * serves one thread at a time. */

struct trit_checkpoint;
struct trit_plan;
struct trit_verification;

/* An empty table of tensors; release it with trit_checkpoint_free. */
TRIT_API enum trit_status trit_checkpoint_create(struct trit_checkpoint **checkpoint,
                                                 struct trit_error *error);
TRIT_API void trit_checkpoint_free(struct trit_checkpoint *checkpoint); /* or NULL */

/* Adds a tensor; all strings and `shape` (NULL with rank 0) are copied. The order is
 * kept. `dtype` is the name in safetensors files, "F32". INVALID_ARGUMENT: an unknown
 * dtype, a name that is not UTF-8 or above 1024 bytes, a rank above TRIT_RANK_MAX.
 * FAILED_PRECONDITION once the checkpoint was used by one of the calls below. */
TRIT_API enum trit_status trit_checkpoint_add_tensor(struct trit_checkpoint *checkpoint,
                                                     const char *name, const char *dtype,
                                                     uint32_t rank, const uint64_t *shape,
                                                     struct trit_error *error);
/* Adds an entry of the file's metadata, likewise. The entry "trit" is the record of the
 * projection that made the file. */
TRIT_API enum trit_status trit_checkpoint_add_metadata(struct trit_checkpoint *checkpoint,
                                                       const char *key, const char *value,
                                                       struct trit_error *error);

/* Begin with TRIT_CHECKPOINT_OPTIONS_INIT, which leaves everything to the rules and to
 * the file's record; so does NULL. The strings are borrowed for the call. */
struct trit_checkpoint_options {
    size_t size; /* of this struct: set by the initializer, so that it can grow */
    /* Shell patterns (fnmatch) of tensor names. include: only these are layers, also
     * where the rules keep the tensor. exclude wins over include. A pattern that matches
     * no tensor is INVALID_ARGUMENT naming it. */
    const char *const *include;
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    bool convolutions;           /* convolutions of rank 3 and 4 are layers too */
    bool has_encoding;           /* else that of the record, else dense */
    enum trit_encoding encoding; /* of the layers */
    uint32_t group_size;         /* 0: the record's, else the encoding's default */
    bool has_partial_group;      /* else that of the record, else padded */
    enum trit_partial_group partial_group;
    enum trit_verify_mode mode; /* LATENT: the layers are latents, to be projected and
                                   verified; the record says nothing */
    bool again;                 /* plans: project layers that are ternary already */
    bool allow_dead;            /* verifications: a layer of zeros is a warning */
    bool accept_record; /* verifications: accept layers that the record leaves out */
};
#define TRIT_CHECKPOINT_OPTIONS_INIT                                                     \
    {                                                                                    \
        sizeof(struct trit_checkpoint_options), NULL, 0, NULL, 0, false, false,          \
            TRIT_ENCODING_DENSE, 0, false, TRIT_PARTIAL_PADDED, TRIT_VERIFY_TERNARY,     \
            false, false, false                                                          \
    }

/* What each tensor is, as {encoding, group_size, partial_group, has_record, layers,
 * tensors: [{name, dtype, shape, parameters, kind, role, what}]}: `layers` counts them,
 * `kind` is "layer", "scales", "kept", "excluded", "kept_by_record", "foreign_weight",
 * "foreign_table", "unknown_dtype" or "unfit", `role` what the name says ("embedding"),
 * `what` the same in a few words. A layer also has encoding, group_size, partial_group,
 * dense {dtype, shape}, and scales {name, dtype} where they stand beside it. */
TRIT_API enum trit_status
trit_checkpoint_contents(struct trit_checkpoint *checkpoint,
                         const struct trit_checkpoint_options *options, char **json,
                         struct trit_error *error);

/* Plans the projection of a checkpoint of latents, which must outlive the plan. What
 * cannot be made is no failure: the plan says so. */
TRIT_API enum trit_status trit_plan_create(struct trit_plan **plan,
                                           struct trit_checkpoint *checkpoint,
                                           const struct trit_checkpoint_options *options,
                                           struct trit_error *error);
TRIT_API void trit_plan_free(struct trit_plan *plan); /* NULL is harmless */

/* Layers that are ternary already must not be projected again: their scales would
 * shrink. Give each tensor of action "ternarize" from its start to its end, in pieces of
 * whole elements, until *done. A tensor that is ternary then becomes "refuse" in the
 * plan. Most tensors are done after the first piece; with options.again, and for tensors
 * of another action, all are. NOT_FOUND: no such tensor. */
TRIT_API enum trit_status trit_plan_examine(struct trit_plan *plan, const char *tensor,
                                            const void *data, uint64_t bytes, bool *done,
                                            struct trit_error *error);

/* The plan as {tensors: [{name, dtype, shape, parameters, action, reason, encoding,
 * group_size, partial_group, matrix, groups, outputs: [{name, dtype, shape, bytes}]}],
 * metadata: {key: value}, parameters: {ternary, kept}, bytes: {before, after},
 * bits_per_weight, refused, refusal}. `action` is "ternarize", "keep" or "refuse";
 * `matrix` is [out, in], the shape to project; `outputs` are the tensors of the output,
 * a layer's data before its scales; `metadata` is the output's, with the record of this
 * projection; `bits_per_weight` is that of the layers with their scales; `refused`
 * counts tensors; `refusal` says why the whole file is refused. */
TRIT_API enum trit_status trit_plan_json(const struct trit_plan *plan, char **json,
                                         struct trit_error *error);

/* Begins the verification of `claim`; with `latents` (else NULL) that it is their
 * projection. Both must outlive the verification. */
TRIT_API enum trit_status
trit_verification_create(struct trit_verification **verification,
                         struct trit_checkpoint *claim, struct trit_checkpoint *latents,
                         const struct trit_checkpoint_options *options,
                         struct trit_error *error);
TRIT_API void
trit_verification_free(struct trit_verification *verification); /* or NULL */

/* The steps of the verification, as {encoding, group_size, partial_group, steps: [{tensor,
 * check, ...}]}, in the order of the claim. `check` is
 *   "ternary"     verify the tensor (trit_verify) and give the report to
 *                 trit_verification_add_report; the step also has matrix [out, in], its
 *                 logical shape, dtype, encoding, group_size, partial_group, and scales
 *                 {name, dtype} where the claim has them beside it
 *   "projection"  the same, with the latents' tensor of that name as the reference
 *   "bytes"       give both to trit_verification_compare */
TRIT_API enum trit_status
trit_verification_steps(const struct trit_verification *verification, char **json,
                        struct trit_error *error);

/* NOT_FOUND: the tensor has no such step. FAILED_PRECONDITION: it was reported already.
 * INVALID_ARGUMENT: the step is a projection, and the report has no reference. */
TRIT_API enum trit_status
trit_verification_add_report(struct trit_verification *verification, const char *tensor,
                             const struct trit_report *report, struct trit_error *error);

/* The next `bytes` of a tensor, whole elements, as the latents have it and as the claim
 * has it; from its start to its end, one tensor after another. */
TRIT_API enum trit_status
trit_verification_compare(struct trit_verification *verification, const char *tensor,
                          const void *latents, const void *claim, uint64_t bytes,
                          struct trit_error *error);

/* Once every step is done (else FAILED_PRECONDITION naming the first that is not): the
 * verdict, and {verdict, findings: [{kind, severity, layer, tensor, index, group,
 * expected, got, count, hint}], examined, kept, share_examined}, where examined and kept
 * count parameters. `verdict` or `json` may be NULL. */
TRIT_API enum trit_status trit_verification_result(struct trit_verification *verification,
                                                   enum trit_verdict *verdict,
                                                   char **json, struct trit_error *error);

/* The format that the name of a file says: "safetensors", also where it says none;
 * "npy"; or one that is not written, "GGUF". NULL for NULL. Static. */
TRIT_API const char *trit_file_format(const char *path);

TRIT_API void trit_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
