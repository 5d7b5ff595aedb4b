/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of the service Checkpoints. */
#include "proto/codec/checkpoints.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

static struct scan_part part(const uint8_t *bytes, size_t count)
{
    struct scan_part part = {.seen = true};

    part.bytes = (uint8_t *)(uintptr_t)bytes;
    part.count = count;
    return part;
}

static void check_names(const struct wire_names *names, const char *first, size_t count)
{
    CHECK_EQ(names->count, count);
    CHECK_STR(names->list[0], first);
}

CASE(requests, "a request is read as it was written, and fields of other methods are not")
{
    static struct wire_checkpoint asked, read;
    uint8_t bytes[2048];
    char error[CODEC_ERROR_BYTES];
    size_t count;

    asked = (struct wire_checkpoint){.path = "a/b.safetensors",
                                     .against = "latents",
                                     .detach = true,
                                     .allow_dead = true,
                                     .accept_record = true,
                                     .again = true,
                                     .output = "out",
                                     .force = true,
                                     .allow_lost = true,
                                     .shard_bytes = UINT64_C(1) << 40,
                                     .mode = 1,
                                     .report = 2,
                                     .has_tolerance = true,
                                     .tolerance = 0.25F,
                                     .target = {.encoding = 2,
                                                .group_size = 256,
                                                .dtype = 3,
                                                .allow_rounded = true,
                                                .dry_run = true},
                                     .options = {.include = {{"x*", "y"}, 2},
                                                 .exclude = {{"z"}, 1},
                                                 .transposed = {{"t"}, 1},
                                                 .rename = {{"a=b"}, 1},
                                                 .strip_prefix = {{"model."}, 1},
                                                 .convolutions = true,
                                                 .npy_bf16 = true,
                                                 .keep_names = true,
                                                 .experts = 2,
                                                 .has_encoding = true,
                                                 .has_partial_group = true,
                                                 .partial_group = 1,
                                                 .group_size = 64,
                                                 .bits = 4}};
    count = encode_checkpoint(&asked, ~0U, bytes, sizeof(bytes));
    CHECK(count > 0);
    const struct scan_part root = part(bytes, count);
    CHECK_EQ(decode_checkpoint(&root, ~0U, &read, error), 0);
    CHECK_STR(read.path, asked.path);
    CHECK_STR(read.against, asked.against);
    check_names(&read.options.include, "x*", 2);
    check_names(&read.options.exclude, "z", 1);
    check_names(&read.options.transposed, "t", 1);
    check_names(&read.options.rename, "a=b", 1);
    check_names(&read.options.strip_prefix, "model.", 1);
    CHECK(read.detach && read.allow_dead && read.accept_record && read.again);
    CHECK_STR(read.output, "out");
    CHECK(read.force && read.allow_lost && read.shard_bytes == UINT64_C(1) << 40);
    CHECK(read.has_tolerance && read.tolerance == 0.25F && read.mode == 1);
    CHECK_EQ(read.report, 2);
    CHECK_EQ(read.target.encoding, 2);
    CHECK_EQ(read.target.group_size, 256);
    CHECK_EQ(read.target.dtype, 3);
    CHECK(read.target.allow_rounded && read.target.dry_run);
    CHECK(read.options.has_encoding && read.options.encoding == 0);
    CHECK(read.options.has_partial_group && read.options.partial_group == 1);
    CHECK_EQ(read.options.group_size, 64);
    CHECK_EQ(read.options.bits, 4);
    CHECK_EQ(read.options.experts, 2);
    CHECK(read.options.convolutions && read.options.npy_bf16 && read.options.keep_names);
    CHECK_EQ(decode_checkpoint(&root, CHECKPOINT_INSPECT_FIELDS, &read, error), 0);
    CHECK_STR(read.against, "");
    CHECK(!read.again && !read.has_tolerance && !read.target.dry_run);
}

CASE(refusals, "long, many and malformed texts are refused, naming the field")
{
    static struct wire_checkpoint read;
    static uint8_t bytes[16384];
    char error[CODEC_ERROR_BYTES] = "";
    struct scan_part root;

    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "\x0a\x80\x20", 3); /* 4096 bytes of field 1 */
    root = part(bytes, 3 + 4096);
    CHECK(decode_checkpoint(&root, ~0U, &read, error) < 0);
    CHECK(strstr(error, "path: longer"));
    memcpy(bytes, "\x0a\x02\xff\xff", 4);
    root = part(bytes, 4);
    CHECK(decode_checkpoint(&root, ~0U, &read, error) < 0);
    CHECK(strstr(error, "path"));
    memcpy(bytes, "\x08\x01", 2); /* a number as the path */
    root = part(bytes, 2);
    CHECK(decode_checkpoint(&root, ~0U, &read, error) < 0);
    CHECK(strstr(error, "path: malformed"));
    memcpy(bytes, "\x0a\x7f", 2); /* cut */
    root = part(bytes, 3);
    CHECK(decode_checkpoint(&root, ~0U, &read, error) < 0);
    CHECK(strstr(error, "malformed"));
    bytes[0] = 0x12; /* options: 65 patterns */
    bytes[1] = 2 * 65;
    bytes[2] = 1;
    for (size_t i = 0; i < 65; i++)
        memcpy(bytes + 3 + 2 * i, "\x0a", 2); /* "" */
    root = part(bytes, 3 + 2 * 65);
    CHECK(decode_checkpoint(&root, ~0U, &read, error) < 0);
    CHECK(strstr(error, "options.include: more than 64"));
}

CASE(progress, "progress with a report is read as it was written")
{
    static struct trit_report report, read_report;
    static struct progress_texts texts;
    static uint8_t bytes[PROGRESS_BYTES_MAX];
    char error[CODEC_ERROR_BYTES];
    struct wire_progress read;
    size_t count;

    report.rank = 2;
    report.shape[0] = 3;
    report.shape[1] = 5;
    report.elements = 15;
    report.is_ternary = true;
    strcpy(report.layer, "l.weight");
    const struct wire_progress progress = {.job = "0123",
                                           .layer = "l.weight",
                                           .state = "running",
                                           .verdict = "pass",
                                           .result = "{}",
                                           .tensors_done = 1,
                                           .tensors_total = 2,
                                           .tensors_reused = 3,
                                           .bytes_done = 4,
                                           .bytes_total = 5,
                                           .bytes_per_second = 6.5,
                                           .seconds_left = 7.5,
                                           .report = &report};
    count = encode_progress(&progress, bytes, sizeof(bytes));
    CHECK(count > 0);
    CHECK_EQ(decode_progress(bytes, count, &read, &texts, &read_report, error), 0);
    CHECK_STR(read.job, "0123");
    CHECK_STR(read.layer, "l.weight");
    CHECK_STR(read.state, "running");
    CHECK_STR(read.verdict, "pass");
    CHECK_STR(read.result, "{}");
    CHECK_EQ(read.tensors_done, 1);
    CHECK_EQ(read.tensors_total, 2);
    CHECK_EQ(read.tensors_reused, 3);
    CHECK_EQ(read.bytes_done, 4);
    CHECK_EQ(read.bytes_total, 5);
    CHECK(read.bytes_per_second == 6.5 && read.seconds_left == 7.5);
    CHECK(read.report == &read_report);
    CHECK_EQ(read_report.elements, 15);
    for (size_t cut = 1; cut < count; cut++) /* never read beyond the end */
        decode_progress(bytes, cut, &read, &texts, &read_report, error);
    CHECK_EQ(encode_progress(&progress, bytes, 20), 0);
}

static void take_job(void *arg, const struct wire_job *job)
{
    size_t *seen = arg;

    ++*seen;
    CHECK_STR(job->job, "0123");
    CHECK_STR(job->method, "Verify");
    CHECK_STR(job->path, "a");
    CHECK_STR(job->message, "why");
    CHECK(job->detach);
    CHECK_EQ(job->ended_unix_ns, 3);
    CHECK_EQ(job->bytes_total, 9);
    CHECK_EQ(job->status, 13);
}

CASE(jobs, "a list of jobs is read entry by entry")
{
    static uint8_t bytes[2 * JOB_BYTES_MAX];
    char error[CODEC_ERROR_BYTES];
    const struct wire_job job = {.job = "0123",
                                 .method = "Verify",
                                 .path = "a",
                                 .state = "failed",
                                 .message = "why",
                                 .detach = true,
                                 .ended_unix_ns = 3,
                                 .bytes_total = 9,
                                 .status = 13};
    size_t count = encode_job(&job, bytes, sizeof(bytes)), seen = 0;

    count += encode_job(&job, bytes + count, sizeof(bytes) - count);
    CHECK_EQ(decode_jobs(bytes, count, take_job, &seen, error), 0);
    CHECK_EQ(seen, 2);
}

CASE(ids, "the name of a job is read as it was written")
{
    char job[JOB_ID_BYTES_MAX + 1], error[CODEC_ERROR_BYTES];
    uint8_t bytes[64];
    struct scan_part root = part(bytes, encode_job_id("0123", bytes, sizeof(bytes)));

    CHECK_EQ(decode_job_id(&root, job, error), 0);
    CHECK_STR(job, "0123");
    root = part(bytes, 0);
    CHECK_EQ(decode_job_id(&root, job, error), 0);
    CHECK_STR(job, "");
}
