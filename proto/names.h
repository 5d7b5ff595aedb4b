/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the enums in trit/types.h, as options, JSON and messages show them. The
 * list of each enum stands here once; codec/values.c compares it with the .proto files
 * when it is compiled. Encodings have their names together with their layouts
 * (kernels/kernels.h), findings in finding.h. */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include <stdbool.h>

#include "trit/types.h"

/* X(value in C, type in .proto, value in .proto, name) */
#define DTYPES(X)                                                                        \
    X(TRIT_F32, DType, DTYPE_F32, "f32")                                                 \
    X(TRIT_F16, DType, DTYPE_F16, "f16")                                                 \
    X(TRIT_BF16, DType, DTYPE_BF16, "bf16")                                              \
    X(TRIT_I8, DType, DTYPE_I8, "i8")                                                    \
    X(TRIT_U8, DType, DTYPE_U8, "u8")
#define PARTIAL_GROUPS(X)                                                                \
    X(TRIT_PARTIAL_PADDED, PartialGroup, PARTIAL_PADDED, "padded")                       \
    X(TRIT_PARTIAL_EXACT, PartialGroup, PARTIAL_EXACT, "exact")
#define VERIFY_MODES(X)                                                                  \
    X(TRIT_VERIFY_TERNARY, VerifyMode, VERIFY_TERNARY, "ternary")                        \
    X(TRIT_VERIFY_LATENT, VerifyMode, VERIFY_LATENT, "latent")
#define REPORT_DETAILS(X)                                                                \
    X(TRIT_REPORT_FULL, ReportDetail, REPORT_DETAIL_FULL, "full")                        \
    X(TRIT_REPORT_BRIEF, ReportDetail, REPORT_DETAIL_BRIEF, "brief")                     \
    X(TRIT_REPORT_NONE, ReportDetail, REPORT_DETAIL_NONE, "none")
#define DURABILITIES(X)                                                                  \
    X(TRIT_DURABLE, ReportDurability, DURABLE, "durable")                                \
    X(TRIT_BEST_EFFORT, ReportDurability, BEST_EFFORT, "best_effort")
#define LAYER_KINDS(X)                                                                   \
    X(TRIT_LAYER_LINEAR, LayerKind, LAYER_LINEAR, "linear")                              \
    X(TRIT_LAYER_EMBEDDING, LayerKind, LAYER_EMBEDDING, "embedding")
#define LAYER_PARTS(X)                                                                   \
    X(TRIT_LAYER_TERNARY, LayerPart, LAYER_PART_TERNARY, "ternary")                      \
    X(TRIT_LAYER_LATENTS, LayerPart, LAYER_PART_LATENTS, "latents")                      \
    X(TRIT_LAYER_SPEC, LayerPart, LAYER_PART_SPEC, "spec")
#define ACTIVATIONS(X)                                                                   \
    X(TRIT_ACTIVATIONS_F32, Activations, ACTIVATIONS_F32, "f32")                         \
    X(TRIT_ACTIVATIONS_INT8, Activations, ACTIVATIONS_INT8, "int8")

struct enum_names {
    const char *type; /* in the .proto files: "PartialGroup" */
    const struct enum_name {
        unsigned value;
        const char *name;
    } * values; /* ends with a NULL name */
};

extern const struct enum_names dtype_names, partial_group_names, verify_mode_names,
    report_detail_names, durability_names, layer_kind_names, layer_part_names,
    activations_names;

/* NULL for a value without a name. */
const char *enum_name(const struct enum_names *names, unsigned value);
/* False: no value has this name; *value is untouched. */
bool enum_by_name(const struct enum_names *names, const char *name, unsigned *value);

/* "bf16"; "unspecified" for a value without a name. */
const char *dtype_name(enum trit_dtype dtype);

#endif
