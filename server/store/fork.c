/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fork.h"

#include <inttypes.h>
#include <string.h>

#include "codec/codec.h"
#include "store/codes.h"
#include "store/counters.h"
#include "store/joined.h"
#include "store/kept.h"
#include "store/layer_link.h"
#include "store/past.h"
#include "store/question.h"
#include "store/rebuild.h"
#include "store/walk.h"

/* One step, which may copy from several layers. */
struct copy {
    struct db *db;
    struct counters *next;
    struct fork *fork;
    uint64_t left;
    int64_t stopped_at;     /* the step that did not fit */
    struct layer_row layer; /* of the new run; reports 0: not found yet */
    struct layer_gap gap;
    bool is_new;
    const struct health_rules *rules;
    struct past_row past; /* of the new layer */
};

/* ---- the first step -------------------------------------------------------- */

static int prepare(struct db *db, struct fork *fork, struct failure *failure)
{
    struct run_row target;
    int found = find_run(db, fork->to, &target, failure);

    if (found < 0)
        return -1;
    if (found == 1)
        return fail(failure, TRIT_ALREADY_EXISTS, "new_run",
                    "run \"%s\" exists already; give another name, or delete it first",
                    fork->to);
    found = find_run(db, fork->from, &fork->source, failure);
    if (found < 0)
        return -1;
    if (found == 0 || (fork->source.state & RUN_FORMING))
        return fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", fork->from);
    layer_key_set(&fork->at, fork->from, "");
    fork->at.attempt = 0;
    fork->next = 0;
    fork->prepared = true;
    return 0;
}

static int put_run(struct db *db, struct fork *fork, bool forming,
                   struct failure *failure)
{
    struct run_row target = {.state = fork->source.state & RUN_REPLICATED};

    if (forming)
        target.state |= RUN_FORMING;
    memcpy(target.run, fork->to, sizeof(fork->to));
    return run_add_attempt(db, &target, STEP_NONE, ATTEMPT_BY_PUT, failure) ||
                   run_row_put(db, &target, failure)
               ? -1
               : 0;
}

/* ---- one report ------------------------------------------------------------ */

static int share_codes(struct copy *copy, int64_t from, struct failure *failure)
{
    struct kept_row kept = {0};
    int found = find_kept(copy->db, from, &kept, failure);

    copy->layer.upload = 0;
    if (found <= 0)
        return found;
    copy->layer.upload = kept.upload;
    kept.sequence = copy->next->sequence;
    return kept_row_share(copy->db, &kept, failure);
}

static int copy_report(void *arg, const struct report_row *row, struct failure *failure)
{
    struct copy *copy = arg;
    struct layer_row *layer = &copy->layer;
    struct store_question question = {0};
    uint8_t bytes[REPORT_BYTES_MAX];
    struct trit_report report;

    if (copy->left == 0) {
        copy->stopped_at = row->step;
        return 0;
    }
    if (report_row_decode(row, &report, failure) ||
        share_codes(copy, row->sequence, failure) ||
        joined_copy(copy->db, row->sequence, copy->next->sequence, failure))
        return -1;
    memcpy(report.run, copy->fork->to, sizeof(report.run));
    report.attempt = 1;
    question_decode(row->question, row->question_bytes, &question);
    struct report_row written = *row;

    written.sequence = copy->next->sequence++;
    written.key = &layer->key;
    written.previous = layer->step_max;
    written.report = bytes;
    written.report_bytes = encode_report(&report, bytes, sizeof(bytes));
    if (layer->reports == 0)
        layer->step_min = row->step;
    layer->step_max = row->step;
    layer->reports++;
    if (row->time_unix_ns > layer->time_unix_ns || layer->reports == 1)
        layer->time_unix_ns = row->time_unix_ns;
    layer->group_size = report.group_size;
    layer->partial = (int64_t)question.partial;
    codes_shape(&report, layer->shape);
    copy->left--;
    report.step = (uint64_t)row->step;
    return report_row_insert(copy->db, &written, failure) ||
                   past_add_report(copy->db, copy->rules, &copy->past, &report, failure)
               ? -1
               : 1;
}

/* ---- one layer ------------------------------------------------------------- */

static int begin_layer(struct copy *copy, const struct layer_key *source,
                       struct failure *failure)
{
    struct layer_key key = *source;

    memcpy(key.run, copy->fork->to, sizeof(copy->fork->to));
    key.attempt = 1;
    int found = layer_find_or_gap(copy->db, &key, &copy->layer, &copy->gap, failure);

    copy->is_new = found == 0;
    if (found == 1)
        return past_read(copy->db, &copy->layer, &copy->past, failure);
    past_row_init(&copy->past, &key);
    return found < 0 ? -1 : 0;
}

static int end_layer(struct copy *copy, struct failure *failure)
{
    if (copy->layer.reports == 0)
        return 0;
    if (past_row_put(copy->db, &copy->past, failure))
        return -1;
    return copy->is_new ? layer_link_in(copy->db, &copy->layer, &copy->gap, failure)
                        : layer_row_update(copy->db, &copy->layer, failure);
}

/* 1: all of it was copied. 0: there was no room for the rest. */
static int copy_layer(struct copy *copy, const struct layer_row *source,
                      struct failure *failure)
{
    struct fork *fork = copy->fork;
    int64_t first = fork->source.after[source->key.attempt - 1] + 1;
    int64_t until = run_until(&fork->source, source->key.attempt);
    struct report_walk walk = {.layer = source,
                               .from = first > fork->next ? first : fork->next,
                               .to = until < fork->step ? until : fork->step,
                               .visit = copy_report,
                               .arg = copy};

    if (source->key.attempt > (int64_t)fork->source.attempts || walk.from > walk.to ||
        source->step_min > walk.to || source->step_max < walk.from)
        return 1;
    if (begin_layer(copy, &source->key, failure))
        return -1;
    int all = walk_reports(copy->db, &walk, failure);

    return all < 0 || end_layer(copy, failure) ? -1 : all;
}

/* Copies until there is no room or no more. 1: no room. */
static int copy_layers(struct copy *copy, struct failure *failure)
{
    struct fork *fork = copy->fork;
    struct layer_row source;

    for (;;) {
        if (find_layer(copy->db, &fork->at, &source, failure) < 0)
            return -1;
        if (strcmp(source.key.run, fork->from) != 0)
            return 0;
        if (layer_key_compare(&fork->at, &source.key) != 0)
            fork->next = 0;
        fork->at = source.key;
        int all = copy_layer(copy, &source, failure);

        if (all < 0)
            return -1;
        if (all == 0) {
            fork->next = copy->stopped_at;
            return 1;
        }
        fork->at.attempt++;
        fork->next = 0;
    }
}

static int do_step(struct db *db, struct counters *next, const struct health_rules *rules,
                   struct fork *fork, uint64_t *reports, struct failure *failure)
{
    struct copy copy = {
        .db = db, .next = next, .fork = fork, .left = FORK_REPORTS_MAX, .rules = rules};

    if (!fork->prepared && prepare(db, fork, failure))
        return -1;
    int more = copy_layers(&copy, failure);

    if (more < 0)
        return -1;
    *reports += FORK_REPORTS_MAX - copy.left;
    if (*reports == 0)
        return fail(failure, TRIT_NOT_FOUND, "step",
                    "run \"%s\" has no report up to step %" PRId64, fork->from,
                    fork->step);
    fork->begun = true;
    if (put_run(db, fork, more > 0, failure))
        return -1;
    return more;
}

int fork_step(struct db *db, struct counters *next, const struct health_rules *rules,
              struct fork *fork, uint64_t *reports, struct failure *failure)
{
    const struct layer_key at = fork->at;
    const int64_t step = fork->next;
    const uint64_t copied = *reports;
    const bool begun = fork->begun, prepared = fork->prepared;
    int more = do_step(db, next, rules, fork, reports, failure);

    if (more >= 0)
        return more;
    fork->at = at;
    fork->next = step;
    fork->begun = begun;
    fork->prepared = prepared;
    *reports = copied;
    return -1;
}
