/* SPDX-License-Identifier: Apache-2.0 */
/* What trit diff has found so far, and how it shows each tensor. */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include <jansson.h>

#include "checkpoint/layer_diff.h"
#include "checkpoint/rename.h"
#include "client/cli/grid.h"
#include "client/cli/side.h"

struct diffing {
    const struct options *options;
    struct side a, b;
    struct compared_names a_names, b_names;
    bool *a_taken, *b_taken;  /* experts that the other side has in one tensor */
    struct grid *grid;        /* output as JSON: */
    json_t *layers, *tensors; /* output as text: */
    size_t layers_differing, layers_equal, others_differing, others_equal, only;
    struct failure failure;
};

/* -1: out of memory, in d->failure. */
int diff_show_layer(struct diffing *d, const char *name, const struct layer_diff *diff);

/* A tensor that is not a layer on both sides: equal (`what` is NULL), or what differs. */
int diff_show_other(struct diffing *d, const char *name, const char *what);

#endif
