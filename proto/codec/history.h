/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of Reports.Watch, Compare, Rewind, Fork and Delete. See codec.h, which
 * says what holds for all encoders and decoders. */
#ifndef CODEC_HISTORY_H
#define CODEC_HISTORY_H

#include "proto/codec/codec.h"

enum { WATCH_CURSOR_BYTES_MAX = 63 };

struct wire_reports_watch {
    char run[TRIT_NAME_BYTES_MAX + 1]; /* empty: all runs */
    char cursor[WATCH_CURSOR_BYTES_MAX + 1];
};

struct wire_reports_compare {
    struct wire_layer_ref a, b;
};

struct wire_reports_rewind {
    char run[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
};

struct wire_reports_fork {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char new_run[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step;
};

struct wire_reports_delete {
    char run[TRIT_NAME_BYTES_MAX + 1];
    char layer[TRIT_NAME_BYTES_MAX + 1]; /* empty: all */
    bool has_from, has_to;
    uint64_t step_from, step_to;
};

struct wire_compared {
    bool equal, has_first_group;
    uint64_t elements, codes_differing, first_group;
    double scale_ratio_max;
};

/* ---- the daemon's side ---------------------------------------------------- */

int decode_reports_watch(const struct scan_part *root, struct wire_reports_watch *out,
                         char error[CODEC_ERROR_BYTES]);
int decode_reports_compare(const struct scan_part *root, struct wire_reports_compare *out,
                           char error[CODEC_ERROR_BYTES]);
int decode_reports_rewind(const struct scan_part *root, struct wire_reports_rewind *out,
                          char error[CODEC_ERROR_BYTES]);
int decode_reports_fork(const struct scan_part *root, struct wire_reports_fork *out,
                        char error[CODEC_ERROR_BYTES]);
int decode_reports_delete(const struct scan_part *root, struct wire_reports_delete *out,
                          char error[CODEC_ERROR_BYTES]);

size_t encode_watched(const struct trit_report *report, const char *cursor, uint8_t *out,
                      size_t capacity);
size_t encode_compared(const struct wire_compared *reply, uint8_t *out, size_t capacity);
size_t encode_rewound(uint32_t attempt, uint8_t *out, size_t capacity);
/* ForkResponse and DeleteResponse have the same bytes. */
size_t encode_reports_changed(uint64_t reports, uint8_t *out, size_t capacity);

/* ---- libtrit's side ------------------------------------------------------- */

size_t encode_reports_watch(const struct wire_reports_watch *request, uint8_t *out,
                            size_t capacity);
size_t encode_reports_compare(const struct wire_reports_compare *request, uint8_t *out,
                              size_t capacity);
size_t encode_reports_rewind(const struct wire_reports_rewind *request, uint8_t *out,
                             size_t capacity);
size_t encode_reports_fork(const struct wire_reports_fork *request, uint8_t *out,
                           size_t capacity);
size_t encode_reports_delete(const struct wire_reports_delete *request, uint8_t *out,
                             size_t capacity);

int decode_watched(const struct scan_part *root, struct trit_report *report,
                   char cursor[WATCH_CURSOR_BYTES_MAX + 1],
                   char error[CODEC_ERROR_BYTES]);
int decode_compared(const struct scan_part *root, struct wire_compared *out,
                    char error[CODEC_ERROR_BYTES]);
int decode_rewound(const struct scan_part *root, uint32_t *attempt,
                   char error[CODEC_ERROR_BYTES]);
int decode_reports_changed(const struct scan_part *root, uint64_t *reports,
                           char error[CODEC_ERROR_BYTES]);

#endif
