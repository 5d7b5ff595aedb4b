/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/checkpoint.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/client.h"
#include "files/writer.h"
#include "proto/utf8.h"

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
        table_init(&made->table);
        *checkpoint = made;
    } else {
        fail(&failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    return client_answer(&failure, error);
}

void trit_checkpoint_free(struct trit_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    table_fini(&checkpoint->table);
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
    entry.offset = checkpoint->table.count; /* keeps the order */
    return table_add(&checkpoint->table, &entry, failure);
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
    else if (table_pair(&checkpoint->table, key))
        fail_field(&failure, TRIT_INVALID_ARGUMENT, "key", "\"%s\" is there already",
                   key);
    else
        table_add_pair(&checkpoint->table, key, value, &failure);
    return client_answer(&failure, error);
}

int checkpoint_seal(struct trit_checkpoint *checkpoint, struct failure *failure)
{
    if (checkpoint->sealed)
        return 0;
    if (table_seal(&checkpoint->table, failure) < 0)
        return -1;
    checkpoint->sealed = true;
    return 0;
}

int checkpoint_find(const struct tensor_table *table, const char *name, size_t *index,
                    struct failure *failure)
{
    const struct tensor_entry *entry = table_find(table, name);

    if (!entry)
        return fail_field(failure, TRIT_NOT_FOUND, "tensor", "\"%s\" is not there", name);
    *index = (size_t)(entry - table->entries);
    return 0;
}

const char *trit_file_format(const char *path)
{
    const char *other = path ? writer_other_format(path) : NULL;

    return !path ? NULL : other ? other : writer_format(path);
}

/* ---- options -------------------------------------------------------------------- */

static int check_values(const struct trit_checkpoint_options *o, struct failure *failure)
{
    if ((o->include_count && !o->include) || (o->exclude_count && !o->exclude))
        return fail_null(failure, o->include_count && !o->include ? "options.include"
                                                                  : "options.exclude");
    for (size_t i = 0; i < o->include_count; i++)
        if (!o->include[i])
            return fail_null(failure, "options.include");
    for (size_t i = 0; i < o->exclude_count; i++)
        if (!o->exclude[i])
            return fail_null(failure, "options.exclude");
    if (o->has_encoding && o->encoding > TRIT_ENCODING_HF_BITNET)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "%u is unknown", (unsigned)o->encoding);
    if (o->has_partial_group && o->partial_group > TRIT_PARTIAL_EXACT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.partial_group",
                          "%u is unknown", (unsigned)o->partial_group);
    if (o->mode > TRIT_VERIFY_LATENT)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.mode", "%u is unknown",
                          (unsigned)o->mode);
    if (o->mode == TRIT_VERIFY_LATENT && o->has_encoding &&
        o->encoding != TRIT_ENCODING_DENSE)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "latents are dense, not %s", trit_encoding_name(o->encoding));
    return 0;
}

int options_take(const struct trit_checkpoint_options *given,
                 struct options_given *options, struct failure *failure)
{
    struct trit_checkpoint_options *o = &options->all;

    if (sized_take_optional(&sized_checkpoint_options, "options", given, o, failure) < 0)
        return -1;
    if (check_values(o, failure) < 0)
        return -1;
    options->rules =
        (struct checkpoint_options){.include = {o->include, o->include_count},
                                    .exclude = {o->exclude, o->exclude_count},
                                    .convolutions = o->convolutions,
                                    .has_encoding = o->has_encoding,
                                    .encoding = o->encoding,
                                    .group_size = o->group_size,
                                    .has_partial_group = o->has_partial_group,
                                    .partial_group = o->partial_group};
    return 0;
}

int options_check_patterns(const struct checkpoint_options *rules,
                           const struct tensor_table *first,
                           const struct tensor_table *second, struct failure *failure)
{
    const struct tensor_table *const tables[] = {first, second};
    const char *unused = selection_unused(rules, tables, 2);
    const char *field = "exclude";

    if (!unused)
        return 0;
    for (size_t i = 0; i < rules->include.count; i++)
        if (rules->include.patterns[i] == unused)
            field = "include";
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "the pattern \"%s\" matches no tensor", unused);
}

/* ---- JSON ----------------------------------------------------------------------- */

int json_give(json_t *json, char **text, struct failure *failure)
{
    char *given = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    json_decref(json);
    if (!given)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    *text = given;
    return 0;
}
