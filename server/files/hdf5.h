/* SPDX-License-Identifier: Apache-2.0 */
/* Visits the tensors of an HDF5 file, as far as Keras 3 writes such files: superblock 0, groups
 * with symbol tables, datasets in one run of bytes. Files with other structures are refused,
 * naming the structure. libhdf5 is not used: it keeps global state, and was not written for
 * files of strangers. */
#ifndef FILES_HDF5_H
#define FILES_HDF5_H

#include "files/hdf5_object.h"

enum { HDF5_DEPTH_MAX = 32 }; /* of groups, and of the nodes of a group's tree */

struct hdf5_dataset {
    const char *path;  /* "layers/dense/vars/0" */
    const char *group; /* attribute "name" of its group; "": it has none */
    const struct element_type *type;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    uint64_t offset; /* in the source */
};

typedef int (*hdf5_visit_fn)(void *arg, const struct hdf5_dataset *dataset,
                             struct failure *failure);

/* INVALID_ARGUMENT: the file breaks a rule, or has a structure that is not read. Stops at a
 * visit that returns -1. */
int hdf5_visit(struct hdf5_file *file, hdf5_visit_fn visit, void *arg);

#endif
