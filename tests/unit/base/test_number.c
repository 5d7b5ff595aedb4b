/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <string.h>

#include "base/array.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

CASE(rounds_up, "rounding up stops at the largest number")
{
    CHECK_EQ(align_up(0, 64), 0);
    CHECK_EQ(align_up(1, 64), 64);
    CHECK_EQ(align_up(64, 64), 64);
    CHECK_EQ(align_up(65, 64), 128);
    CHECK_EQ(align_up(7, 1), 7);
    CHECK_EQ(align_up(UINT64_MAX - 63, 64), UINT64_MAX - 63);
    CHECK_EQ(align_up(UINT64_MAX - 62, 64), UINT64_MAX);
    CHECK_EQ(align_up(UINT64_MAX, 1), UINT64_MAX);
    CHECK_EQ(u64_min(3, 4), 3);
    CHECK_EQ(u64_min(UINT64_MAX, 4), 4);
}

CASE(parses, "a number is digits only and must fit 64 bits and its bound")
{
    uint64_t number = 7;

    CHECK(parse_u64("0", 0, &number) && number == 0);
    CHECK(parse_u64("18446744073709551615", UINT64_MAX, &number) && number == UINT64_MAX);
    CHECK(parse_u64("0065535", 65535, &number) && number == 65535);
    number = 7;
    CHECK(!parse_u64("18446744073709551616", UINT64_MAX, &number));
    CHECK(!parse_u64("65536", 65535, &number));
    for (const char *const *bad =
             (const char *const[]){"", " 1", "+1", "-1", "1 ", "1x", "0x1", NULL};
         *bad; bad++)
        CHECK(!parse_u64(*bad, UINT64_MAX, &number));
    CHECK_EQ(number, 7);
    CHECK_EQ(parse_digits("12K", 3, &number), 2);
    CHECK_EQ(number, 12);
    CHECK_EQ(parse_digits("12", 1, &number), 1);
    CHECK_EQ(number, 1);
    CHECK_EQ(parse_digits("12", 0, &number), 0);
    CHECK_EQ(parse_digits("99999999999999999999", 20, &number), 0);
    CHECK_EQ(number, 1);
}

CASE(grows, "an array doubles and keeps its elements")
{
    uint64_t *array = NULL;
    size_t capacity = 0;

    for (size_t count = 0; count < 1000; count++) {
        array = array_grow(array, &capacity, count + 1, sizeof(*array));
        CHECK(array && capacity >= count + 1);
        array[count] = count;
    }
    CHECK_EQ(capacity, 1024);
    for (size_t i = 0; i < 1000; i++)
        CHECK_EQ(array[i], i);
    free(array);
}

CASE(keeps_the_array_on_failure, "an array that cannot grow stays as it was")
{
    size_t capacity = 0;
    char *array = array_grow(NULL, &capacity, 1, 1);

    CHECK(array && capacity == ARRAY_BYTES_FIRST);
    CHECK(!array_grow(array, &capacity, SIZE_MAX, 1));
    CHECK(!array_grow(array, &capacity, SIZE_MAX / 8, 16));
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!array_grow(array, &capacity, ARRAY_BYTES_FIRST + 1, 1));
    CHECK(fault_disarm());
    CHECK_EQ(capacity, ARRAY_BYTES_FIRST);
    memset(array, 1, capacity);
    free(array);
}
