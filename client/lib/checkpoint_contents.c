/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "client/lib/checkpoint.h"
#include "client/lib/client.h"
#include "proto/json_value.h"

bool json_put_tensor(json_t *object, const char *key, const struct tensor_table *table,
                     size_t index)
{
    const struct tensor_entry *entry;

    if (index == CONTENT_NONE)
        return true;
    entry = &table->entries[index];
    return json_put(
        object, key,
        json_pack("{s:s, s:s}", "name", entry->name, "dtype", entry->type->name));
}

static bool put_layer(json_t *object, const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];
    json_t *dense = json_pack("{s:s, s:o}", "dtype", item->dense.type->name, "shape",
                              json_shape(item->dense.rank, item->dense.shape));

    return json_put(object, "dense", dense) && json_put_terms(object, &item->terms) &&
           json_put_tensor(object, "scales", contents->table, item->scales) &&
           json_put_tensor(object, "biases", contents->table, item->biases);
}

static json_t *tensor_json(const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];
    char text[CONTENT_TEXT_BYTES];
    json_t *object = json_entry(&contents->table->entries[index]);

    if (json_put(object, "parameters",
                 json_uint64(content_parameters(contents, index))) &&
        json_put(object, "kind", json_string(content_kind_name(item->kind))) &&
        json_put(object, "role", json_string(role_name(item->role))) &&
        json_put(object, "what", json_string(content_text(text, contents, index))) &&
        (item->kind != CONTENT_LAYER || put_layer(object, contents, index)))
        return object;
    json_decref(object);
    return NULL;
}

json_t *notes_json(const struct trit_checkpoint *checkpoint)
{
    struct file_findings findings;
    json_t *json = NULL;

    findings_init(&findings);
    checkpoint_add_notes(checkpoint, &findings);
    if (!findings.lost)
        json = findings_json(&findings);
    findings_fini(&findings);
    return json;
}

static json_t *contents_json(const struct contents *contents,
                             const struct trit_checkpoint *checkpoint)
{
    json_t *object = json_object(), *tensors = json_array();
    bool good = json_put(object, "tensors", tensors) &&
                json_put_terms(object, &contents->terms) &&
                json_put(object, "layers", json_count(contents->layers)) &&
                json_put(object, "findings", notes_json(checkpoint)) &&
                json_put(object, "has_record",
                         json_boolean(contents->record && contents->record->layers));

    for (size_t i = 0; good && i < contents->table->count; i++)
        good = json_array_append_new(tensors, tensor_json(contents, i)) == 0;
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

static int contents_give(const struct trit_checkpoint *checkpoint,
                         const struct options_given *options, char **json,
                         struct failure *failure)
{
    const struct tensor_table *table = checkpoint->table;
    const bool latents = options->all.mode == TRIT_VERIFY_LATENT;
    struct record record = {.layers = NULL};
    struct contents contents = {.items = NULL};
    int result = latents ? 0 : record_read(&record, table, failure);

    if (result == 0) {
        const struct layer_terms terms =
            latents ? terms_of(&options->rules, NULL)
                    : terms_of_claim(&options->rules, &record, table);

        result = contents_create(&contents, &options->rules,
                                 latents ? CONTENTS_LATENTS : CONTENTS_CLAIM, &terms,
                                 table, &record, failure);
        if (result == 0)
            result = json_give(contents_json(&contents, checkpoint), json, failure);
        contents_destroy(&contents);
    }
    record_fini(&record);
    return result;
}

enum trit_status trit_checkpoint_contents(struct trit_checkpoint *checkpoint,
                                          const struct trit_checkpoint_options *options,
                                          char **json, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct options_given given = {.rules = {.config = NULL}};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!checkpoint || !json)
        fail_null(&failure, !checkpoint ? "checkpoint" : "json");
    else if (options_take(options, checkpoint, &given, &failure) == 0 &&
             checkpoint_seal(checkpoint, &failure) == 0 &&
             options_check_patterns(&given.rules, checkpoint->table, NULL, &failure) == 0)
        contents_give(checkpoint, &given, json, &failure);
    options_drop(&given);
    return client_answer(&failure, error);
}
