/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_answers.h"

#include <string.h>

#include "proto/codec/codec.h"
#include "tests/lib/check.h"

static void mix(uint64_t *fingerprint, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++)
        *fingerprint = (*fingerprint ^ at[i]) * 0x100000001b3;
}

static bool mix_report(void *fingerprint, const struct trit_report *report)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));

    CHECK(count > 0);
    mix(fingerprint, bytes, count);
    return true;
}

/* What a report says that does not depend on earlier ones. */
static void note_damage(struct answers *answers, const struct trit_report *report)
{
    struct answer *last = &answers->all[answers->count - 1];
    struct trit_report bare = *report;

    for (uint32_t i = 0; i < report->health_reason_count; i++)
        last->tells_damage |= strcmp(report->health_reasons[i].rule, "data_damaged") == 0;
    bare.health = TRIT_HEALTH_ABSENT;
    bare.health_reason_count = 0;
    bare.has_previous = false;
    mix_report(&last->bare, &bare);
}

/* A list or sums that may tell of damage: then they count as DATA_LOSS. */
struct told {
    uint64_t fingerprint;
    bool damage;
};

static bool mix_run(void *arg, const struct store_run_info *info)
{
    struct told *told = arg;
    uint64_t *fingerprint = &told->fingerprint;
    uint64_t numbers[] = {info->layers, info->reports, info->step_min, info->step_max,
                          (uint64_t)info->time_unix_ns};

    mix(fingerprint, info->run, strlen(info->run));
    mix(fingerprint, numbers, sizeof(numbers));
    told->damage |= info->damaged > 0;
    return true;
}

static bool mix_listed(void *arg, const struct trit_report *report)
{
    struct told *told = arg;

    return mix_report(&told->fingerprint, report);
}

static bool note_passed(void *arg, const struct store_key *key)
{
    struct told *told = arg;

    (void)key;
    told->damage = true;
    return true;
}

/* A failure's message counts where it says that nothing is there. */
static void answer(struct answers *answers, const char *question, int outcome,
                   uint64_t fingerprint, const struct failure *failure)
{
    CHECK(answers->count < ANSWERS_MAX);
    CHECK((outcome == 0) == (failure->status == TRIT_OK));
    if (failure->status == TRIT_NOT_FOUND)
        mix(&fingerprint, failure->message, strlen(failure->message));
    answers->all[answers->count++] =
        (struct answer){question, failure->status, fingerprint, false, 0};
}

static void answer_told(struct answers *answers, const char *question, int outcome,
                        const struct told *told, const struct failure *failure)
{
    struct failure damage = *failure;

    if (outcome == 0 && told->damage)
        outcome = fail(&damage, TRIT_DATA_LOSS, NULL, "it tells of damage");
    answer(answers, question, outcome, told->fingerprint, &damage);
}

/* Step -1: the latest. */
void ask_report(struct answers *answers, struct store_reader *reader, const char *run,
                const char *layer, int64_t step)
{
    struct failure failure = {0};
    struct trit_report report;
    uint64_t fingerprint = 0;
    int outcome = store_read_report(reader, GET(run, layer, step >= 0, (uint64_t)step),
                                    &report, &failure);

    if (outcome == 0)
        mix_report(&fingerprint, &report);
    answer(answers, layer, outcome, fingerprint, &failure);
    if (outcome == 0)
        note_damage(answers, &report);
}

void ask_list(struct answers *answers, struct store_reader *reader, const char *question,
              struct store_query query)
{
    struct failure failure = {0};
    uint64_t fingerprint = 0;

    if (query.limit == 0)
        query.limit = 100;
    if (query.step_to == 0)
        query.step_to = UINT64_MAX;
    int outcome = store_read_reports(reader, &query, mix_report, &fingerprint, &failure);

    answer(answers, question, outcome, fingerprint, &failure);
    if (query.newest_first && !query.layer)
        return;
    struct told told = {.damage = false};

    query.passed = note_passed;
    failure = (struct failure){0};
    outcome = store_read_reports(reader, &query, mix_listed, &told, &failure);
    answer_told(answers, question, outcome, &told, &failure);
}

void ask_runs(struct answers *answers, struct store_reader *reader)
{
    struct failure failure = {0};
    struct told told = {.damage = false};
    int outcome = store_read_runs(reader, mix_run, &told, &failure);

    answer_told(answers, "runs", outcome, &told, &failure);
}

void answer_put(struct answers *answers, const struct fixture_put *put)
{
    const struct failure *failure = &put->put.failure;
    uint64_t fingerprint = put->put.existed;

    if (failure->status == TRIT_OK)
        mix_report(&fingerprint, &put->report);
    answer(answers, "put", failure->status == TRIT_OK ? 0 : -1, fingerprint, failure);
    if (failure->status == TRIT_OK)
        note_damage(answers, &put->report);
}

void check_answers(const struct answers *wanted, const struct answers *given,
                   const struct answers *filing, const char *what)
{
    CHECK_EQ(wanted->count, given->count);
    for (size_t i = 0; i < wanted->count; i++) {
        const struct answer *want = &wanted->all[i], *got = &given->all[i];
        bool refused = filing && i >= given->old &&
                       filing->all[i - given->old].status == TRIT_DATA_LOSS;

        if (got->status == TRIT_DATA_LOSS || (refused && got->status == TRIT_NOT_FOUND) ||
            (got->status == want->status && got->fingerprint == want->fingerprint) ||
            (got->tells_damage && got->status == want->status && got->bare == want->bare))
            continue;
        check_failed(__FILE__, __LINE__, "%s: answer %zu, %s: status %d, another than %d",
                     what, i, got->question, got->status, want->status);
    }
}
