/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of an HDF5 file: groups and datasets, as their headers describe them. */
#ifndef FILES_HDF5_OBJECT_H
#define FILES_HDF5_OBJECT_H

#include "files/source.h"
#include "files/table.h"

enum { HDF5_TEXT_BYTES = 256 };

/* An HDF5 file in a source. */
struct hdf5_file {
    struct source *source;
    uint64_t start, bytes;
    /* Metadata that may still be read. Each step of the walk reads some, so that a file whose
     * groups contain each other ends it. */
    uint64_t left;
    struct failure *failure;
};

/* What an object header says. */
struct hdf5_object {
    bool is_group;
    uint64_t tree, heap; /* of a group */
    bool has_space, has_type, has_layout;
    const struct element_type *type; /* NULL: only opaque_bytes is known */
    uint32_t opaque_bytes;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    uint64_t address, size;     /* of the data */
    char name[HDF5_TEXT_BYTES]; /* attribute "name" */
    char dtype[HDF5_TEXT_BYTES];
};

/* Reads `count` bytes at an address of the file. */
int hdf5_take(struct hdf5_file *file, uint64_t at, void *bytes, uint64_t count);

int hdf5_read_object(struct hdf5_file *file, uint64_t at, struct hdf5_object *object);

/* Fails with INVALID_ARGUMENT. */
int hdf5_refuse(struct hdf5_file *file, const char *what);

static inline uint64_t hdf5_number(const uint8_t *bytes, size_t count)
{
    uint64_t number = 0;

    for (size_t i = count; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

#endif
