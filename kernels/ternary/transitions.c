/* SPDX-License-Identifier: Apache-2.0 */
/* Flips between two packed tensors: exact integers, the same everywhere. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/ternary/table.h"

enum {
    CODES_BYTE = 4,
    STAGE_BYTES = 16 * FLIPS_BLOCK,
};

/* Codes of groups that are no whole number of bytes, one group behind the other. What is no
 * code of a group is code 3 here, which is not counted. */
struct stage {
    const struct kernels *kernels;
    uint64_t *table;
    size_t count;
    uint8_t from[STAGE_BYTES], to[STAGE_BYTES];
};

static void stage_count(struct stage *stage)
{
    const size_t blocks = (stage->count + FLIPS_BLOCK - 1) / FLIPS_BLOCK;
    const size_t pad = blocks * FLIPS_BLOCK - stage->count;

    memset(stage->from + stage->count, 0xff, pad);
    memset(stage->to + stage->count, 0xff, pad);
    stage->kernels->count_flips(stage->from, stage->to, blocks, stage->table);
    stage->count = 0;
}

static void stage_add(struct stage *stage, const uint8_t *from, const uint8_t *to,
                      size_t count)
{
    while (count > 0) {
        const size_t space = STAGE_BYTES - stage->count;
        const size_t some = count < space ? count : space;

        memcpy(stage->from + stage->count, from, some);
        memcpy(stage->to + stage->count, to, some);
        stage->count += some;
        if (stage->count == STAGE_BYTES)
            stage_count(stage);
        from += some;
        to += some;
        count -= some;
    }
}

void transitions(const struct kernels *kernels, const uint8_t *from, const uint8_t *to,
                 size_t count, size_t group_len, uint64_t table[9])
{
    struct stage stage;
    size_t whole = group_len / CODES_BYTE, rest = group_len % CODES_BYTE;

    stage.kernels = kernels;
    stage.table = table;
    stage.count = 0;
    if (rest == 0) { /* no padding anywhere: one long group */
        const size_t bytes = whole * count, blocks = bytes / FLIPS_BLOCK;

        kernels->count_flips(from, to, blocks, table);
        from += blocks * FLIPS_BLOCK;
        to += blocks * FLIPS_BLOCK;
        whole = bytes % FLIPS_BLOCK;
        count = 1;
    }
    for (size_t g = 0; g < count; g++) {
        stage_add(&stage, from, to, whole);
        from += whole;
        to += whole;
        if (rest) {
            const uint8_t padding = (uint8_t)(0xff << 2 * rest);
            const uint8_t last[] = {*from++ | padding, *to++ | padding};

            stage_add(&stage, &last[0], &last[1], 1);
        }
    }
    stage_count(&stage);
}
