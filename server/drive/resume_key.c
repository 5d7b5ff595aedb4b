/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/resume_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "files/folder.h"
#include "kernels/kernels.h"

static const char begin[] = "trit journal 1";

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

static int add(struct resume_key *key, const void *bytes, size_t count)
{
    uint8_t *grown =
        array_grow(key->bytes, &key->capacity, key->count + count + 1, sizeof(*grown));

    if (!grown)
        return -1;
    key->bytes = grown;
    if (count)
        memcpy(grown + key->count, bytes, count);
    key->count += count;
    return 0;
}

static int add_number(struct resume_key *key, uint64_t number)
{
    return add(key, &number, sizeof(number));
}

/* With its end, so that two texts never read as one. */
static int add_text(struct resume_key *key, const char *text)
{
    return add(key, text, strlen(text) + 1);
}

static int add_file(struct resume_key *key, const struct source *source)
{
    const struct source_identity identity =
        source ? source_identity(source) : (struct source_identity){.bytes = UINT64_MAX};

    return add_text(key, source ? source_name(source) : "") |
           add_number(key, identity.device) | add_number(key, identity.inode) |
           add_number(key, identity.bytes) |
           add_number(key, (uint64_t)identity.modified_ns) |
           add_number(key, (uint64_t)identity.changed_ns);
}

/* It decides which tensors are layers. */
static int add_config(struct resume_key *key, const struct reader *reader,
                      struct failure *failure)
{
    const char *folder = reader_folder(reader);
    char *text = NULL;
    size_t bytes = 0;
    int result = 0;

    if (folder && folder_read_text(folder, "config.json", &text, &bytes, failure) < 0)
        return -1;
    result = add_number(key, bytes) | (text ? add(key, text, bytes) : 0);
    free(text);
    return result < 0 ? no_memory(failure) : 0;
}

static int add_entry(struct resume_key *key, const struct tensor_entry *entry)
{
    int result = add_text(key, entry->name) | add_text(key, entry->type->name) |
                 add_number(key, entry->rank) | add_number(key, entry->bytes);

    for (uint32_t i = 0; i < entry->rank; i++)
        result |= add_number(key, entry->shape[i]);
    return result;
}

static int add_table(struct resume_key *key, const struct tensor_table *table)
{
    int result = add_number(key, table->count);
    uint32_t crc = 0;

    for (size_t i = 0; i < table->count; i++)
        result |= add_entry(key, &table->entries[i]);
    for (size_t i = 0; i < table->pair_count; i++) {
        crc = crc32c(crc, table->pairs[i].key, strlen(table->pairs[i].key) + 1);
        if (table->pairs[i].value)
            crc = crc32c(crc, table->pairs[i].value, strlen(table->pairs[i].value) + 1);
    }
    result |= add_number(key, table->pair_count) | add_number(key, crc);
    return result | add_number(key, table->values_bytes) |
           add_number(key,
                      table->values ? crc32c(0, table->values, table->values_bytes) : 0);
}

int resume_key_make(struct resume_key *key, const struct resume_asked *asked,
                    const struct plan *plan, const struct reader *reader,
                    struct failure *failure)
{
    int result;

    *key = (struct resume_key){.bytes = NULL};
    result = add_text(key, begin) | add_text(key, asked->version) |
             add_number(key, asked->request_bytes) |
             add(key, asked->request, asked->request_bytes) |
             add_number(key, reader_file_count(reader));
    for (size_t i = 0; i < reader_file_count(reader); i++)
        result |= add_file(key, reader_file(reader, i));
    result |= add_table(key, reader_table(reader)) | add_table(key, &plan->table);
    if (result < 0)
        return no_memory(failure);
    return add_config(key, reader, failure);
}

int64_t resume_newest_change(const struct reader *reader)
{
    int64_t newest = 0;

    for (size_t i = 0; i < reader_file_count(reader); i++) {
        const struct source *source = reader_file(reader, i);
        const int64_t changed = source ? source_identity(source).changed_ns : 0;

        if (changed > newest)
            newest = changed;
    }
    return newest;
}
