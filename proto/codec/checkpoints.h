/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the service Checkpoints. See codec.h, which says what holds for all
 * encoders and decoders. */
#ifndef CODEC_CHECKPOINTS_H
#define CODEC_CHECKPOINTS_H

#include "proto/codec/codec.h"

enum {
    CHECKPOINT_PATTERNS_MAX = 64, /* of one kind; INVALID_ARGUMENT */
    CHECKPOINT_PATH_BYTES_MAX = 4095,
    CHECKPOINT_TEXT_BYTES = 2 * SCAN_PART_BYTES_MAX,
    JOB_ID_BYTES_MAX = 31,
    JOB_WORD_BYTES_MAX = 31, /* states, verdicts, methods */
    PROGRESS_LAYER_BYTES_MAX = 1023,
    PROGRESS_RESULT_BYTES_MAX = 32 << 10, /* of one message */
};

struct wire_names {
    const char *list[CHECKPOINT_PATTERNS_MAX];
    size_t count;
};

/* The fields of the requests that start a job. A method has some of them. */
struct wire_checkpoint {
    const char *path, *against, *output; /* never NULL */
    bool detach, allow_dead, accept_record, again, force, allow_lost;
    uint64_t shard_bytes;
    uint32_t mode, report;
    bool has_tolerance;
    float tolerance;
    struct wire_pack_target { /* of Pack's output */
        uint32_t encoding, group_size, dtype;
        bool allow_rounded, dry_run;
    } target;
    struct wire_checkpoint_options {
        struct wire_names include, exclude, transposed, rename, strip_prefix;
        bool convolutions, npy_bf16, keep_names;
        uint32_t experts;
        bool has_encoding, has_partial_group;
        uint32_t encoding, partial_group, group_size, bits;
    } options;
    /* The strings of a request that was decoded. */
    char text[CHECKPOINT_TEXT_BYTES];
    size_t text_used;
};

/* Numbers of fields, as bits: what a method's request has. */
enum {
    CHECKPOINT_INSPECT_FIELDS = 1 << 1 | 1 << 2 | 1 << 3,
    CHECKPOINT_PLAN_FIELDS = CHECKPOINT_INSPECT_FIELDS | 1 << 9 | 1 << 11,
    CHECKPOINT_PROJECT_FIELDS =
        CHECKPOINT_PLAN_FIELDS | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 19,
    CHECKPOINT_VERIFY_FIELDS =
        CHECKPOINT_INSPECT_FIELDS | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 19,
    CHECKPOINT_PACK_FIELDS = CHECKPOINT_INSPECT_FIELDS | 1 << 9 | 1 << 10 | 1 << 13 |
                             1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19,
    CHECKPOINT_DIFF_FIELDS = CHECKPOINT_INSPECT_FIELDS | 1 << 4,
};

/* A CheckpointProgress. Texts are borrowed; NULL: empty. */
struct wire_progress {
    const char *job, *layer, *state, *verdict, *result;
    uint64_t tensors_done, tensors_total, tensors_reused, bytes_done, bytes_total;
    double bytes_per_second, seconds_left;
    const struct trit_report *report; /* NULL: none */
};

struct wire_job { /* a CheckpointJob; texts as above */
    const char *job, *method, *path, *against, *output, *state, *verdict, *message;
    bool detach;
    uint64_t created_unix_ns, started_unix_ns, ended_unix_ns;
    uint64_t tensors_done, tensors_total, tensors_reused, bytes_done, bytes_total;
    uint32_t status;
};
enum {
    PROGRESS_BYTES_MAX = 8192 + PROGRESS_RESULT_BYTES_MAX, /* of a message */
    CHECKPOINT_BYTES_MAX = 2 * CHECKPOINT_TEXT_BYTES,      /* of an encoded request */
    JOB_BYTES_MAX = 3 * CHECKPOINT_PATH_BYTES_MAX + TRIT_MESSAGE_BYTES_MAX + 512,
};

/* ---- the daemon's side ---------------------------------------------------- */

/* Reads the fields in the mask; the others are unknown, and ignored. Unlike in other
 * decoders, *out is undefined after a failure. */
int decode_checkpoint(const struct scan_part *root, uint32_t fields,
                      struct wire_checkpoint *out, char error[CODEC_ERROR_BYTES]);
/* Of Attach and Cancel. */
int decode_job_id(const struct scan_part *root, char job[JOB_ID_BYTES_MAX + 1],
                  char error[CODEC_ERROR_BYTES]);

size_t encode_progress(const struct wire_progress *progress, uint8_t *out,
                       size_t capacity);
/* One entry of CheckpointsJobsResponse. */
size_t encode_job(const struct wire_job *job, uint8_t *out, size_t capacity);

/* ---- libtrit's side ------------------------------------------------------- */

size_t encode_checkpoint(const struct wire_checkpoint *request, uint32_t fields,
                         uint8_t *out, size_t capacity);
size_t encode_job_id(const char *job, uint8_t *out, size_t capacity);

/* The texts of a message that was decoded. */
struct progress_texts {
    char job[JOB_ID_BYTES_MAX + 1], layer[PROGRESS_LAYER_BYTES_MAX + 1];
    char state[JOB_WORD_BYTES_MAX + 1], verdict[JOB_WORD_BYTES_MAX + 1];
    char result[PROGRESS_RESULT_BYTES_MAX + 1];
};
/* Texts and report of *out are in `texts` and *report; out->report is NULL without one. */
int decode_progress(const uint8_t *bytes, size_t count, struct wire_progress *out,
                    struct progress_texts *texts, struct trit_report *report,
                    char error[CODEC_ERROR_BYTES]);

/* Gives each job of a CheckpointsJobsResponse, whose texts live for the call. */
int decode_jobs(const uint8_t *bytes, size_t count,
                void (*visit)(void *arg, const struct wire_job *job), void *arg,
                char error[CODEC_ERROR_BYTES]);

#endif
