/* SPDX-License-Identifier: Apache-2.0 */
/* What killed processes left, and what living ones are writing. */
#include "files/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "files/folder_target.h"
#include "files/system.h"
#include "files/target.h"
#include "tests/unit/files/model.h"

enum { NAMES = 8 };

static bool exists(struct model *model, const char *name)
{
    struct stat there;

    return lstat(model_path(model, name), &there) == 0;
}

static void make_folder(struct model *model, const char *name)
{
    char inside[300];

    CHECK_EQ(mkdir(model_path(model, name), 0777), 0);
    snprintf(inside, sizeof(inside), "%s/a.safetensors", name);
    model_text(model, inside, "x");
}

/* How many names begin with `.out`. */
static int temporaries(const struct model *model)
{
    DIR *stream = opendir(model->folder);
    const struct dirent *entry;
    int count = 0;

    CHECK(stream);
    while ((entry = readdir(stream)))
        count += strncmp(entry->d_name, ".out", 4) == 0;
    closedir(stream);
    return count;
}

CASE(removes_leftovers, "files and folders of the same output are removed, nothing else")
{
    static const char *const kept[] = {
        ".out.old-0123abcd",   ".out.trit-0123abcg", ".out.trit-0123abcd9",
        ".out2.trit-0123abcd", "out.trit-0123abcd",  ".out.trit-",
    };
    struct model model;
    int parent;

    model_init(&model);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        model_text(&model, kept[i], "x");
    model_text(&model, ".out.trit-00000001", "x");
    make_folder(&model, ".out.trit-00000002");
    CHECK_EQ(mkdir(model_path(&model, ".out.trit-00000003"), 0777), 0);
    make_folder(&model, ".out.trit-00000004"); /* with a folder: somebody else's */
    CHECK_EQ(mkdir(model_path(&model, ".out.trit-00000004/deep"), 0777), 0);
    CHECK_EQ(symlink("/dev/null", model_path(&model, ".out.trit-00000005")), 0);
    parent = open(model.folder, O_RDONLY | O_DIRECTORY);
    CHECK(parent >= 0);
    leftovers_remove(parent, "out", NULL);
    close(parent);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        CHECK(exists(&model, kept[i]));
    CHECK(!exists(&model, ".out.trit-00000001"));
    CHECK(!exists(&model, ".out.trit-00000002"));
    CHECK(!exists(&model, ".out.trit-00000003"));
    CHECK(exists(&model, ".out.trit-00000004/deep"));
    CHECK(exists(&model, ".out.trit-00000005"));
    CHECK_EQ(rmdir(model_path(&model, ".out.trit-00000004/deep")), 0);
    CHECK_EQ(rmdir(model_path(&model, ".out.trit-00000004")), 0);
    model_fini(&model);
}

static void open_folder(struct model *model, struct folder_target **target)
{
    struct failure failure = {.status = TRIT_OK};

    if (folder_target_open(target, model_path(model, "out"), TARGET_NEW, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

/* Opens the output in a process that is killed before it ends. */
static void be_killed(struct model *model)
{
    const pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        struct folder_target *target;

        open_folder(model, &target);
        raise(SIGKILL);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
}

CASE(living_and_killed,
     "an output removes the folder of a killed process and leaves that of a living one")
{
    struct folder_target *living, *second;
    struct failure failure = {.status = TRIT_OK};
    struct target *file;
    struct model model;

    model_init(&model);
    open_folder(&model, &living);
    be_killed(&model);
    CHECK_EQ(temporaries(&model), 2);
    open_folder(&model, &second);
    CHECK_EQ(temporaries(&model), 2); /* of living and second */
    folder_target_close(second);
    be_killed(&model);
    CHECK_EQ(temporaries(&model), 2);
    /* A file of the name does the same. */
    CHECK_EQ(target_open(&file, model_path(&model, "out"), TARGET_NEW, &failure), 0);
    CHECK_EQ(temporaries(&model), 1);
    target_close(file);
    CHECK_EQ(folder_target_commit(living, &failure), 0);
    folder_target_close(living);
    CHECK_EQ(temporaries(&model), 0);
    CHECK_EQ(rmdir(model_path(&model, "out")), 0);
    model_fini(&model);
}

CASE(lock_is_refused, "one that another process is about to remove is not used")
{
    struct model model;
    int mine, other;

    model_init(&model);
    model_text(&model, "a", "x");
    mine = open(model_path(&model, "a"), O_RDONLY);
    other = open(model_path(&model, "a"), O_RDONLY);
    CHECK(mine >= 0 && other >= 0);
    CHECK(leftover_lock(other, true));
    CHECK(!leftover_lock(mine, true));
    close(other);
    CHECK(leftover_lock(mine, true));
    CHECK_EQ(unlink(model_path(&model, "a")), 0);
    CHECK(!leftover_lock(mine, true));
    CHECK(leftover_lock(mine, false));
    close(mine);
    model_fini(&model);
}
