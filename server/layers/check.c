/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the files of a data directory that no daemon uses. */
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

static int check_held(void *arg, const char *name, struct failure *failure)
{
    struct check *check = arg;
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
        return fail_as(failure, &reason);
    return 0;
}

static int check_put_aside(void *arg, const char *name, struct failure *failure)
{
    struct check *check = arg;
    char message[512];

    (void)failure;
    snprintf(message, sizeof(message),
             "layers/damaged/%.255s: a start found it damaged and put it aside", name);
    tell(check, message);
    return 0;
}

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void close_folder(int folder)
{
    if (folder >= 0)
        close(folder);
}

int layers_usable(const char *path, struct failure *failure)
{
    static const char *const names[] = {"layers", "layers/held", "layers/latents",
                                        "layers/new", "layers/damaged"};
    int data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; data >= 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        int folder = open_folder(data, names[i]);

        if (folder < 0 && errno == ENOENT)
            continue;
        if (folder < 0 || faccessat(folder, ".", W_OK | X_OK, 0) < 0) {
            fail_field(failure, TRIT_UNAVAILABLE, "data-dir", "\"%.200s\": %s: %s", path,
                       names[i], strerror(errno));
            close_folder(folder);
            close_folder(data);
            return -1;
        }
        close_folder(folder);
    }
    close_folder(data);
    return 0;
}

int layers_check(const char *path, void (*damaged)(void *arg, const char *message),
                 void *arg, struct layers_counts *counts, struct failure *failure)
{
    struct check check = {.damaged = damaged, .arg = arg, .counts = counts};
    int data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int root, put_aside, result = 0;

    *counts = (struct layers_counts){0};
    if (data < 0)
        return fail_field(failure, TRIT_UNAVAILABLE, "data-dir", "\"%.200s\": %s", path,
                          strerror(errno));
    root = open_folder(data, "layers"); /* without it there are no layers */
    check.held = open_folder(root, "held");
    check.latents = open_folder(root, "latents");
    put_aside = open_folder(root, "damaged");
    if (check.held >= 0)
        result = folder_each(check.held, "held", check_held, &check, failure);
    if (result == 0 && put_aside >= 0)
        result = folder_each(put_aside, "damaged", check_put_aside, &check, failure);
    close_folder(put_aside);
    close_folder(check.latents);
    close_folder(check.held);
    close_folder(root);
    close(data);
    return result;
}
