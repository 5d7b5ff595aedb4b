/* Inside the room: the registry's struct, and how files are found again. */
#ifndef LAYERS_IMPL_H
#define LAYERS_IMPL_H

#include <stdatomic.h>

#include "layers/files.h"

/* Folders below layers/, each with its name in folder_names. */
enum folder { FOLDER_HELD, FOLDER_LATENTS, FOLDER_NEW, FOLDER_DAMAGED, FOLDER_COUNT };

struct layers {
    struct budget *budget;
    struct log *log;
    struct metrics *metrics;
    struct layer **sorted; /* by name: MAKING and READY */
    size_t count, capacity;
    bool durable;
    int folders[FOLDER_COUNT]; /* descriptors, where durable */
    _Atomic uint64_t files;    /* names given out under layers/new */
};

/* A layer with memory for its weights, charged, in no registry. */
int layer_create(struct layers *layers, const struct layer_spec *spec,
                 struct layer **layer, struct failure *failure);
void layer_destroy(struct layer *layer);

/* Takes the layer into the table of names; -1 when one of that name is there, or
 * no memory. */
int layers_insert(struct layers *layers, struct layer *layer, struct failure *failure);

/* Opens the folders, removes what was being written, loads what is held. */
int files_open(struct layers *layers, const char *directory, struct failure *failure);
void files_close(struct layers *layers);

/* Reads held/NAME and puts the layer in the registry. -1: DATA_LOSS when the file
 * is not a whole layer, or as layers_open. */
int file_load(struct layers *layers, const char *name, struct failure *failure);

uint64_t layer_scale_count(const struct layer_spec *spec);

#endif
