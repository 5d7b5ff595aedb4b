/* SPDX-License-Identifier: Apache-2.0 */
#include "files/shard_name.h"

#include <stdio.h>
#include <string.h>

#include "proto/utf8.h"

static const char DIGITS[] = "0123456789";

bool name_has_suffix(const char *name, const char *suffix)
{
    const size_t length = strlen(name), bytes = strlen(suffix);

    return length > bytes && strcmp(name + length - bytes, suffix) == 0;
}

bool shard_name_read(struct shard_name *split, const char *name, const char *suffix)
{
    const char *dash = strstr(name, "-of-");
    int end = 0;

    if (!dash || dash - name < 6 || dash[-6] != '-' || strspn(dash - 5, DIGITS) != 5 ||
        strspn(dash + 4, DIGITS) != 5 || !utf8_is_valid(name) ||
        sscanf(dash - 5, "%5u-of-%5u%n", &split->number, &split->of, &end) != 2 ||
        strcmp(dash - 5 + end, suffix) != 0 || end != 14)
        return false;
    split->stem = (size_t)(dash - 6 - name);
    return split->of > 0 && split->of <= SHARDS_MAX && split->number <= split->of;
}

bool shard_names_agree(const char *left_name, const struct shard_name *left,
                       const char *right_name, const struct shard_name *right)
{
    return left->of == right->of && left->stem == right->stem &&
           strncmp(left_name, right_name, left->stem) == 0;
}
