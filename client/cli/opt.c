/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/cli/opt.h"
#include "client/cli/opt_table.h"

/* ---- parsing ----------------------------------------------------------------- */

struct cursor {
    int argc;
    char *const *argv;
    int at;
};

/* Commands that call a daemon name --server; these options come with it. */
static option_bits with_connection(option_bits accepted)
{
    const option_bits connection =
        OPTION_BIT(OPTION_TOKEN_FILE) | OPTION_BIT(OPTION_TLS) |
        OPTION_BIT(OPTION_TLS_CA) | OPTION_BIT(OPTION_TLS_CERT) |
        OPTION_BIT(OPTION_TLS_KEY) | OPTION_BIT(OPTION_TLS_SERVER_NAME) |
        OPTION_BIT(OPTION_WAIT) | OPTION_BIT(OPTION_MAX_ATTEMPTS);

    return accepted & OPTION_BIT(OPTION_SERVER) ? accepted | connection : accepted;
}

static const struct option_spec *spec_by_name(option_bits accepted, const char *name,
                                              size_t length)
{
    for (size_t i = 0; i < OPTION_SPECS; i++)
        if ((accepted & OPTION_BIT(option_specs[i].id)) &&
            strlen(option_specs[i].name) == length &&
            strncmp(option_specs[i].name, name, length) == 0)
            return &option_specs[i];
    return NULL;
}

static const struct option_spec *spec_by_letter(option_bits accepted, char letter)
{
    for (size_t i = 0; i < OPTION_SPECS; i++)
        if ((accepted & OPTION_BIT(option_specs[i].id)) &&
            option_specs[i].letter == letter)
            return &option_specs[i];
    return NULL;
}

static bool may_repeat(enum value_kind kind)
{
    return kind == VALUE_GLOB || kind == VALUE_PREFIX || kind == VALUE_RENAME;
}

/* `value`: the attached value, or NULL if it is the next argument. */
static int apply(struct options *options, const struct option_spec *spec,
                 const char *value, struct cursor *cursor, char *error)
{
    if (option_given(options, spec->id) && !may_repeat(spec->kind)) {
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
    if (option_set(options, spec, value))
        return 0;
    snprintf(error, OPTION_ERROR_BYTES, "--%s: '%.64s' is not %s", spec->name, value,
             spec->wants);
    return -1;
}

static int parse_long(struct options *options, option_bits accepted, const char *argument,
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

/* Flags may be combined (-jl); the rest of the word is the value of another option. */
static int parse_letters(struct options *options, option_bits accepted,
                         const char *argument, struct cursor *cursor, char *error)
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

int options_parse(struct options *options, option_bits accepted, int argc,
                  char *const *argv, char error[OPTION_ERROR_BYTES])
{
    struct cursor cursor = {.argc = argc, .argv = argv};
    bool only_arguments = false;

    accepted = with_connection(accepted);
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

struct checkpoint_options options_checkpoint(const struct options *options)
{
    return (struct checkpoint_options){
        .include = {options->include.patterns, options->include.count},
        .exclude = {options->exclude.patterns, options->exclude.count},
        .convolutions = option_given(options, OPTION_CONVOLUTIONS),
        .keep_names = option_given(options, OPTION_KEEP_NAMES),
        .experts = options->experts,
        .bits = options->bits,
        .transposed = {options->transposed.patterns, options->transposed.count},
        .renames = {options->rename.patterns, options->rename.count},
        .strip_prefixes = {options->strip_prefix.patterns, options->strip_prefix.count},
        .has_encoding = option_given(options, OPTION_ENCODING),
        .encoding = options->encoding,
        .group_size = options->group_size,
        .has_partial_group = option_given(options, OPTION_PARTIAL),
        .partial_group = options->partial_group};
}

void options_help(option_bits accepted, FILE *out)
{
    accepted = with_connection(accepted);
    for (size_t i = 0; i < OPTION_SPECS; i++) {
        char left[64];

        if (!(accepted & OPTION_BIT(option_specs[i].id)))
            continue;
        if (option_specs[i].letter)
            snprintf(left, sizeof(left), "-%c, --%s%s%s", option_specs[i].letter,
                     option_specs[i].name, option_specs[i].value ? " " : "",
                     option_specs[i].value ? option_specs[i].value : "");
        else
            snprintf(left, sizeof(left), "    --%s%s%s", option_specs[i].name,
                     option_specs[i].value ? " " : "",
                     option_specs[i].value ? option_specs[i].value : "");
        fprintf(out, "  %-26s %s\n", left, option_specs[i].help);
    }
}
