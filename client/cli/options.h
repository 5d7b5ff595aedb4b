/* SPDX-License-Identifier: Apache-2.0 */
/* The options that a command was given. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoint/options.h"
#include "trit/types.h"

enum {
    GLOBS_MAX = 64,
    ARGUMENTS_MAX = 8,
    OPTION_ERROR_BYTES = 512,
};

enum option_id {
    OPTION_OUTPUT,
    OPTION_ENCODING,
    OPTION_GROUP_SIZE,
    OPTION_PARTIAL,
    OPTION_INCLUDE,
    OPTION_EXCLUDE,
    OPTION_CONVOLUTIONS,
    OPTION_KEEP_NAMES,
    OPTION_FROM_ENCODING,
    OPTION_ROUND_SCALES,
    OPTION_EXPERTS,
    OPTION_TRANSPOSED,
    OPTION_BITS,
    OPTION_DRY_RUN,
    OPTION_SHARD_SIZE,
    OPTION_REPORT,
    OPTION_REPORT_DETAIL,
    OPTION_RENAME,
    OPTION_STRIP_PREFIX,
    OPTION_NPY_BF16,
    OPTION_FORCE,
    OPTION_AGAIN,
    OPTION_ALLOW_LOST,
    OPTION_ALLOW_DEAD,
    OPTION_ACCEPT_RECORD,
    OPTION_AGAINST,
    OPTION_ATTESTATION,
    OPTION_MODE,
    OPTION_TOLERANCE,
    OPTION_RUN,
    OPTION_STEP,
    OPTION_FROM,
    OPTION_TO,
    OPTION_LATEST,
    OPTION_WAITING,
    OPTION_LAYER,
    OPTION_ATTEMPT,
    OPTION_REPLICA,
    OPTION_DURABILITY,
    OPTION_CURSOR,
    OPTION_YES,
    OPTION_DETACH,
    OPTION_TENSOR,
    OPTION_BIAS_TENSOR,
    OPTION_KIND,
    OPTION_IN_FEATURES,
    OPTION_OUT_FEATURES,
    OPTION_BIAS,
    OPTION_SEED,
    OPTION_KEEP_LATENTS,
    OPTION_PART,
    OPTION_DTYPE,
    OPTION_SERVICE,
    OPTION_SERVER,
    OPTION_TOKEN_FILE,
    OPTION_TLS,
    OPTION_TLS_CA,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_SERVER_NAME,
    OPTION_TIMEOUT,
    OPTION_WAIT,
    OPTION_MAX_ATTEMPTS,
    OPTION_JSON,
    OPTION_HELP, /* the last */
};

/* A set of options, with a bit for each id. */
__extension__ typedef unsigned __int128 option_bits;
_Static_assert(OPTION_HELP < 128, "a bit for each option");

#define OPTION_BIT(id) ((option_bits)1 << (id))

struct globs {
    const char *patterns[GLOBS_MAX];
    size_t count;
};

/* All values, defaults where `given` lacks the bit. Strings are borrowed from
 * the command line. */
struct options {
    option_bits given; /* bits OPTION_BIT(id) */
    const char *output;
    const char *report;
    enum trit_report_detail report_detail;
    enum trit_encoding encoding, from_encoding;
    uint32_t group_size;
    enum trit_partial_group partial_group;
    struct globs include, exclude, transposed;
    struct globs rename;       /* "OLD=NEW", patterns */
    struct globs strip_prefix; /* prefixes, not patterns */
    enum experts_layout experts;
    unsigned bits;        /* of weights that MLX packed; 0: not given */
    uint64_t shard_bytes; /* 0: the default */
    const char *against;
    const char *attestation;
    enum trit_verify_mode mode;
    float tolerance;
    const char *run;
    uint64_t step, step_from, step_to;
    const char *layer, *cursor;
    uint64_t attempt, replica;
    enum trit_durability durability;
    const char *tensor, *bias_tensor;
    enum trit_layer_kind kind;
    uint64_t in_features, out_features, seed;
    enum trit_layer_part part;
    enum trit_dtype dtype;
    const char *service;
    const char *server;     /* NULL: TRITD_ADDRESS, else the default */
    const char *token_file; /* NULL: TRIT_TOKEN or TRIT_TOKEN_FILE, else none */
    const char *tls_ca, *tls_cert, *tls_key, *tls_server_name; /* NULL: TRIT_TLS_... */
    uint64_t timeout_ms;                                       /* 0 = none */
    uint32_t max_attempts;                                     /* 0: no policy */
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
};

/* Of commands that store reports. */
#define FILING_OPTIONS                                                                   \
    (OPTION_BIT(OPTION_RUN) | OPTION_BIT(OPTION_STEP) | OPTION_BIT(OPTION_ATTEMPT) |     \
     OPTION_BIT(OPTION_REPLICA) | OPTION_BIT(OPTION_DURABILITY))

static inline bool option_given(const struct options *options, enum option_id id)
{
    return (options->given & OPTION_BIT(id)) != 0;
}

#endif
