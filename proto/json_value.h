/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and names of files as JSON, by the rules of docs/json.md. All JSON of the project
 * that is not the header or configuration of a model's file takes them from here. A function
 * returns NULL if memory ran out. */
#ifndef PROTO_JSON_VALUE_H
#define PROTO_JSON_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct json_t;

/* A 64-bit integer becomes a string of decimal digits, as in proto3 JSON: many programs
 * read numbers as doubles, which hold integers exactly only up to 2^53. */
struct json_t *json_uint64(uint64_t value);
struct json_t *json_int64(int64_t value);
struct json_t *json_uint64s(const uint64_t *values, size_t count);

/* An integer of at most 32 bits stays a number. */
struct json_t *json_uint32(uint32_t value);

/* The name of a file, which need not be UTF-8 as JSON is: such a name is shown with escapes,
 * as "\\xff.npy". null where it is NULL. */
struct json_t *json_path(const char *path);

/* null where the value is NaN or infinite, which JSON does not have. */
struct json_t *json_number(double value);

#endif
