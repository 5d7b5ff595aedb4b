/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time, memory and descriptors of this process, for the standard process_* metrics.
 * */
#ifndef OBS_PROCESS_H
#define OBS_PROCESS_H

#include <stdint.h>

struct process_usage {
    uint64_t cpu_ns; /* all threads, user and system */
    uint64_t resident_bytes;
    uint64_t fds_open, fds_max;
};

/* A value that cannot be read is 0. */
void process_usage_read(struct process_usage *usage);

#endif
