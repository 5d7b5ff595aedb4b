/* SPDX-License-Identifier: Apache-2.0 */
/* What a store answers, remembered as fingerprints, so that a damaged store can be
 * compared with a sound one. */
#ifndef TESTS_STORE_ANSWERS_H
#define TESTS_STORE_ANSWERS_H

#include "tests/lib/store_fixture.h"

enum { ANSWERS_MAX = 640 };

/* One answer: OK with a fingerprint of all that was given, or a failure. */
struct answer {
    const char *question;
    enum trit_status status;
    uint64_t fingerprint;
    /* Of a report whose health says that data was damaged when it was filed, and of what it
     * would have been without: its fingerprint without flips and health. */
    bool tells_damage;
    uint64_t bare;
};

struct answers {
    struct answer all[ANSWERS_MAX];
    size_t count;
    size_t old; /* so many are about reports filed before; the rest, about puts */
};

/* Each asks, and adds an answer. Lists are asked twice, the second time beside damage: if one,
 * or the sums of runs, tell of damage, that is DATA_LOSS. Step -1: the latest; limit 0: 100;
 * step_to 0: all. */
void ask_report(struct answers *answers, struct store_reader *reader, const char *run,
                const char *layer, int64_t step);
void ask_list(struct answers *answers, struct store_reader *reader, const char *question,
              struct store_query query);
void ask_runs(struct answers *answers, struct store_reader *reader);
/* What became of a put that is done. */
void answer_put(struct answers *answers, const struct fixture_put *put);

/* `given` must say what `wanted` says, or DATA_LOSS. With `filing`, whose answers are
 * those of the puts that the answers after given->old are about: a put that was refused
 * need not be found. A report whose health says that data was damaged lacks flips. */
void check_answers(const struct answers *wanted, const struct answers *given,
                   const struct answers *filing, const char *what);

#endif
