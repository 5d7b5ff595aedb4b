/* SPDX-License-Identifier: Apache-2.0 */
/* Compares kernels with the speed of memory in one run: interleaved rounds, medians,
 * pinned threads, huge pages, every buffer touched first. Only ratios are comparable
 * between machines.
 *
 *   bench_kernels OUT [PART]    appends JSON lines {measure, figure, unit, goal, holds,
 *                               against}; PART: only measures whose names have it
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "tests/bench/limits.h"

enum {
    ROUNDS = 9,
    THREADS_MAX = 2,
    GROUP = 128,
    MEASURES_MAX = 128,
    SAMPLE_NS_MIN = 20000000,
};

static const size_t large_bytes = (size_t)1 << 30, small_bytes = 256 << 10;

/* ---- what is measured -------------------------------------------------------------- */

struct buffers {
    uint8_t *in, *half, *dense, *out; /* latents f32, bf16; ternary f32; results */
    float *scales;
    /* Of small_bytes: the projection of `in`; codes and sums. */
    uint8_t *claim, *codes;
    struct group_sums *sums;
};

/* The part of one thread: the same bytes of every buffer. */
struct slice {
    const struct buffers *buffers;
    size_t begin, bytes;
};

struct measure {
    char name[80];
    void (*run)(const struct kernels *kernels, const struct slice *slice);
    const struct kernels *kernels;
    size_t bytes;
    int threads;
    double rates[ROUNDS]; /* GB/s of input */
    double median;
};

static void run_project(const struct kernels *kernels, const struct slice *slice,
                        enum trit_dtype dtype, enum trit_encoding encoding,
                        enum tally_detail tally)
{
    const size_t size = dtype_bytes(dtype),
                 group = encoding == TRIT_ENCODING_DENSE ||
                                 encoding == TRIT_ENCODING_PQ2_0 ||
                                 encoding == TRIT_ENCODING_PTQ1_0
                             ? GROUP
                             : 256;
    const uint8_t *in = dtype == TRIT_F32 ? slice->buffers->in : slice->buffers->half;
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = dtype,
        .count = slice->bytes / size / group,
        .group_len = group,
        .divisor = group,
        .in = in + slice->begin,
        .encoding = encoding,
        .out = slice->buffers->out + slice->begin,
        .scales = slice->buffers->scales + slice->begin / size / group,
        .tally = tally,
        .stream_stores = slice->bytes > (size_t)32 << 20,
    };
    ternarize(kernels, &job, &counts);
    if (counts.non_finite)
        abort();
}

static void dense_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_DENSE, TALLY_NONE);
}

static void pack_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PQ2_0, TALLY_NONE);
}

/* The same with all that a full report counts. */
static void dense_counted(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_DENSE, TALLY_ALL);
}

static void pack_counted(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PQ2_0, TALLY_ALL);
}

static void pack_bf16(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_BF16, TRIT_ENCODING_PQ2_0, TALLY_NONE);
}

static void base3_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_project(kernels, slice, TRIT_F32, TRIT_ENCODING_PTQ1_0, TALLY_NONE);
}

/* `reference`: latents, or NULL. */
static void run_verify(const struct kernels *kernels, const struct slice *slice,
                       const uint8_t *claim, const uint8_t *reference)
{
    struct ternary_counts counts;
    struct ternary_check check;
    ternary_counts_init(&counts);
    ternary_check_init(&check);
    const struct verify_job job = {
        .encoding = TRIT_ENCODING_DENSE,
        .dtype = TRIT_F32,
        .count = slice->bytes / 4 / GROUP,
        .group_len = GROUP,
        .tolerance = 1e-5f,
        .in = claim + slice->begin,
        .reference = reference ? reference + slice->begin : NULL,
        .reference_dtype = TRIT_F32,
        .divisor = GROUP,
        .scales = slice->buffers->scales + slice->begin / 4 / GROUP,
    };
    verify(kernels, &job, &counts, &check);
    if (check.valid != slice->bytes / 4 || check.mismatches)
        abort();
}

static void verify_f32(const struct kernels *kernels, const struct slice *slice)
{
    run_verify(kernels, slice, slice->buffers->dense, NULL);
}

static void verify_reference(const struct kernels *kernels, const struct slice *slice)
{
    run_verify(kernels, slice, slice->buffers->claim, slice->buffers->in);
}

/* All that a full report needs: counts, sums, and codes for the digest. */
static void pack_reported(const struct kernels *kernels, const struct slice *slice)
{
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = slice->bytes / 4 / GROUP,
        .group_len = GROUP,
        .divisor = GROUP,
        .in = slice->buffers->in + slice->begin,
        .encoding = TRIT_ENCODING_PQ2_0,
        .out = slice->buffers->out + slice->begin,
        .scales = slice->buffers->scales,
        .codes = slice->buffers->codes,
        .sums = slice->buffers->sums,
        .tally = TALLY_ALL,
    };
    ternarize(kernels, &job, &counts);
    if (counts.non_finite)
        abort();
}

/* What a first version would be: divide, round, clip, multiply, as the compiler likes. */
static void plain_loop(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    const float *in = (const float *)(const void *)(slice->buffers->in + slice->begin);
    float *out = (float *)(void *)(slice->buffers->out + slice->begin);
    for (size_t g = 0; g < slice->bytes / 4 / GROUP; g++, in += GROUP, out += GROUP) {
        double sum = 0;
        for (size_t i = 0; i < GROUP; i++)
            sum += (double)fabsf(in[i]);
        const float s = (float)(sum / GROUP), divisor = s == 0.0f ? 1.0f : s;
        for (size_t i = 0; i < GROUP; i++)
            out[i] = fmaxf(-1.0f, fminf(1.0f, rintf(in[i] / divisor))) * s;
    }
}

static void copy_libc(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    memcpy(slice->buffers->out + slice->begin, slice->buffers->in + slice->begin,
           slice->bytes);
}

static void copy_stream(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    limit_copy(slice->buffers->out + slice->begin, slice->buffers->in + slice->begin,
               slice->bytes);
}

static void read_ahead(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    slice->buffers->scales[slice->begin / 64] =
        limit_read(slice->buffers->in + slice->begin, slice->bytes, true);
}

static void read_plain(const struct kernels *kernels, const struct slice *slice)
{
    (void)kernels;
    slice->buffers->scales[slice->begin / 64] =
        limit_read(slice->buffers->in + slice->begin, slice->bytes, false);
}

/* ---- threads ----------------------------------------------------------------------- */

struct crew {
    pthread_t threads[THREADS_MAX];
    pthread_barrier_t start, done;
    const struct measure *measure; /* NULL: go home */
    struct slice slices[THREADS_MAX];
    size_t repeats;
};

struct seat {
    struct crew *crew;
    int index;
};

static void *crew_member(void *argument)
{
    const struct seat *seat = argument;
    struct crew *crew = seat->crew;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)seat->index, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
    struct kernels_env env;
    kernels_enter(&env);
    for (;;) {
        pthread_barrier_wait(&crew->start);
        const struct measure *measure = crew->measure;
        if (!measure)
            return NULL;
        if (seat->index < measure->threads)
            for (size_t i = 0; i < crew->repeats; i++)
                measure->run(measure->kernels, &crew->slices[seat->index]);
        pthread_barrier_wait(&crew->done);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static double crew_rate(struct crew *crew, const struct buffers *buffers,
                        const struct measure *measure)
{
    const size_t part = measure->bytes / (size_t)measure->threads;
    for (int i = 0; i < measure->threads; i++)
        crew->slices[i] = (struct slice){buffers, part * (size_t)i, part};
    crew->measure = measure;
    crew->repeats = 1;
    for (;;) {
        const int64_t begin = now_ns();
        pthread_barrier_wait(&crew->start);
        pthread_barrier_wait(&crew->done);
        const int64_t spent = now_ns() - begin;
        if (spent >= SAMPLE_NS_MIN)
            return (double)(measure->bytes * crew->repeats) / (double)spent;
        crew->repeats *= spent > 1000000 ? (size_t)(SAMPLE_NS_MIN / spent) + 2 : 20;
    }
}

/* ---- the list ---------------------------------------------------------------------- */

struct bench {
    struct measure measures[MEASURES_MAX];
    size_t count;
    const char *part; /* of the names of what is measured; NULL: all */
    FILE *out;
};

static void bench_add(struct bench *bench, const char *what,
                      void (*run)(const struct kernels *, const struct slice *),
                      const struct kernels *kernels, size_t bytes, int threads)
{
    if (bench->count == MEASURES_MAX)
        abort();
    struct measure *measure = &bench->measures[bench->count++];
    *measure = (struct measure){
        .run = run, .kernels = kernels, .bytes = bytes, .threads = threads};
    snprintf(measure->name, sizeof(measure->name), "%s%s%s, %s, %d thread%s", what,
             kernels ? ", " : "", kernels ? kernels_name(kernels) : "",
             bytes == large_bytes ? "1 GiB" : "256 KiB", threads,
             threads == 1 ? "" : "s");
    if (bench->part && !strstr(measure->name, bench->part))
        bench->count--;
}

static const struct measure *bench_find(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->count; i++)
        if (strcmp(bench->measures[i].name, name) == 0)
            return &bench->measures[i];
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_run(struct bench *bench, struct crew *crew,
                      const struct buffers *buffers)
{
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < bench->count; i++)
            bench->measures[i].rates[round] =
                crew_rate(crew, buffers, &bench->measures[i]);
    for (size_t i = 0; i < bench->count; i++) {
        struct measure *measure = &bench->measures[i];
        qsort(measure->rates, ROUNDS, sizeof(measure->rates[0]), ascending);
        measure->median = measure->rates[ROUNDS / 2];
        fprintf(
            bench->out,
            "{\"measure\": \"%s\", \"figure\": %.2f, \"unit\": \"GB/s\", \"goal\": null, "
            "\"holds\": null, \"against\": null}\n",
            measure->name, measure->median);
    }
}

/* ---- goals ------------------------------------------------------------------------- */

static void bench_ratio(struct bench *bench, const struct measure *measure, double limit,
                        double goal, const char *against)
{
    if (!measure)
        return;
    const double ratio = measure->median / limit;
    fprintf(bench->out,
            "{\"measure\": \"%s\", \"figure\": %.2f, \"unit\": \"ratio\", "
            "\"goal\": \">= %.2f\", \"holds\": %s, \"against\": \"%s %.1f GB/s\"}\n",
            measure->name, ratio, goal, ratio >= goal ? "true" : "false", against, limit);
}

static double best_of(const struct bench *bench, const char *what, const char *other,
                      const char *where)
{
    char name[80];
    double best = 0;
    snprintf(name, sizeof(name), "%s, %s", what, where);
    const struct measure *measure = bench_find(bench, name);
    if (measure)
        best = measure->median;
    snprintf(name, sizeof(name), "%s, %s", other, where);
    measure = bench_find(bench, name);
    return measure && measure->median > best ? measure->median : best;
}

static double median_of(const struct bench *bench, const char *what, const char *isa,
                        const char *where)
{
    char name[80];
    snprintf(name, sizeof(name), "%s, %s, %s", what, isa, where);
    const struct measure *measure = bench_find(bench, name);
    return measure ? measure->median : 0;
}

/* A kernel cannot be faster than the memory, nor than itself in the second cache: the share
 * of the smaller of both that it reaches. */
static void check_large(struct bench *bench, const char *what, const char *isa,
                        bool reads, int threads)
{
    const char *where = threads == 1 ? "1 GiB, 1 thread" : "1 GiB, 2 threads";
    const double memory = reads ? best_of(bench, "read", "read, prefetched", where)
                                : best_of(bench, "memcpy", "non-temporal copy", where);
    const double cache = threads * median_of(bench, what, isa, "256 KiB, 1 thread");
    char name[80];
    snprintf(name, sizeof(name), "%s, %s, %s", what, isa, where);
    if (cache > 0)
        bench_ratio(bench, bench_find(bench, name), memory < cache ? memory : cache, 0.85,
                    memory < cache ? (reads ? "best read" : "best copy")
                                   : "the same in cache");
}

/* Absolute goals of the issue on whole paths, for groups of 128 in cache. */
static void check_cached(struct bench *bench, const char *what, const char *isa,
                         double goal)
{
    const double rate = median_of(bench, what, isa, "256 KiB, 1 thread");
    if (rate > 0)
        fprintf(bench->out,
                "{\"measure\": \"%s, %s, in cache\", \"figure\": %.2f, \"unit\": "
                "\"GB/s\", \"goal\": \">= %.1f\", \"holds\": %s, \"against\": "
                "\"%.1f ns a group\"}\n",
                what, isa, rate, goal, rate >= goal ? "true" : "false", GROUP * 4 / rate);
}

/* Cycles a nanosecond, by a chain of additions of one cycle each. 0: not known. */
static double clock_ghz(void)
{
    enum { TURNS = 20000000, ADDITIONS = 8 };
    uint64_t value = 0;
    const int64_t begin = now_ns();
    for (int i = 0; i < TURNS; i++) {
#if defined(__x86_64__)
        __asm__ volatile("add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0\n"
                         "add $1, %0\n add $1, %0\n add $1, %0\n add $1, %0"
                         : "+r"(value));
#elif defined(__aarch64__)
        __asm__ volatile("add %0, %0, #1\n add %0, %0, #1\n add %0, %0, #1\n"
                         "add %0, %0, #1\n add %0, %0, #1\n add %0, %0, #1\n"
                         "add %0, %0, #1\n add %0, %0, #1"
                         : "+r"(value));
#else
        return 0;
#endif
    }
    return (double)TURNS * ADDITIONS / (double)(now_ns() - begin);
}

static const struct kind {
    const char *what;
    bool reads; /* it writes little */
} kinds[] = {
    {"f32 to dense", false}, {"f32 to 2-bit", true},  {"bf16 to 2-bit", true},
    {"verify f32", true},    {"f32 to base 3", true}, {"f32 to 2-bit, counted", true},
};

static void check_goals(struct bench *bench, const char *isa)
{
    const bool avx512 = strcmp(isa, "avx512") == 0;
    const double ghz = clock_ghz();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const double rate = median_of(bench, kinds[i].what, isa, "256 KiB, 1 thread");
        for (int threads = 1; threads <= 2; threads++)
            check_large(bench, kinds[i].what, isa, kinds[i].reads, threads);
        if (rate > 0 && ghz > 0)
            fprintf(bench->out,
                    "{\"measure\": \"%s, %s, in cache, by clock\", \"figure\": %.2f, "
                    "\"unit\": \"GB/s per GHz\", \"goal\": null, \"holds\": null, "
                    "\"against\": \"%.2f GHz\"}\n",
                    kinds[i].what, isa, rate / ghz, ghz);
    }
    check_cached(bench, "verify with reference", isa, avx512 ? 6.0 : 4.0);
    if (avx512)
        check_cached(bench, "full report", isa, GROUP * 4 / 45.0);
}

/* ---- set-up ------------------------------------------------------------------------ */

static void *map(size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("bench_kernels: mmap");
        exit(1);
    }
    madvise(at, bytes, MADV_HUGEPAGE);
    memset(at, 1, bytes);
    return at;
}

static void buffers_fill(struct buffers *buffers)
{
    *buffers =
        (struct buffers){.in = map(large_bytes),
                         .half = map(large_bytes),
                         .dense = map(large_bytes),
                         .out = map(large_bytes),
                         .scales = map(large_bytes / 32),
                         .claim = map(small_bytes),
                         .codes = map(small_bytes),
                         .sums = map(small_bytes / 4 / GROUP * sizeof(*buffers->sums))};
    float *in = (float *)(void *)buffers->in, *dense = (float *)(void *)buffers->dense;
    uint16_t *half = (uint16_t *)(void *)buffers->half;
    uint64_t state = 1;
    for (size_t i = 0; i < large_bytes / 4;
         i++) { /* sums of four uniforms: near normal */
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int32_t u = (int32_t)(state >> 50) + (int32_t)(state >> 36 & 0x3fff) +
                          (int32_t)(state >> 22 & 0x3fff) +
                          (int32_t)(state >> 8 & 0x3fff);
        in[i] = (float)(u - 0x8000) * 0x1p-16f;
        half[i] = half[i + large_bytes / 4] = f32_to_bf16(in[i]);
        dense[i] = u % 3 == 0 ? 0.0f : u % 3 == 1 ? 0.02f : -0.02f;
    }
    const struct slice slice = {buffers, 0, small_bytes};
    dense_f32(kernels_select("portable"), &slice);
    memcpy(buffers->claim, buffers->out, small_bytes);
}

static void add_measures(struct bench *bench, int threads_max)
{
    static const char *const isas[] = {"avx512", "avx2", "neon"};
    for (int threads = 1; threads <= threads_max; threads++) {
        bench_add(bench, "memcpy", copy_libc, NULL, large_bytes, threads);
        bench_add(bench, "non-temporal copy", copy_stream, NULL, large_bytes, threads);
        bench_add(bench, "read", read_plain, NULL, large_bytes, threads);
        bench_add(bench, "read, prefetched", read_ahead, NULL, large_bytes, threads);
    }
    bench_add(bench, "memcpy", copy_libc, NULL, small_bytes, 1);
    for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
        const struct kernels *kernels = kernels_select(isas[i]);
        if (!kernels)
            continue;
        for (int threads = 1; threads <= threads_max; threads++) {
            bench_add(bench, "f32 to dense", dense_f32, kernels, large_bytes, threads);
            bench_add(bench, "f32 to 2-bit", pack_f32, kernels, large_bytes, threads);
        }
        bench_add(bench, "bf16 to 2-bit", pack_bf16, kernels, large_bytes, 1);
        bench_add(bench, "verify f32", verify_f32, kernels, large_bytes, 1);
        bench_add(bench, "f32 to base 3", base3_f32, kernels, large_bytes, 1);
        bench_add(bench, "f32 to dense", dense_f32, kernels, small_bytes, 1);
        bench_add(bench, "f32 to 2-bit", pack_f32, kernels, small_bytes, 1);
        bench_add(bench, "bf16 to 2-bit", pack_bf16, kernels, small_bytes, 1);
        bench_add(bench, "verify f32", verify_f32, kernels, small_bytes, 1);
        bench_add(bench, "f32 to base 3", base3_f32, kernels, small_bytes, 1);
        bench_add(bench, "verify with reference", verify_reference, kernels, small_bytes,
                  1);
        bench_add(bench, "full report", pack_reported, kernels, small_bytes, 1);
        for (size_t k = 0; k < 2; k++) {
            const size_t bytes = k ? small_bytes : large_bytes;
            bench_add(bench, "f32 to dense, counted", dense_counted, kernels, bytes, 1);
            bench_add(bench, "f32 to 2-bit, counted", pack_counted, kernels, bytes, 1);
        }
    }
    const struct kernels *portable = kernels_select("portable");
    bench_add(bench, "f32 to dense", dense_f32, portable, large_bytes, 1);
    bench_add(bench, "divide and round", plain_loop, NULL, large_bytes, 1);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_kernels OUT [PART]\n");
        return 2;
    }
    static struct bench bench;
    bench.part = argv[2];
    bench.out = fopen(argv[1], "a");
    if (!bench.out) {
        perror(argv[1]);
        return 1;
    }
    struct buffers buffers;
    buffers_fill(&buffers);
    add_measures(&bench, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1);
    static struct crew crew;
    struct seat seats[THREADS_MAX];
    pthread_barrier_init(&crew.start, NULL, THREADS_MAX + 1);
    pthread_barrier_init(&crew.done, NULL, THREADS_MAX + 1);
    for (int i = 0; i < THREADS_MAX; i++) {
        seats[i] = (struct seat){&crew, i};
        if (pthread_create(&crew.threads[i], NULL, crew_member, &seats[i]) != 0)
            return 1;
    }
    bench_run(&bench, &crew, &buffers);
    crew.measure = NULL;
    pthread_barrier_wait(&crew.start);
    for (int i = 0; i < THREADS_MAX; i++)
        pthread_join(crew.threads[i], NULL);
    check_goals(&bench, "avx512");
    check_goals(&bench, "avx2");
    const struct measure *plain = bench_find(&bench, "divide and round, 1 GiB, 1 thread");
    if (plain)
        bench_ratio(&bench, bench_find(&bench, "f32 to dense, portable, 1 GiB, 1 thread"),
                    plain->median, 5.0, "divide and round");
    return fclose(bench.out) == 0 ? 0 : 1;
}
