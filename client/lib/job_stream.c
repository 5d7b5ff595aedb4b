/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/job_stream.h"

#include <stdlib.h>
#include <string.h>

#include "client/lib/sized.h"
#include "proto/codec/checkpoints.h"

struct streaming {
    const struct job_stream *stream;
    bool began, stopped;
    size_t count;
    struct progress_texts texts;
    uint8_t message[PROGRESS_BYTES_MAX];
};

static int next(void *owner, struct outgoing *message, struct failure *failure)
{
    const struct streaming *streaming = owner;

    (void)failure;
    outgoing_head(message, streaming->stream->request, streaming->stream->request_bytes);
    message->last = true;
    return 0;
}

static int message_begin(void *owner, uint32_t length, struct failure *failure)
{
    struct streaming *streaming = owner;

    if (length > sizeof(streaming->message))
        return fail(failure, TRIT_INTERNAL, NULL, "a message of %u bytes about a job",
                    (unsigned)length);
    streaming->began = true;
    streaming->count = 0;
    return 0;
}

static int message_bytes(void *owner, const uint8_t *bytes, size_t count,
                         struct failure *failure)
{
    struct streaming *streaming = owner;

    (void)failure; /* message_begin has checked the length */
    memcpy(streaming->message + streaming->count, bytes, count);
    streaming->count += count;
    return 0;
}

/* The caller's report and progress get what came. */
static int give(const struct job_stream *stream, const struct wire_progress *from,
                struct failure *failure)
{
    struct trit_job_progress progress;

    if (sized_read(&sized_job_progress, "progress", stream->progress, &progress,
                   failure) < 0)
        return -1;
    progress.has_report = from->report && progress.report;
    if (progress.has_report)
        sized_give(&sized_report, progress.report, from->report);
    progress.job = from->job;
    progress.layer = from->layer;
    progress.state = from->state;
    progress.verdict = from->verdict;
    progress.result = from->result;
    progress.tensors_done = from->tensors_done;
    progress.tensors_total = from->tensors_total;
    progress.tensors_reused = from->tensors_reused;
    progress.bytes_done = from->bytes_done;
    progress.bytes_total = from->bytes_total;
    progress.bytes_per_second = from->bytes_per_second;
    progress.seconds_left = from->seconds_left;
    sized_give(&sized_job_progress, stream->progress, &progress);
    return 0;
}

static int message_end(void *owner, struct failure *failure)
{
    struct streaming *streaming = owner;
    const struct job_stream *stream = streaming->stream;
    char why[CODEC_ERROR_BYTES];
    struct wire_progress progress;
    struct trit_report report;

    if (decode_progress(streaming->message, streaming->count, &progress,
                        &streaming->texts, &report, why) < 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (give(stream, &progress, failure) < 0)
        return -1;
    if (stream->visit(stream->arg, stream->progress) == 0)
        return 0;
    streaming->stopped = true;
    return fail(failure, TRIT_CANCELLED, NULL, "the stream was stopped");
}

static int finish(void *owner, struct failure *failure)
{
    (void)owner, (void)failure;
    return 0;
}

static void rewind_stream(void *owner)
{
    (void)owner;
}

/* Another attempt would be another job. */
static bool may_rewind(const void *owner)
{
    return !((const struct streaming *)owner)->began;
}

int job_stream_run(const struct job_stream *stream, const char *path,
                   const struct call *call, struct failure *failure)
{
    static const struct exchange_ops ops = {
        .next = next,
        .message = message_begin,
        .bytes = message_bytes,
        .end = message_end,
        .finish = finish,
        .rewind = rewind_stream,
        .may_rewind = may_rewind,
    };
    struct exchange exchange;
    struct streaming *streaming = calloc(1, sizeof(*streaming));
    int result;

    if (!streaming)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    streaming->stream = stream;
    exchange_init(&exchange, path, &ops, streaming);
    result = call_run_stream(call, &exchange, failure);
    if (streaming->stopped) {
        *failure = (struct failure){.status = TRIT_OK};
        result = 0;
    }
    free(streaming);
    return result;
}
