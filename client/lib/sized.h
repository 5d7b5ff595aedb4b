/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of the caller, which may have been built with an older or a newer trit.h.
 * docs/abi.md has the rules. Functions of libtrit read and write such a struct only
 * through the functions below. */
#ifndef LIB_SIZED_H
#define LIB_SIZED_H

#include <trit.h>

#include "base/status.h"

/* Every struct of trit.h that begins with its size: its name, that of its initializer,
 * and the last member that the first version of the struct had. That member never
 * changes here when the struct grows. */
#define SIZED_STRUCTS(X)                                                                 \
    X(error, ERROR, message)                                                             \
    X(connect_options, CONNECT_OPTIONS, message_bytes_max)                               \
    X(call_options, CALL_OPTIONS, progress_arg)                                          \
    X(retry_policy, RETRY_POLICY, jitter)                                                \
    X(tensor, TENSOR, bytes)                                                             \
    X(array, ARRAY, bytes)                                                               \
    X(report, REPORT, findings)                                                          \
    X(layer_ref, LAYER_REF, step)                                                        \
    X(report_query, REPORT_QUERY, call)                                                  \
    X(project_options, PROJECT_OPTIONS, call)                                            \
    X(batch_options, BATCH_OPTIONS, call)                                                \
    X(projection, PROJECTION, scale_bytes)                                               \
    X(verify_options, VERIFY_OPTIONS, call)                                              \
    X(unpack_options, UNPACK_OPTIONS, call)                                              \
    X(pack_options, PACK_OPTIONS, call)                                                  \
    X(layer_spec, LAYER_SPEC, out_features)                                              \
    X(forward_options, FORWARD_OPTIONS, call)                                            \
    X(forward, FORWARD, reserved)                                                        \
    X(gradients, GRADIENTS, bias)                                                        \
    X(layer_get_options, LAYER_GET_OPTIONS, call)                                        \
    X(layer, LAYER, scale_bytes)                                                         \
    X(layer_verify_options, LAYER_VERIFY_OPTIONS, call)                                  \
    X(checkpoint_options, CHECKPOINT_OPTIONS, mode)                                      \
    X(pack_target, PACK_TARGET, reserved)                                                \
    X(examined, EXAMINED, latents_bytes)                                                 \
    X(run_options, RUN_OPTIONS, call)                                                    \
    X(file_options, FILE_OPTIONS, reserved)                                              \
    X(output_options, OUTPUT_OPTIONS, reserved)                                          \
    X(shard, SHARD, offset)                                                              \
    X(report_key, REPORT_KEY, replica)                                                   \
    X(report_range, REPORT_RANGE, step_to)                                               \
    X(comparison, COMPARISON, first_group)                                               \
    X(job_request, JOB_REQUEST, call)                                                    \
    X(job_progress, JOB_PROGRESS, seconds_left)                                          \
    X(job, JOB, bytes_total)                                                             \
    X(watch_options, WATCH_OPTIONS, call)

struct sized {
    const char *name;   /* "trit_tensor" */
    const char *init;   /* "TRIT_TENSOR_INIT" */
    size_t bytes;       /* as this library knows it */
    size_t bytes_first; /* of its first version */
};
#define SIZED_DECLARE(type, init, last) extern const struct sized sized_##type;
SIZED_STRUCTS(SIZED_DECLARE)

/* INVALID_ARGUMENT: the argument of that name is NULL. */
int fail_null(struct failure *failure, const char *name);

/* An argument that the library writes to. INVALID_ARGUMENT: it is NULL, or its size is
 * impossible. `field` names the argument. */
int sized_check(const struct sized *type, const char *field, const void *given,
                struct failure *failure);

/* Reads what the caller set before the call in a struct that the library writes to.
 * `copy` is a whole struct of this library; members that the caller's struct does not
 * have are 0. */
int sized_read(const struct sized *type, const char *field, const void *given, void *copy,
               struct failure *failure);

/* Reads an argument that the library does not write to. Also INVALID_ARGUMENT: a byte
 * beyond what this library knows is not 0, that is, an option which it does not have. */
int sized_take(const struct sized *type, const char *field, const void *given, void *copy,
               struct failure *failure);

/* The same; `given` NULL makes all members 0. */
int sized_take_optional(const struct sized *type, const char *field, const void *given,
                        void *copy, struct failure *failure);

/* Writes `from`, a whole struct of this library, to the caller's struct, which
 * sized_check has accepted: as many bytes as both have. The caller's size stays. */
void sized_give(const struct sized *type, void *to, const void *from);

#endif
