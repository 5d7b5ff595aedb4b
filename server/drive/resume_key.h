/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be the same for a run to go on with the output of another one. */
#ifndef DRIVE_RESUME_KEY_H
#define DRIVE_RESUME_KEY_H

#include "checkpoint/plan.h"
#include "files/reader.h"

struct resume_asked {
    const char *output;  /* its path */
    const char *version; /* of the program */
    /* Equal bytes have equal outputs, if the input is the same. */
    const void *request;
    size_t request_bytes;
    uint64_t
        flush_ns; /* how long tensors that are done wait until they are flushed together;
                          so much work is done again after a crash */
};

struct resume_key {
    uint8_t *bytes;
    size_t count, capacity;
};

/* -1: no memory, or a file cannot be read. Free key->bytes. */
int resume_key_make(struct resume_key *key, const struct resume_asked *asked,
                    const struct plan *plan, const struct reader *reader,
                    struct failure *failure);

/* When the input changed last, by the system's clock for files; 0: it has no files. */
int64_t resume_newest_change(const struct reader *reader);

#endif
