/* Layers held by the daemon: ternary matrices by name, packed, in memory and,
 * where there is a data directory, on disk.
 *
 * A layer is MAKING while its weights are computed (its name is taken then,
 * though nobody finds it), READY once it is published, GONE once it is
 * forgotten. Holders keep its memory; what they read never changes once it is
 * READY.
 *
 *   layers_reserve -> MAKING -> layer_publish -> READY -> layer_forget -> GONE
 *                        \------------ layer_forget -------------------^
 *
 * The registry belongs to the loop's thread. What works on files (files.h) is
 * for workers. */
#ifndef LAYERS_H
#define LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "kernels/linear/linear.h"

struct budget;
struct layers;
struct log;
struct metrics;

/* As in proto/trit/v1/layers.proto, by their numbers. */
enum layer_kind { LAYER_LINEAR = 0, LAYER_EMBEDDING = 1 };

enum layer_state { LAYER_MAKING, LAYER_READY, LAYER_GONE };

enum layer_latents {
    LATENTS_NONE = 0,
    LATENTS_DRAWN = 1, /* linear_draw gives them again, from the seed */
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
    uint64_t seed;                 /* DRAWN */
    enum trit_dtype latents_dtype; /* F32 where DRAWN; as they came where KEPT */
    struct linear_matrix matrix;   /* what follows, for the kernels */
    uint8_t *codes;
    float *scales;
    float *bias; /* NULL = none */

    struct layers *layers; /* hands off, here and below */
    enum layer_state state;
    uint32_t holds;
    uint64_t bytes; /* charged */
};

struct layers_config {
    const char *directory; /* the data directory; NULL: in memory only */
    struct budget *budget; /* borrowed, as the next two */
    struct log *log;       /* NULL: none, as of the metrics */
    struct metrics *metrics;
};

/* Finds the layers on disk again. One whose file is damaged is logged, put aside
 * and left out. -1: UNAVAILABLE (the disk), RESOURCE_EXHAUSTED (they do not fit
 * in the budget). */
int layers_open(struct layers **layers, const struct layers_config *config,
                struct failure *failure);

/* Nobody may hold a layer. NULL is harmless. */
void layers_close(struct layers *layers);

/* Whether layers are on disk. */
bool layers_durable(const struct layers *layers);

/* Fills in the defaults and checks every field. -1: INVALID_ARGUMENT naming it; a
 * bound is counted among `metrics`, unless NULL. */
int layer_spec_check(struct layer_spec *spec, struct metrics *metrics,
                     struct failure *failure);

/* Groups of a row and of the whole matrix; the sigma of latents that are drawn. */
uint64_t layer_groups_per_row(const struct layer_spec *spec);
double layer_deviation(const struct layer_spec *spec);

/* A MAKING layer, held once for the caller, with a bias of zeros; codes and scales
 * are whatever was there. -1: ALREADY_EXISTS, RESOURCE_EXHAUSTED. */
int layers_reserve(struct layers *layers, const struct layer_spec *spec,
                   struct layer **layer, struct failure *failure);
void layer_publish(struct layer *layer);

/* Its name is free again, and nobody finds it; harmless when GONE. */
void layer_forget(struct layer *layer);

/* A READY layer, held for the caller. -1: NOT_FOUND. */
int layers_find(struct layers *layers, const char *name, struct layer **layer,
                struct failure *failure);
void layer_hold(struct layer *layer);
void layer_release(struct layer *layer); /* NULL is harmless */

/* The first READY layer by name whose name begins with `prefix` and comes after
 * `after` (NULL: from the start); not held. NULL: no more. */
struct layer *layers_next(struct layers *layers, const char *prefix, const char *after);

#endif
