/* SPDX-License-Identifier: Apache-2.0 */
/* A table of tensors: the content of a file of weights without the weights. Readers fill
 * one from a file; writers plan a file from one. It is not thread-safe while it is
 * filled, and constant once it is sealed. */
#ifndef FILES_TABLE_H
#define FILES_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/status.h"
#include "files/element.h"

enum {
    FILES_TENSORS_MAX = 1 << 20,
    FILES_PAIRS_MAX = 1 << 16,          /* metadata entries */
    FILES_NAME_BYTES_MAX = 1024,        /* of a tensor, without the NUL */
    FILES_HEADER_BYTES_MAX = 100000000, /* the reference reader's own bound */
};

struct tensor_entry {
    const char *name; /* utf8_is_name */
    const struct element_type *type;
    uint32_t rank; /* 0 = one element */
    uint64_t
        shape[TRIT_RANK_MAX]; /* of a type with blocks (element.h): the last axis counts
                                      bytes */
    uint32_t
        shard; /* number of the checkpoint's file that holds it; 0 if there is one file */
    uint64_t offset;   /* of the first byte, from the start of the file */
    uint64_t bytes;    /* from shape and type; never more than the file has */
    uint64_t unpacked; /* of a kernel that Keras packed: its inputs; 0: not known */
};

/* A tensor that the header lists, but of which the file holds only a part. */
struct tensor_cut {
    const char *name;
    const struct element_type *type;
    uint64_t bytes, found;
};

struct tensor_pair {
    const char *key, *value;
    uint32_t shard; /* of GGUF: the file, and where in it the key and its value are */
    uint64_t offset, bytes;
};

struct tensor_table {
    const char *format; /* of the files, "safetensors"; NULL: it came from none */
    struct tensor_entry *entries; /* sealed: in order of shard and offset */
    size_t count, capacity;
    struct tensor_cut *cuts; /* with read_options.may_be_cut */
    size_t cut_count;
    struct tensor_pair *pairs; /* metadata of the file, in its order */
    size_t pair_count, pair_capacity;
    /* Of a GGUF file that is written: keys and values as they are stored; owned. 0 values: the
     * file is an archive of tensors. */
    uint8_t *values;
    size_t values_bytes, values_count;
    uint64_t file_bytes; /* of a file that is written; 0: it ends with its last tensor */
    size_t *by_name;     /* sealed: indices in order of name */
    struct arena strings;
};

void table_init(struct tensor_table *table);
void table_fini(struct tensor_table *table);

/* Copies the entry and its name, and computes its bytes. INVALID_ARGUMENT: name or
 * shape exceeds a bound above, or the size overflows or is not a whole number of
 * bytes. RESOURCE_EXHAUSTED: the table is full. */
int table_add(struct tensor_table *table, const struct tensor_entry *entry,
              struct failure *failure);

/* Copies both strings. The caller makes sure that keys are distinct. */
int table_add_pair(struct tensor_table *table, const char *key, const char *value,
                   struct failure *failure);

/* Of one file, of whose data only `bytes` are there: moves the tensors that end beyond them
 * from the table, which must be sealed, to its cuts. Offsets count from the start of the
 * data, which has no holes. */
int table_cut(struct tensor_table *table, uint64_t bytes, struct failure *failure);

/* Adds the cuts of another table. Copies their names. */
int table_add_cuts(struct tensor_table *table, const struct tensor_table *from,
                   struct failure *failure);

/* Sorts by shard and offset, and indexes the names. Refuses two tensors with one name. */
int table_seal(struct tensor_table *table, struct failure *failure);

/* The table must be sealed. NULL: no tensor has this name. */
const struct tensor_entry *table_find(const struct tensor_table *table, const char *name);

/* The place in `by_name` of the first name that begins with so many bytes of `prefix`, or
 * comes after them. */
size_t table_first_of(const struct tensor_table *table, const char *prefix,
                      size_t length);

/* Does any name begin with so many bytes of `prefix`? */
bool table_has_prefix(const struct tensor_table *table, const char *prefix,
                      size_t length);

/* The value under a metadata key, or NULL. */
const char *table_pair(const struct tensor_table *table, const char *key);

/* The shape of a tensor's values: the entry's own, except that the last axis of a type with
 * blocks counts values instead of bytes. */
void entry_value_shape(const struct tensor_entry *entry, uint64_t shape[TRIT_RANK_MAX]);

/* Elements of a shape (1 for rank 0); false if the product overflows. */
bool shape_elements(uint32_t rank, const uint64_t *shape, uint64_t *elements);

#endif
