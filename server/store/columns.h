/* SPDX-License-Identifier: Apache-2.0 */
/* The columns that statements give for a row. row.c reads them in this order. */
#ifndef STORE_COLUMNS_H
#define STORE_COLUMNS_H

#define LAYER_COLUMNS                                                                    \
    "run, layer, replica, attempt, step_min, step_max, reports, time_unix_ns, upload,"   \
    " shape, group_size, partial, previous_run, previous_layer, previous_replica,"       \
    " previous_attempt, crc"
#define REPORT_COLUMNS                                                                   \
    "sequence, run, layer, replica, attempt, step, previous, time_unix_ns, digest,"      \
    " question, report, crc"
#define RUN_COLUMNS "run, state, attempts, crc"
#define KEPT_COLUMNS "sequence, upload, scales, bytes, crc"
#define CODES_COLUMNS "chunk, data, crc, slot"

#define SHARD_COLUMNS                                                                    \
    "run, layer, replica, attempt, step, part, number, upload, scales, time_unix_ns,"    \
    " data, crc"

#endif
