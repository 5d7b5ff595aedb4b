/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the parts of contents: contents_layers.c finds the layers, contents_foreign.c what other
 * programs packed among the rest. */
#ifndef CHECKPOINT_CONTENTS_IMPL_H
#define CHECKPOINT_CONTENTS_IMPL_H

#include "checkpoint/contents.h"

/* State while tensors are classified. */
struct classifying {
    struct contents *contents;
    const struct checkpoint_options *options;
    enum contents_side side;
    struct failure *failure;
};

int contents_no_memory(struct failure *failure); /* returns -1 */

/* Makes it a layer by its name that is not in the form of its encoding. */
int contents_unfit(struct classifying *c, struct content *item, const char *why);

/* Makes the tensor with index `part` (CONTENT_NONE: none) the scales or biases of a layer. */
void contents_own(struct contents *contents, size_t part, size_t layer);

/* Finds packed weights of other programs among the tensors that are kept, and their tables. */
int contents_find_foreign(struct classifying *c);

#endif
