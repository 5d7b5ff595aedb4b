/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the service Checkpoints, both ways. */
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "proto/codec/checkpoints.h"
#include "put.h"
#include "wire.h"

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static int malformed(char error[CODEC_ERROR_BYTES])
{
    snprintf(error, CODEC_ERROR_BYTES, "malformed");
    return -1;
}

/* ---- encoding ------------------------------------------------------------------------ */

size_t encode_progress(const struct wire_progress *progress, uint8_t *out,
                       size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_text(&put, 1, text_or_empty(progress->job), JOB_ID_BYTES_MAX);
    put_text(&put, 2, text_or_empty(progress->layer), PROGRESS_LAYER_BYTES_MAX);
    put_u64(&put, 3, progress->tensors_done);
    put_u64(&put, 4, progress->tensors_total);
    put_u64(&put, 5, progress->tensors_reused);
    put_u64(&put, 6, progress->bytes_done);
    put_u64(&put, 7, progress->bytes_total);
    if (progress->report)
        put_report(&put, 8, progress->report);
    put_f64(&put, 9, progress->bytes_per_second);
    put_f64(&put, 10, progress->seconds_left);
    put_text(&put, 11, text_or_empty(progress->state), JOB_WORD_BYTES_MAX);
    put_text(&put, 12, text_or_empty(progress->verdict), JOB_WORD_BYTES_MAX);
    put_text(&put, 15, text_or_empty(progress->result), PROGRESS_RESULT_BYTES_MAX);
    return put.full ? 0 : (size_t)(put.at - out);
}

size_t encode_job(const struct wire_job *job, uint8_t *out, size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};
    uint8_t *begin = put_message_begin(&put, 1);

    put_text(&put, 1, text_or_empty(job->job), JOB_ID_BYTES_MAX);
    put_text(&put, 2, text_or_empty(job->method), JOB_WORD_BYTES_MAX);
    put_text(&put, 3, text_or_empty(job->path), CHECKPOINT_PATH_BYTES_MAX);
    put_text(&put, 4, text_or_empty(job->against), CHECKPOINT_PATH_BYTES_MAX);
    put_text(&put, 5, text_or_empty(job->output), CHECKPOINT_PATH_BYTES_MAX);
    put_text(&put, 6, text_or_empty(job->state), JOB_WORD_BYTES_MAX);
    put_u64(&put, 7, job->detach);
    put_u64(&put, 8, job->created_unix_ns);
    put_u64(&put, 9, job->started_unix_ns);
    put_u64(&put, 10, job->ended_unix_ns);
    put_u64(&put, 11, job->tensors_done);
    put_u64(&put, 12, job->tensors_total);
    put_u64(&put, 13, job->tensors_reused);
    put_u64(&put, 14, job->bytes_done);
    put_u64(&put, 15, job->bytes_total);
    put_text(&put, 16, text_or_empty(job->verdict), JOB_WORD_BYTES_MAX);
    put_u64(&put, 17, job->status);
    put_text(&put, 18, text_or_empty(job->message), TRIT_MESSAGE_BYTES_MAX);
    put_message_end(&put, begin);
    return put.full ? 0 : (size_t)(put.at - out);
}

/* ---- decoding ------------------------------------------------------------------------ */

/* A field that should be a text. */
static int take_text(const struct field *field, size_t bytes_max, char *out,
                     char error[CODEC_ERROR_BYTES])
{
    return field->wire == FIELD_BYTES
               ? wire_text("text", field->bytes, (size_t)field->value, bytes_max, out,
                           error)
               : malformed(error);
}

static uint64_t *progress_number(struct wire_progress *out, uint32_t number)
{
    switch (number) {
    case 3:
        return &out->tensors_done;
    case 4:
        return &out->tensors_total;
    case 5:
        return &out->tensors_reused;
    case 6:
        return &out->bytes_done;
    case 7:
        return &out->bytes_total;
    default:
        return NULL;
    }
}

static int take_progress(const struct field *field, struct wire_progress *out,
                         struct progress_texts *texts, struct trit_report *report,
                         char error[CODEC_ERROR_BYTES])
{
    uint64_t *number = progress_number(out, field->number);

    if (number)
        *number = field->value;
    switch (field->number) {
    case 1:
        return take_text(field, JOB_ID_BYTES_MAX, texts->job, error);
    case 2:
        return take_text(field, PROGRESS_LAYER_BYTES_MAX, texts->layer, error);
    case 8:
        if (field->wire != FIELD_BYTES)
            return malformed(error);
        out->report = report;
        return decode_report(field->bytes, (size_t)field->value, report, error);
    case 9:
        out->bytes_per_second = field_f64(field);
        return 0;
    case 10:
        out->seconds_left = field_f64(field);
        return 0;
    case 11:
        return take_text(field, JOB_WORD_BYTES_MAX, texts->state, error);
    case 12:
        return take_text(field, JOB_WORD_BYTES_MAX, texts->verdict, error);
    case 15:
        return take_text(field, PROGRESS_RESULT_BYTES_MAX, texts->result, error);
    default:
        return 0;
    }
}

int decode_progress(const uint8_t *bytes, size_t count, struct wire_progress *out,
                    struct progress_texts *texts, struct trit_report *report,
                    char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {bytes, bytes + count};
    struct wire_progress progress = {.job = texts->job,
                                     .layer = texts->layer,
                                     .state = texts->state,
                                     .verdict = texts->verdict,
                                     .result = texts->result};
    struct field field;
    int found;

    texts->job[0] = texts->layer[0] = texts->state[0] = texts->verdict[0] =
        texts->result[0] = '\0';
    while ((found = field_next(&cursor, &field)) > 0)
        if (take_progress(&field, &progress, texts, report, error) < 0)
            return -1;
    if (found < 0)
        return malformed(error);
    *out = progress;
    return 0;
}

struct job_texts {
    char job[JOB_ID_BYTES_MAX + 1], method[JOB_WORD_BYTES_MAX + 1];
    char path[CHECKPOINT_PATH_BYTES_MAX + 1], against[CHECKPOINT_PATH_BYTES_MAX + 1];
    char output[CHECKPOINT_PATH_BYTES_MAX + 1], state[JOB_WORD_BYTES_MAX + 1];
    char verdict[JOB_WORD_BYTES_MAX + 1], message[TRIT_MESSAGE_BYTES_MAX + 1];
};

static int take_job_text(const struct field *field, struct job_texts *texts,
                         char error[CODEC_ERROR_BYTES])
{
    switch (field->number) {
    case 1:
        return take_text(field, JOB_ID_BYTES_MAX, texts->job, error);
    case 2:
        return take_text(field, JOB_WORD_BYTES_MAX, texts->method, error);
    case 3:
        return take_text(field, CHECKPOINT_PATH_BYTES_MAX, texts->path, error);
    case 4:
        return take_text(field, CHECKPOINT_PATH_BYTES_MAX, texts->against, error);
    case 5:
        return take_text(field, CHECKPOINT_PATH_BYTES_MAX, texts->output, error);
    case 6:
        return take_text(field, JOB_WORD_BYTES_MAX, texts->state, error);
    case 16:
        return take_text(field, JOB_WORD_BYTES_MAX, texts->verdict, error);
    case 18:
        return take_text(field, TRIT_MESSAGE_BYTES_MAX, texts->message, error);
    default:
        return 0;
    }
}

static void take_job_number(const struct field *field, struct wire_job *job)
{
    uint64_t *const numbers[] = {
        [8] = &job->created_unix_ns, [9] = &job->started_unix_ns,
        [10] = &job->ended_unix_ns,  [11] = &job->tensors_done,
        [12] = &job->tensors_total,  [13] = &job->tensors_reused,
        [14] = &job->bytes_done,     [15] = &job->bytes_total,
    };

    if (field->number == 7)
        job->detach = field->value != 0;
    else if (field->number == 17)
        job->status = (uint32_t)field->value;
    else if (field->number < sizeof(numbers) / sizeof(numbers[0]) &&
             numbers[field->number])
        *numbers[field->number] = field->value;
}

static int job_entry(const struct field *entry, struct wire_job *job,
                     struct job_texts *texts, char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {entry->bytes, entry->bytes + entry->value};
    struct field field;
    int found;

    memset(texts, 0, sizeof(*texts));
    *job = (struct wire_job){.job = texts->job,
                             .method = texts->method,
                             .path = texts->path,
                             .against = texts->against,
                             .output = texts->output,
                             .state = texts->state,
                             .verdict = texts->verdict,
                             .message = texts->message};
    while ((found = field_next(&cursor, &field)) > 0) {
        if (take_job_text(&field, texts, error) < 0)
            return -1;
        take_job_number(&field, job);
    }
    return found < 0 ? malformed(error) : 0;
}

int decode_jobs(const uint8_t *bytes, size_t count,
                void (*visit)(void *arg, const struct wire_job *job), void *arg,
                char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {bytes, bytes + count};
    struct job_texts texts;
    struct wire_job job;
    struct field field;
    int found;

    while ((found = field_next(&cursor, &field)) > 0) {
        if (field.number != 1)
            continue;
        if (field.wire != FIELD_BYTES)
            return malformed(error);
        if (job_entry(&field, &job, &texts, error) < 0)
            return -1;
        visit(arg, &job);
    }
    return found < 0 ? malformed(error) : 0;
}
