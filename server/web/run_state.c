/* SPDX-License-Identifier: Apache-2.0 */
#include "web/run_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
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

/* A run while its layers are visited. */
struct reading {
    struct run_state *state;
    bool failed; /* out of memory */
};

static void fill(struct layer_state *layer, const struct trit_report *report)
{
    *layer = (struct layer_state){
        .step = report->step,
        .elements = report->elements,
        .groups = report->groups,
        .zero_groups = report->zero_groups,
        .non_finite = report->non_finite,
        .time_unix_ns = report->time_unix_ns,
        .attempt = report->attempt,
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
        .scale_min = (double)report->scale_min,
        .scale_mean = report->scale_mean,
        .scale_max = (double)report->scale_max,
        .sqnr_db = report->sqnr_db,
        .flip_fraction = report->flip_fraction,
        .near_threshold_fraction = report->near_threshold_fraction,
        .reason_count = report->health_reason_count,
        .reason = report->health_reasons[0],
    };
    strcpy(layer->name, report->layer);
    memcpy(layer->digest, report->digest, sizeof(layer->digest));
    if (report->elements > 0)
        layer->zero_fraction = (double)report->zeros / (double)report->elements;
}

static bool is_worse(enum trit_verdict verdict, enum trit_verdict than)
{
    return verdict != than && (verdict == TRIT_VERDICT_FAIL || than == TRIT_VERDICT_PASS);
}

/* A layer is as bad as its worst replica; its figures stay those of the lowest one. */
static void add_replica(struct layer_state *layer, const struct trit_report *report)
{
    const enum condition condition = condition_of(report);
    const enum trit_verdict verdict = report_verdict(report);
    const bool less_well = report->health > layer->health;

    if (less_well || (report->health == layer->health && condition > layer->condition))
        layer->replica = report->replica;
    if (less_well) {
        layer->health = report->health;
        layer->reason_count = report->health_reason_count;
        layer->reason = report->health_reasons[0];
    }
    if (is_worse(verdict, layer->verdict)) {
        layer->verdict = verdict;
        layer->has_finding = report->finding_count > 0;
        layer->finding = report->findings[0].kind;
    }
    if (condition > layer->condition)
        layer->condition = condition;
}

static bool visit(void *arg, const struct trit_report *report)
{
    struct reading *reading = arg;
    struct run_state *state = reading->state;
    struct layer_state *layers = state->layers, *layer;

    if (state->layer_count > 0 &&
        strcmp(layers[state->layer_count - 1].name, report->layer) == 0) {
        add_replica(&layers[state->layer_count - 1], report);
        return true;
    }
    if (state->layer_count == RUN_LAYERS_MAX) {
        state->more = true;
        return false;
    }
    layers = array_grow(layers, &state->layer_capacity, state->layer_count + 1,
                        sizeof(layers[0]));
    reading->failed = !layers;
    if (!layers)
        return false;
    state->layers = layers;
    layer = &layers[state->layer_count++];
    fill(layer, report);
    return true;
}

static void count_layers(struct run_state *state)
{
    for (size_t i = 0; i < state->layer_count; i++) {
        const struct layer_state *layer = &state->layers[i];

        state->conditions[layer->condition]++;
        state->verdicts[layer->verdict]++;
        state->healths[layer->health]++;
        if (layer->condition > state->condition)
            state->condition = layer->condition;
        if (layer->health > state->health)
            state->health = layer->health;
    }
}

int run_state_read(struct run_state *state, const struct web_config *web,
                   const struct request *request, const char *run,
                   struct failure *failure)
{
    const struct store_query query = {
        .run = run,
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .step_to = UINT64_MAX,
        .latest_only = true,
        .all_replicas = request->replica == 0,
        .limit = UINT32_MAX,
        .now_unix_ns = clock_unix_ns(),
    };
    struct reading reading = {.state = state};

    *state = (struct run_state){.attempt = request->attempt};
    strcpy(state->run, run);
    if (store_read_run(web->reader, run, query.attempt, &state->facts, failure) < 0 ||
        store_read_reports(web->reader, &query, visit, &reading, failure) < 0)
        return -1;
    if (reading.failed)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    count_layers(state);
    return 0;
}

void run_state_fini(struct run_state *state)
{
    free(state->layers);
    *state = (struct run_state){0};
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

/* Without layers there is no array, which qsort must not get. */
static void sort(struct run_state *state, int (*compare)(const void *a, const void *b))
{
    if (state->layer_count)
        qsort(state->layers, state->layer_count, sizeof(state->layers[0]), compare);
}

void run_state_sort_worst(struct run_state *state)
{
    sort(state, compare_worst);
}

void run_state_sort_natural(struct run_state *state)
{
    sort(state, compare_natural);
}
