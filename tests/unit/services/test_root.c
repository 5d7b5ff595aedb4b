/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of requests, found below the root of the service Checkpoints. */
#include "services/checkpoints/root.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/source.h"
#include "tests/lib/check.h"

/* A folder with a file, a folder with a file, links and a FIFO. `walks`: paths are opened
 * without openat2. */
static struct root rooted_folder(char folder[64], bool walks)
{
    struct root root;
    int at;

    snprintf(folder, 64, "/tmp/trit-root-XXXXXX");
    CHECK(mkdtemp(folder));
    at = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(mkdirat(at, "deep", 0700) == 0);
    close(openat(at, "file", O_CREAT | O_WRONLY, 0600));
    close(openat(at, "deep/file", O_CREAT | O_WRONLY, 0600));
    CHECK(symlinkat("file", at, "link") == 0);
    CHECK(symlinkat("deep", at, "linked") == 0);
    CHECK(symlinkat("/etc", at, "out") == 0);
    CHECK(symlinkat("/dev/null", at, "null") == 0);
    CHECK(mkfifoat(at, "pipe", 0600) == 0);
    close(at);
    CHECK(root_open(&root, folder, NULL) == 0);
    root.walks = walks;
    return root;
}

static void remove_folder(struct root *root, const char *folder)
{
    static const char *const names[] = {"deep/file", "file", "link", "linked",
                                        "out",       "null", "pipe"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlinkat(root->fd, names[i], 0);
    unlinkat(root->fd, "deep", AT_REMOVEDIR);
    root_close(root);
    rmdir(folder);
}

static enum trit_status found(const struct root *root, const char *path)
{
    struct rooted rooted = {.fd = -1};
    struct failure failure = {.status = TRIT_OK};

    if (root_find(root, "path", path, &rooted, &failure) < 0)
        CHECK(strstr(failure.message, "path: "));
    rooted_close(&rooted);
    return failure.status;
}

static void check_finds(bool walks)
{
    char folder[64];
    struct root root = rooted_folder(folder, walks);
    static const struct {
        const char *path;
        enum trit_status status;
    } cases[] = {
        {"file", TRIT_OK},
        {"deep", TRIT_OK},
        {"deep/", TRIT_OK},
        {"deep/file", TRIT_OK},
        {"none", TRIT_NOT_FOUND},
        {"deep/none", TRIT_NOT_FOUND},
        {"file/none", TRIT_NOT_FOUND},
        {"file/", TRIT_INVALID_ARGUMENT},
        {"", TRIT_INVALID_ARGUMENT},
        {"/", TRIT_INVALID_ARGUMENT},
        {"/etc/passwd", TRIT_INVALID_ARGUMENT},
        {".", TRIT_OK},
        {"./", TRIT_OK},
        {".//", TRIT_INVALID_ARGUMENT},
        {"./.", TRIT_INVALID_ARGUMENT},
        {"..", TRIT_INVALID_ARGUMENT},
        {"./file", TRIT_INVALID_ARGUMENT},
        {"deep/../file", TRIT_INVALID_ARGUMENT},
        {"deep//file", TRIT_INVALID_ARGUMENT},
        {"deep//", TRIT_INVALID_ARGUMENT},
        {"link", TRIT_INVALID_ARGUMENT},
        {"linked", TRIT_INVALID_ARGUMENT},
        {"linked/file", TRIT_INVALID_ARGUMENT},
        {"out/passwd", TRIT_INVALID_ARGUMENT},
        {"null", TRIT_INVALID_ARGUMENT},
        {"pipe", TRIT_INVALID_ARGUMENT},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const enum trit_status status = found(&root, cases[i].path);

        if (status != cases[i].status)
            printf("%s\n", cases[i].path);
        CHECK_EQ(status, cases[i].status);
    }
    remove_folder(&root, folder);
}

CASE(finds, "regular files and folders are found, and nothing that leads elsewhere")
{
    check_finds(false);
}

CASE(walks, "the same is found and refused where the system lacks openat2")
{
    check_finds(true);
}

static void check_long_paths(bool walks)
{
    char folder[64], path[5000];
    struct root root = rooted_folder(folder, walks);

    memset(path, 'x', sizeof(path));
    path[256] = '\0';
    CHECK_EQ(found(&root, path), TRIT_INVALID_ARGUMENT);
    memset(path, 'x', sizeof(path));
    for (size_t i = 100; i < sizeof(path); i += 100)
        path[i] = '/';
    path[4990] = '\0';
    CHECK_EQ(found(&root, path), TRIT_INVALID_ARGUMENT);
    remove_folder(&root, folder);
}

CASE(long_paths, "a component above 255 bytes and a path above 4096 are refused")
{
    check_long_paths(false);
    check_long_paths(true);
}

static void check_held(bool walks)
{
    char folder[64];
    struct root root = rooted_folder(folder, walks);
    struct failure failure = {.status = TRIT_OK};
    struct rooted rooted;
    struct source *source;

    CHECK(root_find(&root, "path", "deep/file", &rooted, NULL) == 0);
    CHECK(source_open(&source, rooted.path, NULL) == 0);
    CHECK_STR(source_name(source), "file");
    source_close(source);
    CHECK(unlinkat(root.fd, "deep/file", 0) == 0);
    CHECK(symlinkat("/etc/passwd", root.fd, "deep/file") == 0);
    CHECK(source_open(&source, rooted.path, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(strstr(failure.message, "symbolic link"));
    rooted_close(&rooted);
    remove_folder(&root, folder);
}

CASE(held, "a file that is replaced by a link after it was found is not opened")
{
    check_held(false);
    check_held(true);
}

static void check_renamed(bool walks)
{
    char folder[64];
    struct root root = rooted_folder(folder, walks);
    struct rooted rooted;
    struct source *source;

    CHECK(root_find(&root, "path", "deep/file", &rooted, NULL) == 0);
    CHECK(renameat(root.fd, "deep", root.fd, "moved") == 0);
    CHECK(symlinkat("/etc", root.fd, "deep") == 0);
    CHECK(source_open(&source, rooted.path, NULL) == 0);
    source_close(source);
    rooted_close(&rooted);
    CHECK(unlinkat(root.fd, "deep", 0) == 0);
    CHECK(renameat(root.fd, "moved", root.fd, "deep") == 0);
    remove_folder(&root, folder);
}

CASE(renamed, "a folder that is renamed after it was found stays the one that is read")
{
    check_renamed(false);
    check_renamed(true);
}

CASE(no_root, "a root that is missing or a file is refused, naming the option")
{
    struct failure failure = {.status = TRIT_OK};
    struct root root;

    CHECK(root_open(&root, NULL, NULL) == 0);
    CHECK_EQ(root.fd, -1);
    CHECK(root_open(&root, "/none/such", &failure) < 0);
    CHECK_STR(failure.field, "checkpoint-root");
    CHECK(root_open(&root, "/etc/passwd", NULL) < 0);
    root_close(&root);
}
