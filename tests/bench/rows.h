/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches in C share: the clock, the medians of rounds, and rows of bench.json. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS_MAX = 64 };

static inline double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One figure for each round. */
struct samples {
    double at[ROUNDS_MAX];
    int count;
};

static inline void samples_add(struct samples *samples, double figure)
{
    if (samples->count < ROUNDS_MAX)
        samples->at[samples->count++] = figure;
}

struct quartiles {
    double q1, median, q3;
};

static inline int samples_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline struct quartiles samples_quartiles(const struct samples *samples)
{
    struct samples sorted = *samples;
    const int count = sorted.count;

    if (count == 0)
        return (struct quartiles){0};
    qsort(sorted.at, (size_t)count, sizeof(sorted.at[0]), samples_compare);
    return (struct quartiles){sorted.at[count / 4], sorted.at[count / 2],
                              sorted.at[count - 1 - count / 4]};
}

static inline double samples_median(const struct samples *samples)
{
    return samples_quartiles(samples).median;
}

/* The goal of a row: its figure is to be at least, or at most, `bound`. */
struct goal {
    enum { GOAL_NONE, GOAL_AT_LEAST, GOAL_AT_MOST } kind;
    double bound;
};

static inline struct goal at_least(double bound)
{
    return (struct goal){GOAL_AT_LEAST, bound};
}

static inline struct goal at_most(double bound)
{
    return (struct goal){GOAL_AT_MOST, bound};
}

static inline struct goal no_goal(void)
{
    return (struct goal){GOAL_NONE, 0};
}

/* The median of the rounds, as one line of JSON. `against` may be NULL. */
static inline void row_print(FILE *out, const char *measure,
                             const struct samples *samples, const char *unit,
                             struct goal goal, const char *against)
{
    const struct quartiles found = samples_quartiles(samples);
    const bool holds = goal.kind == GOAL_AT_LEAST ? found.median >= goal.bound
                                                  : found.median <= goal.bound;

    fprintf(out,
            "{\"measure\": \"%s\", \"figure\": %.3f, \"q1\": %.3f, \"q3\": %.3f, "
            "\"unit\": \"%s\"",
            measure, found.median, found.q1, found.q3, unit);
    if (goal.kind != GOAL_NONE)
        fprintf(out, ", \"goal\": \"%s %.2f\", \"holds\": %s",
                goal.kind == GOAL_AT_LEAST ? ">=" : "<=", goal.bound,
                holds ? "true" : "false");
    if (against)
        fprintf(out, ", \"against\": \"%s\"", against);
    fprintf(out, "}\n");
    fflush(out);
}

#endif
