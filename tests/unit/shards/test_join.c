/* SPDX-License-Identifier: Apache-2.0 */
/* Shards of random layers, joined, and compared with the whole layer. */
#include <stdlib.h>
#include <string.h>

#include "shards/join.h"
#include "tests/lib/check.h"

enum { SHARDS_MAX = 64, ELEMENTS_MAX = 8192, GROUP = 4 };

struct grid {
    struct shard_box boxes[SHARDS_MAX];
    size_t count;
    uint32_t rank;
    uint64_t global[TRIT_RANK_MAX];
};

static uint64_t below(uint64_t *seed, uint64_t limit)
{
    return check_random(seed) % limit;
}

/* Cuts an axis at some multiples of `unit`. Returns the number of pieces; begins[pieces] is
 * the end. */
static size_t cut(uint64_t *seed, uint64_t length, uint64_t unit, uint64_t begins[5])
{
    size_t pieces = 1;

    begins[0] = 0;
    for (uint64_t at = unit; at < length && pieces < 4; at += unit)
        if (below(seed, 3) == 0)
            begins[pieces++] = at;
    begins[pieces] = length;
    return pieces;
}

static void add_box(struct grid *grid, const uint64_t *offset, const uint64_t *shape,
                    uint32_t rank)
{
    const struct shard_place place = {.rank = rank,
                                      .shape = shape,
                                      .global_rank = grid->rank,
                                      .global_shape = grid->global,
                                      .offset = offset,
                                      .group_size = GROUP};
    struct failure failure = {0};

    CHECK(grid->count < SHARDS_MAX);
    if (shard_box_init(&grid->boxes[grid->count], &place, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    grid->count++;
}

static void draw_layer(struct grid *grid, uint64_t *seed)
{
    grid->count = 0;
    grid->rank = 1 + (uint32_t)below(seed, 3);
    for (uint32_t i = 0; i < grid->rank; i++)
        grid->global[i] = 1 + below(seed, 12);
    grid->global[grid->rank - 1] = 1 + below(seed, 40);
}

static void draw_boxes(struct grid *grid, uint64_t *seed)
{
    uint64_t begins[TRIT_RANK_MAX][5];
    size_t pieces[TRIT_RANK_MAX], total = 1;

    draw_layer(grid, seed);
    for (uint32_t i = 0; i < grid->rank; i++) {
        pieces[i] =
            cut(seed, grid->global[i], i + 1 == grid->rank ? GROUP : 1, begins[i]);
        total *= pieces[i];
    }
    for (size_t n = 0; n < total; n++) {
        uint64_t offset[TRIT_RANK_MAX], shape[TRIT_RANK_MAX];
        size_t left = n;

        for (uint32_t i = 0; i < grid->rank; i++) {
            const size_t piece = left % pieces[i];

            offset[i] = begins[i][piece];
            shape[i] = begins[i][piece + 1] - begins[i][piece];
            left /= pieces[i];
        }
        add_box(grid, offset, shape, grid->rank);
    }
}

/* Flat runs of whole groups. */
static void draw_runs(struct grid *grid, uint64_t *seed)
{
    uint64_t elements = 1, at = 0;

    do
        draw_layer(grid, seed);
    while (grid->rank == 1);
    grid->global[grid->rank - 1] = GROUP * (1 + below(seed, 10));
    for (uint32_t i = 0; i < grid->rank; i++)
        elements *= grid->global[i];
    while (at < elements) {
        uint64_t offset[TRIT_RANK_MAX], rest = at;
        uint64_t count = GROUP * (1 + below(seed, elements / GROUP));

        if (count > elements - at || grid->count == SHARDS_MAX - 1)
            count = elements - at;
        for (uint32_t i = grid->rank; i-- > 0;) {
            offset[i] = rest % grid->global[i];
            rest /= grid->global[i];
        }
        add_box(grid, offset, &count, 1);
        at += count;
    }
}

static void shuffle(struct grid *grid, uint64_t *seed)
{
    for (size_t i = grid->count; i > 1; i--) {
        const size_t other = (size_t)below(seed, i);
        const struct shard_box box = grid->boxes[i - 1];

        grid->boxes[i - 1] = grid->boxes[other];
        grid->boxes[other] = box;
    }
}

/* ---- the walk --------------------------------------------------------------------- */

struct seen {
    const struct grid *grid;
    uint64_t next[SHARDS_MAX]; /* group of each shard */
    uint64_t groups;           /* of the layer */
};

static int see(void *arg, size_t part, uint64_t group, uint64_t groups,
               struct failure *failure)
{
    struct seen *seen = arg;
    const struct shard_box *box = &seen->grid->boxes[part];

    (void)failure;
    CHECK_EQ(seen->groups % box->groups_per_row, group);
    for (uint64_t i = 0; i < groups; i++)
        CHECK_EQ(shard_group(box, seen->next[part]++), seen->groups++);
    return 0;
}

/* A list is read back as it was written, and no shorter one is accepted. */
static void check_list(const struct shard_list *list)
{
    const size_t max = shard_list_bytes_max(list);
    uint8_t *bytes = malloc(max);
    const size_t count = shard_list_encode(list, bytes);
    struct shard_list back = {.count = 0};

    CHECK(count <= max);
    CHECK(shard_list_decode(&back, bytes, count) == 0);
    CHECK_EQ(back.count, list->count);
    for (size_t i = 0; i < back.count; i++) {
        CHECK_MEM(&back.entries[i].box, &list->entries[i].box, sizeof(back.entries->box));
        CHECK_MEM(back.entries[i].answer, list->entries[i].answer, SHARD_ANSWER_BYTES);
    }
    shard_list_fini(&back);
    CHECK(shard_list_decode(&back, bytes, count - 1) < 0);
    CHECK(shard_list_decode(&back, bytes, 0) < 0);
    free(bytes);
}

static void check_walk(const struct grid *grid)
{
    struct seen seen = {.grid = grid};
    const struct shard_walk walk = {.take = see, .arg = &seen};
    struct shard_list list = {.count = 0};
    uint64_t elements = 0;

    for (size_t i = 0; i < grid->count; i++) {
        struct shard_entry entry = {.box = grid->boxes[i]};

        memset(entry.answer, (int)i, sizeof(entry.answer));
        CHECK(shard_list_add(&list, &entry) == 0);
        elements += grid->boxes[i].elements;
        for (size_t j = 0; j < grid->count; j++)
            CHECK_EQ(shard_boxes_overlap(&grid->boxes[i], &grid->boxes[j]), i == j);
    }
    CHECK_EQ(elements, shard_layer_elements(&grid->boxes[0]));
    CHECK(shard_join(&list, &walk, NULL) == 0);
    CHECK_EQ(seen.groups, grid->boxes[0].rows * grid->boxes[0].groups_per_row);
    CHECK_EQ(shard_list_expected(&list), grid->count);
    for (size_t i = 0; i < grid->count; i++)
        CHECK_EQ(seen.next[i], shard_groups(&grid->boxes[i]));
    check_list(&list);
    shard_list_fini(&list);
}

CASE(walk, "each group of the layer is visited once, in order, as its shard's next one")
{
    uint64_t seed = check_seed();
    struct grid grid;

    for (int round = 0; round < 300; round++) {
        if (round % 3)
            draw_boxes(&grid, &seed);
        else
            draw_runs(&grid, &seed);
        shuffle(&grid, &seed);
        check_walk(&grid);
    }
}

/* ---- what was found --------------------------------------------------------------- */

/* What the elements of the layer are; those of a shard are picked from it. */
static uint8_t kinds[ELEMENTS_MAX];

static void count_one(struct occurrences *occurrences, uint64_t index)
{
    occurrences_count(occurrences, index);
}

static void sample(float *values, uint64_t *rows, uint32_t *count, float value,
                   uint64_t row)
{
    for (uint32_t i = 0; i < *count; i++)
        if (values[i] == value)
            return;
    if (*count == TRIT_SAMPLES_MAX)
        return;
    values[*count] = value;
    rows[(*count)++] = row;
}

/* Adds one element, in the order of its tensor. */
static void find(struct shard_found *found, uint64_t at, uint64_t row, uint64_t group,
                 uint8_t kind)
{
    struct ternary_check *check = &found->check;

    found->counts.zeros += kind % 2;
    check->valid++;
    if (kind < 40) {
        if (check->invalid.count == 0)
            check->first_invalid = (float)kind;
        count_one(&check->invalid, at);
        sample(check->samples, found->sample_rows, &check->sample_count, (float)kind,
               row);
    } else if (kind < 80) {
        sample(check->near, found->near_rows, &check->near_count, (float)kind, row);
    } else if (kind < 90) {
        if (found->lost.count == 0)
            found->lost_scale = (float)kind;
        count_one(&found->lost, group);
    } else if (kind < 100) {
        if (check->code_mismatches.count == 0)
            check->found_trit = (int8_t)(kind - 100);
        count_one(&check->code_mismatches, at);
        if (check->mismatches++ == 0)
            check->first_mismatch = at;
    } else if (kind < 110) {
        if (found->counts.non_finite++ == 0)
            found->counts.first_non_finite = at;
    }
}

static void find_in_shard(struct shard_found *found, const struct shard_box *box)
{
    const uint64_t row_len = box->flat ? box->elements : box->shape[box->rank - 1];
    const uint64_t per_row = (row_len + GROUP - 1) / GROUP;

    shard_found_init(found);
    for (uint64_t i = 0; i < box->elements; i++)
        find(found, i, i / row_len, i / row_len * per_row + i % row_len / GROUP,
             kinds[shard_element(box, i)]);
}

static void find_in_layer(struct shard_found *found, const struct shard_box *box)
{
    const uint64_t elements = shard_layer_elements(box);

    shard_found_init(found);
    for (uint64_t i = 0; i < elements; i++)
        find(found, i, 0,
             i / box->row_len * box->groups_per_row + i % box->row_len / GROUP, kinds[i]);
}

static void draw_kinds(uint64_t *seed)
{
    const uint64_t some = 1 + below(seed, 255);

    for (size_t i = 0; i < ELEMENTS_MAX; i++)
        kinds[i] = (uint8_t)(below(seed, 4) ? 255 : below(seed, some));
}

CASE(found, "what is found in the shards adds up to what is found in the layer")
{
    uint64_t seed = check_seed();
    struct shard_found layer, sum, shard;
    struct grid grid;

    for (int round = 0; round < 300; round++) {
        if (round % 3)
            draw_boxes(&grid, &seed);
        else
            draw_runs(&grid, &seed);
        shuffle(&grid, &seed);
        draw_kinds(&seed);
        find_in_layer(&layer, &grid.boxes[0]);
        shard_found_init(&sum);
        for (size_t i = 0; i < grid.count; i++) {
            find_in_shard(&shard, &grid.boxes[i]);
            shard_found_add(&sum, &grid.boxes[i], &shard);
        }
        /* Only the sum has rows of samples: they are where its elements are. */
        memset(sum.sample_rows, 0, sizeof(sum.sample_rows));
        memset(sum.near_rows, 0, sizeof(sum.near_rows));
        for (uint32_t i = sum.check.sample_count; i < TRIT_SAMPLES_MAX; i++)
            sum.check.samples[i] = 0;
        for (uint32_t i = sum.check.near_count; i < TRIT_SAMPLES_MAX; i++)
            sum.check.near[i] = 0;
        CHECK_MEM(&layer, &sum, sizeof(layer));
    }
}

/* ---- at rest ---------------------------------------------------------------------- */

CASE(state, "a state is read back as it was written, and no shorter one is accepted")
{
    uint64_t seed = check_seed();
    uint8_t bytes[SHARD_STATE_BYTES_MAX];
    struct shard_state state, back;
    struct grid grid;

    for (int round = 0; round < 100; round++) {
        memset(&state, 0, sizeof(state));
        if (round % 2)
            draw_boxes(&grid, &seed);
        else
            draw_runs(&grid, &seed);
        draw_kinds(&seed);
        state.box = grid.boxes[0];
        find_in_shard(&state.found, &state.box);
        for (int i = 0; i < SHARD_TERMS; i++)
            state.terms[i] = check_random(&seed);
        const size_t count = shard_state_encode(&state, bytes);

        CHECK(count > 0);
        CHECK(shard_state_decode(bytes, count, &back) == 0);
        CHECK_MEM(&state, &back, sizeof(state));
        CHECK(shard_state_decode(bytes, count - 1, &back) < 0);
        bytes[0] ^= 2;
        CHECK(shard_state_decode(bytes, count, &back) < 0);
    }
}

CASE(longest_state, "the longest state fits its bound")
{
    const uint64_t ones[TRIT_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    const uint64_t zeros[TRIT_RANK_MAX] = {0};
    struct shard_state state = {.terms = {0}};
    uint8_t bytes[SHARD_STATE_BYTES_MAX];
    const struct shard_place place = {TRIT_RANK_MAX, ones, TRIT_RANK_MAX, ones, zeros, 1};

    CHECK(shard_box_init(&state.box, &place, NULL) == 0);
    state.found.check.sample_count = state.found.check.near_count = TRIT_SAMPLES_MAX;
    CHECK(shard_state_encode(&state, bytes) > 0);
}

CASE(group, "what a group leaves behind is read back as it was written")
{
    uint64_t seed = check_seed();

    for (int round = 0; round < 100; round++) {
        struct shard_group_row group = {.scale = (float)round}, back = {.scale = 0};
        const bool has_sums = round % 2;
        uint8_t bytes[SHARD_GROUP_BYTES_MAX];

        group.inexact = round % 4 > 1;
        for (size_t i = 0; group.inexact && i < sizeof(group.hash); i++)
            group.hash[i] = (uint8_t)check_random(&seed);
        if (has_sums)
            group.sums = (struct group_sums){1, 2.5, (double)round, 1e300};
        const size_t count = shard_group_encode(&group, has_sums, bytes);
        const size_t rest = shard_group_head(bytes, has_sums, &back);

        CHECK_EQ(count, SHARD_GROUP_HEAD_BYTES + rest);
        shard_group_rest(bytes + SHARD_GROUP_HEAD_BYTES, has_sums, &back);
        CHECK(back.scale == group.scale && back.inexact == group.inexact);
        CHECK_MEM(back.hash, group.hash, sizeof(group.hash));
        CHECK_MEM(&back.sums, &group.sums, sizeof(group.sums));
    }
}
