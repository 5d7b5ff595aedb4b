/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the methods of Layers: specs, and the tensors of a reply. */
#ifndef LIB_LAYER_H
#define LIB_LAYER_H

#include <trit.h>

#include "client/lib/output.h"
#include "client/lib/unary.h"
#include "proto/codec/layers.h"

/* Reads the caller's spec. -1 (INVALID_ARGUMENT): the name has no NUL. */
int spec_wire(const struct trit_layer_spec *spec, struct wire_layer_spec *wire,
              struct failure *failure);
struct trit_layer_spec layer_spec_given(const struct wire_layer_spec *wire);

/* A tensor of a reply that is being received. */
struct arrival {
    struct output output;
    struct sink sink;
    struct trit_array array; /* without its data */
};

void arrival_init(struct arrival *arrival, const char *name);
void arrival_fini(struct arrival *arrival); /* frees the bytes unless they were given */
/* All bytes have arrived. Checks that the reply's description agrees with them and with
 * what the request implies; an axis of 0 in `expected` may have any length. */
int arrival_decode(struct arrival *arrival, const struct scan_part *part,
                   const struct wire_tensor *expected, struct failure *failure);
/* Gives the tensor and its ownership to the caller. `array` NULL: the caller does not
 * want it. */
void arrival_give(struct arrival *arrival, struct trit_array *array);

/* Checks the caller's array; NULL is accepted. */
int array_check(const char *field, const struct trit_array *array,
                struct failure *failure);

#endif
