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

/* A matrix that is ternary already gets another encoding. */
struct engine_pack {
    const char *name; /* of the matrix */
    uint64_t rows, columns;
    struct engine_matrix source;
    enum trit_encoding from, to; /* to DENSE: its values become `dtype` */
    enum trit_dtype dtype;       /* of dense values */
    /* To DENSE: of the source; else of the output. 0: its default. */
    uint32_t group_size;
    const void *scales; /* separate scales of the source, or NULL */
    uint64_t scale_bytes;
    enum trit_dtype scales_dtype;
    bool allow_rounded; /* scales that the output's type does not hold */
    enum trit_report_detail detail;
    /* As that of struct engine_project. */
    int (*write)(void *arg, uint64_t offset, const void *from, uint64_t bytes);
    void *write_arg;
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
    /* INVALID_ARGUMENT: the source is not ternary, or the output cannot hold it. To DENSE
     * there is no report. */
    int (*pack)(void *arg, const struct engine_pack *what,
                struct progress_piece *progress, struct engine_projected *result,
                struct failure *failure);
    /* Calls run(run_arg) where the engine computes, in the kernels' floating-point
     * environment. NULL: engine_compute calls it on the caller's thread. */
    int (*compute)(void *arg, uint64_t elements, void (*run)(void *run_arg),
                   void *run_arg, struct failure *failure);
};

/* Has the engine (NULL: none) call run(arg), and returns afterwards. `elements` says how much
 * work it is. */
int engine_compute(const struct engine *engine, uint64_t elements, void (*run)(void *arg),
                   void *arg, struct failure *failure);

#endif
