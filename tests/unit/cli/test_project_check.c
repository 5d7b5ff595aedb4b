/* SPDX-License-Identifier: Apache-2.0 */
/* What a projection refuses before anything is sent. */
#include "client/cli/project.h"

#include "tests/unit/cli/files.h"

enum { COLUMNS = 32 };

/* What project_check says of a file. */
static enum exit_code checked(const char *path, struct options *options, const char *says)
{
    struct project_command p = {.options = options};
    struct printed printed;

    options->arguments[0] = path;
    print_begin(&printed);
    CHECK_EQ(input_open(&p.run.input, path, options), DONE);
    const struct checkpoint_options said = input_options(&p.run.input, options);
    CHECK(plan_create(&p.run.plan, &said, option_given(options, OPTION_AGAIN),
                      reader_table(p.run.input.reader), &p.run.failure) == 0);
    const enum exit_code code = project_check(&p);
    const char *text = print_end(&printed);
    plan_destroy(&p.run.plan);
    input_close(&p.run.input);
    if (says)
        CHECK_IN(text, says);
    else
        CHECK_STR(text, "");
    return code;
}

/* Latents, or one magnitude and zeros. */
static const char *layer_file(bool ternary)
{
    const char *path = path_in(folder_new(), "a.safetensors");
    float values[2 * COLUMNS];

    for (size_t i = 0; i < 2 * COLUMNS; i++)
        values[i] = ternary ? (float)((int)(i % 3) - 1) : 0.01f * (float)(i + 1);
    write_layer(path, values, COLUMNS);
    return path;
}

CASE(takes_latents, "latents are accepted without a word")
{
    struct options options = {.given = 0};

    CHECK_EQ(checked(layer_file(false), &options, NULL), DONE);
}

CASE(refuses_ternary_layers,
     "a ternary layer is refused by name, unless --again is given")
{
    struct options options = {.given = 0};
    const char *path = layer_file(true);

    CHECK_EQ(checked(path, &options, "l.weight: it is ternary already"), MISMATCH);
    CHECK_EQ(checked(path, &options, "trit pack"), MISMATCH);
    options.given = OPTION_BIT(OPTION_AGAIN);
    CHECK_EQ(checked(path, &options, NULL), DONE);
    options.given = OPTION_BIT(OPTION_DRY_RUN); /* the plan says it */
    CHECK_EQ(checked(path, &options, NULL), DONE);
}

CASE(refuses_files_without_layers, "a file without layers is refused, with what it has")
{
    static const char header[] =
        "{\"l.norm.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
    struct options options = {.given = 0};
    const char *path = path_in(folder_new(), "a.safetensors");

    write_tensors(path, header, (const float[]){1, 2}, 8);
    CHECK_EQ(checked(path, &options, "l.norm.weight F32 [2, 1]: a norm"), MISMATCH);
}

CASE(refuses_what_does_not_fit, "every layer that the encoding cannot hold is named")
{
    struct options options = {.given = OPTION_BIT(OPTION_ENCODING),
                              .encoding = TRIT_ENCODING_PQ2_0};

    CHECK_EQ(checked(layer_file(false), &options, "l.weight: pq2_0"), MISMATCH);
}

CASE(warns_of_what_is_included, "a tensor that a pattern makes a layer is warned of")
{
    static const char header[] =
        "{\"l.router.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],"
        "\"data_offsets\":[0,16]}}";
    struct options options = {.given = OPTION_BIT(OPTION_INCLUDE),
                              .include = {.patterns = {"*"}, .count = 1}};
    const char *path = path_in(folder_new(), "a.safetensors");

    write_tensors(path, header, (const float[]){1, 2, 3, 4}, 16);
    CHECK_EQ(checked(path, &options, "(router)"), DONE);
}

CASE(checks_names_of_reports, "with --run a layer must have a name that reports can have")
{
    struct options options = {.given = OPTION_BIT(OPTION_RUN), .run = "r"};
    const char *path = path_in(folder_new(), "a.safetensors");
    char header[512], name[301];

    memset(name, 'w', 300);
    name[300] = '\0';
    snprintf(header, sizeof(header),
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}",
             name);
    write_tensors(path, header, (const float[]){1, 2, 3, 4}, 16);
    CHECK_EQ(checked(path, &options, "300 bytes are more than 255"), FAILED);
    options = (struct options){.given = 0};
    CHECK_EQ(checked(path, &options, NULL), DONE);
}
