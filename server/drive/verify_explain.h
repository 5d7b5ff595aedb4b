/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the verification: why one matrix is not the projection of its latents. */
#ifndef DRIVE_VERIFY_EXPLAIN_H
#define DRIVE_VERIFY_EXPLAIN_H

#include "drive/matrix.h"
#include "drive/verify_impl.h"

/* A layer, and one of its matrices with everything that its call needs. */
struct subject {
    const struct content *content;
    const struct tensor_entry *entry;     /* its data in the file */
    enum trit_dtype dtype;                /* of the data as they are sent */
    const struct tensor_entry *scales;    /* or NULL */
    const struct tensor_entry *biases;    /* or NULL */
    const struct tensor_entry *reference; /* or NULL */
    struct matrices matrices;             /* as the claim has them */
    struct matrices reference_matrices;   /* as the latents have them */
    uint64_t reference_number;            /* of them, the matrix to compare with */
    const char *name;                     /* of the matrix */
    uint64_t number;                      /* of the matrix in the layer */
    struct matrix data, scale_data, bias_data, reference_data;
};

/* The type of the latents as they are sent; unspecified: there are none. */
enum trit_dtype subject_latents_dtype(const struct subject *subject);

/* Does config.json declare the scales to be reciprocals? The daemon compares with the mean
 * magnitude all the same, so that such a matrix is explained without a mismatch too. */
bool verify_has_reciprocals(const struct verifying *v);

/* Puts the reasons into the findings of a matrix. Of a large matrix that is
 * not in memory it looks at some rows only, from the first mismatch on, and the hints say
 * so. -1: the files could not be read. */
int verify_explain(struct verifying *v, struct subject *subject,
                   const struct trit_report *report);

#endif
