/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what is accepted, what is refused and with which words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/opt.h"
#include "tests/lib/check.h"

enum { WORDS_MAX = 80 };

static const uint64_t EVERY = UINT64_MAX;

static int parse(struct options *options, uint64_t accepted, const char *const *words,
                 char *error)
{
    char *argv[WORDS_MAX];
    int argc = 0;

    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    error[0] = '\0';
    return options_parse(options, accepted, argc, argv, error);
}

static void refused(const char *const *words, const char *part)
{
    struct options options;
    char error[OPTION_ERROR_BYTES];

    if (parse(&options, EVERY, words, error) == 0)
        check_failed(__FILE__, __LINE__, "%s ... was accepted", words[0]);
    if (!strstr(error, part))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", part, error);
}

#define REFUSED(part, ...) refused((const char *const[]){__VA_ARGS__, NULL}, (part))

CASE(takes_every_form,
     "values may be attached, follow an equals sign, or be the next word")
{
    static const char *const words[] = {"in.safetensors",
                                        "-oout.npy",
                                        "--encoding=pq2_0",
                                        "--group-size",
                                        "64",
                                        "--partial",
                                        "exact",
                                        "-i",
                                        "a*",
                                        "--include=b*",
                                        "-x",
                                        "c*",
                                        "--convolutions",
                                        "-jl",
                                        "--run",
                                        "r",
                                        "--step",
                                        "9223372036854775807",
                                        "--tolerance",
                                        "0",
                                        "--timeout",
                                        "0.0001",
                                        NULL};
    struct options options;
    char error[OPTION_ERROR_BYTES];

    if (parse(&options, EVERY, words, error) != 0)
        check_failed(__FILE__, __LINE__, "%s", error);
    CHECK_EQ(options.argument_count, 1);
    CHECK_STR(options.arguments[0], "in.safetensors");
    CHECK_STR(options.output, "out.npy");
    CHECK_EQ(options.encoding, TRIT_ENCODING_PQ2_0);
    CHECK_EQ(options.group_size, 64);
    CHECK_EQ(options.partial_group, TRIT_PARTIAL_EXACT);
    CHECK_EQ(options.include.count, 2);
    CHECK_STR(options.include.patterns[1], "b*");
    CHECK_EQ(options.exclude.count, 1);
    CHECK(option_given(&options, OPTION_CONVOLUTIONS));
    CHECK(option_given(&options, OPTION_JSON));
    CHECK(option_given(&options, OPTION_LATEST));
    CHECK(!option_given(&options, OPTION_MODE));
    CHECK_EQ(options.step, INT64_MAX);
    CHECK(option_given(&options, OPTION_TOLERANCE) && options.tolerance == 0);
    CHECK_EQ(options.timeout_ms, 1);
}

CASE(ends_options_at_two_dashes, "two dashes end the options, one dash is an argument")
{
    static const char *const words[] = {"-", "--", "--json", "-x", NULL};
    struct options options;
    char error[OPTION_ERROR_BYTES];

    CHECK(parse(&options, EVERY, words, error) == 0);
    CHECK_EQ(options.argument_count, 3);
    CHECK_STR(options.arguments[0], "-");
    CHECK_STR(options.arguments[1], "--json");
    CHECK_EQ(options.given, 0);
}

CASE(refuses_by_name_and_value, "a refused option is named with its value")
{
    REFUSED("unknown option --nonsense", "--nonsense");
    REFUSED("unknown option --", "--=");
    REFUSED("unknown option -z", "-jz");
    REFUSED("--json takes no value", "--json=yes");
    REFUSED("--output needs a value", "-o");
    REFUSED("--output needs a value", "--output");
    REFUSED("--output is given twice", "-oa", "-ob");
    REFUSED("'many' is not a whole number", "--group-size", "many");
    REFUSED("'0' is not a whole number from 1 to 65536", "--group-size", "0");
    REFUSED("'65537' is not", "--group-size", "65537");
    REFUSED("'-1' is not", "--group-size", "-1");
    REFUSED("' 1' is not", "--group-size", " 1");
    REFUSED("'' is not", "--group-size", "");
    REFUSED("'nonsense' is not one of dense, int8", "--encoding", "nonsense");
    REFUSED("'half' is not padded or exact", "--partial", "half");
    REFUSED("'9223372036854775808' is not", "--step", "9223372036854775808");
    REFUSED("'99999999999999999999' is not", "--step", "99999999999999999999");
    REFUSED("'nan' is not a number", "--tolerance", "nan");
    REFUSED("'2' is not a number", "--tolerance", "2");
    REFUSED("'1s' is not a number of seconds", "--timeout", "1s");
    REFUSED("'' is not a name of 1", "--run", "");
    REFUSED("'maybe' is not ternary or latent", "--mode", "maybe");
    REFUSED("'conv' is not linear or embedding", "--kind", "conv");
    REFUSED("'spec' is not ternary or latents", "--part", "spec");
    REFUSED("'i8' is not one of f32, f16, bf16", "--dtype", "i8");
    REFUSED("'18446744073709551616' is not", "--seed", "18446744073709551616");
    REFUSED("'-1' is not a whole number", "--in-features", "-1");
    REFUSED("--bias takes no value", "--bias=x");
    REFUSED("unexpected argument 'i'", "a", "b", "c", "d", "e", "f", "g", "h", "i");
}

CASE(refuses_options_of_other_commands, "a command refuses the options of other commands")
{
    static const char *const words[] = {"--convolutions", NULL};
    struct options options;
    char error[OPTION_ERROR_BYTES];

    CHECK(parse(&options, OPTION_BIT(OPTION_JSON), words, error) != 0);
    CHECK_STR(error, "unknown option --convolutions");
}

CASE(bounds_patterns, "more than 64 patterns are refused")
{
    const char *words[WORDS_MAX];
    struct options options;
    char error[OPTION_ERROR_BYTES];

    for (size_t i = 0; i < GLOBS_MAX; i++)
        words[i] = "-ix";
    words[GLOBS_MAX] = NULL;
    CHECK(parse(&options, EVERY, words, error) == 0);
    words[GLOBS_MAX] = "-ix";
    words[GLOBS_MAX + 1] = NULL;
    CHECK(parse(&options, EVERY, words, error) != 0);
    CHECK(strstr(error, "at most 64"));
}

CASE(helps_with_what_is_accepted, "a command's help lists the options that it accepts")
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    CHECK(out);
    options_help(OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_MODE), out);
    fclose(out);
    CHECK(strstr(text, "-j, --json"));
    CHECK(strstr(text, "    --mode MODE"));
    CHECK(!strstr(text, "--output"));
    free(text);
}

CASE(options_reach_checkpoint,
     "options about a checkpoint are passed to the checkpoint module")
{
    static const char *const words[] = {
        "in", "--again", "--allow-lost", "--allow-dead",   "-f",   "-i", "a*", "-x",
        "b*", "-e",      "int8",         "--convolutions", "-g32", NULL};
    static const char *const none[] = {"in", NULL};
    struct checkpoint_options said;
    struct options options;
    char error[OPTION_ERROR_BYTES];

    CHECK(parse(&options, EVERY, words, error) == 0);
    CHECK(option_given(&options, OPTION_FORCE) && option_given(&options, OPTION_AGAIN));
    said = options_checkpoint(&options);
    CHECK_EQ(said.include.count, 1);
    CHECK_STR(said.exclude.patterns[0], "b*");
    CHECK(said.convolutions && said.has_encoding && !said.has_partial_group);
    CHECK_EQ(said.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(said.group_size, 32);
    CHECK(parse(&options, EVERY, none, error) == 0);
    said = options_checkpoint(&options);
    CHECK(!said.convolutions && !said.has_encoding && said.include.count == 0);
    CHECK_EQ(said.group_size, 0);
}
