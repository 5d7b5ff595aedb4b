/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/keras_names.h"

#include <stdio.h>
#include <string.h>

enum { VARIABLES_BYTES = sizeof("vars/") - 1 }; /* before a variable's number */

bool table_is_keras(const struct tensor_table *table)
{
    return table->format && strcmp(table->format, "keras") == 0;
}

/* The class of the layer in snake case, with a number if there are several: the part before
 * "/vars/0". Empty: the variable is the model's own. */
static void layer_class(const char *name, char text[FILES_NAME_BYTES_MAX + 1])
{
    const char *vars = strrchr(name, '/');
    size_t length = vars ? (size_t)(vars - name) : 0;

    length = length > VARIABLES_BYTES ? length - VARIABLES_BYTES : 0;
    size_t start = length;
    while (start > 0 && name[start - 1] != '/')
        start--;
    snprintf(text, FILES_NAME_BYTES_MAX + 1, "%.*s", (int)(length - start), name + start);
}

enum keras_kind keras_kind(const struct tensor_entry *entry)
{
    char class[FILES_NAME_BYTES_MAX + 1];

    layer_class(entry->name, class);
    if (strncmp(entry->name, "optimizer/", strlen("optimizer/")) == 0)
        return KERAS_OTHER;
    if (strstr(class, "normalization"))
        return KERAS_NORM;
    if (entry->rank != 2) /* convolutions are [height, width, in, out] */
        return KERAS_OTHER;
    if (strstr(class, "embedding"))
        return strstr(class, "position") ? KERAS_POSITIONS : KERAS_EMBEDDING;
    return KERAS_KERNEL;
}

/* The variable with another number of the same layer, or NULL. */
static const struct tensor_entry *variable(const struct tensor_table *table,
                                           const struct tensor_entry *entry,
                                           const char *number)
{
    char name[FILES_NAME_BYTES_MAX + 1];
    const char *slash = strrchr(entry->name, '/');

    snprintf(name, sizeof(name), "%.*s/%s", (int)(slash - entry->name), entry->name,
             number);
    return table_find(table, name);
}

size_t keras_scale(const struct tensor_table *table, const struct tensor_entry *entry)
{
    const char *slash = strrchr(entry->name, '/');

    if (!table_is_keras(table) || !slash || strcmp(slash, "/0") != 0 ||
        strcmp(entry->type->name, "U8") != 0 || entry->rank != 2)
        return SIZE_MAX;
    const struct tensor_entry *one = variable(table, entry, "1");
    const struct tensor_entry *two = variable(table, entry, "2");
    if (!one || variable(table, entry, "3") ||
        (two && (one->rank != 1 || one->shape[0] != entry->shape[1])))
        return SIZE_MAX;
    const struct tensor_entry *scale = two ? two : one;
    return scale->rank == 0 && element_type_is_float(scale->type)
               ? (size_t)(scale - table->entries)
               : SIZE_MAX;
}
