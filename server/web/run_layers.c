/* SPDX-License-Identifier: Apache-2.0 */
#include "web/run_layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "web/pattern.h"

const char *condition_name(enum condition condition)
{
    static const char *const names[CONDITIONS] = {
        [CONDITION_UNKNOWN] = "unknown",
        [CONDITION_HEALTHY] = "healthy",
        [CONDITION_WARNING] = "warning",
        [CONDITION_FAILING] = "failing",
    };

    return names[condition];
}

enum condition condition_of(const struct trit_report *report)
{
    enum trit_verdict verdict = report_verdict(report);
    bool warned = report->finding_count > 0 &&
                  report->findings[0].severity >= TRIT_SEVERITY_WARNING;

    if (verdict == TRIT_VERDICT_FAIL || report->health == TRIT_HEALTH_FAILING)
        return CONDITION_FAILING;
    if (verdict != TRIT_VERDICT_PASS || warned || report->health == TRIT_HEALTH_WARNING)
        return CONDITION_WARNING;
    return report->health == TRIT_HEALTH_ABSENT ? CONDITION_UNKNOWN : CONDITION_HEALTHY;
}

double layer_newest(const struct layer_state *layer, const char *field)
{
    const double absent = (double)NAN;

    if (strcmp(field, "zero_fraction") == 0)
        return layer->elements ? layer->zero_fraction : absent;
    if (strcmp(field, "zero_group_fraction") == 0)
        return layer->groups ? (double)layer->zero_groups / (double)layer->groups
                             : absent;
    if (strcmp(field, "flip_fraction") == 0)
        return layer->has_flips ? layer->flip_fraction : absent;
    if (strcmp(field, "scale_mean") == 0)
        return layer->has_scales ? layer->scale_mean : absent;
    if (strcmp(field, "sqnr_db") == 0)
        return layer->has_sqnr_db ? layer->sqnr_db : absent;
    if (strcmp(field, "health") == 0 && layer->health != TRIT_HEALTH_ABSENT)
        return (double)layer->health;
    return absent;
}

static void fill(struct layer_state *layer, const struct trit_report *report)
{
    *layer = (struct layer_state){
        .step = report->step,
        .elements = report->elements,
        .groups = report->groups,
        .zero_groups = report->zero_groups,
        .non_finite = report->non_finite,
        .time_unix_ns = report->time_unix_ns,
        .replica = report->replica,
        .figures_replica = report->replica,
        .condition = condition_of(report),
        .health = report->health,
        .verdict = report_verdict(report),
        .has_finding = report->finding_count > 0,
        .finding = report->findings[0].kind,
        .has_scales = report->has_scales,
        .has_sqnr_db = report->has_sqnr_db,
        .has_flips = report->has_previous,
        .scale_mean = report->scale_mean,
        .sqnr_db = report->sqnr_db,
        .flip_fraction = report->flip_fraction,
        .reason_count = report->health_reason_count,
        .reason = report->health_reasons[0],
    };
    strcpy(layer->name, report->layer);
    memcpy(layer->digest, report->digest, sizeof(layer->digest));
    if (report->elements > 0)
        layer->zero_fraction = (double)report->zeros / (double)report->elements;
}

/* No figure of it is known. */
static void fill_damaged(struct layer_state *layer, const struct store_key *key)
{
    *layer = (struct layer_state){
        .step = key->step,
        .replica = key->replica,
        .figures_replica = key->replica,
        .condition = CONDITION_WARNING,
        .health = TRIT_HEALTH_WARNING,
        .verdict = TRIT_VERDICT_INCONCLUSIVE,
        .damaged = true,
        .reason_count = 1,
        .reason = {.rule = "data_damaged",
                   .severity = TRIT_HEALTH_WARNING,
                   .since_step = key->step,
                   .value = 1,
                   .threshold = 1,
                   .text = "the newest report is damaged in the daemon's store; "
                           "tritd --check-data names it"},
    };
    strcpy(layer->name, key->layer);
}

/* A layer is as bad as its worst replica; its figures stay those of the lowest one. */
static void add_replica(struct layer_state *layer, const struct layer_state *replica)
{
    const bool less_well = replica->health > layer->health;

    if (less_well ||
        (replica->health == layer->health && replica->condition > layer->condition))
        layer->replica = replica->replica;
    if (less_well) {
        layer->health = replica->health;
        layer->reason_count = replica->reason_count;
        layer->reason = replica->reason;
    }
    if (verdict_is_worse(replica->verdict, layer->verdict)) {
        layer->verdict = replica->verdict;
        layer->has_finding = replica->has_finding;
        layer->finding = replica->finding;
    }
    if (replica->condition > layer->condition)
        layer->condition = replica->condition;
}

/* ---- the list ----------------------------------------------------------------------- */

static bool append(struct run_layers *layers, const struct layer_state *layer)
{
    struct layer_state *list = array_grow(layers->list, &layers->capacity,
                                          layers->count + 1, sizeof(layers->list[0]));

    if (!list)
        return false;
    layers->list = list;
    list[layers->count++] = *layer;
    layers->well = layers->count;
    return true;
}

/* Into a full list, in the place of one that is not unwell. */
static void replace(struct run_layers *layers, const struct layer_state *layer)
{
    layers->more = true;
    if (layer->condition < CONDITION_WARNING)
        return;
    while (layers->well > 0 &&
           layers->list[layers->well - 1].condition >= CONDITION_WARNING)
        layers->well--;
    if (layers->well == 0)
        return;
    layers->list[--layers->well] = *layer;
    layers->unsorted = true;
}

static void count(struct run_layers *layers, const struct layer_state *layer)
{
    layers->total++;
    layers->conditions[layer->condition]++;
    layers->verdicts[layer->verdict]++;
    layers->healths[layer->health]++;
    if (layer->condition > layers->condition)
        layers->condition = layer->condition;
    if (layer->health > layers->health)
        layers->health = layer->health;
}

static void end_layer(struct run_layers *layers)
{
    if (!layers->has_current)
        return;
    layers->has_current = false;
    count(layers, &layers->current);
    if (layers->count == layers->max)
        replace(layers, &layers->current);
    else if (!append(layers, &layers->current))
        layers->failed = true;
}

static bool add(struct run_layers *layers, const struct layer_state *replica)
{
    if (layers->has_current && strcmp(layers->current.name, replica->name) == 0) {
        add_replica(&layers->current, replica);
        return true;
    }
    end_layer(layers);
    layers->current = *replica;
    layers->has_current = true;
    return !layers->failed;
}

bool run_layers_add(struct run_layers *layers, const struct trit_report *report)
{
    struct layer_state replica;

    fill(&replica, report);
    return add(layers, &replica);
}

bool run_layers_add_damaged(struct run_layers *layers, const struct store_key *key)
{
    struct layer_state replica;

    fill_damaged(&replica, key);
    return add(layers, &replica);
}

/* Without layers there is no array, which qsort must not get. */
static void sort(struct run_layers *layers, int (*compare)(const void *a, const void *b))
{
    if (layers->count)
        qsort(layers->list, layers->count, sizeof(layers->list[0]), compare);
}

static int compare_names(const void *a, const void *b)
{
    const struct layer_state *left = a, *right = b;

    return strcmp(left->name, right->name);
}

bool run_layers_finish(struct run_layers *layers)
{
    end_layer(layers);
    if (layers->unsorted)
        sort(layers, compare_names);
    return !layers->failed;
}

void run_layers_fini(struct run_layers *layers)
{
    free(layers->list);
    *layers = (struct run_layers){0};
}

static int compare_natural(const void *a, const void *b)
{
    const struct layer_state *left = a, *right = b;

    return natural_compare(left->name, right->name);
}

static int compare_worst(const void *a, const void *b)
{
    const struct layer_state *left = a, *right = b;

    if (left->condition != right->condition)
        return left->condition > right->condition ? -1 : 1;
    if (left->reason_count && right->reason_count &&
        left->reason.since_step != right->reason.since_step)
        return left->reason.since_step > right->reason.since_step ? -1 : 1;
    return natural_compare(left->name, right->name);
}

void run_layers_sort_worst(struct run_layers *layers)
{
    sort(layers, compare_worst);
}

void run_layers_sort_natural(struct run_layers *layers)
{
    sort(layers, compare_natural);
}
