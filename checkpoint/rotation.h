/* SPDX-License-Identifier: Apache-2.0 */
/* The rotated basis of a GGUF file of PrismML (keys prism.hadamard.*). A layer W of such a file
 * is stored as W' with W' H D x = W x: D are signs of ±1, one for each input, and H is the
 * normalized Walsh-Hadamard matrix of blocks of inputs. Rows of latents are brought to that
 * basis as H (D w), for embeddings too. */
#ifndef CHECKPOINT_ROTATION_H
#define CHECKPOINT_ROTATION_H

#include "checkpoint/form.h"
#include "files/table.h"

enum {
    ROTATION_TEXT_BYTES = 128,
    ROTATION_BLOCK_MAX = 1 << 16, /* inputs */
};

struct rotation {
    bool named; /* the file says that weights are in a rotated basis */
    bool given; /* and by which rotation; else `why` says what is not known */
    char why[ROTATION_TEXT_BYTES];
    uint64_t block;
    bool has_signs;  /* else they are all +1 */
    bool regroups;   /* inputs of *.ssm_out.weight are in another order too */
    int64_t *widths; /* of the vectors of signs, which follow one another */
    size_t width_count;
    int8_t *signs;
    size_t sign_count;
    const char **names; /* of the rotated layers, sorted */
    size_t name_count;
};

/* Reads the bytes of a pair as they are stored: key, type, value. */
typedef int (*rotation_read_fn)(void *arg, const struct tensor_pair *pair, void *buffer,
                                struct failure *failure);

/* RESOURCE_EXHAUSTED or the failure of `read`. A rotation that is malformed, or has keys that
 * are not known, is not `given`. Call rotation_fini also after a failure. */
int rotation_read(struct rotation *rotation, const struct tensor_table *table,
                  rotation_read_fn read, void *arg, struct failure *failure);
void rotation_fini(struct rotation *rotation); /* harmless on a zeroed one */

enum rotation_state {
    ROTATION_NONE,    /* the tensor is stored as it is */
    ROTATION_KNOWN,   /* *basis is its basis */
    ROTATION_UNKNOWN, /* it is, or may be, in a basis that is not known */
};

/* Of a tensor of the file with rows of `columns` weights. `basis` borrows from the rotation. */
enum rotation_state rotation_of(const struct rotation *rotation, const char *name,
                                uint64_t columns, struct rotated_basis *basis);

/* Rows of F32, F16 or BF16, rotated: signs first, then the transform in f64, then the factor
 * 1/sqrt(block), each result rounded once to f32. `scratch` has room for a block. */
void basis_rotate(const struct rotated_basis *basis, enum trit_dtype dtype,
                  const void *rows, uint64_t count, uint64_t columns, double *scratch,
                  float *rotated);

#endif
