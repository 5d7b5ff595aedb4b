/* SPDX-License-Identifier: Apache-2.0 */
/* Part of bench_kernels: a measure, and the pinned threads that run it. */
#ifndef BENCH_KERNELS_CREW_H
#define BENCH_KERNELS_CREW_H

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "tests/bench/kernels_runs.h"
#include "tests/bench/rows.h"

enum { THREADS_MAX = 2, SAMPLE_NS_MIN = 20000000 };

/* ---- a measure --------------------------------------------------------------------- */

struct measure {
    char name[80];
    void (*run)(const struct kernels *kernels, const struct slice *slice);
    const struct kernels *kernels;
    size_t bytes;
    int threads;
    uint64_t nops;        /* of read_busy */
    struct samples rates; /* GB/s of input, one for each round */
};

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

/* Nanoseconds of `repeats` runs. */
static int64_t crew_run(struct crew *crew)
{
    const int64_t begin = now_ns();

    pthread_barrier_wait(&crew->start);
    pthread_barrier_wait(&crew->done);
    return now_ns() - begin;
}

/* GB/s of input. The first run is not counted: where other measures have used other memory
 * meanwhile, it took up to 1.5 times as long on a virtual machine, and a read of memory that most
 * measures use did not. It is not the last-level cache: emptying it changes nothing. */
static double crew_rate(struct crew *crew, const struct buffers *buffers,
                        const struct measure *measure)
{
    const size_t part = measure->bytes / (size_t)measure->threads;
    for (int i = 0; i < measure->threads; i++)
        crew->slices[i] = (struct slice){buffers, part * (size_t)i, part, measure->nops};
    crew->measure = measure;
    crew->repeats = 1;
    crew_run(crew);
    for (;;) {
        const int64_t spent = crew_run(crew);

        if (spent >= SAMPLE_NS_MIN)
            return (double)(measure->bytes * crew->repeats) / (double)spent;
        crew->repeats *= spent > 1000000 ? (size_t)(SAMPLE_NS_MIN / spent) + 2 : 20;
    }
}

#endif
