/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_json.h"

#include <jansson.h>

#include "checkpoint/json.h"
#include "proto/json_value.h"

/* Are the layer's encoded data stored as [in, out]? */
static bool is_transposed(const struct plan *plan, const struct plan_item *item)
{
    const struct content *content = &plan->contents.items[item - plan->items];

    return (item->action == PLAN_TERNARIZE || item->action == PLAN_PACK) &&
           plan_keeps_layout(plan) && content_matrices(content).transposed;
}

static bool put_outputs(json_t *object, const struct plan *plan,
                        const struct plan_item *item)
{
    static const char *const roles[] = {"data", "scales", "biases"};
    const size_t indices[] = {item->data, item->scales, item->biases};
    json_t *outputs = json_array();
    bool good = true;

    for (size_t i = 0; i < 3; i++) {
        if (item->action == PLAN_REFUSE || indices[i] == PLAN_NONE)
            continue;
        const struct tensor_entry *entry = &plan->table.entries[indices[i]];
        json_t *output = json_entry(entry);

        good = json_put(output, "bytes", json_uint64(entry->bytes)) && good;
        good = json_put(output, "role", json_string(roles[i])) && good;
        if (i == 0 && is_transposed(plan, item))
            good = json_put(output, "transposed", json_true()) && good;
        good = json_array_append_new(outputs, output) == 0 && good;
    }
    return json_put(object, "outputs", outputs) && good;
}

static bool put_part(json_t *object, const char *key, const struct plan *plan,
                     size_t index)
{
    return index == CONTENT_NONE ||
           json_put(object, key, json_entry(&plan->contents.table->entries[index]));
}

/* How a layer that is packed lies in the input. */
static bool put_source(json_t *object, const struct plan *plan, size_t index)
{
    const struct content *content = &plan->contents.items[index];
    const enum trit_encoding encoding = content->terms.encoding;
    const bool turned =
        content_matrices(content).transposed && encoding_keeps_layout(encoding);
    json_t *source = json_object();
    bool good = json_put(object, "source", source);

    good = good && json_put_terms(source, &content->terms) &&
           json_put(source, "dtype",
                    json_string(content_is_foreign(content)
                                    ? content->dense.type->name
                                    : plan->contents.table->entries[index].type->name)) &&
           json_put(source, "transposed", json_boolean(turned)) &&
           put_part(source, "scales", plan, content->scales) &&
           put_part(source, "biases", plan, content->biases);
    if (good && content_is_foreign(content))
        good = json_put(source, "packed_as", json_string(packing_name(content->packing)));
    if (good && plan->reciprocals && encoding == TRIT_ENCODING_HF_BITNET)
        good = json_put(source, "reciprocal", json_true());
    return good;
}

static bool put_layer(json_t *object, const struct plan *plan, size_t index)
{
    const struct content *content = &plan->contents.items[index];
    const struct matrices matrix = content_matrices(content);
    const uint64_t shape[] = {matrix.rows, matrix.columns};

    return json_put_terms(object, &plan->terms) &&
           json_put(object, "matrix", json_shape(2, shape)) &&
           json_put(object, "matrices", json_uint64(matrix.count)) &&
           json_put(object, "transposed", json_boolean(matrix.transposed)) &&
           json_put(object, "groups", json_uint64(plan->items[index].groups)) &&
           (plan->items[index].action != PLAN_PACK || put_source(object, plan, index));
}

static json_t *tensor_json(const struct plan *plan, size_t index)
{
    const struct plan_item *item = &plan->items[index];
    json_t *object = json_entry(&plan->contents.table->entries[index]);
    uint64_t parameters = content_parameters(&plan->contents, index);

    if (json_put(object, "parameters", json_uint64(parameters)) &&
        json_put(object, "action", json_string(plan_action_name(item->action))) &&
        (!item->reason[0] || json_put(object, "reason", json_string(item->reason))) &&
        (!item->warning || json_put(object, "warning", json_string(item->warning))) &&
        ((item->action != PLAN_TERNARIZE && item->action != PLAN_PACK) ||
         put_layer(object, plan, index)) &&
        put_outputs(object, plan, item))
        return object;
    json_decref(object);
    return NULL;
}

struct plan_sizes plan_sizes(const struct plan *plan)
{
    struct plan_sizes sizes = {0, 0};

    for (size_t i = 0; i < plan->contents.table->count; i++) {
        const struct plan_item *item = &plan->items[i];
        uint64_t bytes = 0;

        if (item->action == PLAN_REFUSE || item->data == PLAN_NONE)
            continue;
        bytes += plan_item_bytes(plan, item, item->data);
        if (item->scales != PLAN_NONE)
            bytes += plan->table.entries[item->scales].bytes;
        if (item->biases != PLAN_NONE)
            bytes += plan->table.entries[item->biases].bytes;
        sizes.all += bytes;
        sizes.layers += item->action != PLAN_KEEP ? bytes : 0;
    }
    return sizes;
}

static bool put_sums(json_t *object, const struct plan *plan)
{
    const struct plan_sizes sizes = plan_sizes(plan);
    json_t *parameters =
        json_pack("{s:o, s:o}", "ternary", json_uint64(plan->parameters_ternary), "kept",
                  json_uint64(plan->parameters_kept));
    json_t *bytes = json_pack("{s:o, s:o}", "before", json_uint64(plan->bytes), "after",
                              json_uint64(sizes.all));
    bool good = json_put(object, "parameters", parameters);

    good = json_put(object, "bytes", bytes) && good;
    return good && json_put(object, "refused", json_count(plan->refused)) &&
           (!plan->refusal || json_put(object, "refusal", json_string(plan->refusal))) &&
           (!plan->parameters_ternary ||
            json_put(object, "bits_per_weight",
                     json_real(8.0 * (double)sizes.layers /
                               (double)plan->parameters_ternary)));
}

bool plan_json_put_gguf(json_t *object, const struct plan *plan)
{
    json_t *gguf;

    if (!object || (!plan->architecture && !plan->remark))
        return object;
    gguf = json_object();
    return json_put(object, "gguf", gguf) &&
           (!plan->architecture ||
            json_put(gguf, "architecture", json_string(plan->architecture))) &&
           (!plan->remark || json_put(gguf, "remark", json_string(plan->remark)));
}

json_t *plan_json(const struct plan *plan)
{
    json_t *object = json_object(), *tensors = json_array(), *metadata = json_object();
    bool good = json_put(object, "tensors", tensors);

    good = json_put(object, "metadata", metadata) && good && put_sums(object, plan) &&
           plan_json_put_gguf(object, plan);
    for (size_t i = 0; good && i < plan->contents.table->count; i++)
        good = json_array_append_new(tensors, tensor_json(plan, i)) == 0;
    for (size_t i = 0; good && i < plan->table.pair_count; i++) {
        const struct tensor_pair *pair = &plan->table.pairs[i];

        good = json_put(metadata, pair->key, json_string(pair->value));
    }
    if (good)
        return object;
    json_decref(object);
    return NULL;
}
