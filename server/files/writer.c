#include "files/writer.h"

#include <stdlib.h>
#include <string.h>

#include "files/formats.h"
#include "files/target.h"

struct writer {
    struct tensor_table *table;
    struct target *target;
    uint64_t *filled; /* bytes put so far, a tensor each */
};

/* The first one takes what no suffix claims. */
static const struct writer_ops *const formats[] = {&safetensors_writer, &npy_writer};

static const struct writer_ops *format_of(const char *path)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        size_t suffix = strlen(formats[i]->suffix);

        if (length >= suffix && strcmp(path + length - suffix, formats[i]->suffix) == 0)
            return formats[i];
    }
    return formats[0];
}

const char *writer_format(const char *path)
{
    return format_of(path)->format;
}

int writer_create(struct writer **out, const char *path, struct tensor_table *table,
                  struct failure *failure)
{
    struct writer *writer;
    uint8_t *header;
    uint64_t header_bytes;
    int result;

    if (format_of(path)->plan(table, &header, &header_bytes, failure) != 0)
        return -1;
    writer = calloc(1, sizeof(*writer));
    if (!writer || !(writer->filled = calloc(table->count + 1, sizeof(uint64_t)))) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        goto free_header;
    }
    writer->table = table;
    if (target_open(&writer->target, path, failure) != 0)
        goto free_header;
    result = target_write(writer->target, 0, header, header_bytes, failure);
    if (result != 0)
        goto free_header;
    free(header);
    *out = writer;
    return 0;

free_header:
    free(header);
    writer_destroy(writer);
    return -1;
}

int writer_put(struct writer *writer, size_t index, const void *data, uint64_t count,
               struct failure *failure)
{
    const struct tensor_entry *entry = &writer->table->entries[index];

    if (count > entry->bytes - writer->filled[index])
        return fail(failure, TRIT_INTERNAL, NULL,
                    "tensor %s got more than its %llu bytes", entry->name,
                    (unsigned long long)entry->bytes);
    if (target_write(writer->target, entry->offset + writer->filled[index], data, count,
                     failure) != 0)
        return -1;
    writer->filled[index] += count;
    return 0;
}

int writer_commit(struct writer *writer, struct failure *failure)
{
    for (size_t i = 0; i < writer->table->count; i++)
        if (writer->filled[i] != writer->table->entries[i].bytes)
            return fail(
                failure, TRIT_INTERNAL, NULL, "tensor %s got %llu of its %llu bytes",
                writer->table->entries[i].name, (unsigned long long)writer->filled[i],
                (unsigned long long)writer->table->entries[i].bytes);
    return target_commit(writer->target, failure);
}

void writer_destroy(struct writer *writer)
{
    if (!writer)
        return;
    target_close(writer->target);
    free(writer->filled);
    free(writer);
}
