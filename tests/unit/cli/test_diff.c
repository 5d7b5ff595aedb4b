/* SPDX-License-Identifier: Apache-2.0 */
/* trit diff: exit codes, and what it counts. */
#include <jansson.h>

#include "tests/lib/digits.h"
#include "tests/unit/cli/files.h"

enum { COLUMNS = 64 };

static void fill(float *values, float magnitude)
{
    for (size_t i = 0; i < 2 * COLUMNS; i++)
        values[i] = magnitude * (float)((int)(i % 3) - 1);
}

static const char *diff(const char *a, const char *b, uint64_t given,
                        enum exit_code wanted)
{
    struct options options = {.arguments = {a, b}, .argument_count = 2, .given = given};
    struct printed printed;

    print_begin(&printed);
    const enum exit_code code = cmd_diff.run(&options);
    const char *text = print_end(&printed);
    if (code != wanted)
        check_failed(__FILE__, __LINE__, "%d, not %d: %s", (int)code, (int)wanted, text);
    return text;
}

CASE(counts_flips,
     "codes that change are counted by what they were and are, and scales apart")
{
    const char *folder = folder_new(), *a = path_in(folder, "a"),
               *b = path_in(folder, "b");
    float values[2 * COLUMNS];
    json_t *layer;

    fill(values, 0.5f);
    write_layer(a, values, COLUMNS);
    fill(values, 0.25f);
    values[7] = -0.25f; /* from 0 */
    write_layer(b, values, COLUMNS);
    CHECK_IN(diff(a, a, 0, DONE), "0 layers differ, 1 are equal");
    json_t *found = json_loads(diff(a, b, OPTION_BIT(OPTION_JSON), MISMATCH), 0, NULL);
    CHECK(json_is_false(json_object_get(found, "equal")));
    layer = json_array_get(json_object_get(found, "layers"), 0);
    CHECK_STR(json_string_value(json_object_get(layer, "layer")), "l.weight");
    CHECK_EQ(json_digits(json_object_get(layer, "codes_differing")), 1);
    CHECK_EQ(json_digits(json_array_get(json_object_get(layer, "transitions"), 3)),
             1); /* from 0 to -1 */
    CHECK(json_number_value(json_object_get(layer, "scale_ratio_max")) == 2);
    CHECK_EQ(json_digits(json_object_get(layer, "first")), 0);
    json_decref(found);
    CHECK_IN(diff(a, b, 0, MISMATCH), "1 layers differ, 0 are equal");
}

CASE(names_what_one_side_lacks, "a tensor of one side alone is named")
{
    static const char header[] =
        "{\"other\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    const char *folder = folder_new(), *a = path_in(folder, "a"),
               *b = path_in(folder, "b");
    float values[2 * COLUMNS];

    fill(values, 0.5f);
    write_layer(a, values, COLUMNS);
    write_tensors(b, header, "xy", 2);
    const char *text = diff(a, b, 0, MISMATCH);
    CHECK_IN(text, "only in the first");
    CHECK_IN(text, "only in the second");
    write_layer(b, values, COLUMNS / 2);
    CHECK_IN(diff(a, b, 0, MISMATCH), "another shape");
}

CASE(fails_without_a_file,
     "a file that cannot be read is exit code 3, and a rename that matches nothing is 2")
{
    const char *folder = folder_new(), *a = path_in(folder, "a");
    struct options options = {.arguments = {a, a},
                              .argument_count = 2,
                              .given = OPTION_BIT(OPTION_RENAME),
                              .rename = {.patterns = {"no=other"}, .count = 1}};
    float values[2 * COLUMNS];
    struct printed printed;

    diff(a, a, 0, FAILED);
    fill(values, 0.5f);
    write_layer(a, values, COLUMNS);
    diff(a, path_in(folder, "b"), 0, FAILED);
    print_begin(&printed);
    const enum exit_code code = cmd_diff.run(&options);
    CHECK_IN(print_end(&printed), "matches no tensor");
    CHECK_EQ(code, USAGE);
}
