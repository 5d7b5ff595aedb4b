/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of layers, for the files of this module: the registry's struct, and
 * what layers.c and files.c give to those above them. */
#ifndef LAYERS_IMPL_H
#define LAYERS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/held_path.h"
#include "base/status.h"

struct budget;
struct layer;
struct layer_spec;
struct log;
struct metrics;

/* Folders below layers/; folder_names in start.c has their names. */
enum folder { FOLDER_HELD, FOLDER_LATENTS, FOLDER_NEW, FOLDER_DAMAGED, FOLDER_COUNT };

struct layers {
    struct budget *budget;
    uint64_t bytes_max;
    struct log *log;
    struct metrics *metrics;
    pthread_mutex_t lock; /* guards the next three, and each layer's state */
    uint64_t bytes_used;
    struct layer **sorted; /* by name, BUILDING and READY */
    size_t count, capacity;
    bool durable;
    int folders[FOLDER_COUNT]; /* descriptors, where durable */
    struct held_path place;    /* of layers/held: what is written elsewhere is lost */
    _Atomic uint64_t files;    /* names given so far to files under layers/new */
};

/* ---- folder.c ---- */

/* Calls `visit` with the name of each file in the folder, in no order, until one fails.
 * `folder` is a descriptor, which stays open; `words` names the folder in a failure. */
int folder_each(int folder, const char *words,
                int (*visit)(void *arg, const char *name, struct failure *failure),
                void *arg, struct failure *failure);

/* ---- layers.c ---- */

/* Allocates a layer and charges it to the budget. Does not add it to the registry. */
int layer_create(struct layers *layers, const struct layer_spec *spec,
                 struct layer **layer, struct failure *failure);
void layer_destroy(struct layer *layer);

/* Adds the layer to the registry. -1: the registry has a layer of that name, or
 * LAYERS_MAX layers, or no memory. */
int layers_insert(struct layers *layers, struct layer *layer, struct failure *failure);

uint64_t layer_scale_count(const struct layer_spec *spec);

/* ---- files.c ---- */

/* Reads held/NAME and adds the layer to the registry. -1: DATA_LOSS when the file
 * is not a whole layer; otherwise as layers_open. */
int file_load(struct layers *layers, const char *name, struct failure *failure);

/* Reads held/NAME, or its kept latents, in pieces and checks them. `folder` is a
 * descriptor. *found is the layer of the header, without its content. -1: DATA_LOSS or
 * UNAVAILABLE. */
int file_check(int folder, const char *name, struct layer *found,
               struct failure *failure);
int latents_check(int folder, const char *name, const struct layer *layer,
                  struct failure *failure);

#endif
