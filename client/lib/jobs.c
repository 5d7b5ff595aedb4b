/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over checkpoints on the daemon's disk. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/job_stream.h"
#include "client/lib/page.h"
#include "client/lib/sized.h"
#include "client/lib/unary.h"
#include "proto/codec/checkpoints.h"

static const struct method_row {
    const char *path;
    uint32_t fields;
} methods[] = {
    [TRIT_JOB_INSPECT] = {"/trit.v1.Checkpoints/Inspect", CHECKPOINT_INSPECT_FIELDS},
    [TRIT_JOB_PLAN] = {"/trit.v1.Checkpoints/Plan", CHECKPOINT_PLAN_FIELDS},
    [TRIT_JOB_VERIFY] = {"/trit.v1.Checkpoints/Verify", CHECKPOINT_VERIFY_FIELDS},
    [TRIT_JOB_PROJECT] = {"/trit.v1.Checkpoints/Project", CHECKPOINT_PROJECT_FIELDS},
    [TRIT_JOB_PACK] = {"/trit.v1.Checkpoints/Pack", CHECKPOINT_PACK_FIELDS},
    [TRIT_JOB_DIFF] = {"/trit.v1.Checkpoints/Diff", CHECKPOINT_DIFF_FIELDS},
};
enum { METHODS = sizeof(methods) / sizeof(methods[0]) };

/* ---- the request --------------------------------------------------------------------- */

static int take_names(const char *field, const char *const *list, size_t count,
                      struct wire_names *out, struct failure *failure)
{
    if (count && !list)
        return fail_null(failure, field);
    if (count > CHECKPOINT_PATTERNS_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "%zu; a request has at most %d", count,
                          CHECKPOINT_PATTERNS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!list[i])
            return fail_null(failure, field);
        out->list[i] = list[i];
    }
    out->count = count;
    return 0;
}

static int take_options(const struct trit_checkpoint_options *given,
                        struct wire_checkpoint *out, struct failure *failure)
{
    struct wire_checkpoint_options *to = &out->options;
    struct trit_checkpoint_options o;

    if (sized_take_optional(&sized_checkpoint_options, "request.options", given, &o,
                            failure) < 0 ||
        take_names("options.include", o.include, o.include_count, &to->include, failure) <
            0 ||
        take_names("options.exclude", o.exclude, o.exclude_count, &to->exclude, failure) <
            0 ||
        take_names("options.transposed", o.transposed, o.transposed_count,
                   &to->transposed, failure) < 0 ||
        take_names("options.rename", o.rename, o.rename_count, &to->rename, failure) <
            0 ||
        take_names("options.strip_prefix", o.strip_prefix, o.strip_prefix_count,
                   &to->strip_prefix, failure) < 0)
        return -1;
    if (o.config)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.config",
                          "not supported: the daemon reads the checkpoint's own");
    to->convolutions = o.convolutions;
    to->experts = (uint32_t)o.experts;
    to->has_encoding = o.has_encoding;
    to->encoding = (uint32_t)o.encoding;
    to->has_partial_group = o.has_partial_group;
    to->partial_group = (uint32_t)o.partial_group;
    to->group_size = o.group_size;
    to->bits = o.bits;
    out->mode = (uint32_t)o.mode;
    out->again = o.again;
    out->allow_dead = o.allow_dead;
    out->accept_record = o.accept_record;
    return 0;
}

static int take_target(const struct trit_job_request *r, struct wire_pack_target *out,
                       struct failure *failure)
{
    struct trit_pack_target target;

    if (r->method != TRIT_JOB_PACK)
        return 0;
    if (sized_take(&sized_pack_target, "request.target", r->target, &target, failure) < 0)
        return -1;
    out->encoding = (uint32_t)target.encoding;
    out->group_size = target.group_size;
    out->dtype = (uint32_t)target.dtype;
    out->allow_rounded = r->allow_rounded_scales;
    out->dry_run = r->dry_run;
    return 0;
}

static int take_path(const char *field, const char *path, const char **out,
                     struct failure *failure)
{
    if (path && strlen(path) > CHECKPOINT_PATH_BYTES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "%zu bytes; a path has at most %d", strlen(path),
                          CHECKPOINT_PATH_BYTES_MAX);
    *out = path ? path : "";
    return 0;
}

static int take_request(const struct trit_job_request *r, struct wire_checkpoint *out,
                        struct failure *failure)
{
    if ((unsigned)r->method >= METHODS)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "request.method",
                          "%u is unknown", (unsigned)r->method);
    if (take_path("request.path", r->path, &out->path, failure) < 0 ||
        take_path("request.against", r->against, &out->against, failure) < 0 ||
        take_path("request.output", r->output, &out->output, failure) < 0 ||
        take_options(r->options, out, failure) < 0 ||
        take_target(r, &out->target, failure) < 0)
        return -1;
    out->detach = r->detach;
    out->force = r->force;
    out->allow_lost = r->allow_lost_scales;
    out->shard_bytes = r->shard_bytes;
    out->report = (uint32_t)r->report;
    out->has_tolerance = r->has_tolerance;
    out->tolerance = r->tolerance;
    out->options.npy_bf16 = r->npy_bf16;
    out->options.keep_names = r->keep_names;
    return 0;
}

static int run(const struct trit_job_request *request, struct job_stream *stream,
               const struct call *call, struct failure *failure)
{
    struct wire_checkpoint *wire = calloc(1, sizeof(*wire));
    uint8_t *bytes = malloc(CHECKPOINT_TEXT_BYTES);
    int result = wire && bytes
                     ? take_request(request, wire, failure)
                     : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    if (result == 0) {
        const struct method_row *method = &methods[request->method];

        stream->request = bytes;
        stream->request_bytes =
            encode_checkpoint(wire, method->fields, bytes, CHECKPOINT_TEXT_BYTES);
        result = stream->request_bytes
                     ? job_stream_run(stream, method->path, call, failure)
                     : fail(failure, TRIT_INVALID_ARGUMENT, "request",
                            "the request's paths and patterns take more than %d bytes",
                            CHECKPOINT_TEXT_BYTES);
    }
    free(wire);
    free(bytes);
    return result;
}

static int check_stream(struct trit_client *client, const struct job_stream *stream,
                        const struct trit_error *error, struct failure *failure)
{
    if (client_check(client, error, failure) < 0 ||
        sized_check(&sized_job_progress, "progress", stream->progress, failure) < 0)
        return -1;
    return stream->visit ? 0 : fail_null(failure, "visit");
}

enum trit_status
trit_job_run(struct trit_client *client, const struct trit_job_request *request,
             struct trit_job_progress *progress,
             int (*visit)(void *arg, const struct trit_job_progress *progress), void *arg,
             struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct job_stream stream = {.progress = progress, .visit = visit, .arg = arg};
    struct trit_job_request r;
    struct call call;

    if (check_stream(client, &stream, error, &failure) < 0 ||
        sized_take(&sized_job_request, "request", request, &r, &failure) < 0 ||
        call_init(&call, client, "request.call", r.call, 0, &failure) < 0)
        return client_answer(&failure, error);
    call.not_retriable = true; /* it would be another job */
    run(&r, &stream, &call, &failure);
    return client_answer(&failure, error);
}

/* ---- one job by its name --------------------------------------------------------------- */

static int take_id(const char *job, uint8_t *bytes, size_t capacity, size_t *count,
                   struct failure *failure)
{
    if (!job)
        return fail_null(failure, "job");
    if (strlen(job) > JOB_ID_BYTES_MAX)
        return fail_field(failure, TRIT_NOT_FOUND, "job", "no job is called \"%.64s\"",
                          job);
    *count = encode_job_id(job, bytes, capacity);
    return 0;
}

enum trit_status trit_job_attach(struct trit_client *client, const char *job,
                                 const struct trit_call_options *options,
                                 struct trit_job_progress *progress,
                                 int (*visit)(void *arg,
                                              const struct trit_job_progress *progress),
                                 void *arg, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    uint8_t head[JOB_ID_BYTES_MAX + 8];
    struct job_stream stream = {
        .request = head, .progress = progress, .visit = visit, .arg = arg};
    struct call call;

    if (check_stream(client, &stream, error, &failure) < 0 ||
        call_init(&call, client, "options", options, 0, &failure) < 0 ||
        take_id(job, head, sizeof(head), &stream.request_bytes, &failure) < 0)
        return client_answer(&failure, error);
    job_stream_run(&stream, "/trit.v1.Checkpoints/Attach", &call, &failure);
    return client_answer(&failure, error);
}

static int nothing(void *result, const struct scan *reply, struct failure *failure)
{
    (void)result, (void)reply, (void)failure;
    return 0;
}

enum trit_status trit_job_cancel(struct trit_client *client, const char *job,
                                 const struct trit_call_options *options,
                                 struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct unary unary = {.decode = nothing};
    uint8_t head[JOB_ID_BYTES_MAX + 8];
    struct call call;
    size_t count = 0;

    if (client_check(client, error, &failure) < 0 ||
        call_init(&call, client, "options", options, 0, &failure) < 0 ||
        take_id(job, head, sizeof(head), &count, &failure) < 0)
        return client_answer(&failure, error);
    outgoing_head(&unary.request, head, count);
    reply_init(&unary.reply, scan_plain, client->message_bytes_max, NULL, NULL);
    unary_run(&unary, "/trit.v1.Checkpoints/Cancel", &call, &failure);
    return client_answer(&failure, error);
}

/* ---- the list -------------------------------------------------------------------------- */

struct listing {
    struct trit_job *job; /* the caller's */
    int (*visit)(void *arg, const struct trit_job *job);
    void *arg;
    bool stopped;
};

static void take_job(void *arg, const struct wire_job *from)
{
    struct listing *listing = arg;
    const struct trit_job job = {
        .size = sizeof(job),
        .job = from->job,
        .method = from->method,
        .path = from->path,
        .against = from->against,
        .output = from->output,
        .state = from->state,
        .verdict = from->verdict,
        .message = from->message,
        .status = (enum trit_status)from->status,
        .detach = from->detach,
        .created_unix_ns = (int64_t)from->created_unix_ns,
        .started_unix_ns = (int64_t)from->started_unix_ns,
        .ended_unix_ns = (int64_t)from->ended_unix_ns,
        .tensors_done = from->tensors_done,
        .tensors_total = from->tensors_total,
        .tensors_reused = from->tensors_reused,
        .bytes_done = from->bytes_done,
        .bytes_total = from->bytes_total,
    };

    if (listing->stopped)
        return;
    sized_give(&sized_job, listing->job, &job);
    listing->stopped = listing->visit(listing->arg, listing->job) != 0;
}

static int fetch(struct trit_client *client, const struct call *call,
                 struct listing *listing, struct failure *failure)
{
    char why[CODEC_ERROR_BYTES];
    struct page page;
    int result;

    page_init(&page, client);
    result = page_fetch(&page, "/trit.v1.Checkpoints/Jobs", "", 0, call, failure);
    if (result == 0 && decode_jobs(page.bytes, page.count, take_job, listing, why) < 0)
        result = fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    page_fini(&page);
    return result;
}

enum trit_status trit_job_list(struct trit_client *client,
                               const struct trit_call_options *options,
                               struct trit_job *job,
                               int (*visit)(void *arg, const struct trit_job *job),
                               void *arg, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct listing listing = {.job = job, .visit = visit, .arg = arg};
    struct call call;

    if (client_check(client, error, &failure) < 0 ||
        sized_check(&sized_job, "job", job, &failure) < 0 ||
        (!visit && fail_null(&failure, "visit") < 0) ||
        call_init(&call, client, "options", options, 0, &failure) < 0)
        return client_answer(&failure, error);
    fetch(client, &call, &listing, &failure);
    return client_answer(&failure, error);
}
