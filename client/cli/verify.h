/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit verify`: shared by its files. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "checkpoint/biases.h"
#include "checkpoint/difference.h"
#include "client/cli/file.h"
#include "client/cli/lanes.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"

struct verifying {
    const struct options *options;
    struct checkpoint_options rules, latents_rules; /* options for the two sides */
    struct trit_client *client;
    struct input file, against; /* against: zeroed without --against */
    struct record record;
    struct contents claim, latents; /* latents: zeroed without --against */
    struct match match;
    struct file_findings findings;
    struct progress progress;
    struct showing showing;
    size_t layers, failing;  /* layers examined, and those of them that fail */
    size_t explained;        /* matrices whose mismatch was analysed (explain.h) */
    size_t compared;         /* other tensors, byte for byte */
    uint64_t examined, kept; /* parameters */
    size_t next_pair;        /* of the next piece */
    uint64_t next_number;    /* of the matrix in a layer */
    pthread_mutex_t whole;   /* held for a large matrix with one scale */
    struct failure failure;
};

/* What one lane does, and what it found: a matrix of a layer, or a tensor that is compared
 * byte for byte. */
struct verify_piece {
    struct match_pair pair; /* latents: CONTENT_NONE if there are none */
    bool is_layer;
    struct matrices matrices;
    uint64_t number;              /* of the matrix */
    char name[MATRIX_NAME_BYTES]; /* of the matrix or the tensor */
    struct trit_report report;
    struct bias_check biases;
    struct difference difference;
};

/* Does the pieces of all pairs, and collects reports and findings in the pairs' order.
 * Without latents every tensor of the claim is a pair. */
int verify_pieces(struct verifying *v);

/* On a lane: has the daemon verify the matrix with its scales and its reference. */
int verify_layer_run(struct verifying *v, struct verify_piece *piece,
                     const atomic_bool *stopped, struct failure *failure);
/* On the main thread: adds what was found, and counts a layer with its last matrix. */
int verify_layer_take(struct verifying *v, struct verify_piece *piece,
                      struct failure *failure);

/* The same for a tensor that is compared with the latents' tensor. */
int verify_other_run(struct verifying *v, struct verify_piece *piece,
                     struct failure *failure);
void verify_other_take(struct verifying *v, const struct verify_piece *piece);

#endif
