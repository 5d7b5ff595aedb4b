/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the role of a tensor from its name, rank and type alone. The names are those that
 * the usual model families use; upper and lower case are the same. */
#ifndef CHECKPOINT_NAMING_H
#define CHECKPOINT_NAMING_H

#include "checkpoint/naming_tables.h"
#include "files/table.h"

enum tensor_role {
    ROLE_LINEAR,    /* weights of a linear layer: a matrix that no other rule names */
    ROLE_EMBEDDING, /* embed_tokens, wte, word_embeddings, ... */
    ROLE_HEAD,      /* lm_head, output, embed_out */
    ROLE_EXPERTS, /* rank 3: the matrices of all experts of a block, or what may be some */
    ROLE_CONVOLUTION, /* other weights of rank 3 and 4 */
    ROLE_NORM,        /* scales of a normalization */
    ROLE_BIAS,
    ROLE_ROUTER,        /* decides which experts a token goes to */
    ROLE_ROTARY,        /* tables of rotary positions */
    ROLE_POSITION,      /* learned or fixed position tables */
    ROLE_LORA,          /* factors of a low-rank adapter */
    ROLE_PACKING_TABLE, /* scales, zeros, shapes, ... of packed weights */
    ROLE_OTHER,         /* vectors, masks, indices, state matrices */
};

/* `table` (sealed) tells what other tensors there are: a "gate" next to experts is a
 * router. If it is NULL, a "gate" with fewer rows than columns is a router. */
enum tensor_role tensor_role(const struct tensor_table *table,
                             const struct tensor_entry *entry);

/* Is it experts only because its name and shape do not tell them from a convolution? */
bool may_be_convolution(const struct tensor_entry *entry);

/* True for the roles whose tensors are layers by default: linear, embedding, head. */
bool role_is_layer(enum tensor_role role);

/* Can a tensor of this role hold weights of a layer, though it is none? True for packed and
 * small types unless the name says what else they are for: masks, indices and counters. Truth
 * values (BOOL) and tensors of rank 1 do if they are called "weight". Of F32, F16 and BF16 it
 * is true for vectors that are as long as flattened weights. */
bool may_hold_weights(const struct tensor_entry *entry, enum tensor_role role);

/* Why a tensor with the name or the size of layers is none that can be read: it is called like
 * a layer (q_proj, lm_head), but a dense vector or without elements; or it has more than three
 * axes, of which the last are too long for a kernel. NULL: neither. */
const char *lack_of_matrix(const struct tensor_entry *entry, enum tensor_role role);

const char *role_name(enum tensor_role role); /* "router" */

#endif
