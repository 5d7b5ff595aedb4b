/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run_health.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/levels.h"
#include "store/reader.h"
#include "store/rebuild.h"
#include "store/stale.h"

struct summary {
    struct store_reader *reader;
    struct run_row *run;
    int64_t now_unix_ns;
    bool (*visit)(void *arg, const struct store_layer_health *layer);
    void *arg;
    /* the layer whose rows are being visited */
    char name[TRIT_NAME_BYTES_MAX + 2]; /* "": none yet */
    struct store_layer_health layer;
    /* the replica whose attempts are being visited: its newest visible one so far */
    int64_t replica;
    struct store_layer_health newest;
};

/* The health at the newest visible step of the layer; the past may know later ones, which
 * a new attempt has superseded. */
struct visible {
    enum trit_health health;
    const struct cell *cell;
    struct cell found;
    int64_t step; /* that take_visible looks for */
};

static int take_cell(void *arg, const struct cell *cell, struct failure *failure)
{
    struct visible *visible = arg;

    (void)failure;
    visible->found = *cell;
    visible->cell = &visible->found;
    visible->health = cell_health(cell);
    return 0;
}

static int take_visible(void *arg, const struct cell *cell, struct failure *failure)
{
    const struct visible *visible = arg;

    return (int64_t)cell->first <= visible->step && (int64_t)cell->last >= visible->step
               ? take_cell(arg, cell, failure)
               : 0;
}

static int check_visible(const struct layer_row *layer, const struct visible *visible,
                         struct failure *failure)
{
    return visible->cell ? 0
                         : fail(failure, TRIT_DATA_LOSS, NULL,
                                "the history of run \"%s\", layer \"%s\" has no step "
                                "that its reports have",
                                layer->key.run, layer->key.layer);
}

static int find_visible(struct db *db, const struct layer_row *layer,
                        const struct past_row *past, int64_t step,
                        struct visible *visible, struct failure *failure)
{
    const struct history_walk walk = {
        .row = past, .from = step, .to = step, .visit = take_cell, .arg = visible};

    if (past->open_count > 0 && step == past->step) {
        visible->cell = &past->open[past->open_count - 1];
        visible->health = past->health;
        return 0;
    }
    return history_walk(db, &walk, failure) || check_visible(layer, visible, failure) ? -1
                                                                                      : 0;
}

static enum trit_health worst_of(enum trit_health a, enum trit_health b)
{
    return a > b ? a : b;
}

static int read_layer(struct summary *s, const struct layer_row *layer, int64_t step,
                      struct failure *failure)
{
    struct db *db = &s->reader->db;
    struct visible visible = {.cell = NULL};
    struct store_layer_health *out = &s->newest;
    struct trit_health_reason stale;
    struct past_row past;

    if (past_read(db, layer, &past, failure) ||
        find_visible(db, layer, &past, step, &visible, failure)) {
        visible = (struct visible){.step = step};
        if (!damage_is_of_rows(db, failure) ||
            past_of_reports(db, layer, &past, take_visible, &visible, failure) ||
            check_visible(layer, &visible, failure))
            return -1;
    }
    *out = (struct store_layer_health){
        .health = visible.health,
        .replica = (uint32_t)layer->key.replica,
        .attempt = (uint32_t)layer->key.attempt,
        .step = (uint64_t)step,
        .time_unix_ns = layer->time_unix_ns,
        .interval_seconds = health_usual_interval(&past.past),
    };
    memcpy(out->values, visible.cell->values, sizeof(out->values));
    out->stale_ns = became_stale_ns(&s->reader->rules, &past.past, s->now_unix_ns);
    if (health_is_stale(&s->reader->rules, &past.past, out->step, s->now_unix_ns, &stale))
        out->health = worst_of(out->health, stale.severity);
    return 0;
}

/* The newest report is damaged, and its step is not known: it is at most `step`. */
static void set_damaged(struct store_layer_health *out, const struct layer_row *layer,
                        int64_t step)
{
    *out = (struct store_layer_health){
        .health = TRIT_HEALTH_WARNING,
        .replica = (uint32_t)layer->key.replica,
        .attempt = (uint32_t)layer->key.attempt,
        .step = (uint64_t)step,
        .time_unix_ns = layer->time_unix_ns,
        .interval_seconds = (double)NAN,
        .stale_ns = INT64_MIN,
    };
    for (size_t i = 0; i < STORE_FIELDS; i++)
        out->values[i] = (double)NAN;
}

/* ---- replicas to layers, layers to the caller --------------------------------------- */

static void add_worst(double *worst, const double *values)
{
    for (int field = 0; field < STORE_FIELDS; field++)
        worst[field] = cell_worse((enum store_field)field, worst[field], values[field]);
}

/* The replica's attempts have been visited. */
static void end_replica(struct summary *s)
{
    struct store_layer_health *layer = &s->layer, *newest = &s->newest;

    if (newest->attempt == 0)
        return;
    if (layer->attempt == 0) {
        *layer = *newest;
    } else {
        if (newest->health > layer->health) {
            layer->health = newest->health;
            layer->replica = newest->replica;
        }
        if (newest->time_unix_ns > layer->time_unix_ns)
            layer->time_unix_ns = newest->time_unix_ns;
        if (newest->stale_ns > layer->stale_ns)
            layer->stale_ns = newest->stale_ns;
        if (newest->step > layer->step)
            layer->step = newest->step;
        add_worst(layer->values, newest->values);
    }
    newest->attempt = 0;
}

static bool end_layer(struct summary *s)
{
    bool go_on = true;

    end_replica(s);
    if (s->layer.attempt != 0) {
        s->layer.layer = s->name;
        go_on = s->visit(s->arg, &s->layer);
    }
    s->layer.attempt = 0;
    return go_on;
}

/* False: the query ends. */
static bool enter(struct summary *s, const struct layer_key *key)
{
    if (strcmp(s->name, key->layer) != 0) {
        if (!end_layer(s))
            return false;
        memcpy(s->name, key->layer, sizeof(s->name));
    } else if (s->replica != key->replica) {
        end_replica(s);
    }
    s->replica = key->replica;
    return true;
}

/* The layer's row is damaged. */
static int take_damaged(void *arg, const struct layer_key *key, struct failure *failure)
{
    struct summary *s = arg;
    const struct layer_row layer = {.key = *key};
    int64_t from, to;

    (void)failure;
    if (!enter(s, key))
        return 0;
    if (visible_range(s->run, 0, key, &from, &to))
        set_damaged(&s->newest, &layer, 0);
    return 1;
}

static int take_row(void *arg, const struct layer_row *layer, struct failure *failure)
{
    struct summary *s = arg;
    int64_t from, to, step;

    if (!enter(s, &layer->key))
        return 0;
    if (!visible_steps(s->run, 0, layer, &from, &to))
        return 1;
    step = layer->step_max;
    if (to < step && find_newest_step(&s->reader->db, layer, to, &step, failure)) {
        if (!damage_is_of_rows(&s->reader->db, failure))
            return -1;
        set_damaged(&s->newest, layer, to);
        return 1;
    }
    return read_layer(s, layer, step, failure) ? -1 : 1;
}

static int summarize(struct summary *s, const char *name, struct failure *failure)
{
    struct db *db = &s->reader->db;
    struct layer_walk walk = {
        .run = name, .visit = take_row, .damaged = take_damaged, .arg = s};
    int outcome = find_readable_run(db, name, s->run, failure);

    if (outcome <= 0)
        return outcome < 0 ? -1
                           : fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", name);
    layer_key_set(&walk.start, name, "");
    outcome = walk_layers(db, &walk, failure);
    if (outcome == 1)
        end_layer(s);
    return outcome < 0 ? -1 : 0;
}

int store_read_layer_health(struct store_reader *reader, const char *run,
                            int64_t now_unix_ns,
                            bool (*visit)(void *arg,
                                          const struct store_layer_health *layer),
                            void *arg, struct failure *failure)
{
    struct summary summary = {.reader = reader,
                              .run = malloc(sizeof(*summary.run)),
                              .now_unix_ns = now_unix_ns,
                              .visit = visit,
                              .arg = arg};
    int outcome = -1;

    if (!summary.run)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for the query");
    if (begin_read(&reader->db, failure) == 0) {
        outcome = summarize(&summary, run, failure);
        end_read(&reader->db);
    }
    free(summary.run);
    return outcome;
}

/* ---- a run -------------------------------------------------------------------------- */

static bool add_layer(void *arg, const struct store_layer_health *layer)
{
    struct store_run_health *run = arg;

    run->health = worst_of(run->health, layer->health);
    run->layers[layer->health]++;
    if (layer->time_unix_ns > run->time_unix_ns)
        run->time_unix_ns = layer->time_unix_ns;
    if (layer->stale_ns > run->stale_ns)
        run->stale_ns = layer->stale_ns;
    if (layer->step > run->step)
        run->step = layer->step;
    run->interval_seconds = fmin(run->interval_seconds, layer->interval_seconds);
    add_worst(run->worst, layer->values);
    return true;
}

int store_read_run_health(struct store_reader *reader, const char *run,
                          int64_t now_unix_ns, struct store_run_health *health,
                          struct failure *failure)
{
    *health = (struct store_run_health){.stale_ns = INT64_MIN, .interval_seconds = NAN};
    for (size_t i = 0; i < STORE_FIELDS; i++)
        health->worst[i] = NAN;
    return store_read_layer_health(reader, run, now_unix_ns, add_layer, health, failure);
}
