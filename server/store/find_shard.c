/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit finds of shards: the same shard, another one in its place, a layer that is
 * complete, or shards of a layer that comes as a whole. */
#include <inttypes.h>
#include <string.h>

#include "kernels/kernels.h"
#include "store/commit_steps.h"
#include "store/joined.h"
#include "store/waiting.h"

/* What the shard was answered: parts of the digest, the hash of the latents, a checksum of
 * what all shards have in common. */
void commit_shard_answer(const struct store_put *put, uint8_t answer[SHARD_ANSWER_BYTES])
{
    const struct shard_state *state = &put->shard->state;
    uint32_t crc = crc32c(0, state->terms, sizeof(state->terms));

    memset(answer, 0, SHARD_ANSWER_BYTES);
    memcpy(answer, put->report->digest, 20);
    memcpy(answer + 20, put->question.latents, 16);
    memcpy(answer + 36, &crc, 4);
}

static void refuse(struct commit *commit, enum trit_status status, const char *field,
                   const char *what, const struct shard_box *other)
{
    char title[REPORT_TITLE_BYTES], mine[SHARD_TEXT_BYTES], theirs[SHARD_TEXT_BYTES];

    report_title(commit->put->report, title);
    fail_field(&commit->put->failure, status, field, "%s: shard of %s %s %s", title,
               shard_text(&commit->put->shard->state.box, mine), what,
               other ? shard_text(other, theirs) : "");
}

void commit_find_shard(struct commit *commit, const struct shard_list *list,
                       bool complete, enum commit_outcome *outcome)
{
    const struct shard_box *box = &commit->put->shard->state.box;
    uint8_t answer[SHARD_ANSWER_BYTES];

    commit_shard_answer(commit->put, answer);
    *outcome = COMMIT_REFUSED;
    for (size_t i = 0; i < list->count; i++) {
        const struct shard_entry *entry = &list->entries[i];

        if (!shard_boxes_overlap(&entry->box, box))
            continue;
        if (!shard_boxes_same(&entry->box, box)) {
            refuse(commit, TRIT_FAILED_PRECONDITION, "layer.shard.offset",
                   "overlaps one that was sent before, of", &entry->box);
            return;
        }
        if (memcmp(entry->answer, answer, sizeof(answer)) == 0)
            *outcome = COMMIT_EXISTED;
        else
            refuse(commit, TRIT_ALREADY_EXISTS, "layer.step",
                   "was sent before with other content; use another step, or the next "
                   "attempt if the run was resumed (see Reports.Rewind)",
                   NULL);
        return;
    }
    if (complete)
        refuse(commit, TRIT_ALREADY_EXISTS, "layer.shard",
               "is none of those that its report was made of", NULL);
    else
        *outcome = COMMIT_NEW;
}

/* Whether the list's shards can be compared with this one. */
static bool same_layer(const struct shard_box *a, const struct shard_box *b)
{
    return a->rank == b->rank && a->group_size == b->group_size &&
           memcmp(a->global, b->global, sizeof(a->global)) == 0;
}

int commit_compare_shard(struct commit *commit, const struct report_row *row,
                         enum commit_outcome *outcome, struct failure *failure)
{
    struct shard_list list = {.count = 0};
    struct store_question question;
    int found = joined_find(commit->db, row->sequence, &list, failure);

    if (found == 0 &&
        question_decode(row->question, row->question_bytes, &question) == 0 &&
        question.joined)
        found = fail(failure, TRIT_DATA_LOSS, NULL, "the list of its shards is missing");
    if (found < 0)
        return -1;
    *outcome = COMMIT_REFUSED;
    commit->put->report->attempt = (uint32_t)row->key->attempt;
    if (found == 0) {
        refuse(commit, TRIT_ALREADY_EXISTS, "layer.shard",
               "comes after a report of the whole layer", NULL);
    } else if (!same_layer(&list.entries[0].box, &commit->put->shard->state.box)) {
        refuse(commit, TRIT_ALREADY_EXISTS, "layer.shard",
               "differs in global_shape or group_size from one of", &list.entries[0].box);
    } else {
        commit_find_shard(commit, &list, true, outcome);
        commit->put->report->shards_present = (uint32_t)list.count;
        commit->put->report->shards_expected = (uint32_t)list.count;
    }
    shard_list_fini(&list);
    return 0;
}

int commit_find_waiting(struct commit *commit, enum commit_outcome *outcome,
                        struct failure *failure)
{
    struct store_put *put = commit->put;
    char title[REPORT_TITLE_BYTES];
    struct waiting waiting;

    if (put->shard || put->joined || commit->db->waiting.layers == 0)
        return 0;
    int found = waiting_find(commit->db, &commit->layer.key, (int64_t)put->report->step,
                             &waiting, failure);

    if (found <= 0)
        return found;
    report_title(put->report, title);
    fail_field(&put->failure, TRIT_FAILED_PRECONDITION, "layer.shard",
               "%s: the tensor is the whole layer, but %zu of %" PRIu64
               " shards of it were sent before; send the others, or delete them with "
               "Reports.Delete",
               title, waiting.list.count, shard_list_expected(&waiting.list));
    waiting_fini(&waiting);
    *outcome = COMMIT_REFUSED;
    return 0;
}
