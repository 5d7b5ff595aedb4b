/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: files of tensors, by their names, types and shapes.
 *
 * Which tensors of a checkpoint are layers, what a projection makes of each, and which
 * verdict a verification comes to: the rules of the command `trit`, for callers with
 * files or arrays of any origin. Only trit_plan_run calls a daemon. The caller gives a table of
 * tensors, its own (trit_checkpoint_create) or that of a file (trit_file_open), and the
 * bytes of tensors where a rule needs them.
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
#include <trit/client.h>
#include <trit/report.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trit_checkpoint;
struct trit_file;
struct trit_matrix;
struct trit_output;
struct trit_plan;
struct trit_verification;

/* An empty table of tensors; release it with trit_checkpoint_free. */
TRIT_API enum trit_status trit_checkpoint_create(struct trit_checkpoint **checkpoint,
                                                 struct trit_error *error);
TRIT_API void trit_checkpoint_free(struct trit_checkpoint *checkpoint); /* or NULL */

/* The tensors as {tensors: [{name, dtype, shape, bytes, offset}], metadata: {key: value}}.
 * `offset` is the first byte's place in its file, absent for a table of the caller. */
TRIT_API enum trit_status trit_checkpoint_table(struct trit_checkpoint *checkpoint,
                                                char **json, struct trit_error *error);

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

/* How the matrices of a tensor of rank 3 that holds experts lie. */
enum trit_experts {
    TRIT_EXPERTS_UNKNOWN, /* as the architecture in config.json has them, else kept */
    TRIT_EXPERTS_OUT_IN,  /* [experts, out, in] */
    TRIT_EXPERTS_IN_OUT,  /* [experts, in, out] */
};

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
    /* Patterns of layers that are stored [in, out]. */
    const char *const *transposed;
    size_t transposed_count;
    /* Verifications: "OLD=NEW" renames tensors of the claim before they are compared; '*'
     * in OLD stands for any text, in NEW for what it matched. The prefixes are taken away
     * from the names of both sides. One that changes no name is INVALID_ARGUMENT. */
    const char *const *rename;
    size_t rename_count;
    const char *const *strip_prefix;
    size_t strip_prefix_count;
    const char *config; /* text of the model's config.json; NULL: the file's own */
    enum trit_experts experts;
    /* 2, 3, 4, 5, 6 or 8: of weights that MLX packed, where neither config.json nor their
     * shapes tell. 0: not known. */
    uint32_t bits;
    /* Plans that trit_plan_run does: of a GGUF file that is written in another format,
     * llama.cpp's names and order of rows stay. */
    bool keep_names;
    bool reserved[3];
    /* Plans that trit_plan_run does: path of the output, as trit_output_create gets it. A
     * GGUF output of a model that llama.cpp knows, by config.json in the folder of the file,
     * gets llama.cpp's names, order of rows, keys and tokenizer. NULL: tensors keep names and
     * order. */
    const char *output;
};
#define TRIT_CHECKPOINT_OPTIONS_INIT TRIT_INIT(trit_checkpoint_options)

/* What each tensor is, as {encoding, group_size, partial_group, has_record, layers, findings,
 * tensors: [{name, dtype, shape, parameters, kind, role, what}]}: `layers` counts them,
 * `kind` is "layer", "scales", "kept", "excluded", "kept_by_record", "foreign_weight",
 * "foreign_table", "unknown_dtype" or "unfit", `role` what the name says ("embedding"),
 * `what` the same in a few words. A layer also has encoding, group_size, partial_group,
 * dense {dtype, shape}, and scales and biases {name, dtype} if it has separate ones.
 * `findings` are the contradictions between the index of a folder and its shards, like
 * those of trit_verification_result. */
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

/* What becomes of a checkpoint whose layers are ternary already. */
struct trit_pack_target {
    size_t size;
    enum trit_encoding encoding; /* of the layers; DENSE: they are unpacked */
    uint32_t group_size;         /* 0: the input's, else the encoding's default */
    enum trit_dtype dtype; /* of unpacked layers; 0: what the record says, else F32 */
    uint32_t reserved;
};
#define TRIT_PACK_TARGET_INIT TRIT_INIT(trit_pack_target)

/* Plans that trits and scales stay as they are and only their encoding changes. The options
 * say how the input is encoded where its record does not. Layers have the action "pack". */
TRIT_API enum trit_status
trit_plan_create_pack(struct trit_plan **plan, struct trit_checkpoint *checkpoint,
                      const struct trit_checkpoint_options *options,
                      const struct trit_pack_target *target, struct trit_error *error);

/* Layers that are ternary already must not be projected again: their scales would
 * shrink. Give each tensor of action "ternarize" from its start to its end, in pieces of
 * whole elements, until *done. A tensor that is ternary then becomes "refuse" in the
 * plan. Most tensors are done after the first piece; with options.again, and for tensors
 * of another action, all are. NOT_FOUND: no such tensor. */
TRIT_API enum trit_status trit_plan_examine(struct trit_plan *plan, const char *tensor,
                                            const void *data, uint64_t bytes, bool *done,
                                            struct trit_error *error);

/* The plan as {tensors: [{name, dtype, shape, parameters, action, reason, warning, encoding,
 * group_size, partial_group, matrix, matrices, transposed, groups, outputs: [{name, dtype,
 * shape, bytes, role, transposed}]}], metadata: {key: value}, parameters: {ternary, kept},
 * bytes: {before, after}, bits_per_weight, refused, refusal, findings, gguf: {architecture,
 * remark}}. `gguf` is that of a GGUF output: architecture is llama.cpp's name of the model,
 * absent where the output is an archive of tensors; remark says why that is, what was left
 * out or what differs. `action` is
 * "ternarize", "pack", "keep" or "refuse"; one to be packed also has source {encoding,
 * group_size, partial_group, dtype, transposed, scales, biases, packed_as, reciprocal}, which
 * says how it lies in the input: packed_as as in trit_verification_steps, with
 * trit_plan_decode; reciprocal: the scale is 1 / mean |w|. `matrix` is [out, in], the shape to
 * project. `matrices` says how many of them lie one after another; each is projected alone. If
 * `transposed` is true, each is stored as [in, out]. `outputs` are the tensors of the output, whose
 * `role` is "data", "scales" or "biases" (every scale with its sign turned); `transposed`:
 * each matrix is written as [in, out] too. `metadata` is the output's, with the record of
 * this projection; `bits_per_weight` is that of the layers with their scales; `refused`
 * counts tensors; `refusal` says why the whole file is refused; `findings` are those of
 * trit_checkpoint_contents, whose errors refuse the file as well. */
TRIT_API enum trit_status trit_plan_json(const struct trit_plan *plan, char **json,
                                         struct trit_error *error);

/* Gets the report of a matrix: `report` of the options. Other than 0 ends the run. */
typedef int (*trit_take_report)(void *arg, const char *matrix,
                                const struct trit_report *report);

/* How trit_plan_run goes about it. */
struct trit_run_options {
    size_t size;
    /* Projections: under which run and step the reports are stored. `layer` in it is not
     * used, as each matrix has its own name. NULL: they are not stored. */
    const struct trit_layer_ref *layer;
    bool allow_lost_scales;    /* projections: they are warnings of trit_plan_result */
    bool allow_rounded_scales; /* packings: scales that the encoding does not hold */
    bool reserved[6];
    /* Called on the caller's thread with the report of each matrix that has one, in the
     * order of the file, after it was written to `report`. */
    trit_take_report visit;
    void *visit_arg;
    struct trit_report *report; /* of the caller, initialized with TRIT_REPORT_INIT */
    /* timeout_ms is for the call of each matrix; the progress is that of the whole file, in
     * bytes of it, on the caller's thread. */
    const struct trit_call_options *call;
};
#define TRIT_RUN_OPTIONS_INIT TRIT_INIT(trit_run_options)

/* Does all of a plan: has the daemon project or pack each layer of `source`, the file that was
 * planned, and puts every tensor into `output`, that of the plan. Several matrices are under
 * way at a time on threads that end with the call, and memory does not grow with the file.
 * Notes the reports (trit_plan_add_report); trit_plan_result then has scales_rounded, too. The
 * caller looks at the result, then calls trit_output_commit. After a failure `output` is of no
 * use. CANCELLED: `visit` or the progress ended it. ABORTED: the file has changed. */
TRIT_API enum trit_status
trit_plan_run(struct trit_plan *plan, struct trit_client *client,
              struct trit_file *source, struct trit_output *output,
              const struct trit_run_options *options, struct trit_error *error);

/* Decodes a matrix of a layer whose source has packed_as, as trit_verification_decode does.
 * NOT_FOUND: the plan has no such layer. */
struct trit_examined;
TRIT_API enum trit_status trit_plan_decode(const struct trit_plan *plan,
                                           const char *tensor,
                                           const struct trit_examined *packed,
                                           void *values, uint64_t bytes,
                                           struct trit_error *error);

/* Separate scales of a matrix of a layer that is packed, for the output's groups: a scale
 * stands several times for shorter groups, and for longer ones those of a group must be equal.
 * `width` is the bytes of a scale. `bytes`: width * rows * groups in a row of the output.
 * INVALID_ARGUMENT: scales differ, or no group size divides the other; the message names the
 * first group. FAILED_PRECONDITION: the layer is not packed in groups. NOT_FOUND: the plan has
 * no such tensor. */
TRIT_API enum trit_status trit_plan_regroup(const struct trit_plan *plan,
                                            const char *tensor, uint32_t width,
                                            const void *scales, uint64_t scale_bytes,
                                            void *regrouped, uint64_t bytes,
                                            struct trit_error *error);

/* Notes the report of the next matrix that was projected or packed. Layers may come in any
 * order, the matrices of a layer in theirs. `allow_lost`: scales that round to 0 or infinity are a warning, as a
 * layer of zeros always is. NOT_FOUND: the plan has no such layer.
 * FAILED_PRECONDITION: all its matrices were noted already. */
TRIT_API enum trit_status trit_plan_add_report(struct trit_plan *plan, const char *tensor,
                                               const struct trit_report *report,
                                               bool allow_lost, struct trit_error *error);

/* The verdict and the findings of the reports so far, and as JSON {verdict, findings,
 * scales_rounded}. `verdict` or `json` may be NULL. scales_rounded is there after
 * trit_plan_run of a packing. */
TRIT_API enum trit_status trit_plan_result(const struct trit_plan *plan,
                                           enum trit_verdict *verdict, char **json,
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
 *                 trit_verification_add_matrix; the step also has matrix [out, in], its
 *                 logical shape, matrices (their number; they are stored one after another
 *                 and verified separately), transposed (each is stored as [in, out]), dtype,
 *                 encoding, group_size, partial_group, and scales and biases {name, dtype}
 *                 if the claim has separate ones, never transposed. Where another
 *                 program packed the layer, packed_as says which ("MLX"): its values, of
 *                 type dtype, come from trit_verification_decode and are verified without
 *                 scales and biases
 *   "projection"  the same, with the latents' tensor as the reference; latents {name,
 *                 dtype, transposed, matrices, first} says which: its matrix `first` is
 *                 that of the first matrix (not 0 where it has all experts, and the
 *                 claim one tensor each); parts, if they are there, name a tensor for
 *                 each matrix
 *   "bytes"       give both to trit_verification_compare; latents {name}
 * latents may have heads {rows, interleaves}: the reference's rows must be given in another
 * order. Interleaved, row 2 i + j of each `rows` rows is its row j * rows / 2 + i; else the
 * reverse. */
TRIT_API enum trit_status
trit_verification_steps(const struct trit_verification *verification, char **json,
                        struct trit_error *error);

/* A matrix that was verified, with its data as they were sent: [out, in], or as the encoding
 * packs it. With them and the latents, the findings say what differs and why; without, only
 * that it differs. A layer with biases needs scales and biases. Where config.json declares
 * scales of 1 / mean |w|, a projection needs all of the members. All are borrowed for the
 * call. */
struct trit_examined {
    size_t size;
    const struct trit_report *report;
    const void *data;
    uint64_t data_bytes;
    const void *scales;
    uint64_t scale_bytes;
    const void *biases;
    uint64_t bias_bytes;
    const void *latents;
    uint64_t latents_bytes;
    /* In place of data and latents: they are read again where a finding needs them. */
    struct trit_matrix *data_matrix, *latents_matrix;
};
#define TRIT_EXAMINED_INIT TRIT_INIT(trit_examined)

/* Decodes a matrix of a step that has packed_as: from its data, scales and biases (the
 * report is not used) to its values [out, in], in the type that the step says. `bytes` is
 * the size of `values`. NOT_FOUND: the tensor has no such step. */
TRIT_API enum trit_status
trit_verification_decode(const struct trit_verification *verification, const char *tensor,
                         const struct trit_examined *packed, void *values, uint64_t bytes,
                         struct trit_error *error);

/* Notes the next matrix of a layer; layers in any order, the matrices of one in theirs.
 * Findings name it as the layer, or as "NAME[3]" where the layer has several. NOT_FOUND:
 * the tensor has no such step. FAILED_PRECONDITION: all its matrices were noted already.
 * INVALID_ARGUMENT: the step is a projection, and the report has no reference; the bytes
 * are not those of a matrix; biases are missing. */
TRIT_API enum trit_status
trit_verification_add_matrix(struct trit_verification *verification, const char *tensor,
                             const struct trit_examined *examined,
                             struct trit_error *error);

/* The same with the report alone. */
TRIT_API enum trit_status
trit_verification_add_report(struct trit_verification *verification, const char *tensor,
                             const struct trit_report *report, struct trit_error *error);

/* The next `bytes` of a tensor, whole elements, as the claim has it, and as many elements
 * as the latents have it, whose type may differ if one of the files is GGUF; from its start
 * to its end, one tensor after another. */
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

/* ---- files ----------------------------------------------------------------------- */

struct trit_file_options {
    size_t size;
    bool npy_bf16;   /* .npy: '|V2' holds bf16, as ml_dtypes saves it */
    bool may_be_cut; /* a file that is shorter than its header says is read, and
                        the findings of a verification say so (truncated) */
    unsigned char reserved[6];
};
#define TRIT_FILE_OPTIONS_INIT TRIT_INIT(trit_file_options)

/* Opens a checkpoint: a safetensors, GGUF, .npy or Keras 3 file, a folder of shards, the index
 * in one, or a part of a split GGUF file. Release it with trit_file_close. The first bytes of
 * a file tell its format. The call reads and checks the tables and config.json, no tensor. If
 * the index and the shards contradict each other, it does not fail: those are findings. NOT_FOUND: no such file. INVALID_ARGUMENT: it is no such file; the
 * message says what it is instead. */
TRIT_API enum trit_status trit_file_open(struct trit_file **file, const char *path,
                                         const struct trit_file_options *options,
                                         struct trit_error *error);
TRIT_API void trit_file_close(struct trit_file *file); /* NULL is harmless */

/* Its table, which lives as long as the file; not to be released. */
TRIT_API struct trit_checkpoint *trit_file_checkpoint(struct trit_file *file);

/* Is it a folder, or one file? */
TRIT_API bool trit_file_is_folder(const struct trit_file *file);

/* Reads bytes of a tensor, from byte `offset` of it. Several threads may. ABORTED: the file
 * became shorter. */
TRIT_API enum trit_status trit_file_read(struct trit_file *file, const char *tensor,
                                         uint64_t offset, void *buffer, uint64_t bytes,
                                         struct trit_error *error);

/* To be asked after the last byte was read. ABORTED: a file has changed since it was
 * opened. */
TRIT_API enum trit_status trit_file_unchanged(const struct trit_file *file,
                                              struct trit_error *error);

/* Opens matrix `number` of a layer for reading, as the call of its layer needs it: [out, in]
 * whatever the file's layout, the values of a layer that another program packed, and for
 * latents (of a verification's "projection" step) the rows in the claim's order. Memory does
 * not grow with the matrix. `file` is the one that was planned or verified; it and the plan
 * or the verification must outlive the matrix. One thread at a time may use it; release it
 * with trit_matrix_free. NOT_FOUND: the tensor is not a layer. */
TRIT_API enum trit_status trit_plan_matrix(const struct trit_plan *plan,
                                           const struct trit_file *file,
                                           const char *tensor, uint64_t number,
                                           struct trit_matrix **matrix,
                                           struct trit_error *error);
TRIT_API enum trit_status
trit_verification_matrix(const struct trit_verification *verification,
                         const struct trit_file *file, bool latents, const char *tensor,
                         uint64_t number, struct trit_matrix **matrix,
                         struct trit_error *error);
TRIT_API void trit_matrix_free(struct trit_matrix *matrix); /* or NULL */

/* Its size; 0 for NULL. */
TRIT_API uint64_t trit_matrix_bytes(const struct trit_matrix *matrix);

/* Is a trit_read with the matrix as its argument. It is fastest from front to back. 0, or -1:
 * trit_matrix_check then says why. */
TRIT_API int trit_matrix_read(void *matrix, uint64_t offset, void *to, uint64_t bytes);

/* OK, or why the matrix could not be read. */
TRIT_API enum trit_status trit_matrix_check(const struct trit_matrix *matrix,
                                            struct trit_error *error);

/* Once every step is done: writes what was found as an in-toto statement about the files of
 * the claim and, if they are not NULL, of the latents (docs/attest.md). The file gets its name
 * when it is complete. `replace`: whatever has the name; else ALREADY_EXISTS.
 * FAILED_PRECONDITION: a step is not done. ABORTED: a file changed since it was opened, and
 * nothing is written. */
TRIT_API enum trit_status trit_verification_attest(struct trit_verification *verification,
                                                   struct trit_file *claim,
                                                   struct trit_file *latents,
                                                   const char *path, bool replace,
                                                   struct trit_error *error);

/* The same steps: compares files and layers with the statement in a file. Each difference is a
 * finding of trit_verification_result. Signatures are not checked. The latents, or NULL, are
 * compared if the statement has some. INVALID_ARGUMENT: it is not a statement, and the message
 * says why. */
TRIT_API enum trit_status
trit_verification_check_attestation(struct trit_verification *verification,
                                    const char *path, struct trit_file *claim,
                                    struct trit_file *latents, struct trit_error *error);

struct trit_output_options {
    size_t size;
    uint64_t shard_bytes; /* of a folder: of the tensors of one file; 0: 5,000,000,000 */
    bool replace;         /* what is there already; else ALREADY_EXISTS */
    unsigned char reserved[7];
};
#define TRIT_OUTPUT_OPTIONS_INIT TRIT_INIT(trit_output_options)

/* Begins the file that a plan describes; the plan must outlive it, and can have one output.
 * `source`: the file that was planned, or NULL. Where it is a folder, and `path` does not
 * end in .safetensors, .npy or .gguf, the output is a folder too: shards, an index, config.json
 * with what the encoding's reader wants to know, and the source's other small files, the
 * tokenizer for example. FAILED_PRECONDITION: something of the plan is refused.
 * INVALID_ARGUMENT: the path is the source itself, or its name says another format, or it
 * is not the `output` of the plan's options. */
TRIT_API enum trit_status trit_output_create(struct trit_output **output,
                                             const char *path, struct trit_plan *plan,
                                             const struct trit_file *source,
                                             const struct trit_output_options *options,
                                             struct trit_error *error);

/* The next bytes of a tensor of the output. Tensors in any order, each from its start to its
 * end; best in the plan's order, which keeps few files open. */
TRIT_API enum trit_status trit_output_put(struct trit_output *output, const char *tensor,
                                          const void *data, uint64_t bytes,
                                          struct trit_error *error);

/* The same bytes from byte `offset` of the tensor. No byte may be put twice. */
TRIT_API enum trit_status trit_output_put_at(struct trit_output *output,
                                             const char *tensor, uint64_t offset,
                                             const void *data, uint64_t bytes,
                                             struct trit_error *error);

/* Once every tensor is full: flushes the output to the disk and gives it its name, in one
 * step. After a failure the name shows what it showed before. */
TRIT_API enum trit_status trit_output_commit(struct trit_output *output,
                                             struct trit_error *error);

/* Without a commit it leaves no file behind. NULL is harmless. */
TRIT_API void trit_output_free(struct trit_output *output);

/* The format that the name of a file says: "safetensors", also where it says none;
 * "npy"; "gguf"; or one that is not written, "PyTorch". NULL for NULL. Static. */
TRIT_API const char *trit_file_format(const char *path);

#ifdef __cplusplus
}
#endif

#endif
