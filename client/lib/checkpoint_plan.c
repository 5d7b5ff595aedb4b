/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/plan_json.h"
#include "checkpoint/ternary.h"
#include "client/lib/checkpoint.h"
#include "client/lib/client.h"

struct trit_plan {
    const struct tensor_table *input;
    struct plan plan;
    bool again;
    /* The layer whose bytes are being looked at. */
    size_t examined; /* its index, or CONTENT_NONE */
    uint64_t fed;    /* bytes of it so far */
    struct ternary_probe probe;
};

enum trit_status trit_plan_create(struct trit_plan **plan,
                                  struct trit_checkpoint *checkpoint,
                                  const struct trit_checkpoint_options *options,
                                  struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct options_given given;
    struct trit_plan *made = NULL;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !checkpoint) {
        fail_null(&failure, !plan ? "plan" : "checkpoint");
    } else if (options_take(options, &given, &failure) == 0 &&
               checkpoint_seal(checkpoint, &failure) == 0 &&
               options_check_patterns(&given.rules, &checkpoint->table, NULL, &failure) ==
                   0) {
        made = calloc(1, sizeof(*made));
        if (!made)
            fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        else if (plan_create(&made->plan, &given.rules, given.all.again,
                             &checkpoint->table, &failure) == 0) {
            made->input = &checkpoint->table;
            made->again = given.all.again;
            made->examined = CONTENT_NONE;
            *plan = made;
            made = NULL;
        }
    }
    trit_plan_free(made);
    return client_answer(&failure, error);
}

void trit_plan_free(struct trit_plan *plan)
{
    if (!plan)
        return;
    plan_destroy(&plan->plan);
    ternary_probe_destroy(&plan->probe);
    free(plan);
}

/* ---- layers that are ternary already -------------------------------------------- */

static int examine(struct trit_plan *plan, size_t index, const void *data, uint64_t bytes,
                   bool *done, struct failure *failure)
{
    const struct tensor_entry *entry = &plan->input->entries[index];
    const struct content *content = &plan->plan.contents.items[index];

    if (plan->examined != index) {
        plan->examined = CONTENT_NONE;
        ternary_probe_destroy(&plan->probe);
        if (ternary_probe_create(&plan->probe, &content->terms, &content->dense,
                                 content->layout, failure) < 0)
            return -1;
        plan->examined = index;
        plan->fed = 0;
    }
    if (bytes % (entry->type->bits / 8) || bytes > entry->bytes - plan->fed)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "bytes",
                          "%" PRIu64 " after %" PRIu64 " of %s, which has %" PRIu64,
                          bytes, plan->fed, entry->name, entry->bytes);
    plan->fed += bytes;
    const bool may_be = ternary_probe_feed(&plan->probe, data, bytes);
    *done = !may_be || plan->fed == entry->bytes;
    if (*done)
        plan->examined = CONTENT_NONE;
    if (may_be && *done && ternary_probe_refuses(&plan->probe))
        plan_refuse_ternary(&plan->plan, index);
    return 0;
}

enum trit_status trit_plan_examine(struct trit_plan *plan, const char *tensor,
                                   const void *data, uint64_t bytes, bool *done,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    size_t index;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !tensor || (!data && bytes) || !done)
        fail_null(&failure, !plan     ? "plan"
                            : !tensor ? "tensor"
                            : !done   ? "done"
                                      : "data");
    else if (checkpoint_find(plan->input, tensor, &index, &failure) == 0) {
        if (plan->again || plan->plan.items[index].action != PLAN_TERNARIZE)
            *done = true;
        else
            examine(plan, index, data, bytes, done, &failure);
    }
    return client_answer(&failure, error);
}

/* ---- JSON ----------------------------------------------------------------------- */

enum trit_status trit_plan_json(const struct trit_plan *plan, char **json,
                                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!plan || !json)
        fail_null(&failure, !plan ? "plan" : "json");
    else
        json_give(plan_json(&plan->plan), json, &failure);
    return client_answer(&failure, error);
}
