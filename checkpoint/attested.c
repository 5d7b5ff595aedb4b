/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/attested.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "files/folder.h"
#include "files/table.h"
#include "proto/utf8.h"

int attested_add(struct attested_list *list, const char *name,
                 const uint8_t digest[TRIT_DIGEST_BYTES], const struct layer_terms *terms,
                 struct failure *failure)
{
    struct attested added = {.name = strdup(name)};
    struct attested *larger = added.name ? array_grow(list->list, &list->capacity,
                                                      list->count + 1, sizeof(*larger))
                                         : NULL;

    if (!larger) {
        free(added.name);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    memcpy(added.digest, digest, sizeof(added.digest));
    if (terms)
        added.terms = *terms;
    list->list = larger;
    list->list[list->count++] = added;
    return 0;
}

int attested_add_layer(struct attested_list *list, const char *name,
                       const uint8_t digest[TRIT_DIGEST_BYTES],
                       const struct layer_terms *terms, double max_round_error,
                       struct failure *failure)
{
    if (attested_add(list, name, digest, terms, failure) < 0)
        return -1;
    list->list[list->count - 1].max_round_error = max_round_error;
    return 0;
}

bool attested_can_name(const char *file)
{
    return folder_name_is_plain(file) && utf8_is_name(file) &&
           strlen(file) <= FILES_NAME_BYTES_MAX;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct attested *)left)->name,
                  ((const struct attested *)right)->name);
}

const char *attested_sort(struct attested_list *list)
{
    if (list->count > 1)
        qsort(list->list, list->count, sizeof(*list->list), compare);
    for (size_t i = 1; i < list->count; i++)
        if (strcmp(list->list[i - 1].name, list->list[i].name) == 0)
            return list->list[i].name;
    return NULL;
}

void attested_fini(struct attested_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->list[i].name);
    free(list->list);
    *list = (struct attested_list){.list = NULL};
}

const char *digest_hex(char hex[DIGEST_HEX_BYTES],
                       const uint8_t digest[TRIT_DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < TRIT_DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * TRIT_DIGEST_BYTES] = '\0';
    return hex;
}

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool digest_read(const char *hex, uint8_t digest[TRIT_DIGEST_BYTES])
{
    if (strlen(hex) != 2 * TRIT_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < TRIT_DIGEST_BYTES; i++) {
        const int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
