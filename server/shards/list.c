/* SPDX-License-Identifier: Apache-2.0 */
#include "shards/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"

int shard_list_add(struct shard_list *list, const struct shard_entry *entry)
{
    struct shard_entry *grown =
        array_grow(list->entries, &list->capacity, list->count + 1, sizeof(*grown));

    if (!grown)
        return -1;
    list->entries = grown;
    list->entries[list->count++] = *entry;
    return 0;
}

void shard_list_fini(struct shard_list *list)
{
    free(list->entries);
    *list = (struct shard_list){.count = 0};
}

uint64_t shard_list_elements(const struct shard_list *list)
{
    uint64_t elements = 0;

    for (size_t i = 0; i < list->count; i++)
        elements += list->entries[i].box.elements;
    return elements;
}

uint64_t shard_list_expected(const struct shard_list *list)
{
    const struct shard_box *layer = &list->entries[0].box;
    uint64_t longest[TRIT_RANK_MAX] = {0}, run = 0, expected = 1;

    if (shard_list_elements(list) == shard_layer_elements(layer))
        return list->count;
    for (size_t i = 0; i < list->count; i++) {
        const struct shard_box *box = &list->entries[i].box;

        run = box->elements > run ? box->elements : run;
        for (uint32_t axis = 0; axis < box->rank; axis++)
            if (box->shape[axis] > longest[axis])
                longest[axis] = box->shape[axis];
    }
    if (layer->flat)
        expected = div_up(shard_layer_elements(layer), run);
    for (uint32_t axis = 0; !layer->flat && axis < layer->rank; axis++)
        expected *= div_up(layer->global[axis], longest[axis]);
    return expected > list->count ? expected : list->count + 1;
}

/* ---- bytes: numbers of 7 bits a byte, and answers ----------------------------------- */

enum { LIST_VERSION = 1, NUMBER_BYTES_MAX = 10 };

struct cursor {
    const uint8_t *in;
    size_t left;
    bool failed;
};

static size_t put_number(uint8_t *out, uint64_t value)
{
    size_t at = 0;

    for (; value > 127; value >>= 7)
        out[at++] = (uint8_t)(value | 128);
    out[at++] = (uint8_t)value;
    return at;
}

static uint64_t get_number(struct cursor *cursor)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (cursor->left == 0)
            break;
        const uint8_t byte = *cursor->in++;

        cursor->left--;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    cursor->failed = true;
    return 0;
}

static size_t put_numbers(uint8_t *out, const uint64_t *values, uint32_t count)
{
    size_t at = 0;

    for (uint32_t i = 0; i < count; i++)
        at += put_number(out + at, values[i]);
    return at;
}

static void get_numbers(struct cursor *cursor, uint64_t *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        values[i] = get_number(cursor);
}

size_t shard_list_bytes_max(const struct shard_list *list)
{
    const size_t rank = list->entries[0].box.rank;

    return (5 + rank) * NUMBER_BYTES_MAX +
           list->count * (2 * rank * NUMBER_BYTES_MAX + SHARD_ANSWER_BYTES);
}

size_t shard_list_encode(const struct shard_list *list, uint8_t *bytes)
{
    const struct shard_box *layer = &list->entries[0].box;
    size_t at = put_number(bytes, LIST_VERSION);

    at += put_number(bytes + at, layer->group_size);
    at += put_number(bytes + at, layer->flat);
    at += put_number(bytes + at, layer->rank);
    at += put_numbers(bytes + at, layer->global, layer->rank);
    at += put_number(bytes + at, list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct shard_entry *entry = &list->entries[i];

        at += put_numbers(bytes + at, entry->box.offset, layer->rank);
        at += layer->flat ? put_number(bytes + at, entry->box.elements)
                          : put_numbers(bytes + at, entry->box.shape, layer->rank);
        memcpy(bytes + at, entry->answer, SHARD_ANSWER_BYTES);
        at += SHARD_ANSWER_BYTES;
    }
    return at;
}

static bool get_entry(struct cursor *cursor, struct shard_place *place,
                      struct shard_entry *entry)
{
    uint64_t offset[TRIT_RANK_MAX], shape[TRIT_RANK_MAX];

    get_numbers(cursor, offset, place->global_rank);
    get_numbers(cursor, shape, place->rank);
    if (cursor->failed || cursor->left < SHARD_ANSWER_BYTES)
        return false;
    place->offset = offset;
    place->shape = shape;
    memcpy(entry->answer, cursor->in, SHARD_ANSWER_BYTES);
    cursor->in += SHARD_ANSWER_BYTES;
    cursor->left -= SHARD_ANSWER_BYTES;
    return shard_box_init(&entry->box, place, NULL) == 0;
}

static bool get_entries(struct cursor *cursor, struct shard_place *place, uint64_t count,
                        struct shard_list *list)
{
    for (uint64_t i = 0; i < count; i++) {
        struct shard_entry entry;

        if (!get_entry(cursor, place, &entry) || shard_list_add(list, &entry) < 0)
            return false;
    }
    return list->count > 0 && cursor->left == 0;
}

int shard_list_decode(struct shard_list *list, const uint8_t *bytes, size_t count)
{
    struct cursor cursor = {.in = bytes, .left = count};
    const uint64_t version = get_number(&cursor);
    const uint64_t group_size = get_number(&cursor);
    const uint64_t flat = get_number(&cursor);
    const uint64_t rank = get_number(&cursor);
    uint64_t global[TRIT_RANK_MAX];

    if (version != LIST_VERSION || group_size == 0 || group_size > UINT32_MAX ||
        flat > 1 || rank == 0 || rank > TRIT_RANK_MAX)
        return -1;
    get_numbers(&cursor, global, rank);
    struct shard_place place = {.rank = flat ? 1 : (uint32_t)rank,
                                .global_rank = (uint32_t)rank,
                                .global_shape = global,
                                .group_size = (uint32_t)group_size};

    if (get_entries(&cursor, &place, get_number(&cursor), list))
        return 0;
    shard_list_fini(list);
    return -1;
}
