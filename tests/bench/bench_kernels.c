/* SPDX-License-Identifier: Apache-2.0 */
/* Compares kernels with the speed of memory in one run: interleaved rounds, medians,
 * pinned threads, huge pages, every buffer touched first. Only ratios are comparable
 * between machines.
 *
 *   bench_kernels OUT [PART]    appends JSON lines {measure, figure, unit, goal, holds,
 *                               against}; PART: only measures whose names have it
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/kernels_crew.h"

enum { ROUNDS = 9, MEASURES_MAX = 128 };

static const size_t large_bytes = (size_t)1 << 30, small_bytes = 256 << 10;

/* ---- the list ---------------------------------------------------------------------- */

struct bench {
    struct measure measures[MEASURES_MAX];
    size_t count;
    const char *part; /* of the names of what is measured; NULL: all */
    FILE *out;
    struct crew *crew;
    const struct buffers *buffers;
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

static double bench_rate(const struct bench *bench, const struct measure *measure)
{
    return crew_rate(bench->crew, bench->buffers, measure);
}

static void bench_run(struct bench *bench)
{
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < bench->count; i++)
            samples_add(&bench->measures[i].rates,
                        bench_rate(bench, &bench->measures[i]));
    for (size_t i = 0; i < bench->count; i++)
        row_print(bench->out, bench->measures[i].name, &bench->measures[i].rates, "GB/s",
                  no_goal(), NULL);
}

/* ---- goals ------------------------------------------------------------------------- */

enum { LIMIT_MEASURES = 3 };

/* Of each round, the share of the largest of some rates that a measure reaches. */
struct limit {
    const char *name;
    const struct measure *of[LIMIT_MEASURES]; /* NULL: none; the first one must be */
    double times;
};

static double limit_at(const struct limit *limit, int round)
{
    double rate = 0;

    for (size_t i = 0; i < LIMIT_MEASURES; i++)
        if (limit->of[i] && limit->of[i]->rates.at[round] > rate)
            rate = limit->of[i]->rates.at[round];
    return rate * limit->times;
}

static double limit_median(const struct limit *limit)
{
    struct samples rates = {.count = 0};

    for (int round = 0; round < ROUNDS; round++)
        samples_add(&rates, limit_at(limit, round));
    return samples_median(&rates);
}

static void bench_ratio(struct bench *bench, const struct measure *measure,
                        const char *words, const struct limit *limit, double goal)
{
    struct samples ratios = {.count = 0};
    char name[128], against[96];

    if (!measure || !limit->of[0])
        return;
    for (int round = 0; round < ROUNDS; round++)
        samples_add(&ratios, measure->rates.at[round] / limit_at(limit, round));
    snprintf(name, sizeof(name), "%s%s", measure->name, words);
    snprintf(against, sizeof(against), "%s %.1f GB/s", limit->name, limit_median(limit));
    row_print(bench->out, name, &ratios, "ratio", at_least(goal), against);
}

static const struct measure *find_kernel(const struct bench *bench, const char *what,
                                         const char *isa, const char *where)
{
    char name[80];

    snprintf(name, sizeof(name), "%s, %s, %s", what, isa, where);
    return bench_find(bench, name);
}

static const struct measure *find_limit(const struct bench *bench, const char *what,
                                        const char *where)
{
    char name[80];

    snprintf(name, sizeof(name), "%s, %s", what, where);
    return bench_find(bench, name);
}

static const char *large(int threads)
{
    return threads == 1 ? "1 GiB, 1 thread" : "1 GiB, 2 threads";
}

static struct limit memory_limit(const struct bench *bench, bool reads, int threads)
{
    const char *where = large(threads);

    return reads ? (struct limit){"best read",
                                  {find_limit(bench, "read", where),
                                   find_limit(bench, "read, prefetched", where),
                                   find_limit(bench, "read, prefetched far", where)},
                                  1}
                 : (struct limit){"best copy",
                                  {find_limit(bench, "memcpy", where),
                                   find_limit(bench, "non-temporal copy", where)},
                                  1};
}

/* ---- what is possible -------------------------------------------------------------- */

enum { BOUND_ROUNDS = 5 };

/* How many instructions make a read of 256 KiB take as long as `cached`. Both are measured in
 * turns, because the clock of a virtual machine varies. */
static uint64_t busy_nops(const struct bench *bench, const struct measure *cached)
{
    struct measure busy = {.run = read_busy, .bytes = small_bytes, .threads = 1};

    for (uint64_t step = LIMIT_NOPS_MAX / 2; step; step /= 2) {
        struct samples ratios = {.count = 0};

        busy.nops += step;
        for (int i = 0; i < BOUND_ROUNDS; i++)
            samples_add(&ratios, bench_rate(bench, &busy) / bench_rate(bench, cached));
        if (samples_median(&ratios) < 1)
            busy.nops -= step;
    }
    return busy.nops;
}

/* Memory and computation do not overlap completely: the share of `limit` that a loop reaches
 * which reads the same bytes, computes as long as `measure` does in cache, and no more. */
static void print_possible(struct bench *bench, const struct measure *measure,
                           const char *words, const struct measure *cached, uint64_t nops,
                           const struct limit *limit)
{
    const struct measure busy = {.run = read_busy,
                                 .bytes = measure->bytes,
                                 .threads = measure->threads,
                                 .nops = nops};
    struct samples ratios = {.count = 0};
    char name[160], against[64];

    for (int round = 0; round < BOUND_ROUNDS; round++) {
        double best = 0;

        for (size_t i = 0; i < LIMIT_MEASURES; i++)
            if (limit->of[i] && limit->of[i]->bytes == large_bytes) {
                const double rate = bench_rate(bench, limit->of[i]);

                best = rate > best ? rate : best;
            }
        if (best == 0)
            best = bench_rate(bench, cached) * limit->times;
        samples_add(&ratios, bench_rate(bench, &busy) / best);
    }
    snprintf(name, sizeof(name), "what memory allows a loop that computes as long: %s%s",
             measure->name, words);
    snprintf(against, sizeof(against), "%d instructions for 512 bytes", (int)nops);
    row_print(bench->out, name, &ratios, "ratio", no_goal(), against);
}

/* ---- rows with goals --------------------------------------------------------------- */

static const struct kind {
    const char *what;
    bool reads; /* it writes little */
    double
        of_a_read; /* the goal of AVX2, whatever the kernel reaches in cache; 0: none */
} kinds[] = {
    {"f32 to dense", false, 0}, {"f32 to 2-bit", true, .75},
    {"bf16 to 2-bit", true, 0}, {"verify f32", true, .88},
    {"f32 to base 3", true, 0}, {"f32 to 2-bit, counted", true, 0},
};

/* A kernel cannot be faster than the memory, nor than itself in the second cache: the share
 * of the smaller of both that it reaches. `nops`: of busy_nops. */
static void check_large(struct bench *bench, const struct kind *kind, const char *isa,
                        int threads, const struct measure *cached, uint64_t nops)
{
    const struct measure *measure = find_kernel(bench, kind->what, isa, large(threads));
    const struct limit memory = memory_limit(bench, kind->reads, threads);
    const struct limit cache = {"the same in cache", {cached}, threads};
    const struct limit *limit = &memory;

    if (!measure || !memory.of[0])
        return;
    if (limit_median(&cache) <= limit_median(&memory))
        limit = &cache;
    bench_ratio(bench, measure, "", limit, 0.85);
    if (kind->reads)
        print_possible(bench, measure, "", cached, nops, limit);
    if (threads > 1 || kind->of_a_read == 0 || strcmp(isa, "avx2") != 0)
        return;
    bench_ratio(bench, measure, ", of a read", &memory, kind->of_a_read);
    print_possible(bench, measure, ", of a read", cached, nops, &memory);
}

/* Of a loop that loads and stores the same bytes and computes nothing. */
static void check_read_write(struct bench *bench, const char *what, const char *isa,
                             int threads)
{
    const struct limit loop = {
        "a loop that reads and writes as much",
        {find_limit(bench, "read, 34 of 512 written", large(threads)),
         find_limit(bench, "read far, 34 of 512 written", large(threads))},
        1};

    bench_ratio(bench, find_kernel(bench, what, isa, large(threads)),
                ", of such a read and write", &loop, 0.85);
}

/* Absolute goals of the issue on whole paths, for groups of 128 in cache. */
static void check_cached(struct bench *bench, const char *what, const char *isa,
                         double goal)
{
    const struct measure *measure = find_kernel(bench, what, isa, "256 KiB, 1 thread");
    char name[96], against[32];

    if (!measure)
        return;
    snprintf(name, sizeof(name), "%s, %s, in cache", what, isa);
    snprintf(against, sizeof(against), "%.1f ns a group",
             GROUP * 4 / samples_median(&measure->rates));
    row_print(bench->out, name, &measure->rates, "GB/s", at_least(goal), against);
}

/* Cycles a nanosecond, by a chain of additions of one cycle each. 0: not known. They add a
 * register: Golden Cove does not execute additions of small constants. */
static double clock_ghz(void)
{
    enum { TURNS = 20000000, ADDITIONS = 8 };
    uint64_t value = 0, one = 1;
    const int64_t begin = now_ns();
    for (int i = 0; i < TURNS; i++) {
#if defined(__x86_64__)
        __asm__ volatile("add %1, %0\n add %1, %0\n add %1, %0\n add %1, %0\n"
                         "add %1, %0\n add %1, %0\n add %1, %0\n add %1, %0"
                         : "+r"(value)
                         : "r"(one));
#elif defined(__aarch64__)
        __asm__ volatile("add %0, %0, %1\n add %0, %0, %1\n add %0, %0, %1\n"
                         "add %0, %0, %1\n add %0, %0, %1\n add %0, %0, %1\n"
                         "add %0, %0, %1\n add %0, %0, %1"
                         : "+r"(value)
                         : "r"(one));
#else
        return 0;
#endif
    }
    return (double)TURNS * ADDITIONS / (double)(now_ns() - begin);
}

static void print_by_clock(struct bench *bench, const char *what, const char *isa,
                           double ghz)
{
    const struct measure *measure = find_kernel(bench, what, isa, "256 KiB, 1 thread");
    struct samples rates = {.count = 0};
    char name[96], against[32];

    if (!measure || ghz <= 0)
        return;
    for (int round = 0; round < ROUNDS; round++)
        samples_add(&rates, measure->rates.at[round] / ghz);
    snprintf(name, sizeof(name), "%s, %s, in cache, by clock", what, isa);
    snprintf(against, sizeof(against), "%.2f GHz", ghz);
    row_print(bench->out, name, &rates, "GB/s per GHz", no_goal(), against);
}

static void check_goals(struct bench *bench, const char *isa)
{
    const bool avx512 = strcmp(isa, "avx512") == 0;
    const double ghz = clock_ghz();

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct measure *cached =
            find_kernel(bench, kinds[i].what, isa, "256 KiB, 1 thread");
        const uint64_t nops = cached && kinds[i].reads ? busy_nops(bench, cached) : 0;

        for (int threads = 1; cached && threads <= 2; threads++)
            check_large(bench, &kinds[i], isa, threads, cached, nops);
        print_by_clock(bench, kinds[i].what, isa, ghz);
    }
    for (int threads = 1; threads <= 2; threads++)
        check_read_write(bench, "f32 to 2-bit", isa, threads);
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
    const struct slice slice = {buffers, 0, small_bytes, 0};
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
        bench_add(bench, "read, 34 of 512 written", read_write, NULL, large_bytes,
                  threads);
        bench_add(bench, "read, prefetched far", read_far, NULL, large_bytes, threads);
        bench_add(bench, "read far, 34 of 512 written", read_write_far, NULL, large_bytes,
                  threads);
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
    bench.crew = &crew;
    bench.buffers = &buffers;
    struct seat seats[THREADS_MAX];
    pthread_barrier_init(&crew.start, NULL, THREADS_MAX + 1);
    pthread_barrier_init(&crew.done, NULL, THREADS_MAX + 1);
    for (int i = 0; i < THREADS_MAX; i++) {
        seats[i] = (struct seat){&crew, i};
        if (pthread_create(&crew.threads[i], NULL, crew_member, &seats[i]) != 0)
            return 1;
    }
    bench_run(&bench);
    check_goals(&bench, "avx512");
    check_goals(&bench, "avx2");
    crew.measure = NULL;
    pthread_barrier_wait(&crew.start);
    for (int i = 0; i < THREADS_MAX; i++)
        pthread_join(crew.threads[i], NULL);
    const struct limit plain = {
        "divide and round", {bench_find(&bench, "divide and round, 1 GiB, 1 thread")}, 1};
    bench_ratio(&bench, bench_find(&bench, "f32 to dense, portable, 1 GiB, 1 thread"), "",
                &plain, 5.0);
    return fclose(bench.out) == 0 ? 0 : 1;
}
