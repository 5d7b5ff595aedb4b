/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/checkpoint.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/notes.h"
#include "checkpoint/rename.h"
#include "client/lib/client.h"
#include "files/writer.h"
#include "proto/json_value.h"
#include "proto/utf8.h"
#include "json/json.h"

/* ---- the table ------------------------------------------------------------------ */

enum trit_status trit_checkpoint_create(struct trit_checkpoint **checkpoint,
                                        struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_checkpoint *made = NULL;

    if (error_check(error, &failure) < 0 ||
        (!checkpoint && fail_null(&failure, "checkpoint") < 0))
        return client_answer(&failure, error);
    made = calloc(1, sizeof(*made));
    if (made) {
        table_init(&made->own);
        made->table = &made->own;
        *checkpoint = made;
    } else {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    return client_answer(&failure, error);
}

void trit_checkpoint_free(struct trit_checkpoint *checkpoint)
{
    if (!checkpoint || checkpoint->reader)
        return;
    table_fini(&checkpoint->own);
    free(checkpoint);
}

static int check_open(const struct trit_checkpoint *checkpoint, struct failure *failure)
{
    if (!checkpoint)
        return fail_null(failure, "checkpoint");
    if (checkpoint->sealed)
        return fail_field(failure, TRIT_FAILED_PRECONDITION, "checkpoint",
                          "was used already; add everything before its first use");
    return 0;
}

static int add_tensor(struct trit_checkpoint *checkpoint, const char *name,
                      const char *dtype, uint32_t rank, const uint64_t *shape,
                      struct failure *failure)
{
    struct tensor_entry entry = {.name = name, .rank = rank};

    if (check_open(checkpoint, failure) < 0)
        return -1;
    if (!name || !dtype || (rank && !shape))
        return fail_null(failure, !name ? "name" : !dtype ? "dtype" : "shape");
    entry.type = element_type_by_name(dtype);
    if (!entry.type)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "dtype",
                          "\"%s\" is not a type of safetensors files", dtype);
    if (rank > TRIT_RANK_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "rank", "%u is above %d", rank,
                          TRIT_RANK_MAX);
    if (rank)
        memcpy(entry.shape, shape, rank * sizeof(*shape));
    entry.offset = checkpoint->own.count; /* keeps the order */
    return table_add(&checkpoint->own, &entry, failure);
}

enum trit_status trit_checkpoint_add_tensor(struct trit_checkpoint *checkpoint,
                                            const char *name, const char *dtype,
                                            uint32_t rank, const uint64_t *shape,
                                            struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) == 0)
        add_tensor(checkpoint, name, dtype, rank, shape, &failure);
    return client_answer(&failure, error);
}

enum trit_status trit_checkpoint_add_metadata(struct trit_checkpoint *checkpoint,
                                              const char *key, const char *value,
                                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0 || check_open(checkpoint, &failure) < 0)
        return client_answer(&failure, error);
    if (!key || !value)
        fail_null(&failure, !key ? "key" : "value");
    else if (!utf8_is_valid(key) || !utf8_is_valid(value))
        fail(&failure, TRIT_INVALID_ARGUMENT, utf8_is_valid(key) ? "value" : "key",
             "%s: is not UTF-8", utf8_is_valid(key) ? "value" : "key");
    else if (table_pair(&checkpoint->own, key))
        fail_field(&failure, TRIT_INVALID_ARGUMENT, "key", "\"%s\" exists already", key);
    else
        table_add_pair(&checkpoint->own, key, value, &failure);
    return client_answer(&failure, error);
}

int checkpoint_seal(struct trit_checkpoint *checkpoint, struct failure *failure)
{
    if (checkpoint->sealed)
        return 0;
    if (table_seal(&checkpoint->own, failure) < 0)
        return -1;
    checkpoint->sealed = true;
    return 0;
}

int checkpoint_find(const struct tensor_table *table, const char *name, size_t *index,
                    struct failure *failure)
{
    const struct tensor_entry *entry = table_find(table, name);

    if (!entry)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" does not exist",
                          name);
    *index = (size_t)(entry - table->entries);
    return 0;
}

/* None of tensors in memory. */
static const struct reader_note *notes_of(const struct trit_checkpoint *checkpoint,
                                          size_t *count)
{
    *count = 0;
    return checkpoint->reader ? reader_notes(checkpoint->reader, count) : NULL;
}

void checkpoint_add_notes(const struct trit_checkpoint *checkpoint,
                          struct file_findings *findings)
{
    size_t count;
    const struct reader_note *notes = notes_of(checkpoint, &count);

    findings_add_notes(findings, notes, count);
}

void checkpoint_add_notes_of_claim(const struct trit_checkpoint *checkpoint,
                                   struct file_findings *findings)
{
    size_t count;
    const struct reader_note *notes = notes_of(checkpoint, &count);

    findings_add_notes_of_claim(findings, notes, count);
}

bool checkpoint_is_nameless(const struct trit_checkpoint *checkpoint)
{
    return checkpoint->reader && strcmp(reader_format(checkpoint->reader), "npy") == 0;
}

const char *trit_file_format(const char *path)
{
    const char *other = path ? writer_other_format(path) : NULL;

    return !path ? NULL : other ? other : writer_format(path);
}

/* ---- JSON ----------------------------------------------------------------------- */

static json_t *entry_json(const struct trit_checkpoint *checkpoint, size_t index)
{
    const struct tensor_entry *entry = &checkpoint->table->entries[index];
    json_t *object = json_entry(entry);

    if (json_put(object, "bytes", json_uint64(entry->bytes)) &&
        (!checkpoint->reader || json_put(object, "offset", json_uint64(entry->offset))))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *table_json(const struct trit_checkpoint *checkpoint)
{
    const struct tensor_table *table = checkpoint->table;
    json_t *object = json_object(), *tensors = json_array(), *metadata = json_object();
    bool good = json_put(object, "tensors", tensors);

    good = json_put(object, "metadata", metadata) && good;
    for (size_t i = 0; good && i < table->count; i++)
        good = json_array_append_new(tensors, entry_json(checkpoint, i)) == 0;
    for (size_t i = 0; good && i < table->pair_count; i++)
        good =
            json_object_get(metadata, table->pairs[i].key) ||
            json_put(metadata, table->pairs[i].key, json_string(table->pairs[i].value));
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

enum trit_status trit_checkpoint_table(struct trit_checkpoint *checkpoint, char **json,
                                       struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!checkpoint || !json)
        fail_null(&failure, !checkpoint ? "checkpoint" : "json");
    else if (checkpoint_seal(checkpoint, &failure) == 0)
        json_give(table_json(checkpoint), json, &failure);
    return client_answer(&failure, error);
}

int json_give(json_t *json, char **text, struct failure *failure)
{
    char *given = json_print(json, 0, NULL);

    json_decref(json);
    if (!given)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    *text = given;
    return 0;
}
