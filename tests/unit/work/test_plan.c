#include <string.h>

#include "base/limits.h"
#include "kernels/kernels.h"
#include "tests/lib/check.h"
#include "work/plan.h"

static struct plan_spec spec_of(uint32_t rank, const uint64_t *shape)
{
    struct plan_spec spec = {.dtype = TRIT_F32, .rank = rank, .has_out = true};

    for (uint32_t i = 0; i < rank && i < TRIT_RANK_MAX; i++)
        spec.shape[i] = shape[i];
    return spec;
}

static struct plan_spec matrix(uint64_t rows, uint64_t row_len)
{
    return spec_of(2, (const uint64_t[]){rows, row_len});
}

/* ---- what is refused, and how -------------------------------------------------------
 */

static void check_refused(const struct plan_spec *spec, enum trit_status status,
                          const char *field, const char *message)
{
    struct plan plan, before;
    struct failure failure = {0};

    memset(&plan, 0x5a, sizeof(plan));
    before = plan;
    CHECK(plan_init(&plan, spec, &failure) == -1);
    CHECK_EQ(failure.status, status);
    CHECK_STR(failure.field, field);
    CHECK_STR(failure.message, message);
    CHECK_MEM(&plan, &before, sizeof(plan));
}

static void bad_shapes(void)
{
    struct plan_spec spec = spec_of(0, NULL);
    const uint64_t big = 1ull << 32;

    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rank 0, at least 1 is needed");
    spec.rank = 9;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rank 9 is above 8");
    spec = spec_of(3, (const uint64_t[]){big, big, 4});
    check_refused(
        &spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
        "tensor.shape: product of [4294967296, 4294967296, 4] overflows 64 bits");
    spec = spec_of(3, (const uint64_t[]){big, 0, big});
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: [4294967296, 0, 4294967296] is an empty tensor, "
                  "axis 1 is 0");
    spec = spec_of(2, (const uint64_t[]){big, big / 4});
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: bytes of [4294967296, 1073741824] as dense overflow "
                  "64 bits");
}

static void longest_shape_fits_its_message(void)
{
    struct plan_spec spec = {.dtype = TRIT_F32, .rank = TRIT_RANK_MAX};
    struct failure failure = {0};
    struct plan plan;

    for (size_t i = 0; i < TRIT_RANK_MAX; i++)
        spec.shape[i] = UINT64_MAX;
    CHECK(plan_init(&plan, &spec, &failure) == -1);
    CHECK(strstr(failure.message, "18446744073709551615] overflows") != NULL);
}

static void bad_dtypes(void)
{
    static const int dtypes[] = {0, TRIT_I8, TRIT_U8, 6, -1};

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        struct plan_spec spec = matrix(2, 256);
        struct failure failure = {0};
        struct plan plan;

        spec.dtype = (enum trit_dtype)dtypes[i];
        CHECK(plan_init(&plan, &spec, &failure) == -1);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK_STR(failure.field, "tensor.dtype");

        /* Codes have no element type: nothing dense goes in or out. */
        spec.in = TRIT_ENCODING_INT8;
        spec.has_out = false;
        CHECK(plan_init(&plan, &spec, NULL) == 0);
        CHECK_EQ(plan.in_bytes, 512);
    }
}

static void bad_groups(void)
{
    struct plan_spec spec = matrix(2, 256);

    spec.group_size = GROUP_SIZE_MAX + 1;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 65537 is above 65536");
    spec.group_size = 64;
    spec.partial = (enum trit_partial_group)2;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.partial_group",
                  "options.partial_group: 2 is neither padded (0) nor exact (1)");
}

static void bad_encodings(void)
{
    struct plan_spec spec = matrix(2, 256);

    spec.out = (enum trit_encoding)77;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.encoding",
                  "options.encoding: 77 is unknown");
    spec.out = TRIT_ENCODING_PQ2_0;
    spec.group_size = 64;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 64 is no multiple of 128: a pq2_0 block of that "
                  "many elements has one scale");
    spec.out = TRIT_ENCODING_TQ2_0;
    spec.group_size = 0;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 128 is no multiple of 256: a tq2_0 block of that "
                  "many elements has one scale");
    spec.out = TRIT_ENCODING_MLX_2BIT;
    spec.group_size = 256;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "options.group_size",
                  "options.group_size: 256, mlx_2bit holds groups of 128 only");
    spec = matrix(2, 200);
    spec.out = TRIT_ENCODING_PQ2_0;
    check_refused(&spec, TRIT_INVALID_ARGUMENT, "tensor.shape",
                  "tensor.shape: rows of 200 elements are no multiple of the 128 of a "
                  "pq2_0 block");
    spec.out = TRIT_ENCODING_DENSE;
    spec.in = TRIT_ENCODING_PQ2_0;
    CHECK(plan_init(&(struct plan){0}, &spec, NULL) == -1);
}

static void missing_encodings(void)
{
    for (int i = 0; encoding_layout((enum trit_encoding)i); i++) {
        struct plan_spec spec = matrix(2, 256);
        struct failure failure = {0};
        struct plan plan;

        spec.out = (enum trit_encoding)i;
        if (encoding_layout(spec.out)->supported)
            continue;
        CHECK(plan_init(&plan, &spec, &failure) == -1);
        CHECK_EQ(failure.status, TRIT_UNIMPLEMENTED);
        CHECK_STR(failure.field, "options.encoding");
        CHECK(strstr(failure.message, encoding_name(spec.out)) != NULL);
    }
}

/* ---- what is made of a spec -----------------------------------------------------------
 */

static void zero_means_default(void)
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

static void packed_bytes(void)
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

/* Group sizes, and the rows they come in. */
static void groups_of_several_blocks(void)
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

static void huge_tensors_are_planned(void)
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

static void largest_groups_fit_a_tile(void)
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

/* ---- the property: tiles and runs cover everything once
 * -------------------------------- */

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
                         const struct group_run *run, uint64_t nth)
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
    struct group_run run;
    uint64_t at = 0;

    plan_tile(plan, index, &span);
    CHECK_EQ(span.index, index);
    CHECK_EQ(span.first_group, tile.group);
    CHECK_EQ(span.first_element, tile.element);
    CHECK_EQ(span.in_offset, tile.in);
    CHECK_EQ(span.out_offset, tile.out);
    CHECK(span.groups > 0 && span.groups <= TILE_GROUPS_MAX);
    CHECK(span.elements <= TILE_ELEMENTS_MAX && span.in_bytes <= TILE_IN_BYTES_MAX);
    CHECK(span.groups == plan->tile_groups || index == plan->tiles - 1);
    while (plan_next_run(plan, &span, &at, &run)) {
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

static void tiles_cover_once(void)
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

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a shape that overflows, is empty or has no rank is refused by name and value",
         bad_shapes},
        {"the longest shape fits its message", longest_shape_fits_its_message},
        {"dense elements are f32, f16 or bf16; codes need no type", bad_dtypes},
        {"a group size above the bound and an unknown partial group are refused",
         bad_groups},
        {"an encoding refuses groups and rows it cannot hold", bad_encodings},
        {"an encoding that is not built in is UNIMPLEMENTED", missing_encodings},
        {"group size 0 means 128, and a short group pads or not as asked",
         zero_means_default},
        {"packed tensors have the bytes of their blocks and scales", packed_bytes},
        {"a group may span several blocks that hold its scale each",
         groups_of_several_blocks},
        {"a tensor of 4 EiB is planned without overflow", huge_tensors_are_planned},
        {"one group of the largest size fits a tile, and short rows share one",
         largest_groups_fit_a_tile},
        {"tiles and runs cover every element, byte and group exactly once",
         tiles_cover_once},
    };
    return CHECK_RUN(cases, argc, argv);
}
