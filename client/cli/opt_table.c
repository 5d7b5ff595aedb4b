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

/* ---- one setter an option that has a value -------------------------------- */

static bool set_output(struct options *options, const char *value)
{
    options->output = value;
    return *value != '\0';
}

static bool set_report(struct options *options, const char *value)
{
    options->report = value;
    return *value != '\0';
}

static bool set_encoding(struct options *options, const char *value)
{
    return encoding_by_name(value, &options->encoding);
}

static bool set_group_size(struct options *options, const char *value)
{
    uint64_t number;

    if (!parse_u64(value, GROUP_SIZE_MAX, &number) || number == 0)
        return false;
    options->group_size = (uint32_t)number;
    return true;
}

static bool set_partial(struct options *options, const char *value)
{
    options->partial_group =
        strcmp(value, "exact") == 0 ? TRIT_PARTIAL_EXACT : TRIT_PARTIAL_PADDED;
    return strcmp(value, "exact") == 0 || strcmp(value, "padded") == 0;
}

static bool globs_add(struct globs *globs, const char *pattern)
{
    if (globs->count == GLOBS_MAX)
        return false;
    globs->patterns[globs->count++] = pattern;
    return true;
}

static bool set_include(struct options *options, const char *value)
{
    return globs_add(&options->include, value);
}

static bool set_exclude(struct options *options, const char *value)
{
    return globs_add(&options->exclude, value);
}

static bool set_transposed(struct options *options, const char *value)
{
    return globs_add(&options->transposed, value);
}

static bool set_experts(struct options *options, const char *value)
{
    options->experts = strcmp(value, "in_out") == 0 ? EXPERTS_IN_OUT : EXPERTS_OUT_IN;
    return strcmp(value, "in_out") == 0 || strcmp(value, "out_in") == 0;
}

static bool set_rename(struct options *options, const char *value)
{
    return rename_is_valid(value) && globs_add(&options->rename, value);
}

static bool set_strip_prefix(struct options *options, const char *value)
{
    return *value && globs_add(&options->strip_prefix, value);
}

/* A whole number, with or without a unit of 1000s: "5GB", "500MB", "4096". */
static bool set_shard_size(struct options *options, const char *value)
{
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"", 1},          {"B", 1},           {"KB", 1000},
                 {"MB", 1000000},  {"GB", 1000000000}, {"KiB", 1 << 10},
                 {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    size_t digits = strspn(value, "0123456789");
    char text[32];
    uint64_t number;

    if (digits == 0 || digits >= sizeof(text))
        return false;
    memcpy(text, value, digits);
    text[digits] = '\0';
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(value + digits, units[i].unit) == 0)
            return parse_number(text, UINT64_MAX, &number) && number > 0 &&
                   !__builtin_mul_overflow(number, units[i].bytes, &options->shard_bytes);
    return false;
}

static bool set_against(struct options *options, const char *value)
{
    options->against = value;
    return *value != '\0';
}

static bool set_mode(struct options *options, const char *value)
{
    options->mode =
        strcmp(value, "latent") == 0 ? TRIT_VERIFY_LATENT : TRIT_VERIFY_TERNARY;
    return strcmp(value, "latent") == 0 || strcmp(value, "ternary") == 0;
}

static bool set_tolerance(struct options *options, const char *value)
{
    double number;

    /* From 0.5 on every weight would be as near to one ternary value as to another. */
    if (!parse_real(value, 0.5, &number) || (float)number >= 0.5f)
        return false;
    options->tolerance = (float)number;
    return true;
}

static bool set_run(struct options *options, const char *value)
{
    options->run = value;
    return *value != '\0' && strlen(value) <= TRIT_NAME_BYTES_MAX;
}

static bool set_step(struct options *options, const char *value)
{
    return parse_u64(value, INT64_MAX, &options->step);
}

static bool set_from(struct options *options, const char *value)
{
    return parse_u64(value, INT64_MAX, &options->step_from);
}

static bool set_to(struct options *options, const char *value)
{
    return parse_u64(value, INT64_MAX, &options->step_to);
}

static bool set_service(struct options *options, const char *value)
{
    options->service = value;
    return true;
}

static bool set_server(struct options *options, const char *value)
{
    options->server = value;
    return *value != '\0';
}

static bool set_timeout(struct options *options, const char *value)
{
    double seconds;

    if (!parse_real(value, 1e9, &seconds))
        return false;
    /* A wish for less than a millisecond is still one for a deadline. */
    options->timeout_ms = (uint64_t)ceil(seconds * 1000);
    return true;
}

static bool set_tensor(struct options *options, const char *value)
{
    options->tensor = value;
    return *value != '\0';
}

static bool set_bias_tensor(struct options *options, const char *value)
{
    options->bias_tensor = value;
    return *value != '\0';
}

static bool set_kind(struct options *options, const char *value)
{
    options->kind =
        strcmp(value, "embedding") == 0 ? TRIT_LAYER_EMBEDDING : TRIT_LAYER_LINEAR;
    return strcmp(value, "embedding") == 0 || strcmp(value, "linear") == 0;
}

static bool set_in_features(struct options *options, const char *value)
{
    return parse_u64(value, UINT64_MAX, &options->in_features);
}

static bool set_out_features(struct options *options, const char *value)
{
    return parse_u64(value, UINT64_MAX, &options->out_features);
}

static bool set_seed(struct options *options, const char *value)
{
    return parse_u64(value, UINT64_MAX, &options->seed);
}

static bool set_part(struct options *options, const char *value)
{
    options->part =
        strcmp(value, "latents") == 0 ? TRIT_LAYER_LATENTS : TRIT_LAYER_TERNARY;
    return strcmp(value, "latents") == 0 || strcmp(value, "ternary") == 0;
}

static bool set_dtype(struct options *options, const char *value)
{
    static const enum trit_dtype dtypes[] = {TRIT_F32, TRIT_F16, TRIT_BF16};

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(dtype_name(dtypes[i]), value) == 0)
            options->dtype = dtypes[i];
    return options->dtype != TRIT_DTYPE_UNSPECIFIED;
}

/* ---- the table ------------------------------------------------------------- */

const struct option_spec option_specs[OPTION_SPECS] = {
    {OPTION_OUTPUT, "output", 'o', "FILE", set_output, "a file name",
     "write the result here (.npy, or else safetensors); not to an existing file"},
    {OPTION_ENCODING, "encoding", 'e', "NAME", set_encoding,
     "one of dense, int8, pq2_0, q2_0, ptq1_0, tq1_0, tq2_0, mlx_2bit, i2_s, hf_bitnet",
     "how ternary weights are laid out (default dense)"},
    {OPTION_GROUP_SIZE, "group-size", 'g', "N", set_group_size,
     "a whole number from 1 to 65536",
     "weights that share a scale (default 128; hf_bitnet: all)"},
    {OPTION_PARTIAL, "partial", '\0', "HOW", set_partial, "padded or exact",
     "a row's short last group: padded (default) or exact"},
    {OPTION_INCLUDE, "include", 'i', "GLOB", set_include, "one of at most 64 patterns",
     "only tensors whose name matches, also those that the rules keep; may be repeated"},
    {OPTION_EXCLUDE, "exclude", 'x', "GLOB", set_exclude, "one of at most 64 patterns",
     "no tensor whose name matches; wins over --include; may be repeated"},
    {OPTION_CONVOLUTIONS, "convolutions", '\0', NULL, NULL, NULL,
     "convolutions of rank 3 and 4 are layers too, as [out, in*kernel]"},
    {OPTION_EXPERTS, "experts", '\0', "HOW", set_experts, "out_in or in_out",
     "how experts of rank 3 lie: out_in is [experts, out, in], in_out [experts, in, out] "
     "(default: as config.json's architecture has them; else they are kept)"},
    {OPTION_TRANSPOSED, "transposed", '\0', "GLOB", set_transposed,
     "one of at most 64 patterns",
     "layers whose name matches are stored [in, out], as GPT-2's Conv1D; may be repeated"},
    {OPTION_DRY_RUN, "dry-run", 'n', NULL, NULL, NULL,
     "print what would become of each tensor and why; write nothing"},
    {OPTION_SHARD_SIZE, "shard-size", '\0', "SIZE", set_shard_size,
     "a size such as 5GB, 500MB or 4096",
     "bytes of tensors in one file of an output folder (default 5GB)"},
    {OPTION_REPORT, "report", '\0', "FILE", set_report, "a file name",
     "also write verdict, findings and layers to FILE (.md, .csv or .json)"},
    {OPTION_RENAME, "rename", '\0', "OLD=NEW", set_rename,
     "of the form OLD=NEW, with no more * in NEW than in OLD",
     "a tensor OLD of the file answers to NEW; * stands for any text; may be repeated"},
    {OPTION_STRIP_PREFIX, "strip-prefix", '\0', "P", set_strip_prefix, "a prefix",
     "compare names without this prefix, on both sides; may be repeated"},
    {OPTION_NPY_BF16, "npy-bf16", '\0', NULL, NULL, NULL,
     "a .npy file's '|V2' elements are bf16"},
    {OPTION_FORCE, "force", 'f', NULL, NULL, NULL, "replace the output if it exists"},
    {OPTION_AGAIN, "again", '\0', NULL, NULL, NULL,
     "project layers that are ternary already; their scales shrink"},
    {OPTION_ALLOW_LOST, "allow-lost", '\0', NULL, NULL, NULL,
     "write groups whose scale rounds to 0 or infinity"},
    {OPTION_ALLOW_DEAD, "allow-dead", '\0', NULL, NULL, NULL,
     "a layer of zeros does not fail"},
    {OPTION_ACCEPT_RECORD, "accept-record", '\0', NULL, NULL, NULL,
     "accept the layers that the file's own record leaves out"},
    {OPTION_AGAINST, "against", 'a', "FILE", set_against, "a file name",
     "compare with the projection of the latents in FILE, and all else with it"},
    {OPTION_MODE, "mode", '\0', "MODE", set_mode, "ternary or latent",
     "ternary (default): it claims to be; latent: project it first"},
    {OPTION_TOLERANCE, "tolerance", '\0', "T", set_tolerance,
     "a number from 0 to below 0.5",
     "largest |w/s - t| of a ternary weight (default 1e-5; 0: equal bits)"},
    {OPTION_RUN, "run", 'r', "RUN", set_run, "a name of 1 to 255 bytes",
     "the run that reports are filed under"},
    {OPTION_STEP, "step", 's', "N", set_step, "a whole number from 0 to 2^63-1",
     "training step of the reports (default 0)"},
    {OPTION_FROM, "from", '\0', "N", set_from, "a whole number from 0 to 2^63-1",
     "reports from this step on"},
    {OPTION_TO, "to", '\0', "N", set_to, "a whole number from 0 to 2^63-1",
     "reports up to this step, inclusive"},
    {OPTION_LATEST, "latest", 'l', NULL, NULL, NULL,
     "only the newest step of each layer"},
    {OPTION_TENSOR, "tensor", '\0', "NAME", set_tensor, "a tensor's name",
     "the weights (default: the tensor called as the layer, or the only one)"},
    {OPTION_BIAS_TENSOR, "bias-tensor", '\0', "NAME", set_bias_tensor, "a tensor's name",
     "the bias (default: none)"},
    {OPTION_KIND, "kind", '\0', "KIND", set_kind, "linear or embedding",
     "linear (default) or embedding"},
    {OPTION_IN_FEATURES, "in-features", '\0', "N", set_in_features, "a whole number",
     "numbers of a row; of an embedding, its dim"},
    {OPTION_OUT_FEATURES, "out-features", '\0', "N", set_out_features, "a whole number",
     "rows; of an embedding, its ids"},
    {OPTION_BIAS, "bias", '\0', NULL, NULL, NULL, "with a bias, which is zero"},
    {OPTION_SEED, "seed", '\0', "N", set_seed, "a whole number below 2^64",
     "draws the latents (default 0)"},
    {OPTION_KEEP_LATENTS, "keep-latents", '\0', NULL, NULL, NULL,
     "keep the latents on the daemon's disk"},
    {OPTION_PART, "part", '\0', "PART", set_part, "ternary or latents",
     "ternary (default): the ternary weights; latents: the latents"},
    {OPTION_DTYPE, "dtype", '\0', "TYPE", set_dtype, "one of f32, f16, bf16",
     "of dense ternary weights (default f32)"},
    {OPTION_SERVICE, "service", '\0', "NAME", set_service, "a name",
     "ask for the health of one service"},
    {OPTION_SERVER, "server", '\0', "ADDRESS", set_server, "an address",
     "host:port or unix:/path (default TRITD_ADDRESS, else 127.0.0.1:6561)"},
    {OPTION_TIMEOUT, "timeout", 't', "S", set_timeout, "a number of seconds",
     "give up a call after so many seconds (default: never)"},
    {OPTION_JSON, "json", 'j', NULL, NULL, NULL, "print JSON instead of a table"},
    {OPTION_HELP, "help", 'h', NULL, NULL, NULL, "show this help"},
};
