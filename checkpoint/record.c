/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "checkpoint/form.h"
#include "kernels/kernels.h"
#include "proto/names.h"
#include "json/json.h"

/* Names of layouts in a layer's note; a layer without a note is LAYOUT_OUT_IN. */
static const char *const layout_names[] = {
    [LAYOUT_IN_OUT] = "in_out",
    [LAYOUT_EXPERTS_OUT_IN] = "experts_out_in",
    [LAYOUT_EXPERTS_IN_OUT] = "experts_in_out",
};

enum { LAYOUTS = sizeof(layout_names) / sizeof(layout_names[0]) };

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static int nonsense(struct failure *failure, const char *what)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "the file's \"" RECORD_KEY
                "\" metadata: %s makes no sense; write the file "
                "again with trit project or pack",
                what);
}

int record_init(struct record *record, const struct layer_terms *terms,
                struct failure *failure)
{
    *record = (struct record){.terms = *terms, .layers = json_object()};
    return record->layers ? 0 : no_memory(failure);
}

void record_fini(struct record *record)
{
    json_decref(record->layers);
    *record = (struct record){.layers = NULL};
}

int record_add(struct record *record, const struct tensor_entry *entry,
               enum layer_layout layout, struct failure *failure)
{
    json_t *shape = json_array(), *note;
    int result = shape ? 0 : -1;

    for (uint32_t i = 0; i < entry->rank; i++)
        result |= json_array_append_new(shape, json_integer((json_int_t)entry->shape[i]));
    note = json_pack("{s:s, s:o}", "dtype", entry->type->name, "shape", shape);
    /* json_pack's "s*" would omit a member when memory runs out. */
    if (layout_names[layout])
        result |= json_object_set_new(note, "layout", json_string(layout_names[layout]));
    result |= json_object_set_new(record->layers, entry->name, note);
    return result == 0 ? 0 : no_memory(failure);
}

int record_write(const struct record *record, struct tensor_table *table,
                 struct failure *failure)
{
    json_t *json = json_pack("{s:s, s:I, s:s, s:s, s:O}", "encoding",
                             encoding_name(record->terms.encoding), "group_size",
                             (json_int_t)record->terms.group_size, "partial_group",
                             enum_name(&partial_group_names, record->terms.partial_group),
                             "version", TRITD_VERSION, "layers", record->layers);
    char *text = json ? json_print(json, 0, NULL) : NULL;
    int result = -1;

    if (text)
        result = table_add_pair(table, RECORD_KEY, text, failure);
    else
        no_memory(failure);

    free(text);
    json_decref(json);
    return result;
}

static int read_terms(const json_t *json, struct layer_terms *terms,
                      struct failure *failure)
{
    const char *encoding = json_string_value(json_object_get(json, "encoding"));
    const char *partial = json_string_value(json_object_get(json, "partial_group"));
    json_int_t group_size = json_integer_value(json_object_get(json, "group_size"));
    struct layer_terms read = {.encoding = TRIT_ENCODING_DENSE};
    unsigned partial_group;

    if (!encoding || !encoding_by_name(encoding, &read.encoding))
        return nonsense(failure, "encoding");
    bool one_scale = group_size_default(read.encoding) == 0;
    if (one_scale ? group_size != 0 : group_size < 2 || group_size > GROUP_SIZE_MAX)
        return nonsense(failure, "group_size");
    if (!partial || !enum_by_name(&partial_group_names, partial, &partial_group))
        return nonsense(failure, "partial_group");
    read.group_size = (uint32_t)group_size;
    read.partial_group = (enum trit_partial_group)partial_group;
    if (terms_check(&read, &(struct failure){.status = TRIT_OK}) < 0)
        return nonsense(failure, "group_size");
    *terms = read;
    return 0;
}

static int read_members(struct record *record, const json_t *json,
                        struct failure *failure)
{
    json_t *layers = json_object_get(json, "layers");

    if (read_terms(json, &record->terms, failure) < 0)
        return -1;
    if (!json_is_object(layers))
        return nonsense(failure, "layers");
    record->layers = json_incref(layers);
    return 0;
}

static int read_text(struct record *record, const char *text, struct failure *failure)
{
    struct json_fault fault;
    json_t *json = json_read(text, strlen(text), JSON_READ_UNIQUE_KEYS, &fault);
    int result =
        json ? read_members(record, json, failure) : nonsense(failure, "its JSON");

    json_decref(json);
    return result;
}

static bool same_terms(const struct layer_terms *a, const struct layer_terms *b)
{
    return a->encoding == b->encoding && a->group_size == b->group_size &&
           a->partial_group == b->partial_group;
}

/* Has `other` a layer that `layers` describes otherwise? */
static bool contradict(json_t *layers, const json_t *other)
{
    const char *name;
    json_t *note;

    json_object_foreach((json_t *)other, name, note)
    {
        const json_t *first = json_object_get(layers, name);

        if (first && !json_equal(first, note))
            return true;
    }
    return false;
}

/* Adds the layers of another shard's record. */
static int merge(struct record *record, const struct record *other,
                 struct failure *failure)
{
    json_t *whole;

    if (!same_terms(&other->terms, &record->terms))
        return nonsense(failure, "that its shards are encoded in different ways");
    if (contradict(record->layers, other->layers))
        return nonsense(failure, "that its shards describe a layer in different ways");
    whole = json_copy(record->layers);
    if (!whole || json_object_update(whole, other->layers) < 0) {
        json_decref(whole);
        return no_memory(failure);
    }
    json_decref(record->layers);
    record->layers = whole;
    return 0;
}

int record_read(struct record *record, const struct tensor_table *table,
                struct failure *failure)
{
    int result = 0;

    *record = (struct record){.layers = NULL};
    for (size_t i = 0; i < table->pair_count && result == 0; i++) {
        struct record one = {.layers = NULL};

        if (strcmp(table->pairs[i].key, RECORD_KEY) != 0)
            continue;
        if (!record->layers) {
            result = read_text(record, table->pairs[i].value, failure);
            continue;
        }
        result = read_text(&one, table->pairs[i].value, failure);
        if (result == 0)
            result = merge(record, &one, failure);
        record_fini(&one);
    }
    return result;
}

/* The layout must fit the rank. */
static int read_layout(const json_t *note, uint32_t rank, enum layer_layout *layout)
{
    const json_t *value = json_object_get(note, "layout");
    const char *name = json_string_value(value);

    *layout = LAYOUT_OUT_IN;
    if (!value)
        return 0;
    for (size_t i = LAYOUT_IN_OUT; name && i < LAYOUTS; i++)
        if (strcmp(layout_names[i], name) == 0) {
            *layout = (enum layer_layout)i;
            return rank == (layout_is_experts(*layout) ? 3 : 2) ? 0 : -1;
        }
    return -1;
}

static int read_note(const json_t *note, struct tensor_entry *dense)
{
    const char *type = json_string_value(json_object_get(note, "dtype"));
    const json_t *shape = json_object_get(note, "shape");
    uint64_t elements;

    dense->type = type ? element_type_by_name(type) : NULL;
    if (!dense->type || !type_holds(dense->type, TRIT_ENCODING_DENSE) ||
        json_array_size(shape) < 2 || json_array_size(shape) > TRIT_RANK_MAX)
        return -1;
    dense->rank = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < dense->rank; i++) {
        json_int_t size = json_integer_value(json_array_get(shape, i));

        if (size < 1)
            return -1;
        dense->shape[i] = (uint64_t)size;
    }
    return shape_elements(dense->rank, dense->shape, &elements) &&
                   !mul_overflows(elements, dense->type->bits / 8, &dense->bytes)
               ? 0
               : -1;
}

bool record_names(const struct record *record, const char *name)
{
    return json_object_get(record->layers, name) != NULL;
}

int record_find(const struct record *record, const char *name, struct tensor_entry *dense,
                enum layer_layout *layout, struct failure *failure)
{
    const json_t *note = json_object_get(record->layers, name);

    if (!note)
        return 0;
    *dense = (struct tensor_entry){.name = name};
    if (read_note(note, dense) < 0 || read_layout(note, dense->rank, layout) < 0) {
        nonsense(failure, "a layer's note");
        return -1;
    }
    return 1;
}

int record_terms(const struct record *record, const char *name, struct layer_terms *terms,
                 struct failure *failure)
{
    const json_t *note = json_object_get(record->layers, name);

    *terms = record->terms;
    return json_object_get(note, "encoding") ? read_terms(note, terms, failure) : 0;
}

/* Members of a note whose terms are not those of the record. */
static int write_terms(json_t *note, const struct layer_terms *terms)
{
    const char *partial = enum_name(&partial_group_names, terms->partial_group);

    return json_object_set_new(note, "encoding",
                               json_string(encoding_name(terms->encoding))) |
           json_object_set_new(note, "group_size",
                               json_integer((json_int_t)terms->group_size)) |
           json_object_set_new(note, "partial_group", json_string(partial));
}

int record_keep(struct record *record, const struct record *from, const char *name,
                struct failure *failure)
{
    const json_t *original = json_object_get(from->layers, name);
    struct layer_terms terms;
    json_t *note;

    if (record_terms(from, name, &terms, failure) < 0)
        return -1;
    note = json_deep_copy(original);
    if (!json_equal(original, note)) { /* it may lack members when memory runs out */
        json_decref(note);
        return no_memory(failure);
    }
    json_object_del(note, "encoding");
    json_object_del(note, "group_size");
    json_object_del(note, "partial_group");
    if (!same_terms(&terms, &record->terms) && write_terms(note, &terms) != 0) {
        json_decref(note);
        return no_memory(failure);
    }
    return json_object_set_new(record->layers, name, note) == 0 ? 0 : no_memory(failure);
}

int record_add_as(struct record *record, const struct tensor_entry *entry,
                  enum layer_layout layout, const struct layer_terms *terms,
                  struct failure *failure)
{
    if (record_add(record, entry, layout, failure) < 0)
        return -1;
    return same_terms(terms, &record->terms) ||
                   write_terms(json_object_get(record->layers, entry->name), terms) == 0
               ? 0
               : no_memory(failure);
}

size_t record_count(const struct record *record)
{
    return json_object_size(record->layers);
}

int record_visit(const struct record *record, int (*visit)(void *arg, const char *name),
                 void *arg)
{
    const char *name;
    json_t *note;

    json_object_foreach(record->layers, name, note)
    {
        int result = visit(arg, name);

        if (result != 0)
            return result;
    }
    return 0;
}
