#include "client/cli/opt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "kernels/kernels.h"

/* ---- values -------------------------------------------------------------- */

/* Decimal digits and nothing else; strtoull alone takes signs and spaces. */
static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; *text; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    if (value > max)
        return false;
    *number = value;
    return true;
}

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

static bool set_encoding(struct options *options, const char *value)
{
    return encoding_by_name(value, &options->encoding);
}

static bool set_group_size(struct options *options, const char *value)
{
    uint64_t number;

    if (!parse_number(value, GROUP_SIZE_MAX, &number) || number == 0)
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

    if (!parse_real(value, 1.0, &number))
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
    return parse_number(value, INT64_MAX, &options->step);
}

static bool set_from(struct options *options, const char *value)
{
    return parse_number(value, INT64_MAX, &options->step_from);
}

static bool set_to(struct options *options, const char *value)
{
    return parse_number(value, INT64_MAX, &options->step_to);
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

/* ---- the table ------------------------------------------------------------- */

struct option_spec {
    enum option_id id;
    const char *name;
    char letter;       /* '\0': none */
    const char *value; /* what help calls it; NULL: a flag */
    bool (*set)(struct options *options, const char *value); /* false: refused */
    const char *wants; /* completes "'x' is not ..." */
    const char *help;
};

static const struct option_spec specs[] = {
    {OPTION_OUTPUT, "output", 'o', "FILE", set_output, "a file name",
     "write the result here (.npy, or else safetensors)"},
    {OPTION_ENCODING, "encoding", 'e', "NAME", set_encoding,
     "one of dense, int8, pq2_0, q2_0, ptq1_0, tq1_0, tq2_0, mlx_2bit, i2_s, hf_bitnet",
     "how ternary weights are laid out (default dense)"},
    {OPTION_GROUP_SIZE, "group-size", 'g', "N", set_group_size,
     "a whole number from 1 to 65536", "weights that share a scale (default 128)"},
    {OPTION_PARTIAL, "partial", '\0', "HOW", set_partial, "padded or exact",
     "a row's short last group: padded (default) or exact"},
    {OPTION_INCLUDE, "include", 'i', "GLOB", set_include, "one of at most 64 patterns",
     "only layers whose name matches; may be repeated"},
    {OPTION_EXCLUDE, "exclude", 'x', "GLOB", set_exclude, "one of at most 64 patterns",
     "no layer whose name matches; may be repeated"},
    {OPTION_CONVOLUTIONS, "convolutions", '\0', NULL, NULL, NULL,
     "tensors of rank 3 and 4 are layers too, as [out, in*kernel]"},
    {OPTION_NPY_BF16, "npy-bf16", '\0', NULL, NULL, NULL,
     "a .npy file's '|V2' elements are bf16"},
    {OPTION_AGAINST, "against", 'a', "FILE", set_against, "a file name",
     "the latents that it should be the projection of"},
    {OPTION_MODE, "mode", '\0', "MODE", set_mode, "ternary or latent",
     "ternary (default): it claims to be; latent: project it first"},
    {OPTION_TOLERANCE, "tolerance", '\0', "T", set_tolerance, "a number from 0 to 1",
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
    {OPTION_SERVICE, "service", '\0', "NAME", set_service, "a name",
     "ask for the health of one service"},
    {OPTION_SERVER, "server", '\0', "ADDRESS", set_server, "an address",
     "host:port or unix:/path (default TRITD_ADDRESS, else 127.0.0.1:6561)"},
    {OPTION_TIMEOUT, "timeout", 't', "S", set_timeout, "a number of seconds",
     "give up a call after so many seconds (default: never)"},
    {OPTION_JSON, "json", 'j', NULL, NULL, NULL, "print JSON instead of a table"},
    {OPTION_HELP, "help", 'h', NULL, NULL, NULL, "show this help"},
};

enum { SPECS = sizeof(specs) / sizeof(specs[0]) };

/* ---- parsing ----------------------------------------------------------------- */

struct cursor {
    int argc;
    char *const *argv;
    int at;
};

static const struct option_spec *spec_by_name(uint64_t accepted, const char *name,
                                              size_t length)
{
    for (size_t i = 0; i < SPECS; i++)
        if ((accepted & OPTION_BIT(specs[i].id)) && strlen(specs[i].name) == length &&
            strncmp(specs[i].name, name, length) == 0)
            return &specs[i];
    return NULL;
}

static const struct option_spec *spec_by_letter(uint64_t accepted, char letter)
{
    for (size_t i = 0; i < SPECS; i++)
        if ((accepted & OPTION_BIT(specs[i].id)) && specs[i].letter == letter)
            return &specs[i];
    return NULL;
}

static bool may_repeat(enum option_id id)
{
    return id == OPTION_INCLUDE || id == OPTION_EXCLUDE;
}

/* `value`: what came attached, or NULL: then it is the next argument. */
static int apply(struct options *options, const struct option_spec *spec,
                 const char *value, struct cursor *cursor, char *error)
{
    if (option_given(options, spec->id) && !may_repeat(spec->id)) {
        snprintf(error, OPTION_ERROR_BYTES, "--%s is given twice", spec->name);
        return -1;
    }
    options->given |= OPTION_BIT(spec->id);
    if (!spec->value) {
        if (value)
            snprintf(error, OPTION_ERROR_BYTES, "--%s takes no value", spec->name);
        return value ? -1 : 0;
    }
    if (!value && cursor->at < cursor->argc)
        value = cursor->argv[cursor->at++];
    if (!value) {
        snprintf(error, OPTION_ERROR_BYTES, "--%s needs a value: %s", spec->name,
                 spec->wants);
        return -1;
    }
    if (spec->set(options, value))
        return 0;
    snprintf(error, OPTION_ERROR_BYTES, "--%s: '%.64s' is not %s", spec->name, value,
             spec->wants);
    return -1;
}

static int parse_long(struct options *options, uint64_t accepted, const char *argument,
                      struct cursor *cursor, char *error)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = spec_by_name(accepted, name, length);

    if (!spec) {
        snprintf(error, OPTION_ERROR_BYTES, "unknown option --%.*s",
                 (int)(length < 64 ? length : 64), name);
        return -1;
    }
    return apply(options, spec, equals ? equals + 1 : NULL, cursor, error);
}

/* -j, -l may be followed by further letters; a value takes the rest. */
static int parse_letters(struct options *options, uint64_t accepted, const char *argument,
                         struct cursor *cursor, char *error)
{
    for (const char *letter = argument + 1; *letter; letter++) {
        const struct option_spec *spec = spec_by_letter(accepted, *letter);

        if (!spec) {
            snprintf(error, OPTION_ERROR_BYTES, "unknown option -%c", *letter);
            return -1;
        }
        if (spec->value)
            return apply(options, spec, letter[1] ? letter + 1 : NULL, cursor, error);
        if (apply(options, spec, NULL, cursor, error) != 0)
            return -1;
    }
    return 0;
}

static int add_argument(struct options *options, const char *argument, char *error)
{
    if (options->argument_count == ARGUMENTS_MAX) {
        snprintf(error, OPTION_ERROR_BYTES, "unexpected argument '%.64s'", argument);
        return -1;
    }
    options->arguments[options->argument_count++] = argument;
    return 0;
}

int options_parse(struct options *options, uint64_t accepted, int argc, char *const *argv,
                  char error[OPTION_ERROR_BYTES])
{
    struct cursor cursor = {.argc = argc, .argv = argv};
    bool only_arguments = false;

    *options = (struct options){.given = 0};
    while (cursor.at < argc) {
        const char *argument = argv[cursor.at++];
        int result;

        if (only_arguments || argument[0] != '-' || argument[1] == '\0')
            result = add_argument(options, argument, error);
        else if (strcmp(argument, "--") == 0)
            result = 0, only_arguments = true;
        else if (argument[1] == '-')
            result = parse_long(options, accepted, argument, &cursor, error);
        else
            result = parse_letters(options, accepted, argument, &cursor, error);
        if (result != 0)
            return -1;
    }
    return 0;
}

void options_help(uint64_t accepted, FILE *out)
{
    for (size_t i = 0; i < SPECS; i++) {
        char left[64];

        if (!(accepted & OPTION_BIT(specs[i].id)))
            continue;
        if (specs[i].letter)
            snprintf(left, sizeof(left), "-%c, --%s%s%s", specs[i].letter, specs[i].name,
                     specs[i].value ? " " : "", specs[i].value ? specs[i].value : "");
        else
            snprintf(left, sizeof(left), "    --%s%s%s", specs[i].name,
                     specs[i].value ? " " : "", specs[i].value ? specs[i].value : "");
        fprintf(out, "  %-24s %s\n", left, specs[i].help);
    }
}
