/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/plan.h"
#include "checkpoint/ternary.h"
#include "client/lib/checkpoint.h"
#include "client/lib/client.h"

static const char ternary_already[] =
    "it is ternary already, projecting it would change it";

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
    free(plan);
}

/* ---- layers that are ternary already -------------------------------------------- */

static void refuse_ternary(struct trit_plan *plan, size_t index)
{
    struct plan_item *item = &plan->plan.items[index];
    uint64_t parameters = content_parameters(&plan->plan.contents, index);

    item->action = PLAN_REFUSE;
    item->reason = ternary_already;
    plan->plan.refused++;
    plan->plan.layers--;
    plan->plan.parameters_ternary -= parameters;
    plan->plan.parameters_kept += parameters;
}

static int examine(struct trit_plan *plan, size_t index, const void *data, uint64_t bytes,
                   bool *done, struct failure *failure)
{
    const struct tensor_entry *entry = &plan->input->entries[index];
    const struct content *content = &plan->plan.contents.items[index];

    if (plan->examined != index) {
        plan->examined = index;
        plan->fed = 0;
        ternary_probe_init(&plan->probe, &content->terms, &content->dense);
    }
    if (bytes % (entry->type->bits / 8) || bytes > entry->bytes - plan->fed)
        return fail(failure, TRIT_INVALID_ARGUMENT, "bytes",
                    "bytes: %" PRIu64 " after %" PRIu64 " of %s, which has %" PRIu64,
                    bytes, plan->fed, entry->name, entry->bytes);
    plan->fed += bytes;
    const bool may_be = ternary_probe_feed(&plan->probe, data, bytes);
    *done = !may_be || plan->fed == entry->bytes;
    if (*done)
        plan->examined = CONTENT_NONE;
    if (may_be && *done && ternary_probe_refuses(&plan->probe))
        refuse_ternary(plan, index);
    return 0;
}

enum trit_status trit_plan_examine(struct trit_plan *plan, const char *tensor,
                                   const void *data, uint64_t bytes, bool *done,
                                   struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    size_t index;

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

static bool put_outputs(json_t *object, const struct plan *plan,
                        const struct plan_item *item)
{
    const size_t indices[] = {item->data, item->scales};
    json_t *outputs = json_array();
    bool good = true;

    for (size_t i = 0; i < 2; i++) {
        if (item->action == PLAN_REFUSE || indices[i] == PLAN_NONE)
            continue;
        const struct tensor_entry *entry = &plan->table.entries[indices[i]];
        json_t *output = json_entry(entry);

        good = json_put(output, "bytes", json_count(entry->bytes)) && good;
        good = json_array_append_new(outputs, output) == 0 && good;
    }
    return json_put(object, "outputs", outputs) && good;
}

static bool put_layer(json_t *object, const struct plan *plan, size_t index)
{
    const struct content *content = &plan->contents.items[index];
    const struct matrix matrix = matrix_of(content->dense.rank, content->dense.shape);
    const uint64_t shape[] = {matrix.rows, matrix.columns};

    return json_put_terms(object, &content->terms) &&
           json_put(object, "matrix", json_shape(2, shape)) &&
           json_put(object, "groups", json_count(plan->items[index].groups));
}

static json_t *tensor_json(const struct trit_plan *plan, size_t index)
{
    const struct plan_item *item = &plan->plan.items[index];
    json_t *object = json_entry(&plan->input->entries[index]);
    uint64_t parameters = content_parameters(&plan->plan.contents, index);

    if (json_put(object, "parameters", json_count(parameters)) &&
        json_put(object, "action", json_string(plan_action_name(item->action))) &&
        (!item->reason[0] || json_put(object, "reason", json_string(item->reason))) &&
        (item->action != PLAN_TERNARIZE || put_layer(object, &plan->plan, index)) &&
        put_outputs(object, &plan->plan, item))
        return object;
    json_decref(object);
    return NULL;
}

/* Bytes of the output, of all tensors and of layers alone. */
struct sizes {
    uint64_t all, layers;
};

static struct sizes sizes_of(const struct trit_plan *plan)
{
    struct sizes sizes = {0, 0};

    for (size_t i = 0; i < plan->input->count; i++) {
        const struct plan_item *item = &plan->plan.items[i];
        uint64_t bytes = 0;

        if (item->action == PLAN_REFUSE)
            continue;
        bytes += plan->plan.table.entries[item->data].bytes;
        if (item->scales != PLAN_NONE)
            bytes += plan->plan.table.entries[item->scales].bytes;
        sizes.all += bytes;
        sizes.layers += item->action == PLAN_TERNARIZE ? bytes : 0;
    }
    return sizes;
}

static bool put_sums(json_t *object, const struct trit_plan *plan)
{
    const struct plan *p = &plan->plan;
    const struct sizes sizes = sizes_of(plan);
    json_t *parameters =
        json_pack("{s:o, s:o}", "ternary", json_count(p->parameters_ternary), "kept",
                  json_count(p->parameters_kept));
    json_t *bytes = json_pack("{s:o, s:o}", "before", json_count(p->bytes), "after",
                              json_count(sizes.all));
    bool good = json_put(object, "parameters", parameters);

    good = json_put(object, "bytes", bytes) && good;
    return good && json_put(object, "refused", json_count(p->refused)) &&
           (!p->refusal || json_put(object, "refusal", json_string(p->refusal))) &&
           (!p->parameters_ternary || json_put(object, "bits_per_weight",
                                               json_real(8.0 * (double)sizes.layers /
                                                         (double)p->parameters_ternary)));
}

static json_t *plan_json(const struct trit_plan *plan)
{
    json_t *object = json_object(), *tensors = json_array(), *metadata = json_object();
    bool good = json_put(object, "tensors", tensors);

    good = json_put(object, "metadata", metadata) && good && put_sums(object, plan);
    for (size_t i = 0; good && i < plan->input->count; i++)
        good = json_array_append_new(tensors, tensor_json(plan, i)) == 0;
    for (size_t i = 0; good && i < plan->plan.table.pair_count; i++) {
        const struct tensor_pair *pair = &plan->plan.table.pairs[i];

        good = json_put(metadata, pair->key, json_string(pair->value));
    }
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_plan_json(const struct trit_plan *plan, char **json,
                                struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (!plan || !json)
        fail_null(&failure, !plan ? "plan" : "json");
    else
        json_give(plan_json(plan), json, &failure);
    return client_answer(&failure, error);
}
