/* SPDX-License-Identifier: Apache-2.0 */
/* The record: metadata that a projection adds to its output under the key "trit", so that
 * a verification needs no options. It has encoding, group size, partial-group rule, and
 * each layer's dense type and shape, as JSON in a string:
 *
 *   {"encoding": "int8", "group_size": 128, "partial_group": "padded",
 *    "version": "0.1.0", "layers": {"fc.weight": {"dtype": "F32",
 *    "shape": [512, 128]}}}
 *
 * group_size is 0 where the encoding has one scale for the tensor. A layer that is encoded in
 * another way than the others, because only they were packed or unpacked, has "encoding",
 * "group_size" and "partial_group" of its own. A layer that is not
 * stored as [out, in] has "layout": "in_out", "experts_out_in" or "experts_in_out". Each
 * shard of a folder may have a record of its own layers. */
#ifndef CHECKPOINT_RECORD_H
#define CHECKPOINT_RECORD_H

#include "checkpoint/form.h"
#include "checkpoint/options.h"
#include "files/table.h"

#define RECORD_KEY "trit"

struct json_t;

struct record {
    struct layer_terms terms;
    struct json_t *layers; /* object; NULL: the file has no record */
};

int record_init(struct record *record, const struct layer_terms *terms,
                struct failure *failure);
void record_fini(struct record *record); /* harmless on a zeroed one */

/* Adds a layer's dense type, shape and layout. */
int record_add(struct record *record, const struct tensor_entry *entry,
               enum layer_layout layout, struct failure *failure);
/* The same for a layer whose terms are not those of the record. */
int record_add_as(struct record *record, const struct tensor_entry *entry,
                  enum layer_layout layout, const struct layer_terms *terms,
                  struct failure *failure);

/* Adds a layer as the record `from`, which names it, describes it. */
int record_keep(struct record *record, const struct record *from, const char *name,
                struct failure *failure);

/* Adds the record to the metadata of a table. */
int record_write(const struct record *record, struct tensor_table *table,
                 struct failure *failure);

/* Reads the record from a table's metadata. A table without one gives a zeroed record.
 * INVALID_ARGUMENT: it is malformed, or the records of two shards contradict each other.
 * */
int record_read(struct record *record, const struct tensor_table *table,
                struct failure *failure);

/* Fills in type, rank, shape, bytes and layout of the layer's dense tensor. Returns 1 if
 * the record names the layer, 0 if not, -1 if its entry is malformed. */
int record_find(const struct record *record, const char *name, struct tensor_entry *dense,
                enum layer_layout *layout, struct failure *failure);

/* The terms of a layer that the record names. -1 if its entry is malformed. */
int record_terms(const struct record *record, const char *name, struct layer_terms *terms,
                 struct failure *failure);

/* Does the record name the layer? */
bool record_names(const struct record *record, const char *name);

size_t record_count(const struct record *record);

/* Visits the layers' names in the record's order; the first nonzero result ends the
 * visit and is returned. */
int record_visit(const struct record *record, int (*visit)(void *arg, const char *name),
                 void *arg);

#endif
