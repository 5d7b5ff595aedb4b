/* SPDX-License-Identifier: Apache-2.0 */
#include "web/run_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/run_health.h"
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

static bool visit(void *arg, const struct trit_report *report)
{
    struct reading *reading = arg;
    struct run_state *state = reading->state;
    struct layer_state *layers = state->layers, *layer;

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

static int compare_names(const void *name, const void *layer)
{
    return strcmp(name, ((const struct layer_state *)layer)->name);
}

/* A layer is as unwell as its worst replica. */
static bool visit_health(void *arg, const struct store_layer_health *health)
{
    struct run_state *state = arg;
    struct layer_state *layer =
        state->layer_count ? bsearch(health->layer, state->layers, state->layer_count,
                                     sizeof(state->layers[0]), compare_names)
                           : NULL;

    if (!layer || health->health <= layer->health)
        return true;
    layer->health = health->health;
    layer->replica = health->replica;
    if (health->health == TRIT_HEALTH_FAILING)
        layer->condition = CONDITION_FAILING;
    else if (layer->condition < CONDITION_WARNING)
        layer->condition = CONDITION_WARNING;
    return true;
}

/* The reasons of a layer are those of its worst replica. */
static int explain(struct layer_state *layer, struct store_reader *reader,
                   const struct store_query *query, struct failure *failure)
{
    const struct store_get get = {.run = query->run,
                                  .layer = layer->name,
                                  .replica = layer->replica,
                                  .now_unix_ns = query->now_unix_ns};
    struct trit_report report;

    if (store_read_report(reader, &get, &report, failure) < 0)
        return -1;
    layer->reason_count = report.health_reason_count;
    layer->reason = report.health_reasons[0];
    return 0;
}

static int read_replicas(struct run_state *state, struct store_reader *reader,
                         const struct store_query *query, struct failure *failure)
{
    if (store_read_layer_health(reader, query->run, query->now_unix_ns, visit_health,
                                state, failure) < 0)
        return -1;
    for (size_t i = 0; i < state->layer_count; i++)
        if (state->layers[i].replica != query->replica &&
            explain(&state->layers[i], reader, query, failure) < 0)
            return -1;
    return 0;
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
    if (request->attempt == 0 && request->replica == 0 &&
        read_replicas(state, web->reader, &query, failure) < 0)
        return -1;
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
