/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of a spec, and that tiles and runs cover a tensor exactly once. */
#include <string.h>

#include "base/limits.h"
#include "kernels/kernels.h"
#include "tests/unit/work/specs.h"

CASE(zero_means_default,
     "group size 0 means 128, and a short group is padded or not as asked")
{
    struct plan_spec spec = matrix(3, 1000);
    struct plan plan;

    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.spec.group_size, 128);
    CHECK_EQ(plan.groups_per_row, 8);
    CHECK_EQ(plan.groups, 24);
    CHECK_EQ(plan.tail_len, 104);
    CHECK_EQ(plan.tail_divisor, 128);
    spec.partial = TRIT_PARTIAL_EXACT;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.tail_divisor, 104);
}

CASE(packed_bytes, "the size of a packed tensor is that of its blocks and scales")
{
    struct plan_spec spec = matrix(4096, 4096);
    struct plan plan;

    spec.out = TRIT_ENCODING_PQ2_0;
    spec.dtype = TRIT_BF16;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.in_bytes, 2ull * 4096 * 4096);
    CHECK_EQ(plan.out_bytes, 4096ull * 32 * 34);
    CHECK_EQ(plan.in_scale_bytes + plan.out_scale_bytes, 0);
    CHECK_EQ(plan.tile_groups, 512);
    CHECK_EQ(plan.tiles, 256);

    spec.out = TRIT_ENCODING_INT8;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.out_bytes, 4096ull * 4096);
    CHECK_EQ(plan.out_scale_bytes, 4096ull * 32 * 4);
}

/* Changes one field of a spec. */
static void change(struct plan_spec *spec, int field)
{
    switch (field) {
    case 0:
        spec->dtype = TRIT_F16;
        break;
    case 1:
        spec->rank = 1;
        break;
    case 2:
        spec->shape[0]++;
        break;
    case 3:
        spec->shape[1]++;
        break;
    case 4:
        spec->group_size = 64;
        break;
    case 5:
        spec->partial = TRIT_PARTIAL_EXACT;
        break;
    case 6:
        spec->in = TRIT_ENCODING_INT8;
        break;
    case 7:
        spec->in_scales_dtype = TRIT_F16;
        break;
    case 8:
        spec->out = TRIT_ENCODING_PQ2_0;
        break;
    case 9:
        spec->has_out = !spec->has_out;
        break;
    case 10:
        spec->regroups = true;
        break;
    case 11:
        spec->wide_tiles = !spec->wide_tiles;
        break;
    }
}

CASE(equal_specs, "two specs are equal if they have the same value in every field")
{
    for (int field = 0; field < 12; field++) {
        struct plan_spec spec = matrix(3, 1000), other = matrix(3, 1000);

        CHECK(plan_spec_equal(&spec, &other));
        change(&other, field);
        CHECK(!plan_spec_equal(&spec, &other));
    }
}

/* Group sizes, and the rows they come in. */
CASE(groups_of_several_blocks,
     "a group may span several blocks, each with the group's scale")
{
    static const struct {
        enum trit_encoding encoding;
        uint32_t group_size;
        uint64_t row_len, row_bytes;
    } cases[] = {{TRIT_ENCODING_Q2_0, 128, 256, 4 * 18},
                 {TRIT_ENCODING_Q2_0, 192, 256, 4 * 18},
                 {TRIT_ENCODING_Q2_0, 128, 64, 18},
                 {TRIT_ENCODING_PQ2_0, 256, 384, 3 * 34},
                 {TRIT_ENCODING_PTQ1_0, 256, 256, 2 * 28},
                 {TRIT_ENCODING_TQ1_0, 65536, 512, 2 * 54},
                 {TRIT_ENCODING_TQ2_0, 512, 1024, 4 * 66}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan_spec spec = matrix(5, cases[i].row_len);
        struct plan plan;

        spec.group_size = cases[i].group_size;
        spec.out = cases[i].encoding;
        CHECK(plan_init(&plan, &spec, NULL) == 0);
        CHECK_EQ(plan.out_bytes, 5 * cases[i].row_bytes);
        spec.in = cases[i].encoding;
        spec.out = TRIT_ENCODING_DENSE;
        CHECK(plan_init(&plan, &spec, NULL) == 0);
        CHECK_EQ(plan.in_bytes, 5 * cases[i].row_bytes);
    }
}

CASE(one_scale_is_one_tile, "a tensor with one scale is one group and one tile")
{
    struct plan_spec spec = matrix(1000, 2560);
    struct plan plan;
    struct tile_span span;
    struct group_range run;
    uint64_t at = 0;

    spec.out = TRIT_ENCODING_I2_S;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK(plan.whole);
    CHECK_EQ(plan.groups, 1);
    CHECK_EQ(plan.tiles, 1);
    CHECK_EQ(plan.spec.group_size, 2560000);
    CHECK_EQ(plan.in_bytes, 10240000);
    CHECK_EQ(plan.out_bytes, 640000 + 32);
    CHECK_EQ(plan.in_scale_bytes + plan.out_scale_bytes, 0);
    plan_tile(&plan, 0, &span);
    CHECK_EQ(span.elements, 2560000);
    CHECK_EQ(span.out_bytes, 640032);
    CHECK_EQ(span.code_bytes, 640000);
    CHECK(plan_next_range(&plan, &span, &at, &run));
    CHECK_EQ(run.count, 1);
    CHECK_EQ(run.group_len, 2560000);
    CHECK_EQ(run.divisor, 2560000);
    CHECK(!plan_next_range(&plan, &span, &at, &run));

    spec.in = TRIT_ENCODING_I2_S;
    spec.out = TRIT_ENCODING_DENSE;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.in_bytes, 640032);
    CHECK_EQ(plan.out_bytes, 10240000);
}

CASE(regroups, "when a tensor is regrouped, input and output keep their own blocks")
{
    struct plan_spec spec = matrix(8, 768);
    struct plan plan;

    spec.regroups = true;
    spec.group_size = 64;
    spec.in = TRIT_ENCODING_TQ2_0;
    spec.out = TRIT_ENCODING_PQ2_0;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.groups, 8 * 12);
    CHECK_EQ(plan.tile_groups % 4, 0); /* whole blocks of 256 */
    CHECK_EQ(plan.in_bytes, 8 * 3 * 66);
    CHECK_EQ(plan.out_bytes, 8 * 6 * 34);

    spec.in = TRIT_ENCODING_INT8;
    spec.out = TRIT_ENCODING_HF_BITNET;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK(plan.whole);
    CHECK_EQ(plan.tiles, 1);
    CHECK_EQ(plan.groups, 8 * 12);
    CHECK_EQ(plan.in_scale_bytes, 8 * 12 * 4);
    CHECK_EQ(plan.out_scale_bytes, 4);

    spec.in = TRIT_ENCODING_DENSE; /* it has no groups of its own */
    CHECK(plan_init(&plan, &spec, NULL) == -1);
    spec.group_size = 0;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.groups, 1);
}

CASE(one_separate_scale, "a separate scale is counted, and rows may have any length")
{
    struct plan_spec spec = spec_of(3, (const uint64_t[]){2, 2, 129});
    struct plan plan;
    struct tile_span span;

    spec.out = TRIT_ENCODING_HF_BITNET;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK(plan.whole);
    CHECK_EQ(plan.tiles, 1);
    CHECK_EQ(plan.out_bytes, 129);
    CHECK_EQ(plan.out_scale_bytes, 4);
    plan_tile(&plan, 0, &span);
    CHECK_EQ(span.elements, 516);
    CHECK_EQ(span.out_bytes, 129);
    CHECK_EQ(span.code_bytes, 129);

    spec.in = TRIT_ENCODING_HF_BITNET;
    spec.out = TRIT_ENCODING_DENSE;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.in_bytes, 129);
    CHECK_EQ(plan.in_scale_bytes, 4);
    CHECK_EQ(plan.out_bytes, 2064);
}

CASE(huge_tensors_are_planned, "a tensor of 4 EiB is planned without overflow")
{
    struct plan_spec spec = matrix(1ull << 40, 1 << 20);
    struct tile_span last;
    struct plan plan;

    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.elements, 1ull << 60);
    plan_tile(&plan, plan.tiles - 1, &last);
    CHECK_EQ(last.in_offset + last.in_bytes, 1ull << 62);
    CHECK_EQ(last.first_group + last.groups, 1ull << 53);

    spec = spec_of(1, (const uint64_t[]){(1ull << 63) - 1});
    spec.dtype = TRIT_F16;
    spec.group_size = 3;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    plan_tile(&plan, plan.tiles - 1, &last);
    CHECK_EQ(last.first_element + last.elements, (1ull << 63) - 1);
    CHECK_EQ(last.first_group + last.groups, plan.groups);
}

CASE(largest_groups_fit_a_tile,
     "a group of the largest size fits a tile, and short rows share a tile")
{
    struct plan_spec spec = matrix(3, 200000);
    struct plan plan;

    spec.group_size = GROUP_SIZE_MAX;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.tile_groups, 1);
    CHECK_EQ(plan.tiles, 12);

    spec = matrix(100000, 3); /* rows far below the group: tiles of many rows */
    spec.group_size = GROUP_SIZE_MAX;
    CHECK(plan_init(&plan, &spec, NULL) == 0);
    CHECK_EQ(plan.tile_groups, TILE_GROUPS_MAX);
}

CASE(wide_tiles,
     "a tile has twice as many elements where that is allowed and they are narrow")
{
    static const struct {
        enum trit_dtype dtype;
        enum trit_encoding in, out;
        bool wide_tiles;
        uint64_t groups;
    } cases[] = {{TRIT_BF16, TRIT_ENCODING_DENSE, TRIT_ENCODING_DENSE, true, 1024},
                 {TRIT_F16, TRIT_ENCODING_DENSE, TRIT_ENCODING_PQ2_0, true, 1024},
                 {TRIT_F32, TRIT_ENCODING_DENSE, TRIT_ENCODING_PQ2_0, true, 512},
                 {TRIT_F32, TRIT_ENCODING_INT8, TRIT_ENCODING_DENSE, true, 512},
                 {TRIT_F32, TRIT_ENCODING_INT8, TRIT_ENCODING_PQ2_0, true, 1024},
                 {TRIT_BF16, TRIT_ENCODING_DENSE, TRIT_ENCODING_DENSE, false, 512}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan_spec spec = matrix(4096, 4096);
        struct plan plan;

        spec.dtype = cases[i].dtype;
        spec.in = cases[i].in;
        spec.out = cases[i].out;
        spec.wide_tiles = cases[i].wide_tiles;
        CHECK(plan_init(&plan, &spec, NULL) == 0);
        CHECK_EQ(plan.tile_groups, cases[i].groups);
    }
}

/* ---- the property: tiles and runs cover everything once ---------------------------- */

/* The plain way: one group after another. */
struct oracle {
    uint64_t row, column;                   /* element within the row */
    uint64_t group, element, in, out, code; /* of the whole tensor, so far */
};

static uint64_t bytes_of(enum trit_encoding encoding, enum trit_dtype dtype,
                         uint64_t elements)
{
    switch ((int)encoding) {
    case TRIT_ENCODING_DENSE:
        return elements * (dtype == TRIT_F32 ? 4 : 2);
    case TRIT_ENCODING_INT8:
        return elements;
    default: /* PQ2_0 */
        CHECK(encoding == TRIT_ENCODING_PQ2_0 && elements % 128 == 0);
        return elements / 128 * 34;
    }
}

static void oracle_group(struct oracle *oracle, const struct plan_spec *spec,
                         const struct tile_span *span, const struct oracle *tile,
                         const struct group_range *run, uint64_t nth)
{
    uint64_t row_len = spec->shape[spec->rank - 1];
    uint64_t left = row_len - oracle->column;
    uint64_t len = left < spec->group_size ? left : spec->group_size;
    uint64_t divisor = spec->partial == TRIT_PARTIAL_EXACT ? len : spec->group_size;

    CHECK_EQ(run->group_len, len);
    CHECK_EQ(run->divisor, divisor);
    CHECK_EQ(span->first_group + run->first_group + nth, oracle->group);
    if (nth == 0) {
        CHECK_EQ(run->element, oracle->element - tile->element);
        CHECK_EQ(run->in_offset, oracle->in - tile->in);
        CHECK_EQ(run->out_offset, oracle->out - tile->out);
        CHECK_EQ(run->code_offset, oracle->code - tile->code);
    }
    oracle->group++;
    oracle->element += len;
    oracle->in += bytes_of(spec->in, spec->dtype, len);
    oracle->out += spec->has_out ? bytes_of(spec->out, spec->dtype, len) : 0;
    oracle->code += (len + 3) / 4;
    oracle->column += len;
    if (oracle->column == row_len) {
        oracle->column = 0;
        oracle->row++;
    }
}

static void oracle_tile(struct oracle *oracle, const struct plan *plan, uint64_t index)
{
    struct oracle tile = *oracle;
    struct tile_span span;
    struct group_range run;
    uint64_t at = 0;

    plan_tile(plan, index, &span);
    CHECK_EQ(span.index, index);
    CHECK_EQ(span.first_group, tile.group);
    CHECK_EQ(span.first_element, tile.element);
    CHECK_EQ(span.in_offset, tile.in);
    CHECK_EQ(span.out_offset, tile.out);
    CHECK(span.groups > 0 && span.groups <= TILE_GROUPS_MAX);
    CHECK(span.elements <= TILE_WIDE_ELEMENTS_MAX && span.in_bytes <= TILE_IN_BYTES_MAX &&
          span.out_bytes <= TILE_IN_BYTES_MAX);
    CHECK(plan->spec.wide_tiles || span.elements <= TILE_ELEMENTS_MAX);
    CHECK(span.groups == plan->tile_groups || index == plan->tiles - 1);
    while (plan_next_range(plan, &span, &at, &run)) {
        CHECK(run.count > 0);
        for (uint64_t nth = 0; nth < run.count; nth++)
            oracle_group(oracle, &plan->spec, &span, &tile, &run, nth);
    }
    CHECK_EQ(oracle->group - tile.group, span.groups);
    CHECK_EQ(oracle->element - tile.element, span.elements);
    CHECK_EQ(oracle->in - tile.in, span.in_bytes);
    CHECK_EQ(oracle->out - tile.out, span.out_bytes);
    CHECK_EQ(oracle->code - tile.code, span.code_bytes);
}

static struct plan_spec random_spec(uint64_t *random)
{
    static const uint32_t sizes[] = {1, 3, 4, 7, 64, 128, 129, 1000, 65536};
    static const uint64_t bounds[] = {2, 5, 130, 3000, 200000};
    struct plan_spec spec = {
        .dtype = (enum trit_dtype)(TRIT_F32 + (int)(check_random(random) % 3)),
        .rank = 1 + (uint32_t)(check_random(random) % 4),
        .group_size = sizes[check_random(random) % (sizeof(sizes) / sizeof(sizes[0]))],
        .partial = (enum trit_partial_group)(check_random(random) % 2),
        .has_out = check_random(random) % 4 != 0,
        .wide_tiles = check_random(random) % 2 != 0,
    };
    uint64_t left = 300000;

    for (uint32_t i = spec.rank; i-- > 0;) {
        uint64_t bound = bounds[check_random(random) % 5];

        spec.shape[i] = 1 + check_random(random) % (bound < left ? bound : left);
        left /= spec.shape[i];
    }
    spec.in = (enum trit_encoding)(check_random(random) % 2);
    spec.out = (enum trit_encoding)(check_random(random) % 2);
    if (check_random(random) % 4 == 0) {
        spec.group_size = 128 * (1 + (uint32_t)(check_random(random) % 3));
        spec.shape[spec.rank - 1] = 128 * (1 + spec.shape[spec.rank - 1] / 64);
        if (check_random(random) % 2)
            spec.in = TRIT_ENCODING_PQ2_0;
        else
            spec.out = TRIT_ENCODING_PQ2_0;
    }
    return spec;
}

CASE(tiles_cover_once, "tiles and runs cover every element, byte and group exactly once")
{
    uint64_t random = check_seed();

    for (int i = 0; i < 400; i++) {
        struct plan_spec spec = random_spec(&random);
        struct oracle oracle = {0};
        struct failure failure = {0};
        struct plan plan;

        if (plan_init(&plan, &spec, &failure) != 0)
            check_failed(__FILE__, __LINE__, "%s", failure.message);
        for (uint64_t tile = 0; tile < plan.tiles; tile++)
            oracle_tile(&oracle, &plan, tile);
        CHECK_EQ(oracle.row, plan.rows);
        CHECK_EQ(oracle.column, 0);
        CHECK_EQ(oracle.group, plan.groups);
        CHECK_EQ(oracle.element, plan.elements);
        CHECK_EQ(oracle.in, plan.in_bytes);
        CHECK_EQ(oracle.out, plan.out_bytes);
    }
}

CASE(pieces_cover_the_tile, "the pieces of a tensor that is one tile cover it, in order")
{
    const struct plan_spec spec = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {1000, 2052},
        .group_size = 100,
        .in = TRIT_ENCODING_INT8,
        .out = TRIT_ENCODING_HF_BITNET,
        .has_out = true,
        .regroups = true,
    };
    struct tile_span all, piece, sum = {0};
    struct failure failure = {0};
    struct plan plan;

    CHECK_EQ(plan_init(&plan, &spec, &failure), 0);
    CHECK(plan.whole && plan.tiles == 1 && plan.groups == 21000);
    plan_tile(&plan, 0, &all);
    while (sum.groups < all.groups) {
        plan_piece(&plan, sum.groups, &piece);
        CHECK(piece.groups > 0 && piece.elements <= TILE_ELEMENTS_MAX);
        CHECK_EQ(piece.first_group, sum.groups);
        CHECK_EQ(piece.first_element, sum.elements);
        CHECK_EQ(piece.in_offset, sum.in_bytes);
        sum.groups += piece.groups;
        sum.elements += piece.elements;
        sum.in_bytes += piece.in_bytes;
        sum.code_bytes += piece.code_bytes;
    }
    CHECK_EQ(sum.groups, all.groups);
    CHECK_EQ(sum.elements, plan.elements);
    CHECK_EQ(sum.in_bytes, all.in_bytes);
    CHECK_EQ(sum.code_bytes, all.code_bytes);
}

CASE(packed_one_scale, "packing a tensor with one scale into groups cuts it into tiles")
{
    const struct plan_spec spec = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {1024, 1024},
        .group_size = 128,
        .in = TRIT_ENCODING_I2_S,
        .out = TRIT_ENCODING_INT8,
        .has_out = true,
        .regroups = true,
    };
    struct failure failure = {0};
    struct plan plan;

    CHECK_EQ(plan_init(&plan, &spec, &failure), 0);
    CHECK(!plan.whole);
    CHECK_EQ(plan.tiles, 16);
    CHECK_EQ(plan.in_bytes, 1024 * 1024 / 4 + 32);
}
