/* SPDX-License-Identifier: Apache-2.0 */
/* The formats, each a set of operations: bytes to table, table to bytes. Only
 * reader.c and writer.c choose among them. */
#ifndef FILES_FORMATS_H
#define FILES_FORMATS_H

#include "files/read_options.h"
#include "files/source.h"
#include "files/table.h"

enum { PROBE_BYTES = 16 }; /* what a probe sees of the file's start */

struct reader_ops {
    const char *format;
    /* Could this be one? Cheap and total; `count` is at most PROBE_BYTES. */
    bool (*probe)(const uint8_t *head, size_t count);
    /* Fills the table and seals it; on failure the caller finishes it. */
    int (*read_table)(struct source *source, const struct read_options *options,
                      struct tensor_table *table, struct failure *failure);
};

struct writer_ops {
    const char *format;
    const char *suffix; /* of file names, ".npy" */
    /* Sets every entry's offset and gives the bytes that come before the first
     * tensor (the caller frees them). The table stays unsealed. */
    int (*plan)(struct tensor_table *table, uint8_t **header, uint64_t *header_bytes,
                struct failure *failure);
};

extern const struct reader_ops safetensors_reader, npy_reader;
extern const struct writer_ops safetensors_writer, npy_writer;

#endif
