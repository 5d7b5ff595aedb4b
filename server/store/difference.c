/* SPDX-License-Identifier: Apache-2.0 */
#include "store/difference.h"

#include <math.h>
#include <string.h>

struct comparison {
    struct store_difference *difference;
    uint64_t bytes;       /* visited so far */
    uint64_t row_bytes;   /* of codes; 0: the tensor is one group */
    uint64_t group_bytes; /* of a full group */
    uint64_t row_groups;
    uint64_t scales_differing;
};

static void note_group(struct store_difference *difference, uint64_t group)
{
    if (difference->has_first_group && difference->first_group <= group)
        return;
    difference->has_first_group = true;
    difference->first_group = group;
}

static uint64_t group_at(const struct comparison *comparison, uint64_t byte)
{
    return comparison->row_bytes == 0
               ? 0
               : byte / comparison->row_bytes * comparison->row_groups +
                     byte % comparison->row_bytes / comparison->group_bytes;
}

/* Unused codes at the end of a group are equal in both. */
static void compare_codes(void *arg, const uint8_t *a, const uint8_t *b, size_t count)
{
    struct comparison *comparison = arg;
    struct store_difference *difference = comparison->difference;

    for (size_t i = 0; i < count; i++) {
        unsigned bits = a[i] ^ b[i];

        if (bits == 0)
            continue;
        if (difference->codes_differing == 0)
            note_group(difference, group_at(comparison, comparison->bytes + i));
        bits = (bits | bits >> 1) & 0x55;
        difference->codes_differing += (uint64_t)__builtin_popcount(bits);
    }
    comparison->bytes += count;
}

static void compare_scales(void *arg, const uint8_t *a, const uint8_t *b, size_t count)
{
    struct comparison *comparison = arg;
    struct store_difference *difference = comparison->difference;

    for (size_t at = 0; at + sizeof(float) <= count; at += sizeof(float)) {
        uint64_t group = (comparison->bytes + at) / sizeof(float);
        float x, y;

        memcpy(&x, a + at, sizeof(x));
        memcpy(&y, b + at, sizeof(y));
        if (memcmp(&x, &y, sizeof(x)) == 0)
            continue;
        comparison->scales_differing++;
        note_group(difference, group);
        double ratio =
            (double)x > (double)y ? (double)x / (double)y : (double)y / (double)x;

        if (x > 0 && y > 0 && ratio > difference->scale_ratio_max)
            difference->scale_ratio_max = ratio;
    }
    comparison->bytes += count;
}

static void init(struct comparison *comparison, const struct trit_report *report,
                 struct store_difference *difference)
{
    uint64_t row = report->shape[report->rank - 1], size = report->group_size;

    *comparison = (struct comparison){.difference = difference};
    difference->codes_differing = 0;
    difference->scale_ratio_max = 1;
    difference->has_first_group = false;
    difference->first_group = 0;
    if (report->groups <= 1)
        return;
    comparison->group_bytes = (size + 3) / 4;
    comparison->row_groups = (row + size - 1) / size;
    comparison->row_bytes = row / size * comparison->group_bytes + (row % size + 3) / 4;
}

int difference_of(struct db *db, const struct trit_report *report,
                  const struct kept_row *a, const struct kept_row *b,
                  struct store_difference *difference, uint64_t *scales_differing,
                  struct failure *failure)
{
    struct comparison comparison;
    struct codes_layout layout;
    struct codes_visit visit = {compare_codes, &comparison};

    if (report->rank == 0 || report->rank > TRIT_RANK_MAX ||
        codes_layout_init(&layout, report))
        return fail(failure, TRIT_DATA_LOSS, NULL, "the shape of a report is not valid");
    init(&comparison, report, difference);
    if (codes_walk_pair(db, a->upload, b->upload, layout.bytes, &visit, failure))
        return -1;
    comparison.bytes = 0;
    visit.visit = compare_scales;
    if (a->scales != 0 && b->scales != 0 &&
        codes_walk_pair(db, a->scales, b->scales, report->groups * sizeof(float), &visit,
                        failure))
        return -1;
    *scales_differing = comparison.scales_differing;
    return 0;
}
