/* SPDX-License-Identifier: Apache-2.0 */
/* Layers held by the daemon: packed ternary matrices by name, in memory and, with
 * a data directory, on disk.
 *
 * A layer is BUILDING while its weights are computed: it has its name, but
 * layers_find does not find it. It is READY once it is published and REMOVED once
 * it is unregistered. Its memory stays until the last reference is released. A READY
 * layer never changes.
 *
 *   layers_reserve -> BUILDING -> layer_publish -> READY
 *                        |                           |
 *                        +----- layer_unregister ----+-> REMOVED
 *
 * Any loop's thread may use the registry, which has a lock of its own. Workers use the
 * functions on files (files.h). */
#ifndef LAYERS_H
#define LAYERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/linear/linear.h"

struct budget;
struct layers;
struct log;
struct metrics;

/* Numbered as in proto/trit/v1/layers.proto. */
enum layer_kind { LAYER_LINEAR = 0, LAYER_EMBEDDING = 1 };

enum layer_state { LAYER_BUILDING, LAYER_READY, LAYER_REMOVED, LAYER_STATES };

enum layer_latents {
    LATENTS_NONE = 0,
    LATENTS_DRAWN = 1, /* linear_draw computes them again from the seed */
    LATENTS_KEPT = 2,  /* in a file of their own */
};

struct layer_spec {
    char name[TRIT_NAME_BYTES_MAX + 1];
    enum layer_kind kind;
    uint64_t in_features, out_features;
    bool bias;
    uint32_t group_size;
    bool keep_latents;
};

struct layer {
    struct layer_spec spec;
    enum layer_latents latents;
    uint64_t seed;                 /* of DRAWN latents */
    enum trit_dtype latents_dtype; /* DRAWN: F32; KEPT: the dtype that was sent */
    struct linear_matrix matrix;   /* codes and scales, for the kernels */
    uint8_t *codes;
    float *scales;
    float *bias; /* NULL = none */

    struct layers *layers;       /* do not touch this field and those below */
    enum layer_state state;      /* see layer_is_building */
    _Atomic uint32_t references; /* its memory stays until there are none */
    uint64_t bytes;              /* charged to the budget */
};

struct layers_config {
    const char *directory; /* the data directory; NULL: in memory only */
    struct budget *budget; /* borrowed, as the next two are */
    uint64_t bytes_max;    /* of all layers; 0: the whole budget */
    struct log *log;       /* may be NULL, as the metrics may */
    struct metrics *metrics;
};

/* Loads the layers on disk. A damaged file is logged, moved to damaged/ and left
 * out. Layers on disk are loaded even above bytes_max; new ones are refused then. -1:
 * UNAVAILABLE (the disk), RESOURCE_EXHAUSTED (the layers do not fit in the
 * budget). */
int layers_open(struct layers **layers, const struct layers_config *config,
                struct failure *failure);

/* No layer may have references. NULL is harmless. */
void layers_close(struct layers *layers);

/* Bytes of all layers, those being made included. */
uint64_t layers_bytes(struct layers *layers);

/* True when layers are kept on disk. */
bool layers_durable(const struct layers *layers);

/* Fills in the defaults and checks every field. -1: INVALID_ARGUMENT with the
 * field's name. `metrics` (may be NULL) counts a refusal by a bound. */
int layer_spec_check(struct layer_spec *spec, struct metrics *metrics,
                     struct failure *failure);

uint64_t layer_groups_per_row(const struct layer_spec *spec);
/* The standard deviation of latents that are drawn. */
double layer_deviation(const struct layer_spec *spec);

/* A BUILDING layer with one reference, which the caller releases. Its bias is zero; its
 * codes and scales are uninitialized. -1: ALREADY_EXISTS, RESOURCE_EXHAUSTED. */
int layers_reserve(struct layers *layers, const struct layer_spec *spec,
                   struct layer **layer, struct failure *failure);
/* Makes it READY; harmless when it is not BUILDING. */
void layer_publish(struct layer *layer);

/* It was neither published nor unregistered. */
bool layer_is_building(struct layer *layer);

/* Makes it REMOVED and frees its name; harmless when it is REMOVED. */
void layer_unregister(struct layer *layer);

/* A READY layer, with a reference that the caller releases. -1: NOT_FOUND. */
int layers_find(struct layers *layers, const char *name, struct layer **layer,
                struct failure *failure);
void layer_hold(struct layer *layer);
void layer_release(struct layer *layer); /* NULL is harmless */

/* The first READY layer, in order of names, whose name begins with `prefix` and
 * comes after `after` (NULL: from the start), with a reference that the caller releases.
 * NULL: there is none. */
struct layer *layers_next(struct layers *layers, const char *prefix, const char *after);

struct layers_counts {
    uint64_t layers, latents, damaged; /* damaged: calls of `damaged` */
};

/* For --check-config: whether layers_open could use the folders that are there.
 * UNAVAILABLE. */
int layers_usable(const char *directory, struct failure *failure);

/* Reads every file of held layers and latents below a data directory, without holding
 * them. `damaged` is called for each fault with a sentence that names it. Changes nothing.
 * -1: UNAVAILABLE. */
int layers_check(const char *directory, void (*damaged)(void *arg, const char *message),
                 void *arg, struct layers_counts *counts, struct failure *failure);

#endif
