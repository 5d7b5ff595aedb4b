/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over checkpoints on the daemon's disk. */
#include <stdatomic.h>
#include <string.h>

#include "client/lib/client.h"
#include "proto/codec/checkpoints.h"
#include "proto/framing.h"
#include "tests/lib/fault.h"
#include "tests/unit/lib/layers.h"

/* What visits saw. */
struct seen {
    size_t messages, reports;
    size_t stop_at; /* 0: never */
    char job[32], verdict[32], result[64];
};

static int visit(void *arg, const struct trit_job_progress *progress)
{
    struct seen *seen = arg;

    seen->reports += progress->has_report;
    strcpy(seen->job, progress->job);
    strcpy(seen->verdict, progress->verdict);
    strcat(seen->result, progress->result);
    return ++seen->messages == seen->stop_at;
}

/* Three messages: the job, a layer, the result. */
static void reply_stream(struct fake_reply *reply)
{
    static struct trit_report report = {.elements = 4, .layer = "l"};
    const struct wire_progress messages[] = {
        {.job = "0123", .state = "waiting"},
        {.job = "0123", .layer = "l", .state = "running", .report = &report},
        {.job = "0123", .state = "done", .verdict = "pass", .result = "{}"},
    };
    uint8_t bytes[8192];

    for (size_t i = 0; i < 3; i++)
        fake_reply_message(reply, bytes,
                           encode_progress(&messages[i], bytes, sizeof(bytes)), NULL, 0);
}

static enum trit_status run(struct fixture *f, struct seen *seen)
{
    const struct trit_job_request request = {
        .size = sizeof(request), .method = TRIT_JOB_VERIFY, .path = "a"};
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;

    progress.report = &report;
    return trit_job_run(f->client, &request, &progress, visit, seen, &f->error);
}

CASE(watches, "a job's messages are visited in their order, with its report and result")
{
    struct fixture f = {.client = NULL};
    struct seen seen = {.messages = 0};

    reply_stream(&f.replies[0]);
    start(&f);
    CHECK_EQ(run(&f, &seen), TRIT_OK);
    CHECK_EQ(seen.messages, 3);
    CHECK_EQ(seen.reports, 1);
    CHECK_STR(seen.job, "0123");
    CHECK_STR(seen.verdict, "pass");
    CHECK_STR(seen.result, "{}");
    stop(&f);
}

CASE(stops, "a visit that wants no more ends the call without a failure")
{
    struct fixture f = {.client = NULL};
    struct seen seen = {.stop_at = 1};

    reply_stream(&f.replies[0]);
    start(&f);
    CHECK_EQ(run(&f, &seen), TRIT_OK);
    CHECK_EQ(seen.messages, 1);
    stop(&f);
}

CASE(too_many,
     "jobs and watches together leave connections of their client to other calls")
{
    struct fixture f = {.client = NULL};
    struct trit_report report = TRIT_REPORT_INIT;
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;
    struct seen seen = {.messages = 0};

    progress.report = &report;
    reply_stream(&f.replies[0]);
    start(&f);
    atomic_store(&f.client->streams, CLIENT_STREAMS_MAX);
    CHECK_EQ(run(&f, &seen), TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(f.error.message, "48 watches and jobs"));
    CHECK_EQ(trit_job_attach(f.client, "0123", NULL, &progress, visit, &seen, &f.error),
             TRIT_RESOURCE_EXHAUSTED);
    atomic_store(&f.client->streams, CLIENT_STREAMS_MAX - 1);
    CHECK_EQ(run(&f, &seen), TRIT_OK);
    CHECK_EQ(atomic_load(&f.client->streams), CLIENT_STREAMS_MAX - 1);
    CHECK_EQ(seen.messages, 3);
    stop(&f);
}

static int visit_job(void *arg, const struct trit_job *job)
{
    struct seen *seen = arg;

    seen->messages++;
    strcpy(seen->job, job->job);
    CHECK_STR(job->against, "");
    CHECK_EQ(job->status, TRIT_CANCELLED);
    return 0;
}

CASE(lists, "jobs are visited as the daemon lists them")
{
    struct fixture f = {.client = NULL};
    struct trit_job job = TRIT_JOB_INIT;
    struct seen seen = {.messages = 0};
    struct fake_request asked;
    const struct wire_job listed = {.job = "0123", .state = "cancelled", .status = 1};
    uint8_t bytes[256];

    fake_reply_message(&f.replies[0], bytes, encode_job(&listed, bytes, sizeof(bytes)),
                       NULL, 0);
    start(&f);
    CHECK_EQ(trit_job_list(f.client, NULL, &job, visit_job, &seen, &f.error), TRIT_OK);
    CHECK_EQ(seen.messages, 1);
    CHECK_STR(seen.job, "0123");
    CHECK_STR(path_of(&f, 0, &asked), "/trit.v1.Checkpoints/Jobs");
    stop(&f);
}

CASE(packs, "the daemon gets how the input is encoded and what its layers become")
{
    static struct wire_checkpoint read;
    struct fixture f = {.client = NULL};
    struct seen seen = {.messages = 0};
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;
    const struct trit_checkpoint_options options = {
        .size = sizeof(options), .has_encoding = true, .encoding = TRIT_ENCODING_INT8};
    const struct trit_pack_target target = {.size = sizeof(target),
                                            .encoding = TRIT_ENCODING_TQ2_0,
                                            .group_size = 256,
                                            .dtype = TRIT_F16};
    const struct trit_job_request request = {.size = sizeof(request),
                                             .method = TRIT_JOB_PACK,
                                             .allow_rounded_scales = true,
                                             .dry_run = true,
                                             .path = "a",
                                             .output = "b",
                                             .target = &target,
                                             .options = &options};
    struct fake_request asked;
    char error[CODEC_ERROR_BYTES];

    reply_stream(&f.replies[0]);
    start(&f);
    CHECK_EQ(trit_job_run(f.client, &request, &progress, visit, &seen, &f.error),
             TRIT_OK);
    CHECK_STR(path_of(&f, 0, &asked), "/trit.v1.Checkpoints/Pack");
    const struct scan_part root = {.bytes = asked.body + GRPC_PREFIX_BYTES,
                                   .count = (size_t)asked.body_bytes - GRPC_PREFIX_BYTES};
    CHECK_EQ(decode_checkpoint(&root, CHECKPOINT_PACK_FIELDS, &read, error), 0);
    CHECK_STR(read.output, "b");
    CHECK_EQ(read.options.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(read.target.encoding, TRIT_ENCODING_TQ2_0);
    CHECK_EQ(read.target.group_size, 256);
    CHECK_EQ(read.target.dtype, TRIT_F16);
    CHECK(read.target.allow_rounded && read.target.dry_run);
    stop(&f);
}

static void check_refused(struct fixture *f, const struct trit_job_request *request,
                          const char *field)
{
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;
    struct seen seen = {.messages = 0};

    CHECK_EQ(trit_job_run(f->client, request, &progress, visit, &seen, &f->error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(f->error.field, field);
    CHECK_EQ(seen.messages, 0);
}

CASE(refusals, "a request that no daemon would take is not sent")
{
    static char path[5000];
    static const char *many[65];
    struct fixture f = {.client = NULL};
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_job_request request = TRIT_JOB_REQUEST_INIT;
    struct trit_job_progress progress = TRIT_JOB_PROGRESS_INIT;

    start(&f);
    request.method = (enum trit_job_method)9;
    check_refused(&f, &request, "request.method");
    request.method = TRIT_JOB_VERIFY;
    memset(path, 'a', sizeof(path) - 1);
    request.path = path;
    check_refused(&f, &request, "request.path");
    request.path = "a";
    request.options = &options;
    options.include = many;
    options.include_count = 65;
    check_refused(&f, &request, "options.include");
    options.include_count = 1; /* it is NULL */
    check_refused(&f, &request, "options.include");
    options.include_count = 0;
    options.config = "{}";
    check_refused(&f, &request, "options.config");
    CHECK_EQ(trit_job_run(f.client, &request, &progress, NULL, NULL, &f.error),
             TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_job_attach(f.client, NULL, NULL, &progress, visit, NULL, &f.error),
             TRIT_INVALID_ARGUMENT);
    request.options = NULL;
    request.method = TRIT_JOB_PACK; /* without a target */
    check_refused(&f, &request, "request.target");
    path[100] = '\0';
    CHECK_EQ(trit_job_cancel(f.client, path, NULL, &f.error), TRIT_NOT_FOUND);
    stop(&f);
}

CASE(no_memory, "whichever allocation fails, the job's result is whole or the call fails")
{
    struct fixture f = {.client = NULL};
    bool faulted = true;

    reply_stream(&f.replies[0]);
    start(&f);
    for (uint64_t n = 1; faulted; n++) {
        struct seen seen = {.messages = 0};

        CHECK(n < 1000);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const enum trit_status status = run(&f, &seen);

        faulted = fault_disarm();
        CHECK(faulted || status == TRIT_OK);
        if (status == TRIT_OK)
            CHECK_STR(seen.result, "{}");
    }
    stop(&f);
}
