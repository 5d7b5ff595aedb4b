/* SPDX-License-Identifier: Apache-2.0 */
/* Values of this module as JSON. A function that returns a value returns NULL if memory
 * ran out. json_put accepts NULL as the value and then returns false, so a caller can
 * check once at the end. */
#ifndef CHECKPOINT_JSON_H
#define CHECKPOINT_JSON_H

#include "checkpoint/options.h"
#include "files/table.h"

struct json_t;

/* A number of tensors or layers of a file: a number. Its other counts are 64-bit
 * integers, which are strings (proto/json_value.h). */
struct json_t *json_count(size_t tensors);
struct json_t *json_shape(uint32_t rank, const uint64_t *shape);

/* Reads config.json: an object; later values of a duplicate key count. NULL: *failure has the
 * line, or says that it is no object. */
struct json_t *json_read_config(const char *text, size_t bytes, struct failure *failure);

/* Sets a member and takes ownership of its value. False: memory ran out. */
bool json_put(struct json_t *object, const char *key, struct json_t *value);

/* Sets encoding, group_size and partial_group. */
bool json_put_terms(struct json_t *object, const struct layer_terms *terms);

/* {name, dtype, shape}. NULL: memory ran out. */
struct json_t *json_entry(const struct tensor_entry *entry);

#endif
