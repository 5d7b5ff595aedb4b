/* SPDX-License-Identifier: Apache-2.0 */
/* Where shards may lie, and what is said about those that may not. */
#include <string.h>

#include "shards/join.h"
#include "tests/lib/check.h"

static int make(struct shard_box *box, const struct shard_place *place,
                struct failure *failure)
{
    *failure = (struct failure){0};
    return shard_box_init(box, place, failure);
}

#define REFUSED(place, text)                                                             \
    do {                                                                                 \
        struct failure why;                                                              \
        struct shard_box no_box;                                                         \
        CHECK(make(&no_box, &(place), &why) < 0);                                        \
        CHECK_EQ(why.status, TRIT_INVALID_ARGUMENT);                                     \
        if (!strstr(why.message, text))                                                  \
            check_failed(__FILE__, __LINE__, "%s", why.message);                         \
    } while (0)

static const uint64_t layer[] = {256, 384};

CASE(cut, "a cut inside a group is refused, and the message names the columns around it")
{
    const uint64_t shape[] = {256, 192}, left[] = {0, 0}, right[] = {0, 192};
    struct shard_place place = {2, shape, 2, layer, left, 128};

    REFUSED(place,
            "shard_cuts_group: column 192 is inside group 1 of a row of 384; cut at "
            "column 128 or 256");
    place.offset = right;
    REFUSED(place, "shard_cuts_group: column 192");
    place.group_size = 64;
    struct failure failure;
    struct shard_box box;

    CHECK(make(&box, &place, &failure) == 0);
}

CASE(end, "the row's end may be cut, and the last group may be short")
{
    const uint64_t shape[] = {256, 56}, offset[] = {0, 128}, narrow[] = {256, 184};
    const struct shard_place place = {2, shape, 2, narrow, offset, 128};
    struct failure failure;
    struct shard_box box;

    CHECK(make(&box, &place, &failure) == 0);
    CHECK_EQ(shard_covers(&box, 3, 1), 1);
    CHECK_EQ(shard_covers(&box, 3, 0), 0);
    CHECK_EQ(shard_code_bytes(&box, 1, 1), 14);
    CHECK_EQ(shard_code_bytes(&box, 0, 2), 46);
}

CASE(outside, "a shard beyond the layer is refused, also where sums overflow")
{
    const uint64_t shape[] = {128, 384}, offset[] = {129, 0}, far[] = {UINT64_MAX, 0};
    const uint64_t none[] = {256, 0}, huge[] = {UINT64_MAX, 384};
    struct shard_place place = {2, shape, 2, layer, offset, 128};

    REFUSED(place, "axis 0: 128 elements from 129 on, but global_shape has 256");
    place.offset = far;
    REFUSED(place, "axis 0: 128 elements");
    place.global_shape = none;
    REFUSED(place, "axis 1 is 0");
    place.global_shape = huge;
    REFUSED(place, "overflows 64 bits");
    place.rank = 3;
    REFUSED(place, "2 axes, but the tensor has 3");
}

CASE(flat, "a flat shard may cut a row between groups, not inside one")
{
    const uint64_t count[] = {512}, at[] = {3, 128}, inside[] = {3, 100};
    const uint64_t odd[] = {256, 200}, start[] = {0, 0};
    struct shard_place place = {1, count, 2, layer, at, 128};
    struct failure failure;
    struct shard_box box;

    CHECK(make(&box, &place, &failure) == 0);
    CHECK_EQ(box.first, 3 * 384 + 128);
    CHECK_EQ(shard_covers(&box, 3, 0), 0);
    CHECK_EQ(shard_covers(&box, 3, 1), 2);
    CHECK_EQ(shard_covers(&box, 4, 0), 2);
    CHECK_EQ(shard_covers(&box, 4, 2), 0);
    place.offset = inside;
    REFUSED(place, "shard_cuts_group: column 100 is inside group 0");
    place.global_shape = odd;
    place.offset = start;
    REFUSED(place, "send whole rows as a matrix of 200 columns");
}

CASE(expected, "the number of shards follows from the longest ones")
{
    const uint64_t rows[] = {100, 384}, last[] = {56, 384};
    const uint64_t first[] = {0, 0}, third[] = {200, 0};
    const struct shard_place places[] = {{2, rows, 2, layer, first, 128},
                                         {2, last, 2, layer, third, 128}};
    struct shard_box boxes[2];
    struct failure failure;

    for (int i = 0; i < 2; i++)
        CHECK(make(&boxes[i], &places[i], &failure) == 0);
    struct shard_entry entries[2] = {{.box = boxes[0]}, {.box = boxes[1]}};

    CHECK_EQ(shard_list_expected(&(struct shard_list){entries, 1, 2}), 3);
    CHECK_EQ(shard_list_expected(&(struct shard_list){entries, 2, 2}), 3);
    CHECK_EQ(shard_list_expected(&(struct shard_list){entries + 1, 1, 1}), 5);
}

CASE(terms,
     "a shard whose terms differ from the others' is refused, and the message says in "
     "what")
{
    const uint64_t rows[] = {128, 384}, first[] = {0, 0}, other[] = {512, 384};
    struct shard_place place = {2, rows, 2, layer, first, 128};
    struct shard_state a = {.terms = {[SHARD_DTYPE] = 1}}, b = a;
    struct failure failure;

    CHECK(make(&a.box, &place, &failure) == 0);
    place.global_shape = other;
    CHECK(make(&b.box, &place, &failure) == 0);
    CHECK(shard_state_agrees(&a, &b, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    CHECK(strstr(failure.message, "[512, 384], but [256, 384] in the shards"));
    b.terms[SHARD_DTYPE] = 3;
    failure = (struct failure){0};
    CHECK(shard_state_agrees(&a, &b, &failure) < 0);
    CHECK(strstr(failure.message, "dtype is 3, but 1"));
    CHECK(shard_state_agrees(&a, &a, &failure) == 0);
}
