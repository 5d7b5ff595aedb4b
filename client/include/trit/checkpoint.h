/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: files of tensors, by their names, types and shapes.
 *
 * Which tensors of a checkpoint are layers, what a projection makes of each, and which
 * verdict a verification comes to: the rules of the command `trit`, for callers with
 * files or arrays of any origin. These calls ask no daemon and read no file. The caller
 * gives a table of tensors, and the bytes of tensors where a rule needs them.
 *
 * Results are JSON: one string, to be released with trit_free. Later versions may add
 * members to an object, and remove none. Numbers are numbers; a member that does not
 * apply is absent. dtype is the name in safetensors files ("BF16"); encoding and
 * partial_group are the names of the enums ("pq2_0", "padded"); shapes are arrays;
 * parameters count elements of the dense tensor.
 *
 * `options` and `error` may be NULL. Outputs are untouched after a failure. An object
 * may be used by one thread at a time. */
#ifndef TRIT_CHECKPOINT_H
#define TRIT_CHECKPOINT_H

#include <trit/base.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/* NULL in place of a pointer to this struct leaves everything to the rules and to the
 * file's record; so does TRIT_CHECKPOINT_OPTIONS_INIT. Strings are borrowed for the
 * call. */
struct trit_checkpoint_options {
    size_t size;
    /* Shell patterns (fnmatch) of tensor names. include: only these are layers, also
     * where the rules keep the tensor. exclude wins over include. A pattern that matches
     * no tensor is INVALID_ARGUMENT naming it. */
    const char *const *include;
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    bool convolutions;      /* convolutions of rank 3 and 4 are layers too */
    bool has_encoding;      /* else the encoding is that of the record, else dense */
    bool has_partial_group; /* else that of the record, else padded */
    bool again;             /* plans: project layers that are ternary already */
    bool allow_dead;        /* verifications: a layer of zeros is a warning */
    bool accept_record;     /* verifications: accept layers that the record leaves out */
    enum trit_encoding encoding; /* of the layers */
    uint32_t group_size;         /* 0: the record's, else the encoding's default */
    enum trit_partial_group partial_group;
    /* LATENT: the layers are latents, to be projected and verified; the record is not
     * used. */
    enum trit_verify_mode mode;
};
#define TRIT_CHECKPOINT_OPTIONS_INIT TRIT_INIT(trit_checkpoint_options)

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

#ifdef __cplusplus
}
#endif

#endif
