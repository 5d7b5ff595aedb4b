/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_value.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

static void check_text(json_t *json, const char *expected)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    CHECK(text);
    CHECK_STR(text, expected);
    free(text);
    json_decref(json);
}

CASE(integers_of_64_bits, "a 64-bit integer becomes a string of its digits")
{
    const uint64_t values[] = {0, (UINT64_C(1) << 53) + 1, UINT64_MAX};

    check_text(json_uint64(0), "\"0\"");
    check_text(json_uint64(UINT64_MAX), "\"18446744073709551615\"");
    check_text(json_int64(INT64_MIN), "\"-9223372036854775808\"");
    check_text(json_int64(INT64_MAX), "\"9223372036854775807\"");
    check_text(json_uint64s(values, 3),
               "[\"0\",\"9007199254740993\",\"18446744073709551615\"]");
    check_text(json_uint64s(NULL, 0), "[]");
}

CASE(numbers, "an integer of 32 bits is a number; NaN and infinity are null")
{
    check_text(json_uint32(UINT32_MAX), "4294967295");
    check_text(json_number(0.5), "0.5");
    check_text(json_number(NAN), "null");
    check_text(json_number(-INFINITY), "null");
}

CASE(paths,
     "a path is shown with escapes where it is not UTF-8, and is null where it is NULL")
{
    check_text(json_path("a/\xc3\xbc.npy"), "\"a/\xc3\xbc.npy\"");
    check_text(json_path("a/\xff\xfe.npy"), "\"a/\\\\xff\\\\xfe.npy\"");
    check_text(json_path(NULL), "null");
}

CASE(without_memory, "if memory runs out, the result is NULL and nothing leaks")
{
    const uint64_t values[9] = {1, 2, 3};
    uint64_t n = 1;

    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        json_t *json = json_uint64s(values, 9);
        bool failed = fault_disarm();
        CHECK_EQ(!json, failed);
        json_decref(json);
        if (!failed)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    CHECK(n > 9);
}
