/* SPDX-License-Identifier: Apache-2.0 */
/* What filing a report cannot do without, as the store does it, by itself: while the tensor
 * arrives, latents are hashed, and chunks of codes and scales get a checksum, are compared with
 * those of the step before and written past the page cache; after it, the last chunk of each is
 * written, both are flushed, and then a few pages of a log are written and flushed. The files
 * are in TMPDIR, where the daemon of `make bench` has its own. */
#ifndef BENCH_FILED_STEPS_H
#define BENCH_FILED_STEPS_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

#include "kernels/kernels.h"

enum {
    FILED_CHUNK_BYTES = 256 << 10,
    FILED_LOG_BYTES = 4 * 4096,
    FILED_GROUP = 128,
    FILED_CODES = 0x55, /* four codes that are 0 */
};

struct filed_steps {
    const struct kernels *kernels;
    int slots, log; /* files; a step's chunks lie behind those of the other */
    uint8_t *old, *new;
    size_t latents, codes, scales; /* chunks of a step */
    unsigned step;
    uint64_t table[9], sum;
    bool failed;
};

/* A file without a name. -1: none. */
static inline int filed_file(int flags)
{
    const char *folder = getenv("TMPDIR");
    const int fd =
        open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);

    return fd < 0 && flags ? filed_file(0) : fd;
}

static inline off_t filed_at(const struct filed_steps *steps, unsigned step, size_t chunk)
{
    return (off_t)(step % 2 * (steps->codes + steps->scales) + chunk) * FILED_CHUNK_BYTES;
}

static inline void filed_write(struct filed_steps *steps, unsigned step, size_t chunk)
{
    steps->sum += crc32c(0, steps->new, FILED_CHUNK_BYTES);
    steps->failed |= pwrite(steps->slots, steps->new, FILED_CHUNK_BYTES,
                            filed_at(steps, step, chunk)) != FILED_CHUNK_BYTES;
}

/* Compares the chunk of codes with that of the step before. */
static inline void filed_compare(struct filed_steps *steps, size_t chunk)
{
    steps->failed |= pread(steps->slots, steps->old, FILED_CHUNK_BYTES,
                           filed_at(steps, steps->step + 1, chunk)) != FILED_CHUNK_BYTES;
    steps->sum += crc32c(0, steps->old, FILED_CHUNK_BYTES);
    transitions(steps->kernels, steps->old, steps->new,
                FILED_CHUNK_BYTES * 4 / FILED_GROUP, FILED_GROUP, steps->table);
}

/* What runs beside the call. A thread's function. */
static inline void *filed_beside(void *arg)
{
    struct filed_steps *steps = arg;

    for (size_t i = 0; i < steps->latents; i++) /* the daemon's are in its cache, too */
        steps->sum += XXH3_128bits(steps->new, FILED_CHUNK_BYTES).low64;
    for (size_t i = 0; i + 1 < steps->codes; i++) {
        filed_compare(steps, i);
        filed_write(steps, steps->step, i);
    }
    for (size_t i = 0; i + 1 < steps->scales; i++)
        filed_write(steps, steps->step, steps->codes + i);
    return NULL;
}

/* What has to follow it. */
static inline void filed_after(struct filed_steps *steps)
{
    filed_compare(steps, steps->codes - 1);
    filed_write(steps, steps->step, steps->codes - 1);
    filed_write(steps, steps->step, steps->codes + steps->scales - 1);
    steps->failed |= fdatasync(steps->slots) < 0;
    steps->failed |= pwrite(steps->log, steps->new, FILED_LOG_BYTES,
                            steps->step % 16 * FILED_LOG_BYTES) != FILED_LOG_BYTES;
    steps->failed |= fdatasync(steps->log) < 0;
    steps->step++;
}

/* For a tensor of so many bytes of f32. False: there are no files. */
static inline bool filed_open(struct filed_steps *steps, size_t bytes)
{
    *steps = (struct filed_steps){
        .kernels = kernels_select(NULL),
        .slots = filed_file(O_DIRECT),
        .log = filed_file(0),
        .old = aligned_alloc(4096, FILED_CHUNK_BYTES),
        .new = aligned_alloc(4096, FILED_CHUNK_BYTES),
        .latents = bytes / FILED_CHUNK_BYTES,
        .codes = bytes / 16 / FILED_CHUNK_BYTES,
        .scales = bytes / FILED_GROUP / FILED_CHUNK_BYTES,
    };
    if (steps->slots < 0 || steps->log < 0 || !steps->old || !steps->new)
        return false;
    memset(steps->new, FILED_CODES, FILED_CHUNK_BYTES);
    for (unsigned step = 0; step < 2; step++)
        for (size_t i = 0; i < steps->codes + steps->scales; i++)
            filed_write(steps, step, i);
    for (; steps->step < 16;)
        filed_after(steps);
    return !steps->failed;
}

static inline void filed_close(struct filed_steps *steps)
{
    close(steps->slots);
    close(steps->log);
    free(steps->old);
    free(steps->new);
}

#endif
