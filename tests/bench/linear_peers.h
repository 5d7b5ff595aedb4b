/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that bench_linear compares with, loaded at run time: libopenblas.so.0,
 * and the one that GGML_CPU_LIBRARY names (built by ggml.py). */
#ifndef BENCH_LINEAR_PEERS_H
#define BENCH_LINEAR_PEERS_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TQ2_BYTES = 66,  /* ggml's block_tq2_0: 256 codes, an f16 scale */
    Q8K_BYTES = 292, /* block_q8_K: an f32 scale, 256 int8, 16 sums of 16 bits */
    GGML_ELEMENTS = 256,
};

typedef void gemv_fn(int order, int transpose, int rows, int columns, float alpha,
                     const float *a, int lda, const float *x, int incx, float beta,
                     float *y, int incy);
typedef void gemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k,
                     float alpha, const float *a, int lda, const float *b, int ldb,
                     float beta, float *c, int ldc);
typedef void ggml_dot_fn(int n, float *sum, size_t bs, const void *x, size_t bx,
                         const void *y, size_t by, int count);
typedef void ggml_quantize_fn(const float *x, void *y, int64_t count);

struct linear_peers {
    gemv_fn *gemv; /* NULL: no OpenBLAS here */
    gemm_fn *gemm;
    void (*blas_threads)(int);
    ggml_dot_fn *ggml_dot; /* NULL: no ggml here */
    ggml_quantize_fn *ggml_weights, *ggml_activations;
};

/* A data pointer made a function's, as POSIX allows. */
static inline void peers_look_up(void *library, const char *name, void *function)
{
    void *at = library ? dlsym(library, name) : NULL;
    memcpy(function, &at, sizeof(at));
}

static inline void peers_missing(FILE *out, const char *library)
{
    fprintf(
        out,
        "{\"measure\": \"against %s\", \"figure\": null, \"unit\": \"ratio\", "
        "\"goal\": null, \"holds\": null, \"against\": \"%s: missing on this machine\"}\n",
        library, library);
}

static inline void peers_find(struct linear_peers *peers, FILE *out)
{
    void *blas = dlopen("libopenblas.so.0", RTLD_NOW);
    peers_look_up(blas, "cblas_sgemv", &peers->gemv);
    peers_look_up(blas, "cblas_sgemm", &peers->gemm);
    peers_look_up(blas, "openblas_set_num_threads", &peers->blas_threads);
    if (!peers->gemv || !peers->gemm || !peers->blas_threads) {
        peers->gemv = NULL;
        peers_missing(out, "OpenBLAS");
    }
    const char *named = getenv("GGML_CPU_LIBRARY");
    void *ggml = named ? dlopen(named, RTLD_NOW) : NULL;
    peers_look_up(ggml, "ggml_vec_dot_tq2_0_q8_K", &peers->ggml_dot);
    peers_look_up(ggml, "quantize_row_tq2_0", &peers->ggml_weights);
    peers_look_up(ggml, "quantize_row_q8_K", &peers->ggml_activations);
    if (!peers->ggml_dot || !peers->ggml_weights || !peers->ggml_activations) {
        peers->ggml_dot = NULL;
        peers_missing(out, "ggml TQ2_0 . Q8_K");
    }
}

#endif
