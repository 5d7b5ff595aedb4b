/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over kept inputs, without a fuzzer. */
#ifndef TESTS_CORPUS_H
#define TESTS_CORPUS_H

#include <stddef.h>
#include <stdint.h>

typedef int corpus_target(const uint8_t *data, size_t size);

/* A file, or every file of a folder. Returns how many ran, -1 where one cannot be
 * read. Each input lies in the heap at its exact size. */
long corpus_replay(const char *path, corpus_target *target);

#endif
