/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of -o. */
#include "client/cli/output.h"

#include <sys/stat.h>

#include "tests/unit/cli/files.h"

static enum exit_code checked(const char *output, const char *input, bool force,
                              const char *says)
{
    const struct options options = {.output = output,
                                    .given = force ? OPTION_BIT(OPTION_FORCE) : 0};
    struct printed printed;

    print_begin(&printed);
    const enum exit_code code = output_check("project", &options, input);
    const char *text = print_end(&printed);
    if (says)
        CHECK_IN(text, says);
    else
        CHECK_STR(text, "");
    return code;
}

CASE(takes_new_names, "a new name is taken, with and without --force")
{
    const char *folder = folder_new();

    for (int force = 0; force < 2; force++) {
        CHECK_EQ(checked(path_in(folder, "a.safetensors"), "/in", force, NULL), DONE);
        CHECK_EQ(checked(path_in(folder, "a"), "/in", force, NULL), DONE);
        CHECK_EQ(checked(path_in(folder, "a.npy"), NULL, force, NULL), DONE);
    }
}

CASE(refuses_other_formats, "standard output and names of other formats are refused")
{
    CHECK_EQ(checked("-", NULL, true, "not to standard output"), USAGE);
    CHECK_EQ(checked("/a.ggml", NULL, true, "the name says GGML"), USAGE);
}

CASE(asks_before_replacing, "an existing file is replaced with --force only")
{
    const char *folder = folder_new(), *path = path_in(folder, "a.safetensors");

    write_bytes(path, "x", 1);
    CHECK_EQ(checked(path, "/in", false, "--force replaces it"), USAGE);
    CHECK_EQ(checked(path, "/in", true, NULL), DONE);
    /* A link is replaced itself, wherever it leads. */
    const char *link = path_in(folder, "link");
    CHECK(symlink("/nowhere", link) == 0);
    CHECK_EQ(checked(link, "/in", false, "--force replaces it"), USAGE);
    CHECK_EQ(checked(link, "/in", true, NULL), DONE);
}

CASE(never_takes_the_input, "the input is never the output, under whatever name")
{
    const char *folder = folder_new(), *path = path_in(folder, "a.safetensors");
    const char *link = path_in(folder, "link");

    write_bytes(path, "x", 1);
    CHECK(symlink(path, link) == 0);
    CHECK_EQ(checked(path, path, true, "the input itself"), USAGE);
    CHECK_EQ(checked(link, path, true, "the input itself"), USAGE);
    CHECK_EQ(checked(path, link, true, "the input itself"), USAGE);
}

CASE(keeps_folders_and_files_apart,
     "a folder is replaced by the output of a folder only, and a device never")
{
    const char *folder = folder_new(), *input = folder_new(), *file = path_in(input, "f");

    write_bytes(file, "x", 1);
    CHECK_EQ(checked("/dev/null", input, true, "not a regular file"), USAGE);
    CHECK_EQ(checked(folder, file, true, "not a regular file"), USAGE);
    CHECK_EQ(checked(folder, input, false, "--force replaces it"), USAGE);
    CHECK_EQ(checked(folder, input, true, NULL), DONE);
    CHECK_EQ(checked(folder, path_in(input, "model.safetensors.index.json"), true, NULL),
             DONE);
    const char *named = path_in(folder, "a.safetensors"); /* a folder, by a file's name */
    CHECK(mkdir(named, 0700) == 0);
    CHECK_EQ(checked(named, input, true, "not a regular file"), USAGE);
    const char *link = path_in(folder, "link");
    CHECK(symlink(input, link) == 0);
    CHECK_EQ(checked(link, "/in", true, "not a regular file"), USAGE);
}

CASE(says_how_to_write, "--force replaces, without it the name must be new")
{
    const struct options plain = {.given = 0},
                         force = {.given = OPTION_BIT(OPTION_FORCE)};

    CHECK_EQ(output_mode(&plain), TARGET_NEW);
    CHECK_EQ(output_mode(&force), TARGET_REPLACE);
}
