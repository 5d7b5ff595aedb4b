/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of the service Checkpoints (decoders.h). */
#include "proto/codec/checkpoints.h"

#include "decoders.h"

/* A message that is larger than what it is encoded into says nothing. */
static bool encoded_to(struct encoded *out, size_t count)
{
    out->count = count;
    return count > 0;
}

static bool request(const struct scan_part *in, struct encoded *out)
{
    struct wire_checkpoint *asked = malloc(sizeof(*asked));
    bool good;

    assert(asked);
    good = accepted(decode_checkpoint(in, ~0U, asked, error)) &&
           encoded_to(out, encode_checkpoint(asked, ~0U, out->bytes, sizeof(out->bytes)));
    free(asked);
    return good;
}

static bool job_id(const struct scan_part *in, struct encoded *out)
{
    char job[JOB_ID_BYTES_MAX + 1];

    if (!accepted(decode_job_id(in, job, error)))
        return false;
    out->count = encode_job_id(job, out->bytes, sizeof(out->bytes));
    return true;
}

static bool progress(const struct scan_part *in, struct encoded *out)
{
    struct progress_texts *texts = malloc(sizeof(*texts));
    struct trit_report *report = malloc(sizeof(*report));
    struct wire_progress read;
    bool good;

    assert(texts && report);
    good = accepted(decode_progress(in->bytes, in->count, &read, texts, report, error));
    if (good)
        out->count = encode_progress(&read, out->bytes, sizeof(out->bytes));
    free(texts);
    free(report);
    return good;
}

static void add_job(void *arg, const struct wire_job *job)
{
    struct encoded *out = arg;

    out->count +=
        encode_job(job, out->bytes + out->count, sizeof(out->bytes) - out->count);
}

static bool jobs(const struct scan_part *in, struct encoded *out)
{
    out->count = 0;
    return accepted(decode_jobs(in->bytes, in->count, add_job, out, error));
}

static decoder *const decoders[] = {request, job_id, progress, jobs};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoders(decoders, sizeof(decoders) / sizeof(*decoders), data, size);
}

#include "replay.h"
