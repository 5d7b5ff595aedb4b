/* SPDX-License-Identifier: Apache-2.0 */
/* Our side of kernels_peers.py: projects the f32 values of a file, or the same as bf16, on one
 * pinned thread, into the same output each round.
 *
 *   kernels_peer FILE ENCODING f32|bf16
 *
 * Projects once and says "ready"; then once more for each line on standard input, and
 * prints the seconds. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/kernels.h"

enum { BYTES = 64 << 20, LINE_BYTES = 8 };

static void *map(size_t bytes)
{
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        exit(1);
    madvise(at, bytes, MADV_HUGEPAGE);
    memset(at, 1, bytes);
    return at;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double project_once(const struct ternarize_job *job)
{
    struct ternary_counts counts;
    ternary_counts_init(&counts);
    const double begin = seconds();
    ternarize(kernels_select(NULL), job, &counts);
    return seconds() - begin;
}

static void narrow(const float *from, uint16_t *to)
{
    for (size_t i = 0; i < BYTES / 4; i++)
        to[i] = f32_to_bf16(from[i]);
}

int main(int argc, char **argv)
{
    enum trit_encoding encoding;
    if (argc != 4 || !encoding_by_name(argv[2], &encoding)) {
        fprintf(stderr, "usage: kernels_peer FILE ENCODING f32|bf16\n");
        return 2;
    }
    const bool bf16 = strcmp(argv[3], "bf16") == 0;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    void *in = map(BYTES), *out = map(BYTES), *scales = map(BYTES / 128);
    void *halves = bf16 ? map(BYTES / 2) : NULL;
    FILE *file = fopen(argv[1], "rb");
    if (!file || fread(in, BYTES, 1, file) != 1)
        return 1;
    fclose(file);
    if (bf16)
        narrow(in, halves);
    const struct encoding_layout *layout = encoding_layout(encoding);
    const size_t group = layout->scales == SCALES_IN_BLOCK ? layout->block_elements : 128;
    const struct ternarize_job job = {
        .dtype = bf16 ? TRIT_BF16 : TRIT_F32,
        .count = BYTES / 4 / group,
        .group_len = group,
        .divisor = group,
        .in = bf16 ? halves : in,
        .encoding = encoding,
        .out = out,
        .scales = scales,
        .tally = TALLY_NONE, /* the peers do not count either */
        .stream_stores = true,
    };
    struct kernels_env env;
    char line[LINE_BYTES];
    kernels_enter(&env);
    project_once(&job);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        printf("%.9f\n", project_once(&job));
        fflush(stdout);
    }
    kernels_leave(&env);
    return 0;
}
