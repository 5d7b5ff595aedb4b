/* SPDX-License-Identifier: Apache-2.0 */
#include "files/reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "files/formats.h"

struct reader {
    const struct reader_ops *ops;
    struct source *source;
    struct tensor_table table;
};

/* Looked through in order. safetensors has no magic and comes last. */
static const struct reader_ops *const probes[] = {&npy_reader, &safetensors_reader};

static int find_format(struct reader *reader, struct failure *failure)
{
    uint64_t bytes = source_bytes(reader->source);
    uint8_t head[PROBE_BYTES];
    size_t count = bytes < PROBE_BYTES ? (size_t)bytes : PROBE_BYTES;

    if (source_read(reader->source, 0, head, count, failure) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
        if (probes[i]->probe(head, count)) {
            reader->ops = probes[i];
            return 0;
        }
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "it is neither safetensors nor .npy");
}

int reader_open(struct reader **reader, const char *path,
                const struct read_options *options, struct failure *failure)
{
    struct source *source;

    if (source_open(&source, path, failure) != 0)
        return -1;
    return reader_open_source(reader, source, options, failure);
}

int reader_open_source(struct reader **out, struct source *source,
                       const struct read_options *options, struct failure *failure)
{
    struct read_options chosen = options ? *options : (struct read_options){0};
    struct reader *reader = calloc(1, sizeof(*reader));

    if (!reader) {
        source_close(source);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (!chosen.header_bytes_max || chosen.header_bytes_max > FILES_HEADER_BYTES_MAX)
        chosen.header_bytes_max = FILES_HEADER_BYTES_MAX;
    reader->source = source;
    table_init(&reader->table);
    if (find_format(reader, failure) != 0 ||
        reader->ops->read_table(source, &chosen, &reader->table, failure) != 0) {
        reader_close(reader);
        return -1;
    }
    *out = reader;
    return 0;
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    table_fini(&reader->table);
    source_close(reader->source);
    free(reader);
}

const struct tensor_table *reader_table(const struct reader *reader)
{
    return &reader->table;
}

const char *reader_format(const struct reader *reader)
{
    return reader->ops->format;
}

int reader_read(struct reader *reader, const struct tensor_entry *entry, uint64_t offset,
                void *buffer, uint64_t count, struct failure *failure)
{
    if (offset > entry->bytes || count > entry->bytes - offset)
        return fail(failure, TRIT_OUT_OF_RANGE, NULL, "read beyond the end of tensor %s",
                    entry->name);
    return source_read(reader->source, entry->offset + offset, buffer, count, failure);
}

int reader_load(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure)
{
    void *bytes;

    if (entry->bytes > PTRDIFF_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "tensor %s is too large",
                    entry->name);
    bytes = malloc((size_t)entry->bytes + 1);
    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for tensor %s (%" PRIu64 " bytes)", entry->name,
                    entry->bytes);
    if (reader_read(reader, entry, 0, bytes, entry->bytes, failure) != 0) {
        free(bytes);
        return -1;
    }
    *data = bytes;
    return 0;
}

int reader_unchanged(const struct reader *reader, struct failure *failure)
{
    return source_unchanged(reader->source, failure);
}
