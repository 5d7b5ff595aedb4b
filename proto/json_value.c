/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_value.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

enum { DIGITS_BYTES = 24 };

json_t *json_uint64(uint64_t value)
{
    char digits[DIGITS_BYTES];

    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    return json_string(digits);
}

json_t *json_int64(int64_t value)
{
    char digits[DIGITS_BYTES];

    snprintf(digits, sizeof(digits), "%" PRId64, value);
    return json_string(digits);
}

json_t *json_uint64s(const uint64_t *values, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, json_uint64(values[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

json_t *json_uint32(uint32_t value)
{
    return json_integer(value);
}

json_t *json_path(const char *path)
{
    enum { ESCAPE_BYTES = 4 }; /* "\xff", of a byte */

    if (!path)
        return json_null();
    if (utf8_is_valid(path))
        return json_string(path);
    const size_t bytes = ESCAPE_BYTES * strlen(path) + UTF8_SHOWN_BYTES;
    char *text = malloc(bytes);
    if (!text)
        return NULL;
    utf8_show_text(text, bytes, path);
    json_t *value = json_string(text);
    free(text);
    return value;
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}
