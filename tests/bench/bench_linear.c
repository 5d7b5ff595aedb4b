/* SPDX-License-Identifier: Apache-2.0 */
/* Compares products with OpenBLAS and ggml in one run: interleaved rounds, medians,
 * pinned threads. Only ratios are comparable between machines.
 *
 *   bench_linear OUT [ISA]    appends JSON lines {measure, figure, unit, goal, holds,
 *                             against}
 *
 * ggml multiplies the same rows and activations, quantized by its own functions. Its
 * result is checked to equal ours within the rounding of both. A line says when a
 * library is missing. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernels/linear/linear.h"
#include "tests/bench/linear_peers.h"
#include "tests/bench/rows.h"

#define GGML_APART_MAX 0.02

enum {
    ROUNDS = 15,
    ROWS = 4096,
    COLUMNS = 4096,
    GROUP = 128,
    BATCH = 64,
    MEASURES_MAX = 32,
    SAMPLE_NS_MIN = 10000000,
};

/* ---- what is measured ---- */

struct bench {
    struct linear_matrix matrix;
    float *dense, *x, *y, *gradient;
    int8_t *q;
    int32_t *sums;
    float absmax[BATCH];
    uint8_t *tq2, *q8k;
    struct linear_peers peers;
    FILE *out;
};

/* The part of one thread. */
struct part {
    const struct bench *bench;
    const struct kernels *kernels;
    uint64_t batch, first, count;
};

struct measure {
    char name[80];
    void (*run)(const struct part *part);
    const struct kernels *kernels;
    uint64_t batch;
    int threads;
    bool blas;            /* which has threads of its own */
    struct samples rates; /* one for each round */
};

static void f32(const struct part *part)
{
    const struct bench *b = part->bench;
    linear_forward(part->kernels, &b->matrix, b->x, part->batch, NULL, part->first,
                   part->count, b->y);
}

static void int8(const struct part *part)
{
    const struct bench *b = part->bench;
    linear_forward_int8(part->kernels, &b->matrix, b->q, b->sums, b->absmax, part->batch,
                        NULL, part->first, part->count, b->y);
}

static void to_input(const struct part *part)
{
    const struct bench *b = part->bench;
    linear_grad_input(part->kernels, &b->matrix, b->x, part->batch, part->first,
                      part->count, b->y);
}

static void to_weight(const struct part *part)
{
    const struct bench *b = part->bench;
    linear_grad_weight(part->kernels, b->x, b->x, part->batch, ROWS, COLUMNS, part->first,
                       part->count, b->gradient);
}

static void blas_gemv(const struct part *part)
{
    const struct bench *b = part->bench;
    b->peers.gemv(101, 111, ROWS, COLUMNS, 1.0f, b->dense, COLUMNS, b->x, 1, 0.0f, b->y,
                  1);
}

static void blas_gemm(const struct part *part)
{
    const struct bench *b = part->bench;
    b->peers.gemm(101, 111, 112, (int)part->batch, ROWS, COLUMNS, 1.0f, b->x, COLUMNS,
                  b->dense, COLUMNS, 0.0f, b->y, ROWS);
}

static void ggml(const struct part *part)
{
    const struct bench *b = part->bench;
    const size_t row_bytes = (size_t)COLUMNS / GGML_ELEMENTS * TQ2_BYTES;
    for (uint64_t row = part->first; row < part->first + part->count; row++)
        b->peers.ggml_dot(COLUMNS, &b->y[row], 0, b->tq2 + row * row_bytes, 0, b->q8k, 0,
                          1);
}

/* ---- threads ---- */

struct helper {
    pthread_t thread;
    pthread_barrier_t start, done;
    void (*run)(const struct part *part); /* NULL: go home */
    struct part part;
    size_t repeats;
};

static void pin(size_t cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
}

static void *help(void *argument)
{
    struct helper *helper = argument;
    struct kernels_env env;
    pin(1);
    kernels_enter(&env);
    for (;;) {
        pthread_barrier_wait(&helper->start);
        if (!helper->run)
            return NULL;
        for (size_t i = 0; i < helper->repeats; i++)
            helper->run(&helper->part);
        pthread_barrier_wait(&helper->done);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run_once(struct helper *helper, const struct measure *measure,
                     const struct bench *bench, size_t repeats)
{
    const bool split = measure->threads == 2 && !measure->blas;
    struct part part = {bench, measure->kernels, measure->batch, 0, ROWS};
    if (split) {
        part.count = ROWS / 2;
        helper->part = part;
        helper->part.first = ROWS / 2;
        helper->run = measure->run;
        helper->repeats = repeats;
        pthread_barrier_wait(&helper->start);
    }
    for (size_t i = 0; i < repeats; i++)
        measure->run(&part);
    if (split)
        pthread_barrier_wait(&helper->done);
}

static double sample(struct helper *helper, const struct measure *measure,
                     const struct bench *bench)
{
    size_t repeats = 1;
    if (measure->blas)
        bench->peers.blas_threads(measure->threads);
    run_once(helper, measure, bench, 1);
    for (;;) {
        const int64_t begin = now_ns();
        run_once(helper, measure, bench, repeats);
        const int64_t spent = now_ns() - begin;
        if (spent >= SAMPLE_NS_MIN)
            return (double)ROWS * COLUMNS * (double)(measure->batch * repeats) /
                   (double)spent;
        repeats = repeats * (size_t)(SAMPLE_NS_MIN / (spent + 1) + 2);
    }
}

/* ---- the list ---- */

struct list {
    struct measure measures[MEASURES_MAX];
    size_t count;
};

static struct measure *add(struct list *list, const char *what,
                           void (*run)(const struct part *),
                           const struct kernels *kernels, uint64_t batch, int threads)
{
    if (list->count == MEASURES_MAX)
        abort();
    struct measure *m = &list->measures[list->count++];
    *m = (struct measure){
        .run = run, .kernels = kernels, .batch = batch, .threads = threads};
    snprintf(m->name, sizeof(m->name), "%s%s%s, batch %d, %d thread%s", what,
             kernels ? ", " : "", kernels ? kernels_name(kernels) : "", (int)batch,
             threads, threads == 1 ? "" : "s");
    return m;
}

static const struct measure *find(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->measures[i].name, name) == 0)
            return &list->measures[i];
    return NULL;
}

static void fill_list(struct list *list, const struct bench *bench, const char *only)
{
    static const char *const isas[] = {"avx512", "avx2", "neon"};
    if (bench->peers.gemv) {
        add(list, "sgemv", blas_gemv, NULL, 1, 1)->blas = true;
        add(list, "sgemm", blas_gemm, NULL, BATCH, 1)->blas = true;
        add(list, "sgemm", blas_gemm, NULL, BATCH, 2)->blas = true;
    }
    if (bench->peers.ggml_dot)
        add(list, "ggml TQ2_0 . Q8_K", ggml, NULL, 1, 1);
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const struct kernels *kernels = kernels_select(isas[i]);
        if (!kernels || (only && strcmp(only, isas[i]) != 0))
            continue;
        add(list, "f32", f32, kernels, 1, 1);
        add(list, "int8", int8, kernels, 1, 1);
        add(list, "int8", int8, kernels, 1, 2);
        add(list, "f32", f32, kernels, BATCH, 1);
        add(list, "int8", int8, kernels, BATCH, 1);
        add(list, "f32", f32, kernels, BATCH, 2);
        add(list, "int8", int8, kernels, BATCH, 2);
        add(list, "grad_input", to_input, kernels, BATCH, 1);
        add(list, "grad_weight", to_weight, kernels, BATCH, 1);
    }
}

static void run_all(struct list *list, struct helper *helper, const struct bench *bench)
{
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < list->count; i++)
            samples_add(&list->measures[i].rates,
                        sample(helper, &list->measures[i], bench));
    for (size_t i = 0; i < list->count; i++)
        row_print(bench->out, list->measures[i].name, &list->measures[i].rates,
                  "G weights/s", no_goal(), NULL);
}

/* ---- goals ---- */

static void ratio(const struct list *list, const struct bench *bench, const char *name,
                  const char *against, double goal)
{
    const struct measure *m = find(list, name), *other = find(list, against);
    if (!m || !other)
        return;
    struct samples ratios = {.count = 0};
    char words[96];
    for (int i = 0; i < ROUNDS; i++)
        samples_add(&ratios, m->rates.at[i] / other->rates.at[i]);
    snprintf(words, sizeof(words), "%s %.1f", against, samples_median(&other->rates));
    row_print(bench->out, name, &ratios, "ratio", at_least(goal), words);
}

/* Half the lead, on AVX2: the share of the goal that is above 1, halved. */
static double bar(const char *isa, double goal)
{
    if (strcmp(isa, "avx512") == 0)
        return goal;
    return goal > 1 ? 1 + (goal - 1) / 2 : goal / 2;
}

static void check_goals(const struct list *list, const struct bench *bench,
                        const char *isa)
{
    static const struct {
        const char *what, *where, *against;
        double goal;
    } goals[] = {
        {"f32", "batch 1, 1 thread", "sgemv, batch 1, 1 thread", 4.0},
        {"int8", "batch 1, 1 thread", "sgemv, batch 1, 1 thread", 12.0},
        {"int8", "batch 1, 1 thread", "ggml TQ2_0 . Q8_K, batch 1, 1 thread", 1.8},
        {"int8", "batch 64, 2 threads", "sgemm, batch 64, 2 threads", 2.5},
        {"f32", "batch 64, 2 threads", "sgemm, batch 64, 2 threads", 0.7},
    };
    char name[80], one[80];
    for (size_t i = 0; i < sizeof(goals) / sizeof(goals[0]); i++) {
        snprintf(name, sizeof(name), "%s, %s, %s", goals[i].what, isa, goals[i].where);
        ratio(list, bench, name, goals[i].against, bar(isa, goals[i].goal));
    }
    snprintf(name, sizeof(name), "int8, %s, batch 1, 2 threads", isa);
    snprintf(one, sizeof(one), "int8, %s, batch 1, 1 thread", isa);
    ratio(list, bench, name, one, 1.7);
}

/* ---- set-up ---- */

static void *map(size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("bench_linear: mmap");
        exit(1);
    }
    madvise(at, bytes, MADV_HUGEPAGE);
    memset(at, 0, bytes);
    return at;
}

static void fill(struct bench *bench, const struct kernels *kernels)
{
    const uint64_t weights = (uint64_t)ROWS * COLUMNS, groups = COLUMNS / GROUP;
    uint8_t *sequence = map(weights / 4), *codes = map(linear_code_bytes(ROWS, COLUMNS));
    float *scales = map(weights / GROUP * sizeof(*scales));
    uint64_t state = 1;
    for (uint64_t i = 0; i < weights; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        sequence[i / 4] |= (uint8_t)((state >> 33) % 3 << i % 4 * 2);
    }
    for (uint64_t i = 0; i < weights / GROUP; i++)
        scales[i] = 0.01f + 1e-6f * (float)(i % 1000);
    linear_pack(COLUMNS, GROUP, sequence, 0, ROWS, codes);
    munmap(sequence, weights / 4);
    bench->matrix = (struct linear_matrix){ROWS, COLUMNS, GROUP, codes, scales};
    bench->dense = map(weights * sizeof(float));
    bench->gradient = map(weights * sizeof(float));
    bench->x = map((size_t)BATCH * COLUMNS * sizeof(float));
    bench->y = map((size_t)BATCH * ROWS * sizeof(float));
    bench->q = map(BATCH * linear_quantized(COLUMNS));
    bench->sums = map(BATCH * groups * sizeof(int32_t));
    linear_rows(kernels, &bench->matrix, 0, ROWS, bench->dense);
    linear_draw(1, 1.0, 0, (uint64_t)BATCH * COLUMNS, bench->x);
    for (uint64_t b = 0; b < BATCH; b++)
        linear_quantize(kernels, &bench->matrix, bench->x + b * COLUMNS,
                        bench->q + b * linear_quantized(COLUMNS),
                        bench->sums + b * groups, &bench->absmax[b]);
}

/* The same weights and activations as ggml has them. */
static void fill_ggml(struct bench *bench)
{
    const size_t row_bytes = (size_t)COLUMNS / GGML_ELEMENTS * TQ2_BYTES;

    bench->tq2 = map(ROWS * row_bytes);
    bench->q8k = map((size_t)COLUMNS / GGML_ELEMENTS * Q8K_BYTES);
    for (size_t row = 0; row < ROWS; row++)
        bench->peers.ggml_weights(bench->dense + row * COLUMNS,
                                  bench->tq2 + row * row_bytes, COLUMNS);
    bench->peers.ggml_activations(bench->x, bench->q8k, COLUMNS);
}

/* What is compared must be the same product: the answers differ by what int8
 * activations and f16 scales lose, some thousandths. */
static bool same_product(const struct bench *bench, const struct kernels *kernels)
{
    const struct part part = {bench, kernels, 1, 0, ROWS};
    float *theirs = malloc(ROWS * sizeof(*theirs));
    double apart = 0, all = 0;

    if (!theirs)
        return false;
    ggml(&part);
    memcpy(theirs, bench->y, ROWS * sizeof(*theirs));
    int8(&part);
    for (size_t row = 0; row < ROWS; row++) {
        apart += pow((double)theirs[row] - (double)bench->y[row], 2);
        all += pow((double)bench->y[row], 2);
    }
    free(theirs);
    fprintf(stderr, "bench_linear: ggml's product is %.1e apart from ours\n",
            sqrt(apart / all));
    return sqrt(apart / all) < GGML_APART_MAX;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: bench_linear OUT [ISA]\n");
        return 2;
    }
    static struct bench bench;
    static struct list list;
    static struct helper helper;
    struct kernels_env env;
    kernels_enter(&env);
    bench.out = fopen(argv[1], "a");
    if (!bench.out) {
        perror(argv[1]);
        return 1;
    }
    peers_find(&bench.peers,
               bench.out); /* OpenBLAS starts its threads, before this one is pinned */
    fill(&bench, kernels_select(NULL));
    if (bench.peers.ggml_dot) {
        fill_ggml(&bench);
        if (!same_product(&bench, kernels_select(NULL)))
            return 1;
    }
    fill_list(&list, &bench, argc == 3 ? argv[2] : NULL);
    pthread_barrier_init(&helper.start, NULL, 2);
    pthread_barrier_init(&helper.done, NULL, 2);
    if (pthread_create(&helper.thread, NULL, help, &helper) != 0)
        return 1;
    pin(0);
    run_all(&list, &helper, &bench);
    helper.run = NULL;
    pthread_barrier_wait(&helper.start);
    pthread_join(helper.thread, NULL);
    check_goals(&list, &bench, "avx512");
    check_goals(&list, &bench, "avx2");
    kernels_leave(&env);
    return fclose(bench.out) == 0 ? 0 : 1;
}
