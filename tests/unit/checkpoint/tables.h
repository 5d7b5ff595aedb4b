/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of tensors, made by a line each. */
#ifndef TESTS_CHECKPOINT_TABLES_H
#define TESTS_CHECKPOINT_TABLES_H

#include <stdio.h>
#include <string.h>

#include "files/table.h"
#include "tests/lib/check.h"

/* Offsets follow the order of the calls. Rank 1 where `b` is 0, 2 where `c` is 0. */
static inline void add(struct tensor_table *table, const char *name, const char *type,
                       uint64_t a, uint64_t b, uint64_t c)
{
    const struct tensor_entry entry = {.name = name,
                                       .type = element_type_by_name(type),
                                       .rank = c   ? 3
                                               : b ? 2
                                                   : 1,
                                       .shape = {a, b, c},
                                       .offset = table->count * 1000};

    CHECK(table_add(table, &entry, NULL) == 0);
}

static inline void seal(struct tensor_table *table)
{
    CHECK(table_seal(table, NULL) == 0);
}

/* The name of a tensor of a block; "%d" in `format` is the block's number. */
static inline void block_tensor(char name[96], const char *format, int block)
{
    const char *number = strchr(format, '%');

    if (number)
        snprintf(name, 96, "%.*s%d%s", (int)(number - format), format, block,
                 number + strlen("%d"));
    else
        snprintf(name, 96, "%s", format);
}

static inline size_t index_of(const struct tensor_table *table, const char *name)
{
    const struct tensor_entry *entry = table_find(table, name);

    if (!entry)
        check_failed(__FILE__, __LINE__, "%s is not in the table", name);
    return (size_t)(entry - table->entries);
}

#endif
