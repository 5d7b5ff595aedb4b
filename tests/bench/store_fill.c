/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a data directory with a long history, faster than by filing its reports.
 *
 *   store_fill DIRECTORY RUN LAYERS STEPS KEPT
 *
 * The run has the rows of which its history, its health and its pages are made, for each
 * of STEPS reports of LAYERS layers, in the order in which a training run files them. Of
 * the reports themselves the newest KEPT of each layer are there. The last tenth of the
 * layers loses groups from the middle on. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "health/health.h"
#include "store/codes.h"
#include "store/directory.h"
#include "store/layer_link.h"
#include "store/levels.h"
#include "store/question.h"
#include "store/run.h"
#include "store/schema.h"
#include "store/statements.h"
#include "store/walk.h"

enum { GROUPS = 256, GROUP = 128, SECONDS_APART = 10, STEPS_OF_COMMIT = 50 };

struct layer {
    struct past_row past;
    char name[64];
};

struct filling {
    struct db db;
    struct health_rules rules;
    const char *run;
    uint64_t count, steps, kept;
    struct layer *layers;
    int64_t sequence;
};

static int die(const struct failure *failure)
{
    fprintf(stderr, "store_fill: %s\n", failure->message);
    return 1;
}

static void report_of(const struct filling *f, const char *layer, uint64_t number,
                      uint64_t step, struct trit_report *report)
{
    const bool sick = number >= f->count - f->count / 10 && step > f->steps / 2;
    const double wave = sin((double)(step + 7 * number) / 50);

    *report = (struct trit_report){.step = step, .attempt = 1};
    snprintf(report->run, sizeof(report->run), "%s", f->run);
    snprintf(report->layer, sizeof(report->layer), "%s", layer);
    report->time_unix_ns = 1700000000000000000 +
                           (int64_t)step * SECONDS_APART * 1000000000 + (int64_t)number;
    report->dtype = TRIT_F32;
    report->rank = 2;
    report->shape[0] = GROUPS;
    report->shape[1] = GROUP;
    report->group_size = GROUP;
    report->groups = GROUPS;
    report->elements = (uint64_t)GROUPS * GROUP;
    report->is_ternary = true;
    report->fraction_valid = 1;
    report->zeros = (uint64_t)((0.31 + 0.01 * wave) * (double)report->elements);
    report->positives = (report->elements - report->zeros) / 2;
    report->negatives = report->elements - report->zeros - report->positives;
    report->zero_groups = sick ? GROUPS / 2 : 0;
    report->has_scales = true;
    report->scale_mean = 0.02 * (1 + 0.1 * wave);
    report->scale_min = (float)(report->scale_mean / 2);
    report->scale_max = (float)(report->scale_mean * 2);
    report->near_threshold_fraction = 0.03;
    report->digest[0] = (uint8_t)step;
}

static int keep_report(struct filling *f, const struct layer_key *key,
                       const struct trit_report *report, struct failure *failure)
{
    const struct store_question question = {.method = STORE_METHOD_PROJECT};
    const bool first = report->step == f->steps - f->kept + 1;
    uint8_t bytes[REPORT_BYTES_MAX], asked[QUESTION_BYTES];
    const struct report_row row = {
        .sequence = ++f->sequence,
        .key = key,
        .step = (int64_t)report->step,
        .previous = first ? STEP_NONE : (int64_t)report->step - 1,
        .time_unix_ns = report->time_unix_ns,
        .digest = report->digest,
        .digest_bytes = TRIT_DIGEST_BYTES,
        .question = asked,
        .question_bytes = QUESTION_BYTES,
        .report = bytes,
        .report_bytes = encode_report(report, bytes, sizeof(bytes)),
    };

    question_encode(&question, asked);
    return report_row_insert(&f->db, &row, failure);
}

static int fill_step(struct filling *f, uint64_t step, struct failure *failure)
{
    for (uint64_t number = 0; number < f->count; number++) {
        struct layer *layer = &f->layers[number];
        struct past_row *past = &layer->past;
        struct trit_report report;
        struct cell cell;

        report_of(f, layer->name, number, step, &report);
        cell_of_report(&cell, &report,
                       health_judge(&f->rules, &past->past, NULL, &report));
        past->step = (int64_t)step;
        past->health = report.health;
        if (history_add(&f->db, past, &cell, failure) ||
            (step > f->steps - f->kept && keep_report(f, &past->key, &report, failure)))
            return -1;
    }
    return 0;
}

/* The rows of a layer, which come once. */
static int finish_layer(struct filling *f, uint64_t number, struct failure *failure)
{
    struct past_row *past = &f->layers[number].past;
    struct layer_row layer;
    struct layer_gap gap;
    struct trit_report report;

    if (layer_find_or_gap(&f->db, &past->key, &layer, &gap, failure) < 0)
        return -1;
    report_of(f, f->layers[number].name, number, f->steps, &report);
    layer.step_min = 1;
    layer.step_max = (int64_t)f->steps;
    layer.reports = (int64_t)f->steps;
    layer.time_unix_ns = report.time_unix_ns;
    layer.group_size = GROUP;
    codes_shape(&report, layer.shape);
    return past_row_put(&f->db, past, failure) ||
                   layer_link_in(&f->db, &layer, &gap, failure)
               ? -1
               : 0;
}

static int fill(struct filling *f, struct failure *failure)
{
    struct run_row run;

    if (find_run(&f->db, f->run, &run, failure) < 0 ||
        run_add_attempt(&f->db, &run, STEP_NONE, ATTEMPT_BY_PUT, failure) ||
        statement_run(&f->db, ST_BEGIN, failure) || run_row_put(&f->db, &run, failure))
        return -1;
    for (uint64_t number = 0; number < f->count; number++) {
        struct layer *layer = &f->layers[number];
        struct layer_key key;

        snprintf(layer->name, sizeof(layer->name),
                 "layers.%" PRIu64 ".mlp.up_proj.weight", number);
        layer_key_set(&key, f->run, layer->name);
        past_row_init(&layer->past, &key);
    }
    for (uint64_t step = 1; step <= f->steps; step++)
        if (fill_step(f, step, failure) ||
            (step % STEPS_OF_COMMIT == 0 && (statement_run(&f->db, ST_COMMIT, failure) ||
                                             statement_run(&f->db, ST_BEGIN, failure))))
            return -1;
    for (uint64_t number = 0; number < f->count; number++)
        if (finish_layer(f, number, failure))
            return -1;
    return statement_run(&f->db, ST_COMMIT, failure);
}

int main(int argc, char **argv)
{
    struct filling f = {.rules = health_rules_default()};
    struct failure failure = {0}, damage = {0};
    struct directory directory = {0};

    if (argc != 6) {
        fprintf(stderr, "usage: store_fill DIRECTORY RUN LAYERS STEPS KEPT\n");
        return 2;
    }
    f.run = argv[2];
    f.count = strtoull(argv[3], NULL, 10);
    f.steps = strtoull(argv[4], NULL, 10);
    f.kept = strtoull(argv[5], NULL, 10);
    f.layers = calloc(f.count, sizeof(*f.layers));
    if (!f.layers || f.kept < 1 || f.kept > f.steps)
        return 2;
    if (directory_open(&directory, argv[1], &failure) ||
        db_open(&f.db, directory.database, DB_WRITES, &failure))
        return die(&failure);
    if (schema_prepare(&f.db, SCHEMA_ON_DISK, &damage, &failure) ||
        db_exec(&f.db, "PRAGMA synchronous = OFF", &failure) || fill(&f, &failure))
        return die(&failure);
    db_close(&f.db);
    directory_close(&directory);
    free(f.layers);
    return 0;
}
