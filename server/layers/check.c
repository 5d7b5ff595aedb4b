/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of a data directory that no daemon uses. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/impl.h"
#include "layers/layers.h"

struct check {
    int held, latents; /* descriptors */
    void (*damaged)(void *arg, const char *message);
    void *arg;
    struct layers_counts *counts;
};

static void tell(struct check *check, const char *message)
{
    check->counts->damaged++;
    check->damaged(check->arg, message);
}

static int check_held(struct check *check, const char *name, struct failure *failure)
{
    struct layer found = {.layers = NULL};
    struct failure reason = {.status = TRIT_OK};

    check->counts->layers++;
    if (file_check(check->held, name, &found, &reason) == 0 &&
        found.latents == LATENTS_KEPT) {
        check->counts->latents++;
        latents_check(check->latents, name, &found, &reason);
    }
    if (reason.status == TRIT_DATA_LOSS)
        tell(check, reason.message);
    else if (reason.status != TRIT_OK)
        return fail(failure, reason.status, NULL, "%s", reason.message);
    return 0;
}

static int check_put_aside(struct check *check, const char *name, struct failure *failure)
{
    char message[512];

    (void)failure;
    snprintf(message, sizeof(message),
             "layers/damaged/%.255s: a start found it damaged and put it aside", name);
    tell(check, message);
    return 0;
}

/* Takes the descriptor. */
static int each_name(struct check *check, int folder,
                     int (*visit)(struct check *check, const char *name,
                                  struct failure *failure),
                     struct failure *failure)
{
    DIR *directory = fdopendir(folder);
    struct dirent *entry;
    int result = 0;

    if (!directory) {
        close(folder);
        return fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot list a folder: %s",
                    strerror(errno));
    }
    while (result == 0 && (entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            result = visit(check, entry->d_name, failure);
    closedir(directory);
    return result;
}

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int layers_check(const char *path, void (*damaged)(void *arg, const char *message),
                 void *arg, struct layers_counts *counts, struct failure *failure)
{
    struct check check = {.damaged = damaged, .arg = arg, .counts = counts};
    int data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int root, list, result = 0;

    *counts = (struct layers_counts){0};
    if (data < 0)
        return fail_field(failure, TRIT_UNAVAILABLE, "data-dir", "\"%.200s\": %s", path,
                          strerror(errno));
    root = open_folder(data, "layers"); /* without it there are no layers */
    check.held = open_folder(root, "held");
    check.latents = open_folder(root, "latents");
    if (check.held >= 0 && (list = open_folder(root, "held")) >= 0)
        result = each_name(&check, list, check_held, failure);
    if (result == 0 && root >= 0 && (list = open_folder(root, "damaged")) >= 0)
        result = each_name(&check, list, check_put_aside, failure);
    if (check.latents >= 0)
        close(check.latents);
    if (check.held >= 0)
        close(check.held);
    if (root >= 0)
        close(root);
    close(data);
    return result;
}
