/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint with their SHA-256, as an attestation lists them. */
#ifndef LIB_ATTESTED_FILES_H
#define LIB_ATTESTED_FILES_H

#include "checkpoint/attestation.h"
#include "checkpoint/config.h"
#include "files/reader.h"

/* Of a folder (or the index in one) all regular files in it, without those in folders
 * inside; of anything else the files that hold the tensors. `except`, which may be NULL, is
 * the path of a file that is left out, under whatever name: the statement itself. Files with
 * tensors are read through the reader, and of index and config.json are taken the bytes that
 * were read, so that they are those that are verified. `config` is that of the folder, zeroed
 * where there was none. The list is sorted. ABORTED: a file changed meanwhile. */
int attested_files(struct attested_list *list, struct reader *reader,
                   const struct model_config *config, const char *path,
                   const char *except, struct failure *failure);

/* Reads the statement in a file. NOT_FOUND: there is no such file. Call attestation_fini also
 * after a failure. */
int attestation_read_file(struct attestation *attestation, const char *path,
                          struct failure *failure);

#endif
