/* SPDX-License-Identifier: Apache-2.0 */
/* Names of numbered shards: "model-00002-of-00003.safetensors". */
#ifndef FILES_SHARD_NAME_H
#define FILES_SHARD_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { SHARDS_MAX = 4096 }; /* files of one checkpoint */

/* Bytes before the first number, and the two numbers. */
struct shard_name {
    size_t stem;
    unsigned number, of;
};

/* Is it the name of a numbered shard that ends with `suffix`? */
bool shard_name_read(struct shard_name *split, const char *name, const char *suffix);

/* Are two files of the same numbered ones? `left` and `right` are what their names were split
 * into. */
bool shard_names_agree(const char *left_name, const struct shard_name *left,
                       const char *right_name, const struct shard_name *right);

/* Does the name end with the suffix, and is it longer? */
bool name_has_suffix(const char *name, const char *suffix);

#endif
