/* SPDX-License-Identifier: Apache-2.0 */
/* A stored report, named by one word of the command line: RUN/LAYER@STEP, or
 * RUN/LAYER@STEP:ATTEMPT or RUN/LAYER@STEP:ATTEMPT:REPLICA. RUN ends at the first slash,
 * LAYER at the last @. In both, %XX stands for a byte. */
#ifndef CLI_REPORT_SPEC_H
#define CLI_REPORT_SPEC_H

#include <trit.h>

struct report_spec {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
    uint32_t attempt, replica; /* 0 where not given */
};

/* False: the text names no report. */
bool report_spec_read(struct report_spec *spec, const char *text);

/* Borrows the spec. */
struct trit_layer_ref report_spec_ref(const struct report_spec *spec);

#endif
