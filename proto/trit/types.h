/* The vocabulary of tritd: element types, encodings, status codes and the
 * report of one layer. Shared by the daemon, libtrit and the command line;
 * the enum values are those of proto/trit/v1, so no table translates them. */
#ifndef TRIT_TYPES_H
#define TRIT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRIT_RANK_MAX = 8,             /* axes of a tensor */
    TRIT_NAME_BYTES_MAX = 255,     /* run and layer names, without the NUL */
    TRIT_SAMPLES_MAX = 8,          /* distinct normalized values a report keeps */
    TRIT_DIGEST_BYTES = 32,        /* SHA-256 */
    TRIT_MESSAGE_BYTES_MAX = 1023, /* error text, without the NUL */
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

/* How ternary weights are laid out. Byte layouts: kernels/README.md. */
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

enum trit_layer_kind {
    TRIT_LAYER_LINEAR = 0,
    TRIT_LAYER_EMBEDDING = 1, /* out_features rows of in_features */
};

/* What is asked of a layer. */
enum trit_layer_part {
    TRIT_LAYER_TERNARY = 0, /* its ternary weights, with the bias */
    TRIT_LAYER_LATENTS = 1, /* the latents: kept, or drawn again from the seed */
    TRIT_LAYER_SPEC = 2,    /* neither */
};

/* How x enters a product. */
enum trit_activations {
    TRIT_ACTIVATIONS_F32 = 0,
    TRIT_ACTIVATIONS_INT8 = 1, /* each row by its largest magnitude */
};

/* Where a report is filed. The strings are borrowed. An empty run means: none. */
struct trit_layer_ref {
    const char *run;
    const char *layer;
    uint64_t step;
};

/* Everything known about one verified or projected layer. The meaning and the
 * formula of each field stand in proto/trit/v1/report.proto. Self-contained:
 * copying the struct copies the report. */
struct trit_report {
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
    float scale_min, scale_max;
    double scale_mean;
    uint64_t scales_lossy_fp16;
    bool has_error; /* mse, cosine and sqnr_db were measured */
    double mse;
    double cosine;
    double sqnr_db;    /* +infinity where the error is exactly 0 */
    bool has_previous; /* an earlier step was there to compare with */
    uint64_t previous_step;
    uint64_t flips;
    double flip_fraction;
    uint64_t transitions[9]; /* [3*from + to], from and to in -1, 0, +1 */
    double near_threshold_fraction;
    uint8_t digest[TRIT_DIGEST_BYTES];
    char kernel[16];               /* ISA that computed it, "avx2" */
    char version[32];              /* of the daemon */
    bool has_reference;            /* a reference was given: the next two count */
    uint64_t reference_mismatches; /* elements unlike the reference's projection */
    uint64_t first_mismatch;       /* flat index; meaningful where mismatches > 0 */
};

#endif
