/* SPDX-License-Identifier: Apache-2.0 */
/* The verification of a checkpoint: is every layer ternary, and is it the projection of the
 * latents it is compared with?
 *
 * 1. The caller opens the inputs (input_read) and fills in the members above `record`.
 * 2. verify_read_terms and verify_read_contents: the rules, the patterns and the file's
 *    record say what each tensor is (checkpoint/contents.h). What that alone says against
 *    the file is found. With latents every tensor of either side gets its counterpart.
 * 3. verify_run: the engine verifies each layer with its scales and its reference, and what
 *    its report says against it is found; every other pair is compared byte for byte.
 * 4. The findings make the verdict. A file of which no layer was examined is
 *    inconclusive, whatever else is equal.
 * Verifying goes on after whatever is found; it stops at a call or a file that fails. */
#ifndef DRIVE_VERIFY_H
#define DRIVE_VERIFY_H

#include "checkpoint/attested.h"
#include "checkpoint/findings.h"
#include "checkpoint/match.h"
#include "checkpoint/record.h"
#include "checkpoint/rotation.h"
#include "drive/engine.h"
#include "drive/input.h"
#include "drive/progress.h"

struct json_t;

struct verifying {
    const struct engine *engine;
    struct progress *progress;
    struct checkpoint_options options; /* of both sides, without a config */
    enum trit_verify_mode mode;
    bool has_tolerance, allow_dead, accept_record;
    float tolerance;
    enum trit_report_detail detail; /* what reports measure */
    struct input file, against;     /* against: zeroed if there are no latents */
    /* Called in the order of the file for each matrix that was verified; `dense` has its
     * type and shape. -1: *failure. */
    int (*layer)(void *owner, const char *name, const struct tensor_entry *dense,
                 struct trit_report *report, struct failure *failure);
    void *owner;
    struct record record;
    struct checkpoint_options rules, latents_rules; /* options for the two sides */
    struct contents claim, latents; /* latents: zeroed if there are none */
    struct match match;
    struct rotation rotation; /* of the claim, if the latents are in another basis */
    struct file_findings findings;
    struct attested_list digests; /* of each matrix that was verified */
    size_t layers, failing;       /* matrices examined, and those of them that fail */
    size_t explained;             /* matrices whose mismatch was analysed (explain.h) */
    size_t compared;              /* other tensors, byte for byte */
    uint64_t examined, kept;      /* parameters */
    size_t next_pair;             /* of the next piece */
    uint64_t next_number;         /* of the matrix in a layer */
    pthread_mutex_t whole;        /* held for a large matrix with one scale */
    struct failure failure;       /* where a function returned -1 */
};

void verify_init(struct verifying *v);
void verify_fini(struct verifying *v); /* closes the inputs too */

/* The terms by which layers are read, to be checked with input_check_options. -1: the
 * record is malformed. */
int verify_read_terms(struct verifying *v, struct layer_terms *terms);
int verify_read_contents(struct verifying *v, const struct layer_terms *terms);

/* Is there a layer to verify? Without one the engine is not used. */
bool verify_has_layers(const struct verifying *v);
/* For the progress: bytes of the claim, and how many pieces verify_run has. */
uint64_t verify_bytes(const struct verifying *v);
uint64_t verify_piece_count(const struct verifying *v);

int verify_run(struct verifying *v);

/* The share of the parameters that was examined. */
double verify_share(const struct verifying *v);

/* The result: docs/json.md. `against` may be NULL. Takes a reference to `layers`, the array
 * of layer_report_json of each layer. NULL: memory ran out. */
struct json_t *verify_json(const struct verifying *v, const char *file,
                           const char *against, struct json_t *layers);

#endif
