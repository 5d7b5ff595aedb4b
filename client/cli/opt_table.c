/* SPDX-License-Identifier: Apache-2.0 */
/* The options of all commands and how their values are read. */
#include "client/cli/opt_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/number.h"
#include "checkpoint/rename.h"
#include "kernels/kernels.h"
#include "proto/names.h"

/* ---- values -------------------------------------------------------------- */

static bool parse_real(const char *text, double max, double *number)
{
    char *end;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(value) || value < 0 || value > max)
        return false;
    *number = value;
    return true;
}

static bool read_seconds(const char *text, uint64_t *ms)
{
    double seconds;

    if (!parse_real(text, 1e9, &seconds))
        return false;
    *ms = (uint64_t)ceil(seconds * 1000); /* never 0, which means no deadline */
    return true;
}

/* From 0.5 on, every weight between two ternary values would be accepted. */
static bool read_tolerance(const char *text, float *tolerance)
{
    double number;

    if (!parse_real(text, 0.5, &number) || (float)number >= 0.5f)
        return false;
    *tolerance = (float)number;
    return true;
}

static bool read_count(const char *text, uint64_t max, uint32_t *count)
{
    uint64_t number;

    if (!parse_u64(text, max, &number) || number == 0)
        return false;
    *count = (uint32_t)number;
    return true;
}

static bool read_text(const char *text, uint64_t max, const char **out)
{
    if (!*text || (max && strlen(text) > max))
        return false;
    *out = text;
    return true;
}

static bool globs_add(struct globs *globs, const char *pattern)
{
    if (globs->count == GLOBS_MAX)
        return false;
    globs->patterns[globs->count++] = pattern;
    return true;
}

/* A whole number above 0, with or without a unit: "5GB", "500MB", "4096". */
static bool read_size(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"", 1},          {"B", 1},           {"KB", 1000},
                 {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10},
                 {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    uint64_t number = 0;
    size_t digits = parse_digits(text, SIZE_MAX, &number);

    for (size_t i = 0; number && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text + digits, units[i].unit) == 0 &&
            !__builtin_mul_overflow(number, units[i].bytes, &number)) {
            *bytes = number;
            return true;
        }
    return false;
}

static bool read_enum(const char *text, const struct option_spec *spec, unsigned *out)
{
    unsigned value;

    if (!enum_by_name(spec->names, text, &value) || value > spec->max)
        return false;
    *out = value;
    return true;
}

_Static_assert(sizeof(enum trit_partial_group) == sizeof(unsigned) &&
                   sizeof(enum trit_verify_mode) == sizeof(unsigned) &&
                   sizeof(enum trit_dtype) == sizeof(unsigned) &&
                   sizeof(enum experts_layout) == sizeof(unsigned) &&
                   sizeof(enum trit_durability) == sizeof(unsigned) &&
                   sizeof(enum trit_layer_kind) == sizeof(unsigned) &&
                   sizeof(enum trit_layer_part) == sizeof(unsigned),
               "VALUE_ENUM writes an unsigned");

bool option_set(struct options *options, const struct option_spec *spec,
                const char *value)
{
    void *at = (char *)options + spec->offset;

    switch (spec->kind) {
    case VALUE_NONE:
        break;
    case VALUE_TEXT:
        return read_text(value, spec->max, at);
    case VALUE_ANY_TEXT:
        *(const char **)at = value;
        return true;
    case VALUE_GLOB:
        return globs_add(at, value);
    case VALUE_PREFIX:
        return *value && globs_add(at, value);
    case VALUE_RENAME:
        return rename_is_valid(value) && globs_add(at, value);
    case VALUE_NUMBER:
        return parse_u64(value, spec->max, at);
    case VALUE_SIZE:
        return read_size(value, at);
    case VALUE_COUNT:
        return read_count(value, spec->max, at);
    case VALUE_TOLERANCE:
        return read_tolerance(value, at);
    case VALUE_SECONDS:
        return read_seconds(value, at);
    case VALUE_ENUM:
        return read_enum(value, spec, at);
    case VALUE_ENCODING:
        return encoding_by_name(value, at);
    }
    return false;
}

/* ---- the table ------------------------------------------------------------- */

static const struct enum_names experts_names = {
    "Experts", (const struct enum_name[]){
                   {EXPERTS_OUT_IN, "out_in"}, {EXPERTS_IN_OUT, "in_out"}, {0, NULL}}};

static const struct enum_names bits_names = {
    "Bits", (const struct enum_name[]){
                {2, "2"}, {3, "3"}, {4, "4"}, {5, "5"}, {6, "6"}, {8, "8"}, {0, NULL}}};

#define AT(member) offsetof(struct options, member)
/* The fields of an option without a value. */
#define FLAG NULL, VALUE_NONE, 0, 0, NULL, NULL

const struct option_spec option_specs[OPTION_SPECS] = {
    {OPTION_OUTPUT, "output", 'o', "FILE", VALUE_TEXT, AT(output), 0, NULL, "a file name",
     "write the result here; --force: also to a file that exists"},
    {OPTION_ENCODING, "encoding", 'e', "NAME", VALUE_ENCODING, AT(encoding), 0, NULL,
     "one of dense, int8, pq2_0, q2_0, ptq1_0, tq1_0, tq2_0, mlx_2bit, i2_s, hf_bitnet",
     "dense, int8, pq2_0, q2_0, ptq1_0, tq1_0, tq2_0, mlx_2bit, i2_s or hf_bitnet "
     "(default: dense; of a file that is checked, its own)"},
    {OPTION_GROUP_SIZE, "group-size", 'g', "N", VALUE_COUNT, AT(group_size),
     GROUP_SIZE_MAX, NULL, "a whole number from 1 to 65536",
     "weights per scale (default: 128, i2_s and hf_bitnet: the whole tensor; of a file "
     "that is checked, its own)"},
    {OPTION_PARTIAL, "partial", '\0', "HOW", VALUE_ENUM, AT(partial_group),
     TRIT_PARTIAL_EXACT, &partial_group_names, "padded or exact",
     "divide a short last group by the group size (padded, default) or its length "
     "(exact)"},
    {OPTION_INCLUDE, "include", 'i', "GLOB", VALUE_GLOB, AT(include), 0, NULL,
     "one of at most 64 patterns",
     "only tensors whose name matches, whatever their role; may be repeated"},
    {OPTION_EXCLUDE, "exclude", 'x', "GLOB", VALUE_GLOB, AT(exclude), 0, NULL,
     "one of at most 64 patterns",
     "leave out tensors whose name matches; overrides --include; may be repeated"},
    {OPTION_CONVOLUTIONS, "convolutions", '\0', FLAG,
     "treat convolutions of rank 3 and 4 as layers [out, in*kernel]"},
    {OPTION_KEEP_NAMES, "keep-names", '\0', FLAG,
     "of a GGUF file, keep llama.cpp's names and order of rows in another format"},
    {OPTION_FROM_ENCODING, "from-encoding", '\0', "NAME", VALUE_ENCODING,
     AT(from_encoding), 0, NULL, "the name of an encoding",
     "encoding of the layers of IN (default: its own)"},
    {OPTION_ROUND_SCALES, "round-scales", '\0', FLAG,
     "round scales that are not exact in the encoding's type, instead of refusing them"},
    {OPTION_EXPERTS, "experts", '\0', "HOW", VALUE_ENUM, AT(experts), EXPERTS_IN_OUT,
     &experts_names, "out_in or in_out",
     "layout of experts of rank 3: out_in is [experts, out, in], in_out [experts, in, "
     "out] "
     "(default: from config.json's architecture; if unknown, experts are kept)"},
    {OPTION_TRANSPOSED, "transposed", '\0', "GLOB", VALUE_GLOB, AT(transposed), 0, NULL,
     "one of at most 64 patterns",
     "layers whose name matches are stored [in, out], like GPT-2's Conv1D; may be "
     "repeated"},
    {OPTION_BITS, "bits", '\0', "N", VALUE_ENUM, AT(bits), 8, &bits_names,
     "one of 2, 3, 4, 5, 6, 8",
     "bits of weights that MLX packed, where neither config.json nor their shapes tell"},
    {OPTION_DRY_RUN, "dry-run", 'n', FLAG,
     "print what would happen to each tensor and why; write nothing"},
    {OPTION_SHARD_SIZE, "shard-size", '\0', "SIZE", VALUE_SIZE, AT(shard_bytes), 0, NULL,
     "a size such as 5GB, 500MB or 4096",
     "largest size of a file in an output folder (default 5GB)"},
    {OPTION_REPORT, "report", '\0', "FILE", VALUE_TEXT, AT(report), 0, NULL,
     "a file name",
     "also write verdict, findings and layers to FILE (.md, .csv or .json)"},
    {OPTION_REPORT_DETAIL, "report-detail", '\0', "HOW", VALUE_ENUM, AT(report_detail),
     TRIT_REPORT_NONE, &report_detail_names, "full, brief or none",
     "full (default); brief: no errors of the projection; none: no reports and digests, "
     "only findings and the verdict, which is faster"},
    {OPTION_RENAME, "rename", '\0', "OLD=NEW", VALUE_RENAME, AT(rename), 0, NULL,
     "of the form OLD=NEW, with no more * in NEW than in OLD",
     "compare the file's tensor OLD under the name NEW; * matches any text; may be "
     "repeated"},
    {OPTION_STRIP_PREFIX, "strip-prefix", '\0', "P", VALUE_PREFIX, AT(strip_prefix), 0,
     NULL, "a prefix",
     "compare names without this prefix, on both sides; may be repeated"},
    {OPTION_NPY_BF16, "npy-bf16", '\0', FLAG,
     "read '|V2' elements of a .npy file as bf16"},
    {OPTION_FORCE, "force", 'f', FLAG, "replace the output if it exists"},
    {OPTION_AGAIN, "again", '\0', FLAG,
     "project layers that are already ternary; their scales shrink"},
    {OPTION_ALLOW_LOST, "allow-lost", '\0', FLAG,
     "write groups whose scale rounds to 0 or infinity"},
    {OPTION_ALLOW_DEAD, "allow-dead", '\0', FLAG,
     "accept layers whose weights are all zero"},
    {OPTION_ACCEPT_RECORD, "accept-record", '\0', FLAG,
     "accept layers that the file's own record omits"},
    {OPTION_AGAINST, "against", 'a', "FILE", VALUE_TEXT, AT(against), 0, NULL,
     "a file name",
     "compare layers with the projection of FILE, and other tensors with FILE"},
    {OPTION_ATTESTATION, "attestation", '\0', "FILE", VALUE_TEXT, AT(attestation), 0,
     NULL, "a file name",
     "check files and layers against the statement of trit attest in FILE"},
    {OPTION_MODE, "mode", '\0', "MODE", VALUE_ENUM, AT(mode), TRIT_VERIFY_LATENT,
     &verify_mode_names, "ternary or latent",
     "ternary (default): check the weights; latent: check their projection"},
    {OPTION_TOLERANCE, "tolerance", '\0', "T", VALUE_TOLERANCE, AT(tolerance), 0, NULL,
     "a number from 0 to below 0.5",
     "largest |w/s - t| of a ternary weight (default 1e-5; 0: equal bits)"},
    {OPTION_RUN, "run", 'r', "RUN", VALUE_TEXT, AT(run), TRIT_NAME_BYTES_MAX, NULL,
     "a name of 1 to 255 bytes", "the run under which reports are stored"},
    {OPTION_STEP, "step", 's', "N", VALUE_NUMBER, AT(step), INT64_MAX, NULL,
     "a whole number from 0 to 2^63-1",
     "training step of the reports (project and verify: default 0)"},
    {OPTION_FROM, "from", '\0', "N", VALUE_NUMBER, AT(step_from), INT64_MAX, NULL,
     "a whole number from 0 to 2^63-1", "reports from this step on"},
    {OPTION_TO, "to", '\0', "N", VALUE_NUMBER, AT(step_to), INT64_MAX, NULL,
     "a whole number from 0 to 2^63-1", "reports up to this step, inclusive"},
    {OPTION_LATEST, "latest", 'l', FLAG, "only the newest step of each layer"},
    {OPTION_WAITING, "waiting", '\0', FLAG, "layers whose shards have not all come"},
    {OPTION_LAYER, "layer", '\0', "LAYER", VALUE_TEXT, AT(layer), TRIT_NAME_BYTES_MAX,
     NULL, "a name of 1 to 255 bytes", "only this layer (default: all layers)"},
    {OPTION_ATTEMPT, "attempt", '\0', "N", VALUE_NUMBER, AT(attempt), UINT32_MAX, NULL,
     "a whole number from 0 to 2^32-1",
     "attempt of the run, from 1 (default: the newest)"},
    {OPTION_REPLICA, "replica", '\0', "N", VALUE_NUMBER, AT(replica), UINT32_MAX, NULL,
     "a whole number from 0 to 2^32-1",
     "which copy of the layers; 0 (default) is the reference"},
    {OPTION_DURABILITY, "durability", '\0', "HOW", VALUE_ENUM, AT(durability),
     TRIT_BEST_EFFORT, &durability_names, "durable or best_effort",
     "durable (default): fail if a report cannot be stored; best_effort: go on without"},
    {OPTION_CURSOR, "cursor", '\0', "CURSOR", VALUE_TEXT, AT(cursor), 63, NULL,
     "a cursor that --json printed, or 0",
     "go on after this cursor; 0: begin with the oldest report (default: with the next "
     "one)"},
    {OPTION_YES, "yes", 'y', FLAG, "do not ask"},
    {OPTION_DETACH, "detach", '\0', FLAG,
     "print the job's name and leave; the daemon goes on"},
    {OPTION_TENSOR, "tensor", '\0', "NAME", VALUE_TEXT, AT(tensor), 0, NULL,
     "a tensor's name",
     "the weights (default: the tensor with the layer's name, or the only one)"},
    {OPTION_BIAS_TENSOR, "bias-tensor", '\0', "NAME", VALUE_TEXT, AT(bias_tensor), 0,
     NULL, "a tensor's name", "the bias (default: none)"},
    {OPTION_KIND, "kind", '\0', "KIND", VALUE_ENUM, AT(kind), TRIT_LAYER_EMBEDDING,
     &layer_kind_names, "linear or embedding", "linear (default) or embedding"},
    {OPTION_IN_FEATURES, "in-features", '\0', "N", VALUE_NUMBER, AT(in_features),
     UINT64_MAX, NULL, "a whole number",
     "columns of the weight; for an embedding, its dimension"},
    {OPTION_OUT_FEATURES, "out-features", '\0', "N", VALUE_NUMBER, AT(out_features),
     UINT64_MAX, NULL, "a whole number",
     "rows of the weight; for an embedding, its number of ids"},
    {OPTION_BIAS, "bias", '\0', FLAG, "add a bias of zeros"},
    {OPTION_SEED, "seed", '\0', "N", VALUE_NUMBER, AT(seed), UINT64_MAX, NULL,
     "a whole number below 2^64", "seed of the random latents (default 0)"},
    {OPTION_KEEP_LATENTS, "keep-latents", '\0', FLAG,
     "keep the latents on the daemon's disk"},
    {OPTION_PART, "part", '\0', "PART", VALUE_ENUM, AT(part), TRIT_LAYER_LATENTS,
     &layer_part_names, "ternary or latents",
     "ternary (default): the ternary weights; latents: the latents"},
    {OPTION_DTYPE, "dtype", '\0', "TYPE", VALUE_ENUM, AT(dtype), TRIT_BF16, &dtype_names,
     "one of f32, f16, bf16", "type of dense weights (default: the record's, else f32)"},
    {OPTION_SERVICE, "service", '\0', "NAME", VALUE_ANY_TEXT, AT(service), 0, NULL,
     "a name", "ask for the health of one service"},
    {OPTION_SERVER, "server", '\0', "ADDRESS", VALUE_TEXT, AT(server), 0, NULL,
     "an address",
     "host:port or unix:/path (default TRITD_ADDRESS, else 127.0.0.1:6561)"},
    {OPTION_TOKEN_FILE, "token-file", '\0', "FILE", VALUE_TEXT, AT(token_file), 0, NULL,
     "a file name",
     "the file with your token (default TRIT_TOKEN_FILE; TRIT_TOKEN holds the token)"},
    {OPTION_TLS, "tls", '\0', FLAG,
     "connect by TLS; the next four options imply it (TRIT_TLS=1)"},
    {OPTION_TLS_CA, "tls-ca", '\0', "FILE", VALUE_TEXT, AT(tls_ca), 0, NULL,
     "a file name",
     "trust these authorities (PEM; default TRIT_TLS_CA, else the system's)"},
    {OPTION_TLS_CERT, "tls-cert", '\0', "FILE", VALUE_TEXT, AT(tls_cert), 0, NULL,
     "a file name", "show this certificate (PEM; default TRIT_TLS_CERT, else none)"},
    {OPTION_TLS_KEY, "tls-key", '\0', "FILE", VALUE_TEXT, AT(tls_key), 0, NULL,
     "a file name", "the key of --tls-cert (PEM; default TRIT_TLS_KEY)"},
    {OPTION_TLS_SERVER_NAME, "tls-server-name", '\0', "NAME", VALUE_TEXT,
     AT(tls_server_name), 0, NULL, "a host name",
     "name in the daemon's certificate (default TRIT_TLS_SERVER_NAME, else the host)"},
    {OPTION_TIMEOUT, "timeout", 't', "S", VALUE_SECONDS, AT(timeout_ms), 0, NULL,
     "a number of seconds", "end a call after this many seconds (default: never)"},
    {OPTION_WAIT, "wait-for-ready", '\0', FLAG,
     "wait for a daemon that cannot be reached, until --timeout"},
    {OPTION_MAX_ATTEMPTS, "max-attempts", '\0', "N", VALUE_COUNT, AT(max_attempts), 1000,
     NULL, "a whole number from 1 to 1000",
     "repeat calls that a restart of the daemon interrupts (default 1: do not)"},
    {OPTION_JSON, "json", 'j', FLAG, "print JSON instead of a table"},
    {OPTION_HELP, "help", 'h', FLAG, "show this help"},
};
