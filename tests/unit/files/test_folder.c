/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of a folder. */
#include "files/folder.h"

#include <sys/stat.h>

#include "tests/lib/fault.h"
#include "tests/unit/files/model.h"

CASE(plain_names, "a plain name is a single part of a path")
{
    static const char *const plain[] = {"a", "...", ".a", "a b", "\xc3\xa4.json"};
    static const char *const others[] = {"", ".", "..", "/", "a/b", "a/", "/a"};

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        CHECK(folder_name_is_plain(plain[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!folder_name_is_plain(others[i]));
}

CASE(folder_of_a_path, "the folder of a path ends before its last slash")
{
    static const char *const cases[][2] = {
        {"a", "."}, {"", "."}, {"/a", "/"}, {"b/a", "b"}, {"/c/b/a", "/c/b"}, {"b/", "b"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *folder = folder_of(cases[i][0]);

        CHECK_STR(folder, cases[i][1]);
        free(folder);
    }
    char *path = folder_path("b", "a");
    CHECK_STR(path, "b/a");
    free(path);
}

CASE(names_in_order, "a folder lists files and links to files, in order of name")
{
    struct model model;
    struct folder_names names;

    model_init(&model);
    model_text(&model, "b", "x");
    model_text(&model, "a", "x");
    CHECK(symlink("b", model_path(&model, "link")) == 0);
    CHECK(symlink("nothing", model_path(&model, "dangling")) == 0);
    CHECK(symlink("loop", model_path(&model, "loop")) == 0);
    CHECK(mkdir(model_path(&model, "sub"), 0700) == 0);
    CHECK(mkfifo(model_path(&model, "fifo"), 0600) == 0);
    CHECK(folder_is(model.folder) && folder_is(model_path(&model, "sub")));
    CHECK(!folder_is(model_path(&model, "a")) && !folder_is("/nowhere"));
    CHECK_EQ(folder_names_read(&names, model.folder, NULL), 0);
    CHECK_EQ(names.count, 3);
    CHECK_STR(names.names[0], "a");
    CHECK_STR(names.names[1], "b");
    CHECK_STR(names.names[2], "link");
    folder_names_fini(&names);
    model_fini(&model);
}

CASE(no_folder, "a folder that does not exist gives NOT_FOUND")
{
    struct failure failure = {.status = TRIT_OK};
    struct folder_names names;

    CHECK_EQ(folder_names_read(&names, "/nowhere", &failure), -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    folder_names_fini(&names);
}

CASE(whole_texts, "a text is read completely and gets a terminating NUL")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    char *text;
    size_t bytes;

    model_init(&model);
    model_put(&model, "nul", "a\0b", 3);
    CHECK_EQ(folder_read_text(model.folder, "nul", &text, &bytes, &failure), 1);
    CHECK_EQ(bytes, 3);
    CHECK_MEM(text, "a\0b", 4);
    free(text);
    model_put(&model, "empty", "", 0);
    CHECK_EQ(folder_read_text(model.folder, "empty", &text, &bytes, &failure), 1);
    CHECK(bytes == 0 && text[0] == '\0');
    free(text);
    CHECK_EQ(folder_read_text(model.folder, "other", &text, &bytes, &failure), 0);
    CHECK(mkdir(model_path(&model, "sub"), 0700) == 0);
    CHECK_EQ(folder_read_text(model.folder, "sub", &text, &bytes, &failure), -1);
    CHECK(strncmp(failure.message, "sub: ", 5) == 0);
    model_fini(&model);
}

CASE(links_that_lead_nowhere,
     "a text that is a link to no file is an error, not an absent text")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    char *text;
    size_t bytes;

    model_init(&model);
    CHECK(symlink("nothing", model_path(&model, "config.json")) == 0);
    CHECK_EQ(folder_read_text(model.folder, "config.json", &text, &bytes, &failure), -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.message, "config.json is a link to a file that does not exist; "
                               "download it again, or remove the link");
    model_fini(&model);
}

CASE(bounded_texts, "a text above the bound is refused before it is read")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    char *text;
    size_t bytes;

    model_init(&model);
    model_put(&model, "large", "", 0);
    CHECK(truncate(model_path(&model, "large"), (off_t)FOLDER_TEXT_BYTES_MAX + 1) == 0);
    CHECK_EQ(folder_read_text(model.folder, "large", &text, &bytes, &failure), -1);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    model_fini(&model);
}

CASE(memory, "if memory runs out, reading names and texts fails")
{
    struct failure failure = {.status = TRIT_OK};
    struct model model;
    struct folder_names names;
    char *text;
    size_t bytes;

    model_init(&model);
    model_text(&model, "a", "x");
    model_text(&model, "b", "x");
    for (uint64_t n = 1;; n++) {
        failure = (struct failure){.status = TRIT_OK};
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = folder_names_read(&names, model.folder, &failure);
        const bool hit = fault_disarm();

        CHECK(result == (hit ? -1 : 0));
        CHECK(hit || names.count == 2);
        folder_names_fini(&names);
        if (!hit)
            break;
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    for (uint64_t n = 1;; n++) {
        failure = (struct failure){.status = TRIT_OK};
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = folder_read_text(model.folder, "a", &text, &bytes, &failure);
        const bool hit = fault_disarm();

        CHECK(result == (hit ? -1 : 1));
        if (!hit)
            break;
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
    free(text);
    model_fini(&model);
}
