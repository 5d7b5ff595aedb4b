/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_COUNTERS_H
#define STORE_COUNTERS_H

#include <stdint.h>

/* The numbers that the next upload and the next report get. Numbers that a rollback leaves
 * unused are skipped. */
struct counters {
    int64_t upload, sequence;
};

#endif
