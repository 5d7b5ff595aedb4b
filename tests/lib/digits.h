/* SPDX-License-Identifier: Apache-2.0 */
/* Reads 64-bit integers of JSON, which are strings (docs/json.md). */
#ifndef TESTS_LIB_DIGITS_H
#define TESTS_LIB_DIGITS_H

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "tests/lib/check.h"

/* The value of a string that holds its digits and nothing else; fails otherwise. */
static inline uint64_t json_digits(const json_t *json)
{
    const char *text = json_string_value(json);
    char again[24];
    uint64_t value = 0;

    CHECK(text && sscanf(text, "%" SCNu64, &value) == 1);
    snprintf(again, sizeof(again), "%" PRIu64, value);
    CHECK_STR(text, again);
    return value;
}

#endif
