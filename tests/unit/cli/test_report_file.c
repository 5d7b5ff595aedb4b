/* SPDX-License-Identifier: Apache-2.0 */
/* --report: the table of a release page. */
#include "client/cli/report_file.h"

#include <jansson.h>

#include "tests/unit/cli/files.h"

/* Names with all that a format could take for its own. */
static json_t *result(void)
{
    json_t *json = json_loads(
        "{\"verdict\":\"fail\",\"file\":\"a|b.safetensors\",\"encoding\":\"int8\","
        "\"findings\":[{\"severity\":\"error\",\"kind\":\"not_ternary\","
        "\"layer\":\"l|<i>.weight\",\"count\":3,\"hint\":\"see *this*\"},"
        "{\"severity\":\"note\",\"kind\":\"scale_rounded\",\"tensor\":\"t\"}],"
        "\"layers\":[{\"layer\":\"=cmd()\",\"verdict\":\"fail\",\"shape\":[4,128],"
        "\"elements\":512,\"zeros\":null,\"scale_min\":0.5,\"digest\":\"ab\"},"
        "{\"layer\":\"a,\\\"b\\\"\\u001b\",\"verdict\":\"pass\",\"shape\":[2],"
        "\"digest\":\"cd\"}]}",
        0, NULL);

    CHECK(json);
    return json;
}

static const char *written(const char *name, enum exit_code wanted, uint64_t given)
{
    static char text[PRINTED_BYTES];
    struct options options = {.report = name, .given = given};
    struct printed printed;
    json_t *json = result();

    print_begin(&printed);
    const enum exit_code code = report_file_write("verify", &options, json);
    print_end(&printed);
    json_decref(json);
    CHECK_EQ(code, wanted);
    text[0] = '\0';
    if (code == DONE) {
        FILE *file = fopen(name, "rb");

        CHECK(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

CASE(writes_markdown, "Markdown has the verdict on top, and names cannot break its table")
{
    const char *text = written(path_in(folder_new(), "r.md"), DONE, 0);

    CHECK(strncmp(text, "# fail\n\n`trit verify` of a\\|b.safetensors", 40) == 0);
    CHECK_IN(text, "encoding int8, 2 layers");
    CHECK_IN(text, "| error | not_ternary | l\\|\\<i\\>.weight | 3 | see \\*this\\* |");
}

CASE(writes_csv, "CSV quotes names, and a spreadsheet takes none for a formula")
{
    const char *text = written(path_in(folder_new(), "r.csv"), DONE, 0);

    CHECK(strncmp(text, "verdict,layer,layer_verdict,shape,elements,", 43) == 0);
    CHECK_IN(text, "\r\nfail,\"'=cmd()\",fail,4x128,512,,,");
    CHECK_IN(text, "\r\nfail,\"a,\"\"b\"\"");
}

CASE(writes_json, "JSON is the output of --json")
{
    json_t *read = json_loads(written(path_in(folder_new(), "r.json"), DONE, 0), 0, NULL);
    json_t *wanted = result();

    CHECK(json_equal(read, wanted));
    json_decref(read);
    json_decref(wanted);
}

CASE(replaces_with_force_only, "an existing report is replaced with --force only")
{
    const char *path = path_in(folder_new(), "r.json");

    write_bytes(path, "old", 3);
    written(path, FAILED, 0); /* it appeared after the check */
    written(path, DONE, OPTION_BIT(OPTION_FORCE));
    written("/nowhere/r.json", FAILED, 0);
}

CASE(checks_before_the_work, "the name and an existing file are checked before the work")
{
    const char *folder = folder_new(), *there = path_in(folder, "r.md");
    const struct {
        const char *report;
        bool force;
        enum exit_code code;
        const char *says;
    } cases[] = {
        {NULL, false, DONE, ""},
        {"/new.csv", false, DONE, ""},
        {"/new.txt", false, USAGE, "must end in .md, .csv or .json"},
        {"/new", true, USAGE, "must end in .md, .csv or .json"},
        {there, false, USAGE, "--force replaces it"},
        {there, true, DONE, ""},
    };

    write_bytes(there, "old", 3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct options options = {.report = cases[i].report,
                                        .given = cases[i].force ? OPTION_BIT(OPTION_FORCE)
                                                                : 0};
        struct printed printed;

        print_begin(&printed);
        const enum exit_code code = report_file_check("verify", &options);
        CHECK_IN(print_end(&printed), cases[i].says);
        CHECK_EQ(code, cases[i].code);
    }
}
