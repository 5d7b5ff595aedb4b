/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the registry: opens the folders, loads the layers in them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/impl.h"
#include "layers/layers.h"
#include "obs/log.h"
#include "obs/metrics.h"

static const char *const folder_names[FOLDER_COUNT] = {
    [FOLDER_HELD] = "held",
    [FOLDER_LATENTS] = "latents",
    [FOLDER_NEW] = "new",
    [FOLDER_DAMAGED] = "damaged",
};

static int open_folder(int at, const char *name, struct failure *failure)
{
    int fd;

    if (mkdirat(at, name, 0700) && errno != EEXIST)
        return fail(failure, TRIT_UNAVAILABLE, NULL,
                    "layers: cannot create folder %s: %s", name, strerror(errno));
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot open folder %s: %s",
                    name, strerror(errno));
    return fd;
}

static int open_folders(struct layers *layers, const char *directory,
                        struct failure *failure)
{
    int data = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = 0;

    if (data < 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot open %s: %s",
                    directory, strerror(errno));
    int root = open_folder(data, "layers", failure);
    for (size_t i = 0; root >= 0 && i < FOLDER_COUNT && result == 0; i++) {
        layers->folders[i] = open_folder(root, folder_names[i], failure);
        result = layers->folders[i] < 0 ? -1 : 0;
    }
    if (root >= 0 && result == 0 && (fsync(root) || fsync(data)))
        result = fail(failure, TRIT_UNAVAILABLE, NULL, "layers: cannot sync %s: %s",
                      directory, strerror(errno));
    if (root >= 0)
        close(root);
    close(data);
    return root < 0 ? -1 : result;
}

static int remove_new(void *arg, const char *name, struct failure *failure)
{
    struct layers *layers = arg;

    (void)failure;
    unlinkat(layers->folders[FOLDER_NEW], name, 0);
    return 0;
}

/* Removes latents whose layer was not finished or was deleted. */
static int remove_orphan(void *arg, const char *name, struct failure *failure)
{
    struct layers *layers = arg;
    struct stat held;

    (void)failure;
    if (fstatat(layers->folders[FOLDER_HELD], name, &held, AT_SYMLINK_NOFOLLOW) &&
        errno == ENOENT &&
        fstatat(layers->folders[FOLDER_DAMAGED], name, &held, AT_SYMLINK_NOFOLLOW) &&
        errno == ENOENT)
        unlinkat(layers->folders[FOLDER_LATENTS], name, 0);
    return 0;
}

static int load(void *arg, const char *name, struct failure *failure)
{
    struct layers *layers = arg;
    struct failure why = {.status = TRIT_OK};

    if (file_load(layers, name, &why) == 0)
        return 0;
    if (why.status != TRIT_DATA_LOSS)
        return fail_as(failure, &why);
    metric_add(layers->metrics, M_LAYERS_DAMAGED, 1);
    log_event(layers->log, LOG_ERROR, "layer_damaged",
              LOG_FIELDS(LOG_STR("file", name), LOG_STR("why", why.message),
                         LOG_STR("kept_in", "layers/damaged")));
    if (renameat(layers->folders[FOLDER_HELD], name, layers->folders[FOLDER_DAMAGED],
                 name))
        return fail(failure, TRIT_UNAVAILABLE, NULL,
                    "layers: cannot move %s to damaged/: %s", name, strerror(errno));
    return 0;
}

static int each_file(struct layers *layers, enum folder folder,
                     int (*visit)(void *arg, const char *name, struct failure *failure),
                     struct failure *failure)
{
    return folder_each(layers->folders[folder], folder_names[folder], visit, layers,
                       failure);
}

/* Opens the folders, removes files that were being written, loads the layers. */
static int files_open(struct layers *layers, const char *directory,
                      struct failure *failure)
{
    if (open_folders(layers, directory, failure) < 0)
        return -1;
    layers->durable = true;
    held_path_note(&layers->place, directory, "layers/held");
    if (each_file(layers, FOLDER_NEW, remove_new, failure) < 0 ||
        each_file(layers, FOLDER_HELD, load, failure) < 0 ||
        each_file(layers, FOLDER_LATENTS, remove_orphan, failure) < 0)
        return -1;
    if (layers->count > 0)
        log_event(layers->log, LOG_INFO, "layers_loaded",
                  LOG_FIELDS(LOG_U64("layers", layers->count)));
    return 0;
}

static void files_close(struct layers *layers)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        if (layers->folders[i] >= 0)
            close(layers->folders[i]);
        layers->folders[i] = -1;
    }
}

int layers_open(struct layers **out, const struct layers_config *config,
                struct failure *failure)
{
    struct layers *layers = calloc(1, sizeof(*layers));

    if (!layers)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "layers: out of memory");
    pthread_mutex_init(&layers->lock, NULL);
    layers->budget = config->budget;
    layers->bytes_max = UINT64_MAX;
    layers->log = config->log;
    layers->metrics = config->metrics;
    for (size_t i = 0; i < FOLDER_COUNT; i++)
        layers->folders[i] = -1;
    if (config->directory && files_open(layers, config->directory, failure) < 0) {
        layers_close(layers);
        return -1;
    }
    if (config->bytes_max)
        layers->bytes_max = config->bytes_max;
    *out = layers;
    return 0;
}

uint64_t layers_bytes(struct layers *layers)
{
    uint64_t bytes;

    pthread_mutex_lock(&layers->lock);
    bytes = layers->bytes_used;
    pthread_mutex_unlock(&layers->lock);
    return bytes;
}

void layers_close(struct layers *layers)
{
    if (!layers)
        return;
    while (layers->count > 0)
        layer_unregister(layers->sorted[layers->count - 1]);
    files_close(layers);
    held_path_forget(&layers->place);
    free(layers->sorted);
    pthread_mutex_destroy(&layers->lock);
    free(layers);
}
