/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/rotation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/decode.h"

static const char PREFIX[] = "prism.hadamard.";

/* Types of GGUF's values that the keys have. */
enum value_type {
    VALUE_U8 = 0,
    VALUE_I8 = 1,
    VALUE_U16 = 2,
    VALUE_I16 = 3,
    VALUE_U32 = 4,
    VALUE_I32 = 5,
    VALUE_BOOL = 7,
    VALUE_STRING = 8,
    VALUE_ARRAY = 9,
    VALUE_U64 = 10,
    VALUE_I64 = 11,
};

/* The value of a pair in memory. */
struct value {
    uint32_t type; /* of it, or of the array's elements */
    bool is_array;
    uint64_t count; /* 1 if it is no array */
    const uint8_t *at;
    size_t left;
};

static uint64_t little(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;

    for (size_t i = count; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

static bool take(struct value *value, size_t bytes, uint64_t *number)
{
    if (value->left < bytes)
        return false;
    *number = little(value->at, bytes);
    value->at += bytes;
    value->left -= bytes;
    return true;
}

static bool take_bytes(struct value *value, const char **text, uint64_t *bytes)
{
    if (!take(value, 8, bytes) || *bytes > value->left)
        return false;
    *text = (const char *)value->at;
    value->at += *bytes;
    value->left -= (size_t)*bytes;
    return true;
}

/* The key comes first. */
static bool value_of(const uint8_t *bytes, size_t count, struct value *value)
{
    const char *key;
    uint64_t length, type;

    *value = (struct value){.count = 1, .at = bytes, .left = count};
    if (!take_bytes(value, &key, &length) || !take(value, 4, &type))
        return false;
    value->is_array = type == VALUE_ARRAY;
    if (value->is_array && (!take(value, 4, &type) || !take(value, 8, &value->count)))
        return false;
    value->type = (uint32_t)type;
    return value->count <= value->left || value->count == 0;
}

static size_t number_bytes(uint32_t type)
{
    switch (type) {
    case VALUE_U8:
    case VALUE_I8:
    case VALUE_BOOL:
        return 1;
    case VALUE_U16:
    case VALUE_I16:
        return 2;
    case VALUE_U32:
    case VALUE_I32:
        return 4;
    case VALUE_U64:
    case VALUE_I64:
        return 8;
    default:
        return 0;
    }
}

static bool take_number(struct value *value, int64_t *number)
{
    const size_t bytes = number_bytes(value->type);
    const bool is_signed =
        value->type == VALUE_I8 || value->type == VALUE_I16 || value->type == VALUE_I32;
    uint64_t found;

    if (!bytes || !take(value, bytes, &found))
        return false;
    if (is_signed && found >> (8 * bytes - 1))
        found |= ~UINT64_C(0) << (8 * bytes - 1);
    *number = (int64_t)found;
    return true;
}

static bool is_text(struct value value, const char *text)
{
    const char *found;
    uint64_t bytes;

    return !value.is_array && value.type == VALUE_STRING &&
           take_bytes(&value, &found, &bytes) && bytes == strlen(text) &&
           memcmp(found, text, bytes) == 0;
}

/* ---- the keys ---------------------------------------------------------------------------- */

enum outcome { TAKEN, NOT_KNOWN, NO_MEMORY };

static enum outcome take_numbers(struct value value, int64_t **numbers, size_t *count)
{
    if (!value.is_array || !number_bytes(value.type))
        return NOT_KNOWN;
    *numbers = calloc(value.count + 1, sizeof(**numbers));
    if (!*numbers)
        return NO_MEMORY;
    *count = value.count;
    for (size_t i = 0; i < *count; i++)
        if (!take_number(&value, &(*numbers)[i]))
            return NOT_KNOWN;
    return TAKEN;
}

static enum outcome take_signs(struct rotation *rotation, struct value value)
{
    int64_t *numbers = NULL;
    enum outcome outcome = take_numbers(value, &numbers, &rotation->sign_count);

    if (outcome == TAKEN) {
        rotation->signs = malloc(rotation->sign_count + 1);
        outcome = rotation->signs ? TAKEN : NO_MEMORY;
    }
    for (size_t i = 0; outcome == TAKEN && i < rotation->sign_count; i++) {
        rotation->signs[i] = (int8_t)numbers[i];
        if (numbers[i] != 1 && numbers[i] != -1)
            outcome = NOT_KNOWN;
    }
    free(numbers);
    return outcome;
}

/* Adds the names of an array to those that are there. */
static enum outcome take_names(struct rotation *rotation, struct value value)
{
    const size_t all = rotation->name_count + (size_t)value.count;
    const char *text;
    uint64_t bytes;

    if (!value.is_array || value.type != VALUE_STRING)
        return NOT_KNOWN;
    const char **names = realloc(rotation->names, (all + 1) * sizeof(*names));
    if (!names)
        return NO_MEMORY;
    rotation->names = names;
    for (uint64_t i = 0; i < value.count; i++) {
        if (!take_bytes(&value, &text, &bytes) || memchr(text, '\0', bytes))
            return NOT_KNOWN;
        char *name = strndup(text, bytes);
        if (!name)
            return NO_MEMORY;
        names[rotation->name_count++] = name;
    }
    return TAKEN;
}

static enum outcome take_block(struct rotation *rotation, struct value value)
{
    int64_t number;

    if (value.is_array || !take_number(&value, &number) || number < 2 ||
        number > ROTATION_BLOCK_MAX || (number & (number - 1)) != 0)
        return NOT_KNOWN;
    rotation->block = (uint64_t)number;
    return TAKEN;
}

static enum outcome take_flag(struct value value, bool *flag)
{
    int64_t number;

    if (value.is_array || value.type != VALUE_BOOL || !take_number(&value, &number))
        return NOT_KNOWN;
    *flag = number != 0;
    return TAKEN;
}

static enum outcome take_key(struct rotation *rotation, const char *key,
                             struct value value)
{
    int64_t number;

    if (strcmp(key, "version") == 0)
        return !value.is_array && take_number(&value, &number) && number == 1 ? TAKEN
                                                                              : NOT_KNOWN;
    if (strcmp(key, "block_size") == 0)
        return take_block(rotation, value);
    if (strcmp(key, "transform") == 0)
        return is_text(value, "normalized-sylvester-walsh-hadamard") ? TAKEN : NOT_KNOWN;
    if (strcmp(key, "axis") == 0)
        return is_text(value, "input-last-dimension") ? TAKEN : NOT_KNOWN;
    if (strcmp(key, "sign_mode") == 0) {
        rotation->has_signs = is_text(value, "explicit");
        return rotation->has_signs || is_text(value, "identity") ? TAKEN : NOT_KNOWN;
    }
    if (strcmp(key, "sign_widths") == 0)
        return take_numbers(value, &rotation->widths, &rotation->width_count);
    if (strcmp(key, "sign_values") == 0)
        return take_signs(rotation, value);
    if (strcmp(key, "weight_names") == 0 || strcmp(key, "inverse_weight_names") == 0)
        return take_names(rotation, value);
    if (strcmp(key, "gdn_v_grouped") == 0)
        return take_flag(value, &rotation->regroups);
    return NOT_KNOWN;
}

static int read_pair(struct rotation *rotation, const struct tensor_pair *pair,
                     rotation_read_fn read, void *arg, struct failure *failure)
{
    uint8_t *bytes = pair->bytes < PTRDIFF_MAX ? malloc((size_t)pair->bytes + 1) : NULL;
    struct value value;
    enum outcome outcome;

    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for %s",
                    pair->key);
    if (read(arg, pair, bytes, failure) < 0) {
        free(bytes);
        return -1;
    }
    outcome = value_of(bytes, (size_t)pair->bytes, &value)
                  ? take_key(rotation, pair->key + strlen(PREFIX), value)
                  : NOT_KNOWN;
    free(bytes);
    if (outcome == NO_MEMORY)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for %s",
                    pair->key);
    if (outcome == NOT_KNOWN && !rotation->why[0])
        snprintf(rotation->why, sizeof(rotation->why),
                 "%.90s has a value that is not known", pair->key);
    return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The keys without which the rotation is not given. */
static const char *missing_key(const struct tensor_table *table)
{
    static const char *const keys[] = {
        "prism.hadamard.version",   "prism.hadamard.block_size",
        "prism.hadamard.transform", "prism.hadamard.axis",
        "prism.hadamard.sign_mode", "prism.hadamard.weight_names",
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (!table_pair(table, keys[i]))
            return keys[i];
    return NULL;
}

/* The vectors of signs must be as long as their widths say. */
static bool signs_fit(const struct rotation *rotation)
{
    uint64_t all = 0;

    for (size_t i = 0; i < rotation->width_count; i++) {
        if (rotation->widths[i] <= 0 ||
            (uint64_t)rotation->widths[i] > rotation->sign_count - all)
            return false;
        all += (uint64_t)rotation->widths[i];
    }
    return !rotation->has_signs || (all == rotation->sign_count && all > 0);
}

int rotation_read(struct rotation *rotation, const struct tensor_table *table,
                  rotation_read_fn read, void *arg, struct failure *failure)
{
    *rotation = (struct rotation){.named = false};
    for (size_t i = 0; i < table->pair_count; i++)
        rotation->named |= strstr(table->pairs[i].key, "hadamard") != NULL;
    if (!rotation->named)
        return 0;
    for (size_t i = 0; i < table->pair_count; i++) {
        const struct tensor_pair *pair = &table->pairs[i];

        if (strncmp(pair->key, PREFIX, strlen(PREFIX)) != 0)
            continue;
        if (pair->bytes == 0) /* not of a GGUF file */
            snprintf(rotation->why, sizeof(rotation->why),
                     "only GGUF files have a form for it");
        else if (read_pair(rotation, pair, read, arg, failure) < 0)
            return -1;
    }
    const char *missing = missing_key(table);
    if (!rotation->why[0] && missing)
        snprintf(rotation->why, sizeof(rotation->why), "%s is missing", missing);
    if (!rotation->why[0] && !signs_fit(rotation))
        snprintf(rotation->why, sizeof(rotation->why),
                 "its signs do not have the widths that it names");
    rotation->given = !rotation->why[0];
    if (rotation->name_count)
        qsort(rotation->names, rotation->name_count, sizeof(*rotation->names),
              compare_names);
    return 0;
}

void rotation_fini(struct rotation *rotation)
{
    for (size_t i = 0; i < rotation->name_count; i++)
        free((char *)(uintptr_t)rotation->names[i]);
    free(rotation->names);
    free(rotation->widths);
    free(rotation->signs);
    *rotation = (struct rotation){.named = false};
}

static bool is_listed(const struct rotation *rotation, const char *name)
{
    return rotation->name_count && bsearch(&name, rotation->names, rotation->name_count,
                                           sizeof(*rotation->names), compare_names);
}

static bool is_regrouped(const struct rotation *rotation, const char *name)
{
    static const char end[] = ".ssm_out.weight";
    const size_t length = strlen(name), bytes = sizeof(end) - 1;

    return rotation->regroups && length >= bytes &&
           strcmp(name + length - bytes, end) == 0;
}

enum rotation_state rotation_of(const struct rotation *rotation, const char *name,
                                uint64_t columns, struct rotated_basis *basis)
{
    size_t first = 0;

    *basis = (struct rotated_basis){.block = 0};
    if (!rotation->named)
        return ROTATION_NONE;
    if (!rotation->given)
        return ROTATION_UNKNOWN;
    if (!is_listed(rotation, name))
        return ROTATION_NONE;
    if (columns == 0 || columns % rotation->block != 0 || is_regrouped(rotation, name))
        return ROTATION_UNKNOWN;
    *basis = (struct rotated_basis){.block = rotation->block};
    if (!rotation->has_signs)
        return ROTATION_KNOWN;
    for (size_t i = 0; i < rotation->width_count; i++) {
        if ((uint64_t)rotation->widths[i] == columns) {
            basis->signs = rotation->signs + first;
            return ROTATION_KNOWN;
        }
        first += (size_t)rotation->widths[i];
    }
    *basis = (struct rotated_basis){.block = 0};
    return ROTATION_UNKNOWN;
}

/* ---- the transform -------------------------------------------------------------------------- */

/* H of Sylvester: entry (i, j) is -1 where i and j have an odd number of ones in common. */
static void transform(double *values, uint64_t count)
{
    for (uint64_t half = 1; half < count; half *= 2)
        for (uint64_t first = 0; first < count; first += 2 * half)
            for (uint64_t i = first; i < first + half; i++) {
                const double a = values[i], b = values[i + half];

                values[i] = a + b;
                values[i + half] = a - b;
            }
}

void basis_rotate(const struct rotated_basis *basis, enum trit_dtype dtype,
                  const void *rows, uint64_t count, uint64_t columns, double *scratch,
                  float *rotated)
{
    const double factor = 1 / sqrt((double)basis->block);

    for (uint64_t at = 0; at < count * columns; at += basis->block) {
        for (uint64_t i = 0; i < basis->block; i++) {
            const double value = (double)float_at(dtype, rows, at + i);

            scratch[i] =
                basis->signs && basis->signs[(at + i) % columns] < 0 ? -value : value;
        }
        transform(scratch, basis->block);
        for (uint64_t i = 0; i < basis->block; i++)
            rotated[at + i] = (float)(scratch[i] * factor);
    }
}
