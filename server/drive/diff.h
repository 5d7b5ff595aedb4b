/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensors of two checkpoints differ, and by how much. Each is read as its own record
 * says, so that a packed file can be compared with a dense one. Layers are compared by codes
 * and scales, all other tensors byte for byte, and keys of two GGUF files that say what the
 * weights mean by value.
 *
 * 1. The caller fills in the members above `a_names`, opens both inputs and reads their
 *    contents (drive/side.h).
 * 2. diff_prepare finds which tensor is compared with which.
 * 3. diff_run compares them, several at a time (lanes.h), and takes what it found in the order
 *    of the first file, then of the second. */
#ifndef DRIVE_DIFF_H
#define DRIVE_DIFF_H

#include "checkpoint/layer_diff.h"
#include "checkpoint/rename.h"
#include "drive/engine.h"
#include "drive/progress.h"
#include "drive/side.h"

struct json_t;

struct diffing {
    const struct engine *engine; /* NULL: computes on the threads of the run */
    struct progress *progress;
    struct side a, b;
    /* Told of each tensor, or NULL: a layer on both sides, or another tensor, which is equal
     * (`what` is NULL) or of which `what` says what differs. */
    void (*layer)(void *owner, const char *name, const struct layer_diff *diff);
    void (*other)(void *owner, const char *name, const char *what);
    /* Told of each key of two GGUF files that differs, or NULL; the value of a side that lacks
     * it is NULL. */
    void (*key)(void *owner, const char *key, const char *a, const char *b);
    void *owner;
    struct compared_names a_names, b_names;
    bool *a_taken, *b_taken; /* experts that the other side has in one tensor */
    struct json_t *layers, *others, *keys; /* of the result */
    size_t layers_differing, layers_equal, others_differing, others_equal;
    size_t next;            /* tensor of A, then of B, for the next piece */
    struct failure failure; /* where a function returned -1 */
};

void diff_init(struct diffing *d);
void diff_fini(struct diffing *d); /* closes the inputs too */

/* INVALID_ARGUMENT: a pattern of the options matches no tensor, or names contradict each
 * other. */
int diff_prepare(struct diffing *d);

/* For the progress: bytes of both inputs, and how many pieces diff_run has. */
uint64_t diff_bytes(const struct diffing *d);
uint64_t diff_piece_count(const struct diffing *d);

int diff_run(struct diffing *d);

bool diff_is_equal(const struct diffing *d);

/* The result: docs/json.md. NULL: memory ran out. */
struct json_t *diff_json(const struct diffing *d, const char *a, const char *b);

#endif
