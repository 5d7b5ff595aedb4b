/* SPDX-License-Identifier: Apache-2.0 */
/* Committing a shard takes these steps:
 *   1. Find the attempt and the layer, as for a report. If the layer has a report at this
 *      step, look for the shard among those that the report was made of.
 *   2. Find what waits at this step. The shard is there already, or it must agree with
 *      the others, and be within the bounds.
 *   3. If elements of the layer are still missing, write the shard and the list.
 *   4. If not, join all shards, commit the layer's report, and delete what waited.
 * As in a commit of a report, nothing but codes is written before everything is checked. */
#include "store/commit_shard.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "store/join.h"
#include "store/statements.h"
#include "store/waiting.h"

struct shard_commit {
    struct commit commit;
    const struct kernels *kernels;
    struct waiting waiting; /* with this shard, if it is new */
};

/* ---- 2. what waits ---------------------------------------------------------------- */

struct agreement {
    struct store_put *put;
    bool agrees;
};

static int check_first(void *arg, size_t index, const struct waiting_part *part,
                       struct failure *failure)
{
    struct agreement *agreement = arg;

    (void)index;
    (void)failure;
    agreement->agrees = shard_state_agrees(&part->state, &agreement->put->shard->state,
                                           &agreement->put->failure) == 0;
    return 0;
}

/* Whether the shard is the last one, which does not wait. */
static bool completes(const struct shard_commit *shard)
{
    const struct shard_box *box = &shard->commit.put->shard->state.box;

    return shard_list_elements(&shard->waiting.list) + box->elements ==
           shard_layer_elements(box);
}

/* -1: a bound refuses the shard. */
static int check_bounds(struct shard_commit *shard)
{
    struct failure *failure = &shard->commit.put->failure;
    struct db_waiting *waiting = &shard->commit.db->waiting;
    const uint64_t bytes = (uint64_t)waiting->bytes + shard->commit.codes->bytes +
                           shard->commit.scales->bytes;
    char title[REPORT_TITLE_BYTES];

    report_title(shard->commit.put->report, title);
    if (shard->waiting.list.count >= WAITING_SHARDS_MAX) {
        waiting->over_count++;
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "%s: has %d shards already, and a layer may have no more", title,
                    WAITING_SHARDS_MAX);
    }
    if (bytes <= waiting->bytes_max || completes(shard))
        return 0;
    waiting->over_bytes++;
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "%s: shards that wait for others of their layer would have %" PRIu64
                " bytes, but shards_max is %" PRIu64
                "; send the missing shards, or delete those that wait with "
                "Reports.Delete",
                title, bytes, waiting->bytes_max);
}

/* The codes of the shard must be complete. */
static int check_codes(struct shard_commit *shard)
{
    struct store_put *put = shard->commit.put;
    const struct codes *codes = shard->commit.codes, *groups = shard->commit.scales;
    const uint64_t count = shard_groups(&put->shard->state.box);
    struct codes_layout layout;
    char title[REPORT_TITLE_BYTES];

    if (codes_layout_init(&layout, put->report) == 0 && codes->bytes == layout.bytes &&
        groups->bytes / SHARD_GROUP_HEAD_BYTES >= count && put->report->groups == count)
        return 0;
    report_title(put->report, title);
    return fail(&put->failure, TRIT_INTERNAL, NULL,
                "%s: %" PRIu64 " bytes of codes and %" PRIu64
                " bytes of groups do not fit its shape",
                title, codes->bytes, groups->bytes);
}

static int compare_waiting(struct shard_commit *shard, enum commit_outcome *outcome,
                           struct failure *failure)
{
    struct store_put *put = shard->commit.put;
    struct agreement agreement = {.put = put};

    if (waiting_parts(shard->commit.db, &shard->waiting, check_first, &agreement,
                      failure))
        return -1;
    if (agreement.agrees)
        commit_find_shard(&shard->commit, &shard->waiting.list, false, outcome);
    else
        *outcome = COMMIT_REFUSED;
    return 0;
}

static void count_shards(struct shard_commit *shard)
{
    struct trit_report *report = shard->commit.put->report;
    const uint64_t expected = shard_list_expected(&shard->waiting.list);

    report->shards_present = (uint32_t)shard->waiting.list.count;
    report->shards_expected = expected < UINT32_MAX ? (uint32_t)expected : UINT32_MAX;
}

/* COMMIT_NEW: the shard is in the list now. */
static int find_waiting(struct shard_commit *shard, enum commit_outcome *outcome,
                        struct failure *failure)
{
    struct commit *commit = &shard->commit;
    struct shard_entry entry = {.box = commit->put->shard->state.box};
    const int64_t step = (int64_t)commit->put->report->step;
    int found =
        waiting_find(commit->db, &commit->layer.key, step, &shard->waiting, failure);

    if (found < 0 || (found == 1 && compare_waiting(shard, outcome, failure)))
        return -1;
    if (*outcome == COMMIT_EXISTED)
        count_shards(shard);
    if (*outcome == COMMIT_NEW && (check_codes(shard) || check_bounds(shard)))
        *outcome = COMMIT_REFUSED;
    if (*outcome != COMMIT_NEW)
        return 0;
    commit_shard_answer(commit->put, entry.answer);
    if (shard_list_add(&shard->waiting.list, &entry) < 0)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "no memory for a list of shards");
    shard->waiting.key = commit->layer.key;
    shard->waiting.step = step;
    shard->waiting.time_unix_ns = commit->put->report->time_unix_ns;
    count_shards(shard);
    return 0;
}

/* ---- 3. it waits ------------------------------------------------------------------ */

static int wait_for_others(struct shard_commit *shard, struct failure *failure)
{
    const struct commit *commit = &shard->commit;
    const struct waiting_part part = {.upload = commit->codes->upload,
                                      .groups = commit->scales->upload,
                                      .bytes = (int64_t)commit->codes->bytes +
                                               (int64_t)commit->scales->bytes,
                                      .state = commit->put->shard->state};

    return waiting_put(commit->db, &shard->waiting, &part, failure);
}

/* ---- 4. it is the last one -------------------------------------------------------- */

static void name_layer(const struct trit_report *shard, struct trit_report *layer)
{
    memcpy(layer->run, shard->run, sizeof(layer->run));
    memcpy(layer->layer, shard->layer, sizeof(layer->layer));
    memcpy(layer->version, shard->version, sizeof(layer->version));
    layer->step = shard->step;
    layer->attempt = shard->attempt;
    layer->replica = shard->replica;
    layer->time_unix_ns = shard->time_unix_ns;
}

/* Deletes what waited, and the codes of the last shard. */
static int clean_up(struct shard_commit *shard, bool waited, struct failure *failure)
{
    const struct commit *commit = &shard->commit;

    return (waited && waiting_delete(commit->db, &shard->waiting, failure)) ||
                   codes_delete(commit->db, commit->codes->upload, failure) ||
                   codes_delete(commit->db, commit->scales->upload, failure)
               ? -1
               : 0;
}

static int file_layer(struct shard_commit *shard, struct join *join,
                      struct trit_report *layer, enum commit_outcome *outcome,
                      struct failure *failure)
{
    struct commit *commit = &shard->commit;
    struct store_put whole = {.report = layer,
                              .question = commit->put->question,
                              .joined = &shard->waiting.list,
                              .asked_attempt = commit->asked_attempt};
    const bool waited = shard->waiting.list.count > 1;

    if (join_shards(join, layer, failure))
        return -1;
    name_layer(commit->put->report, layer);
    whole.question.joined = true;
    if (commit_report(commit->db, shard->kernels, commit->next, commit->rules, &whole,
                      join->codes, join->scales, outcome, failure))
        return -1;
    if (*outcome == COMMIT_NEW)
        return clean_up(shard, waited, failure);
    commit->put->failure = whole.failure;
    return clean_up(shard, false, failure);
}

/* No memory: only this shard fails, and can be sent again. */
static int complete(struct shard_commit *shard, enum commit_outcome *outcome,
                    struct failure *failure)
{
    struct commit *commit = &shard->commit;
    struct codes codes = {0}, scales = {0};
    struct join join = {.db = commit->db,
                        .next = commit->next,
                        .shard = commit->put->shard,
                        .waiting = &shard->waiting,
                        .upload = commit->codes->upload,
                        .groups = commit->scales->upload,
                        .codes = &codes,
                        .scales = &scales};
    struct trit_report layer = {.step = 0};
    struct failure reason = {.status = TRIT_OK};
    int result = file_layer(shard, &join, &layer, outcome, &reason);

    codes_free_buffer(&codes);
    codes_free_buffer(&scales);
    if (result == 0)
        return 0;
    if (reason.status == TRIT_RESOURCE_EXHAUSTED || reason.status == TRIT_DATA_LOSS)
        result = codes_delete(commit->db, codes.upload, failure) ||
                         codes_delete(commit->db, scales.upload, failure)
                     ? -1
                     : 0;
    if (result == 0 && reason.status == TRIT_RESOURCE_EXHAUSTED) {
        commit->put->failure = reason;
        *outcome = COMMIT_REFUSED;
        return clean_up(shard, false, failure);
    }
    return fail_as(failure, &reason);
}

/* ---- the commit ------------------------------------------------------------------- */

static bool is_complete(const struct shard_commit *shard)
{
    return shard_list_elements(&shard->waiting.list) ==
           shard_layer_elements(&shard->waiting.list.entries[0].box);
}

static int find(struct shard_commit *shard, enum commit_outcome *outcome,
                struct failure *failure)
{
    struct commit *commit = &shard->commit;

    if (commit_find_layer(commit, outcome, failure) ||
        (*outcome == COMMIT_NEW && commit_find_report(commit, outcome, failure)) ||
        (*outcome == COMMIT_NEW && find_waiting(shard, outcome, failure)))
        return -1;
    if (*outcome == COMMIT_NEW)
        return codes_flush(commit->codes, commit->db, &commit->next->upload, failure) ||
                       codes_flush(commit->scales, commit->db, &commit->next->upload,
                                   failure)
                   ? -1
                   : 0;
    return clean_up(shard, false, failure);
}

int commit_shard(struct db *db, const struct kernels *kernels, struct counters *next,
                 const struct health_rules *rules, struct store_put *put,
                 struct codes *codes, struct codes *groups, enum commit_outcome *outcome,
                 struct failure *failure)
{
    struct shard_commit shard = {.commit = {.db = db,
                                            .put = put,
                                            .codes = codes,
                                            .scales = groups,
                                            .next = next,
                                            .rules = rules,
                                            .asked_attempt = put->asked_attempt},
                                 .kernels = kernels};
    int result = find(&shard, outcome, failure);

    if (result == 0 && *outcome == COMMIT_NEW) {
        if (is_complete(&shard)) {
            result = complete(&shard, outcome, failure);
        } else {
            *outcome = COMMIT_WAITS;
            result = wait_for_others(&shard, failure);
        }
    }
    waiting_fini(&shard.waiting);
    return result;
}
