/* SPDX-License-Identifier: Apache-2.0 */
/* The formats, each a set of operations: bytes to table, table to bytes. Only
 * reader.c and writer.c choose among them. */
#ifndef FILES_FORMATS_H
#define FILES_FORMATS_H

#include "files/read_options.h"
#include "files/source.h"
#include "files/table.h"

enum { PROBE_BYTES = 48 }; /* bytes of the file that a probe gets */

struct reader_ops {
    const char *format;
    /* Whether the file may have this format. `count` is at most PROBE_BYTES. */
    bool (*probe)(const uint8_t *head, size_t count);
    /* Fills and seals the table. On failure the caller calls table_fini. */
    int (*read_table)(struct source *source, const struct read_options *options,
                      struct tensor_table *table, struct failure *failure);
};

struct writer_ops {
    const char *format;
    const char *suffix; /* of file names, ".npy" */
    /* Sets the offset of every entry. Returns the bytes before the first tensor, which
     * the caller frees. Does not seal the table. */
    int (*plan)(struct tensor_table *table, uint8_t **header, uint64_t *header_bytes,
                struct failure *failure);
};

extern const struct reader_ops safetensors_reader, npy_reader, gguf_reader, keras_reader;
extern const struct writer_ops safetensors_writer, npy_writer, gguf_writer;

#endif
