/* SPDX-License-Identifier: Apache-2.0 */
#include "layers/layers.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/budget.h"
#include "base/checked.h"
#include "base/limits.h"
#include "base/number.h"
#include "base/states.h"
#include "layers/impl.h"
#include "layers/name.h"
#include "obs/metrics.h"
#include "proto/utf8.h"

enum { CODES_ALIGN = 64 };

static const struct state_row rows[LAYER_STATES] = {
    [LAYER_BUILDING] = {"building", STATE_TO(LAYER_READY) | STATE_TO(LAYER_REMOVED)},
    [LAYER_READY] = {"ready", STATE_TO(LAYER_REMOVED)},
    [LAYER_REMOVED] = {"removed", 0},
};
static const struct states layer_states = STATES("layer", rows);

/* ---- specs ---------------------------------------------------------------------- */

static int check_name(const char *name, struct metrics *metrics, struct failure *failure)
{
    char file[LAYER_FILE_NAME_BYTES_MAX + 1];

    if (name[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.name",
                          "must not be empty");
    if (!utf8_is_name(name))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.name",
                          "contains a control character");
    if (file_name(name, file) < 0) {
        metric_limit(metrics, L_LAYER_FILE_NAME);
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.name",
                          "its file name, with '/' and '%%' encoded, would be longer "
                          "than %d bytes",
                          LAYER_FILE_NAME_BYTES_MAX);
    }
    return 0;
}

static int check_features(const struct layer_spec *spec, struct metrics *metrics,
                          struct failure *failure)
{
    uint64_t elements;

    if (spec->in_features == 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.in_features",
                          "0; must be at least 1");
    if (spec->out_features == 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.out_features",
                          "0; must be at least 1");
    if (mul_overflows(spec->in_features, spec->out_features, &elements) ||
        elements > layer_elements_max) {
        metric_limit(metrics, L_LAYER_ELEMENTS);
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.out_features",
                          "%" PRIu64 " rows of spec.in_features = %" PRIu64
                          " are more than 2^48 weights",
                          spec->out_features, spec->in_features);
    }
    return 0;
}

int layer_spec_check(struct layer_spec *spec, struct metrics *metrics,
                     struct failure *failure)
{
    if (check_name(spec->name, metrics, failure) < 0)
        return -1;
    if (spec->kind != LAYER_LINEAR && spec->kind != LAYER_EMBEDDING)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.kind",
                          "%u is not a LayerKind", (unsigned)spec->kind);
    if (check_features(spec, metrics, failure) < 0)
        return -1;
    if (spec->bias && spec->kind == LAYER_EMBEDDING)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.bias",
                          "an embedding cannot have a bias");
    if (spec->group_size == 0)
        spec->group_size = GROUP_SIZE_DEFAULT;
    if (spec->group_size > GROUP_SIZE_MAX)
        metric_limit(metrics, L_GROUP_SIZE);
    if (!linear_supports(spec->group_size))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "spec.group_size",
                          "%u is not a multiple of 16 up to %u",
                          (unsigned)spec->group_size, (unsigned)GROUP_SIZE_MAX);
    return 0;
}

uint64_t layer_groups_per_row(const struct layer_spec *spec)
{
    return div_up(spec->in_features, spec->group_size);
}

uint64_t layer_scale_count(const struct layer_spec *spec)
{
    return spec->out_features * layer_groups_per_row(spec);
}

double layer_deviation(const struct layer_spec *spec)
{
    return 1 / sqrt((double)spec->in_features);
}

/* ---- one layer -------------------------------------------------------------------- */

static void uncharge(struct layers *layers, uint64_t bytes)
{
    pthread_mutex_lock(&layers->lock);
    layers->bytes_used -= bytes;
    pthread_mutex_unlock(&layers->lock);
    metric_sub(layers->metrics, M_LAYERS_BYTES, bytes);
}

/* Charges the bytes to the layers' part of the budget, and to the budget. */
static int charge(struct layers *layers, uint64_t bytes, struct failure *failure)
{
    uint64_t used;
    bool fits;

    pthread_mutex_lock(&layers->lock);
    used = layers->bytes_used;
    fits = used <= layers->bytes_max && bytes <= layers->bytes_max - used;
    layers->bytes_used += fits ? bytes : 0;
    pthread_mutex_unlock(&layers->lock);
    if (!fits) {
        metric_limit(layers->metrics, L_LAYERS_MEMORY);
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec",
                          "the layer takes %" PRIu64 " bytes; layers hold %" PRIu64
                          " of at most %" PRIu64
                          " bytes of the memory budget (layers_percent_max), the rest is "
                          "for calls",
                          bytes, used, layers->bytes_max);
    }
    metric_add(layers->metrics, M_LAYERS_BYTES, bytes);
    if (budget_reserve(layers->budget, bytes))
        return 0;
    uncharge(layers, bytes);
    metric_limit(layers->metrics, L_MEMORY);
    return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec",
                      "the layer takes %" PRIu64
                      " bytes; the memory budget has less than that left",
                      bytes);
}

int layer_create(struct layers *layers, const struct layer_spec *spec, struct layer **out,
                 struct failure *failure)
{
    uint64_t codes =
        align_up(linear_code_bytes(spec->out_features, spec->in_features), CODES_ALIGN);
    uint64_t scales = align_up(layer_scale_count(spec) * sizeof(float), CODES_ALIGN);
    uint64_t bias = spec->bias ? spec->out_features * sizeof(float) : 0;
    uint64_t bytes = align_up(sizeof(struct layer) + codes + scales + bias, CODES_ALIGN);
    struct layer *layer = calloc(1, sizeof(*layer));

    if (!layer)
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec", "out of memory");
    if (charge(layers, bytes, failure) < 0) {
        free(layer);
        return -1;
    }
    *layer = (struct layer){.spec = *spec, .layers = layers, .bytes = bytes};
    layer->codes =
        aligned_alloc(CODES_ALIGN, codes + scales + align_up(bias, CODES_ALIGN));
    if (!layer->codes) {
        layer_destroy(layer);
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec",
                          "out of memory: the layer takes %" PRIu64 " bytes", bytes);
    }
    memset(layer->codes, 0, codes); /* its padding is written to disk too */
    memset(layer->codes + codes + scales, 0, align_up(bias, CODES_ALIGN));
    layer->scales = (float *)(void *)(layer->codes + codes);
    layer->bias = bias ? (float *)(void *)(layer->codes + codes + scales) : NULL;
    layer->matrix = (struct linear_matrix){.rows = spec->out_features,
                                           .columns = spec->in_features,
                                           .group_size = spec->group_size,
                                           .codes = layer->codes,
                                           .scales = layer->scales};
    *out = layer;
    return 0;
}

void layer_destroy(struct layer *layer)
{
    budget_release(layer->layers->budget, layer->bytes);
    uncharge(layer->layers, layer->bytes);
    free(layer->codes);
    free(layer);
}

void layer_hold(struct layer *layer)
{
    atomic_fetch_add_explicit(&layer->references, 1, memory_order_relaxed);
}

void layer_release(struct layer *layer)
{
    if (layer &&
        atomic_fetch_sub_explicit(&layer->references, 1, memory_order_acq_rel) == 1)
        layer_destroy(layer);
}

/* ---- the registry ------------------------------------------------------------------ */

/* Under the lock, as the next function. The index of `name` in the registry, or the index where it belongs. */
static size_t index_of(const struct layers *layers, const char *name, bool *found)
{
    size_t low = 0, high = layers->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(layers->sorted[middle]->spec.name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < layers->count && strcmp(layers->sorted[low]->spec.name, name) == 0;
    return low;
}

static int insert(struct layers *layers, struct layer *layer, struct failure *failure)
{
    bool found;
    size_t at = index_of(layers, layer->spec.name, &found);
    struct layer **sorted;

    if (found)
        return fail_field(failure, TRIT_ALREADY_EXISTS, "spec.name",
                          "a layer named \"%s\" already exists", layer->spec.name);
    if (layers->count == LAYERS_MAX) {
        metric_limit(layers->metrics, L_LAYERS);
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec",
                          "the daemon holds %u layers, which is the limit",
                          (unsigned)LAYERS_MAX);
    }
    sorted =
        array_grow(layers->sorted, &layers->capacity, layers->count + 1, sizeof(*sorted));
    if (!sorted)
        return fail_field(failure, TRIT_RESOURCE_EXHAUSTED, "spec", "out of memory");
    layers->sorted = sorted;
    memmove(layers->sorted + at + 1, layers->sorted + at,
            (layers->count - at) * sizeof(layers->sorted[0]));
    layers->sorted[at] = layer;
    layers->count++;
    layer_hold(layer);
    return 0;
}

int layers_insert(struct layers *layers, struct layer *layer, struct failure *failure)
{
    int result;

    pthread_mutex_lock(&layers->lock);
    result = insert(layers, layer, failure);
    pthread_mutex_unlock(&layers->lock);
    return result;
}

int layers_reserve(struct layers *layers, const struct layer_spec *spec,
                   struct layer **out, struct failure *failure)
{
    struct layer *layer;
    bool found;

    pthread_mutex_lock(&layers->lock);
    (void)index_of(layers, spec->name, &found);
    pthread_mutex_unlock(&layers->lock);
    if (found)
        return fail_field(failure, TRIT_ALREADY_EXISTS, "spec.name",
                          "a layer named \"%s\" already exists", spec->name);
    if (layer_create(layers, spec, &layer, failure) < 0)
        return -1;
    if (layers_insert(layers, layer, failure) < 0) {
        layer_destroy(layer);
        return -1;
    }
    layer_hold(layer);
    *out = layer;
    return 0;
}

/* Bytes of the latents on disk. */
static uint64_t latents_bytes(const struct layer *layer)
{
    return layer->latents == LATENTS_KEPT
               ? layer->spec.in_features * layer->spec.out_features *
                     dtype_bytes(layer->latents_dtype)
               : 0;
}

void layer_publish(struct layer *layer)
{
    bool published;

    pthread_mutex_lock(&layer->layers->lock);
    published = state_try(&layer_states, &layer->state, LAYER_READY);
    pthread_mutex_unlock(&layer->layers->lock);
    if (!published)
        return;
    metric_up(layer->layers->metrics, M_LAYERS);
    metric_add(layer->layers->metrics, M_LATENTS_BYTES, latents_bytes(layer));
}

bool layer_is_building(struct layer *layer)
{
    bool building;

    pthread_mutex_lock(&layer->layers->lock);
    building = layer->state == LAYER_BUILDING;
    pthread_mutex_unlock(&layer->layers->lock);
    return building;
}

/* Under the lock. False: it is REMOVED already. */
static bool take_out(struct layers *layers, struct layer *layer)
{
    bool found;
    size_t at;

    if (!state_try(&layer_states, &layer->state, LAYER_REMOVED))
        return false;
    at = index_of(layers, layer->spec.name, &found);
    layers->count--;
    memmove(layers->sorted + at, layers->sorted + at + 1,
            (layers->count - at) * sizeof(layers->sorted[0]));
    return true;
}

void layer_unregister(struct layer *layer)
{
    struct layers *layers = layer->layers;
    bool was_ready, taken;

    pthread_mutex_lock(&layers->lock);
    was_ready = layer->state == LAYER_READY;
    taken = take_out(layers, layer);
    pthread_mutex_unlock(&layers->lock);
    if (!taken)
        return;
    if (was_ready) {
        metric_down(layers->metrics, M_LAYERS);
        metric_sub(layers->metrics, M_LATENTS_BYTES, latents_bytes(layer));
    }
    layer_release(layer);
}

/* With a reference. NULL: no READY layer has this name. */
static struct layer *find_ready(struct layers *layers, const char *name)
{
    struct layer *layer = NULL;
    bool found;
    size_t at;

    pthread_mutex_lock(&layers->lock);
    at = index_of(layers, name, &found);
    if (found && layers->sorted[at]->state == LAYER_READY) {
        layer = layers->sorted[at];
        layer_hold(layer);
    }
    pthread_mutex_unlock(&layers->lock);
    return layer;
}

int layers_find(struct layers *layers, const char *name, struct layer **layer,
                struct failure *failure)
{
    struct layer *found;

    if (name[0] == '\0')
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "name", "must not be empty");
    found = find_ready(layers, name);
    if (!found)
        return fail_field(failure, TRIT_NOT_FOUND, "name",
                          "no layer \"%s\"; create or load it, also after a restart of a "
                          "daemon without --data-dir",
                          name);
    *layer = found;
    return 0;
}

/* Under the lock. */
static struct layer *next_of(const struct layers *layers, const char *prefix,
                             const char *after)
{
    size_t length = strlen(prefix), at;
    bool found = false;

    at = index_of(layers, after && strcmp(after, prefix) >= 0 ? after : prefix, &found);
    if (found && after && strcmp(layers->sorted[at]->spec.name, after) == 0)
        at++;
    for (; at < layers->count; at++) {
        struct layer *layer = layers->sorted[at];

        if (strncmp(layer->spec.name, prefix, length) != 0)
            return NULL;
        if (layer->state == LAYER_READY)
            return layer;
    }
    return NULL;
}

struct layer *layers_next(struct layers *layers, const char *prefix, const char *after)
{
    struct layer *next;

    pthread_mutex_lock(&layers->lock);
    next = next_of(layers, prefix, after);
    if (next)
        layer_hold(next);
    pthread_mutex_unlock(&layers->lock);
    return next;
}

bool layers_durable(const struct layers *layers)
{
    return layers->durable;
}
