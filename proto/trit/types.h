/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of tritd: element types, encodings, status codes and the
 * report of one layer. Shared by the daemon, libtrit and the command line;
 * the enum values are those of proto/trit/v1, so no table translates them. */
#ifndef TRIT_TYPES_H
#define TRIT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRIT_RANK_MAX = 8,                 /* axes of a tensor */
    TRIT_NAME_BYTES_MAX = 255,         /* run and layer names, without the NUL */
    TRIT_SAMPLES_MAX = 8,              /* distinct normalized values a report keeps */
    TRIT_DIGEST_BYTES = 32,            /* SHA-256 */
    TRIT_MESSAGE_BYTES_MAX = 1023,     /* error text, without the NUL */
    TRIT_FINDINGS_MAX = 16,            /* kinds of findings that one report can hold */
    TRIT_FINDING_VALUE_BYTES_MAX = 47, /* expected and got, without the NUL */
    TRIT_FINDING_HINT_BYTES_MAX = 159, /* hint, without the NUL */
    TRIT_HEALTH_REASONS_MAX = 8,       /* reasons that one report can hold */
    TRIT_HEALTH_RULE_BYTES_MAX = 31,   /* name of a rule, without the NUL */
    TRIT_HEALTH_TEXT_BYTES_MAX = 127,  /* text of a reason, without the NUL */
};

/* gRPC status codes, by their numbers. */
enum trit_status {
    TRIT_OK = 0,
    TRIT_CANCELLED = 1,
    TRIT_UNKNOWN = 2,
    TRIT_INVALID_ARGUMENT = 3,
    TRIT_DEADLINE_EXCEEDED = 4,
    TRIT_NOT_FOUND = 5,
    TRIT_ALREADY_EXISTS = 6,
    TRIT_PERMISSION_DENIED = 7,
    TRIT_RESOURCE_EXHAUSTED = 8,
    TRIT_FAILED_PRECONDITION = 9,
    TRIT_ABORTED = 10,
    TRIT_OUT_OF_RANGE = 11,
    TRIT_UNIMPLEMENTED = 12,
    TRIT_INTERNAL = 13,
    TRIT_UNAVAILABLE = 14,
    TRIT_DATA_LOSS = 15,
    TRIT_UNAUTHENTICATED = 16,
};

/* Element types; row-major, little-endian on the wire. */
enum trit_dtype {
    TRIT_DTYPE_UNSPECIFIED = 0,
    TRIT_F32 = 1,
    TRIT_F16 = 2,
    TRIT_BF16 = 3,
    TRIT_I8 = 4,
    TRIT_U8 = 5,
};

/* How ternary weights are laid out. Byte layouts: kernels/FORMATS.md. */
enum trit_encoding {
    TRIT_ENCODING_DENSE = 0,
    TRIT_ENCODING_INT8 = 1,
    TRIT_ENCODING_PQ2_0 = 2,
    TRIT_ENCODING_Q2_0 = 3,
    TRIT_ENCODING_PTQ1_0 = 4,
    TRIT_ENCODING_TQ1_0 = 5,
    TRIT_ENCODING_TQ2_0 = 6,
    TRIT_ENCODING_MLX_2BIT = 7,
    TRIT_ENCODING_I2_S = 8,
    TRIT_ENCODING_HF_BITNET = 9,
};

/* What the scale of a short last group divides by. */
enum trit_partial_group {
    TRIT_PARTIAL_PADDED = 0, /* group_size: the padding counts */
    TRIT_PARTIAL_EXACT = 1,  /* the elements that are there */
};

enum trit_verify_mode {
    TRIT_VERIFY_TERNARY = 0, /* the tensor claims to be ternary */
    TRIT_VERIFY_LATENT = 1,  /* project it, then verify the projection */
};

/* How much a projection's report measures. */
enum trit_report_detail {
    TRIT_REPORT_FULL = 0,  /* everything */
    TRIT_REPORT_BRIEF = 1, /* counts, scales and digest; no mse, cosine, sqnr */
    TRIT_REPORT_NONE = 2,  /* no report; refused together with a layer */
};

/* Whether an answer waits for its report. */
enum trit_durability {
    TRIT_DURABLE = 0,     /* the report is on disk before the answer, or the call fails */
    TRIT_BEST_EFFORT = 1, /* the answer does not wait for the disk: report.stored */
};

enum trit_layer_kind {
    TRIT_LAYER_LINEAR = 0,
    TRIT_LAYER_EMBEDDING = 1, /* out_features rows of in_features */
};

/* Which part of a layer a call returns. */
enum trit_layer_part {
    TRIT_LAYER_TERNARY = 0, /* its ternary weights, with the bias */
    TRIT_LAYER_LATENTS = 1, /* the latents: kept, or drawn again from the seed */
    TRIT_LAYER_SPEC = 2,    /* neither */
};

/* How x is quantized for a product. */
enum trit_activations {
    TRIT_ACTIVATIONS_F32 = 0,
    TRIT_ACTIVATIONS_INT8 = 1, /* int8, each row scaled by its largest magnitude */
};

/* How a verification ends. Exit codes of `trit`: 0, 1, 4. */
enum trit_verdict {
    TRIT_VERDICT_PASS = 0,
    TRIT_VERDICT_FAIL = 1,         /* a finding of severity error */
    TRIT_VERDICT_INCONCLUSIVE = 2, /* no error, but something could not be checked */
};

/* Greater is worse. */
enum trit_severity {
    TRIT_SEVERITY_NOTE = 0,
    TRIT_SEVERITY_WARNING = 1,
    TRIT_SEVERITY_UNDECIDED = 2,
    TRIT_SEVERITY_ERROR = 3,
};

/* What a verification can find. Names: trit_finding_kind_name. The first block
 * concerns one tensor and can stand in a report; the second concerns a file. */
enum trit_finding_kind {
    TRIT_FINDING_UNKNOWN = 0, /* a kind that this build does not know */
    TRIT_FINDING_NOT_TERNARY,
    TRIT_FINDING_NON_FINITE,
    TRIT_FINDING_CODE_OUT_OF_RANGE,
    TRIT_FINDING_SCALE_NON_FINITE,
    TRIT_FINDING_SCALE_NEGATIVE,
    TRIT_FINDING_SCALE_ZERO_UNDER_CODES,
    TRIT_FINDING_SCALE_LOST,
    TRIT_FINDING_SCALE_RECIPROCAL,
    TRIT_FINDING_DEAD_LAYER,
    TRIT_FINDING_CODES_DIFFER,
    TRIT_FINDING_SCALES_DIFFER,
    TRIT_FINDING_DEAD_GROUPS,
    TRIT_FINDING_SCALE_SUBNORMAL,
    TRIT_FINDING_BASE3_NON_CANONICAL,
    TRIT_FINDING_SCALE_ROUNDED,
    TRIT_FINDING_ROTATED_BASIS,
    TRIT_FINDING_THRESHOLD_DIFFERS,
    TRIT_FINDING_GRANULARITY_DIFFERS,
    TRIT_FINDING_PARTIAL_GROUP_DIFFERS,
    TRIT_FINDING_MISSING_LAYER,
    TRIT_FINDING_RENAMED,
    TRIT_FINDING_MISSING_TENSOR,
    TRIT_FINDING_OTHER_TENSOR_DIFFERS,
    TRIT_FINDING_TRUNCATED,
    TRIT_FINDING_INDEX_DISAGREES,
    TRIT_FINDING_DUPLICATE,
    TRIT_FINDING_SHARD_CUTS_GROUP,
    TRIT_FINDING_EXTRA_LAYER,
    TRIT_FINDING_EXTRA_TENSOR,
    TRIT_FINDING_FOREIGN_PACKING,
    TRIT_FINDING_UNKNOWN_DTYPE,
    TRIT_FINDING_KEPT_BY_RECORD,
    TRIT_FINDING_NOTHING_EXAMINED,
    TRIT_FINDING_NOT_IN_INDEX,
    TRIT_FINDING_SHARDS_MISSING, /* of a layer that arrives in shards */
    TRIT_FINDING_FILE_DIFFERS,   /* these five: from what an attestation says */
    TRIT_FINDING_MISSING_FILE,
    TRIT_FINDING_EXTRA_FILE,
    TRIT_FINDING_DIGEST_DIFFERS,
    TRIT_FINDING_ATTESTATION_DIFFERS,
    TRIT_FINDING_REPLICA_EQUAL,    /* of a report that was compared with other replicas */
    TRIT_FINDING_CONFIG_DISAGREES, /* config.json and the shapes of a layer's tables */
    TRIT_FINDING_KINDS,            /* how many there are */
};

/* One thing that a verification found about one tensor. Reports hold an array of these,
 * so the size is fixed: members are added in place of `reserved`. */
struct trit_finding {
    enum trit_finding_kind kind;
    enum trit_severity severity;
    bool has_index, has_group, has_count;
    uint64_t index; /* flat index of the first element concerned */
    uint64_t group; /* flat index of the first group concerned */
    uint64_t count; /* elements or groups concerned */
    char expected[TRIT_FINDING_VALUE_BYTES_MAX + 1]; /* at the first; "" = absent */
    char got[TRIT_FINDING_VALUE_BYTES_MAX + 1];      /* likewise */
    char hint[TRIT_FINDING_HINT_BYTES_MAX + 1];      /* what to do */
    uint64_t reserved[4];                            /* 0 */
};

/* How a layer does, by the rules of docs/health.md. Greater is worse. */
enum trit_health {
    TRIT_HEALTH_ABSENT = 0, /* the report is not filed, or an older daemon filed it */
    TRIT_HEALTHY = 1,
    TRIT_HEALTH_WARNING = 2,
    TRIT_HEALTH_FAILING = 3,
};

/* Why a layer is not healthy. The size is fixed, as that of trit_finding. */
struct trit_health_reason {
    char rule[TRIT_HEALTH_RULE_BYTES_MAX + 1]; /* "dead_groups" */
    enum trit_health severity;
    uint32_t unused;     /* 0 */
    uint64_t since_step; /* the first at which the value left its healthy band for good */
    double value;        /* at this step */
    double threshold;    /* that it crossed */
    char text[TRIT_HEALTH_TEXT_BYTES_MAX + 1]; /* a sentence */
    uint64_t reserved[2];                      /* 0 */
};

/* Everything known about one verified or projected layer. proto/trit/v1/report.proto
 * has the meaning and the formula of each field. The struct contains no pointers, so
 * copying it copies the report. */
struct trit_report {
    size_t size; /* for callers of libtrit (TRIT_REPORT_INIT); 0 inside the daemon */
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
    int64_t time_unix_ns;
    enum trit_dtype dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    uint32_t group_size;
    uint64_t groups;
    uint64_t elements;
    bool is_ternary;
    double fraction_valid;
    double max_round_error;
    uint32_t sample_count;
    float sample_values[TRIT_SAMPLES_MAX];
    uint64_t negatives, zeros, positives;
    uint64_t zero_groups;
    uint64_t non_finite;
    bool has_scales; /* some scale is finite; the next three describe the finite ones */
    float scale_min, scale_max;
    double scale_mean;
    uint64_t scales_lossy_fp16;
    /* Against the latents. Absent without latents, and where either side holds a
     * NaN or an infinity; cosine also where a norm is 0, sqnr_db where mse is 0. */
    bool has_mse, has_cosine, has_sqnr_db;
    double mse;
    double cosine; /* -1 to 1 */
    double sqnr_db;
    bool has_previous; /* the store had an earlier step to compare with */
    uint64_t previous_step;
    uint64_t flips;
    double flip_fraction;
    uint64_t transitions[9]; /* [3*from + to], from and to in -1, 0, +1 */
    double near_threshold_fraction;
    uint8_t digest[TRIT_DIGEST_BYTES];
    char kernel[16];               /* ISA that computed it, "avx2" */
    char version[32];              /* of the daemon */
    bool has_reference;            /* a reference was given, and the next two are valid */
    uint64_t reference_mismatches; /* elements unlike the reference's projection */
    uint64_t first_mismatch;       /* flat index; meaningful where mismatches > 0 */
    uint32_t finding_count;
    struct trit_finding findings[TRIT_FINDINGS_MAX]; /* the worst first */
    bool has_stored;    /* the report was to be filed, and the next is valid */
    bool stored;        /* it is on disk */
    bool superseded;    /* a later attempt resumed below this step */
    uint8_t shard_rank; /* 0: the report is not of a shard */
    uint32_t attempt;   /* from 1; 0: the report is not filed */
    uint32_t replica;
    enum trit_health health;
    uint64_t shard_global_shape[TRIT_RANK_MAX];
    uint64_t shard_offset[TRIT_RANK_MAX];
    uint64_t health_reason_count;
    struct trit_health_reason health_reasons[TRIT_HEALTH_REASONS_MAX]; /* worst first */
    /* Of a shard, and of a layer whose shards have not all come: how many the daemon has,
     * and how many the layer will have. 0 in the report of a complete layer. */
    uint32_t shards_present, shards_expected;
};

#endif
