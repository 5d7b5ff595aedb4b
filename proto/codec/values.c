/* SPDX-License-Identifier: Apache-2.0 */
/* The enums of trit/types.h have the values of the .proto files: a message's number is
 * the C value, and no table translates. Compiling this file proves it, and that every
 * value of the .proto files is listed. */
#include "proto/names.h"

#include "trit/v1/layers.pb.h"
#include "trit/v1/report.pb.h"
#include "trit/v1/tensor.pb.h"
#include "trit/v1/ternary.pb.h"

#define ENCODINGS(X)                                                                     \
    X(TRIT_ENCODING_DENSE, Encoding, ENCODING_DENSE, )                                   \
    X(TRIT_ENCODING_INT8, Encoding, ENCODING_INT8, )                                     \
    X(TRIT_ENCODING_PQ2_0, Encoding, ENCODING_PQ2_0, )                                   \
    X(TRIT_ENCODING_Q2_0, Encoding, ENCODING_Q2_0, )                                     \
    X(TRIT_ENCODING_PTQ1_0, Encoding, ENCODING_PTQ1_0, )                                 \
    X(TRIT_ENCODING_TQ1_0, Encoding, ENCODING_TQ1_0, )                                   \
    X(TRIT_ENCODING_TQ2_0, Encoding, ENCODING_TQ2_0, )                                   \
    X(TRIT_ENCODING_MLX_2BIT, Encoding, ENCODING_MLX_2BIT, )                             \
    X(TRIT_ENCODING_I2_S, Encoding, ENCODING_I2_S, )                                     \
    X(TRIT_ENCODING_HF_BITNET, Encoding, ENCODING_HF_BITNET, )

#define EQUAL(value, type, wire, name)                                                   \
    _Static_assert((int)(value) == (int)trit_v1_##type##_##wire, #wire);
#define ONE(value, type, wire, name) +1
#define CHECK(LIST, type, without_name)                                                  \
    LIST(EQUAL)                                                                          \
    _Static_assert((int)_trit_v1_##type##_ARRAYSIZE == (without_name)LIST(ONE), #type)

CHECK(ENCODINGS, Encoding, 0);
CHECK(DTYPES, DType, 1); /* DTYPE_UNSPECIFIED */
CHECK(PARTIAL_GROUPS, PartialGroup, 0);
CHECK(VERIFY_MODES, VerifyMode, 0);
CHECK(REPORT_DETAILS, ReportDetail, 0);
CHECK(DURABILITIES, ReportDurability, 0);
CHECK(LAYER_KINDS, LayerKind, 0);
CHECK(LAYER_PARTS, LayerPart, 0);
CHECK(ACTIVATIONS, Activations, 0);
