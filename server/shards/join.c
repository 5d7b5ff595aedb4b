/* SPDX-License-Identifier: Apache-2.0 */
#include "shards/join.h"

#include <inttypes.h>
#include <string.h>

/* The shard that has the group: mostly the one after the last. */
static size_t find_part(const struct shard_list *list, size_t last, uint64_t row,
                        uint64_t group, uint64_t *groups)
{
    for (size_t i = 0; i < list->count; i++) {
        const size_t part = (last + i) % list->count;

        *groups = shard_covers(&list->entries[part].box, row, group);
        if (*groups > 0)
            return part;
    }
    return list->count;
}

int shard_join(const struct shard_list *list, const struct shard_walk *walk,
               struct failure *failure)
{
    const struct shard_box *layer = &list->entries[0].box;
    size_t part = 0;

    for (uint64_t row = 0; row < layer->rows; row++) {
        uint64_t groups;

        for (uint64_t group = 0; group < layer->groups_per_row; group += groups) {
            part = find_part(list, part, row, group, &groups);
            if (part == list->count)
                return fail(failure, TRIT_INTERNAL, NULL,
                            "no shard has group %" PRIu64 " of row %" PRIu64, group, row);
            if (walk->take(walk->arg, part, group, groups, failure) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- groups ------------------------------------------------------------------------- */

static void put_bits(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_bits(const uint8_t *in, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

static void put_f64(uint8_t *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    put_bits(out, bits, 8);
}

static double get_f64(const uint8_t *in)
{
    const uint64_t bits = get_bits(in, 8);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

size_t shard_group_encode(const struct shard_group_row *group, bool has_sums,
                          uint8_t bytes[SHARD_GROUP_BYTES_MAX])
{
    size_t at = SHARD_GROUP_HEAD_BYTES;
    uint32_t scale;

    memcpy(&scale, &group->scale, sizeof(scale));
    put_bits(bytes, scale, 4);
    bytes[4] = group->inexact;
    if (group->inexact) {
        memcpy(bytes + at, group->hash, sizeof(group->hash));
        at += sizeof(group->hash);
    }
    if (!has_sums)
        return at;
    put_f64(bytes + at, group->sums.energy);
    put_f64(bytes + at + 8, group->sums.error);
    put_f64(bytes + at + 16, group->sums.dot);
    put_f64(bytes + at + 24, group->sums.norm);
    return at + 32;
}

size_t shard_group_head(const uint8_t bytes[SHARD_GROUP_HEAD_BYTES], bool has_sums,
                        struct shard_group_row *group)
{
    const uint32_t scale = (uint32_t)get_bits(bytes, 4);

    memcpy(&group->scale, &scale, sizeof(scale));
    group->inexact = bytes[4] != 0;
    return (group->inexact ? sizeof(group->hash) : 0) + (has_sums ? 32 : 0);
}

void shard_group_rest(const uint8_t *bytes, bool has_sums, struct shard_group_row *group)
{
    if (group->inexact) {
        memcpy(group->hash, bytes, sizeof(group->hash));
        bytes += sizeof(group->hash);
    }
    if (!has_sums)
        return;
    group->sums = (struct group_sums){.energy = get_f64(bytes),
                                      .error = get_f64(bytes + 8),
                                      .dot = get_f64(bytes + 16),
                                      .norm = get_f64(bytes + 24)};
}
