/* SPDX-License-Identifier: Apache-2.0 */
/* The CRCs of rows about shards. */
#include <string.h>

#include "kernels/kernels.h"
#include "store/block.h"
#include "store/row.h"

/* These go on with the kinds of row.c. */
enum { ROW_SHARD = 10, ROW_JOINED = 11 };

uint32_t shard_row_crc(const struct shard_row *row)
{
    const int64_t numbers[] = {
        ROW_SHARD,   row->part,   row->step,         row->number,
        row->upload, row->groups, row->time_unix_ns, (int64_t)row->data_bytes};
    const uint32_t crc = row_crc_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));

    return crc32c(key_crc(crc, row->key), row->data, row->data_bytes);
}

uint32_t joined_row_crc(int64_t sequence, const void *list, size_t bytes)
{
    const int64_t numbers[] = {ROW_JOINED, sequence, (int64_t)bytes};

    return crc32c(row_crc_numbers(numbers, sizeof(numbers) / sizeof(numbers[0])), list,
                  bytes);
}
