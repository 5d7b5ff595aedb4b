/* SPDX-License-Identifier: Apache-2.0 */
/* What computes the matrices of a run: `trit` calls a daemon (client/cli/engine.h), the
 * daemon uses its own kernels (services/checkpoints/engine.h). Both give the same bits.
 *
 * Any number of threads may use an engine, each for a matrix of its own. A function
 * returns -1 with *failure; where a matrix could not be read, or what was written could
 * not be put, that has filled *failure already. */
#ifndef DRIVE_ENGINE_H
#define DRIVE_ENGINE_H

#include "checkpoint/options.h"
#include "drive/matrix.h"
#include "drive/progress.h"

/* A matrix [rows, columns] as an engine reads it: with matrix_read, from front to back,
 * perhaps twice, or where it is loaded from its data. */
struct engine_matrix {
    struct matrix *matrix;
    enum trit_dtype dtype;
};

struct engine_project {
    const char *name; /* of the matrix */
    uint64_t rows, columns;
    struct engine_matrix latents;
    struct layer_terms terms; /* group_size 0: the encoding's default */
    /* What the report measures. With TRIT_REPORT_NONE it has only what findings and the
     * verdict need. Here and below an engine may measure more. */
    enum trit_report_detail detail;
    /* Gets the data of the result, from front to back, each byte once. -1 ends the call. */
    int (*write)(void *arg, uint64_t offset, const void *from, uint64_t bytes);
    void *write_arg;
};

struct engine_projected {
    struct trit_report report;
    void *scales; /* separate scales, malloc'ed; NULL: none */
    uint64_t data_bytes, scale_bytes;
};

struct engine_verify {
    const char *name; /* of the matrix */
    uint64_t rows, columns;
    struct engine_matrix claim;
    struct layer_terms terms;
    const void *scales; /* separate scales, or NULL */
    uint64_t scale_bytes;
    enum trit_dtype scales_dtype;
    const struct engine_matrix *latents; /* it has to be their projection; or NULL */
    enum trit_verify_mode mode;
    bool has_tolerance;
    float tolerance;
    enum trit_report_detail detail;
};

struct engine {
    void *arg;
    /* A projection that loses scales is no failure: the report says so. */
    int (*project)(void *arg, const struct engine_project *what,
                   struct progress_piece *progress, struct engine_projected *result,
                   struct failure *failure);
    int (*verify)(void *arg, const struct engine_verify *what,
                  struct progress_piece *progress, struct trit_report *report,
                  struct failure *failure);
};

#endif
