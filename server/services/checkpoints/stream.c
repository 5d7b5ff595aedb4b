/* SPDX-License-Identifier: Apache-2.0 */
/* A stream sends the job's log, one message after the other, while its peer reads them.
 * When it has sent all, it sends where the job is now, and ends with the job. */
#include "services/checkpoints/stream.h"

#include <stdio.h>

#include "base/limits.h"
#include "grpc/grpc.h"
#include "services/checkpoints/jobs.h"
#include "services/checkpoints/runs.h"
#include "services/methods.h"
#include "services/shared.h"

struct stream {
    struct list link;   /* in the job's streams */
    struct place place; /* in the streams of its loop's services */
    bool due;           /* the job has something to show */
    struct call *call;
    struct checkpoint_job *job; /* held; NULL: none yet */
    size_t sent;                /* messages of the log */
    bool attached;              /* the call did not start the job */
};

static struct stream *stream_of(struct call *call)
{
    return call->method_state;
}

/* ---- showing ------------------------------------------------------------------------------ */

static int send_now(struct stream *stream, const struct job_snapshot *snapshot)
{
    uint8_t bytes[PROGRESS_BYTES_MAX - PROGRESS_RESULT_BYTES_MAX];

    return call_write_message(stream->call, bytes,
                              encode_progress(&snapshot->progress, bytes, sizeof(bytes)));
}

/* -1: call->failure, and the call has to end. */
static int show(struct stream *stream)
{
    struct call *call = stream->call;
    struct job_snapshot snapshot;
    const size_t before = stream->sent;

    job_snapshot(stream->job, &snapshot);
    while (stream->sent < snapshot.log_count) {
        const struct job_message message = job_message(stream->job, stream->sent);

        if (!call_writable(call))
            return 0;
        if (call_write_message(call, message.data, message.bytes) < 0)
            return -1;
        stream->sent++;
    }
    if (job_has_ended(snapshot.state)) {
        call->failure = snapshot.failure;
        call_end(call);
        return 0;
    }
    /* A client finds the result in the last messages. */
    if (stream->sent > before || snapshot.has_result || !call_writable(call))
        return 0;
    return send_now(stream, &snapshot);
}

/* The first message names the job. */
static int begin(struct stream *stream)
{
    struct job_snapshot snapshot;

    job_snapshot(stream->job, &snapshot);
    return send_now(stream, &snapshot) < 0 ? -1 : show(stream);
}

void streams_show(struct checkpoint_job *job)
{
    struct services *services = NULL;

    for (struct list *node = job->streams.next; node != &job->streams;
         node = node->next) {
        struct stream *stream = LIST_OWNER(node, struct stream, link);

        stream->due = true;
        services = services_of(stream->call);
    }
    if (services)
        services_tell(services, SERVICES_JOBS);
}

static void take_due(struct list *streams, struct list *due)
{
    struct list *next;

    for (struct list *node = streams->next; node != streams; node = next) {
        next = node->next;
        if (!LIST_OWNER(node, struct stream, place.link)->due)
            continue;
        list_remove(node);
        list_push(due, node);
    }
}

void streams_take_news(struct services *services)
{
    struct list due, *node;

    list_init(&due);
    jobs_lock(services->jobs);
    take_due(&services->streams.list, &due);
    while ((node = list_pop(&due))) { /* one that ends may cancel a job, which is news */
        struct stream *stream = LIST_OWNER(node, struct stream, place.link);

        stream->due = false;
        list_push(&services->streams.list, node);
        if (stream->call->state == CALL_WORKING && show(stream) < 0)
            call_end(stream->call);
    }
    jobs_unlock(services->jobs);
}

static int writable(struct call *call)
{
    struct stream *stream = stream_of(call);
    int result = 0;

    jobs_lock(services_of(call)->jobs);
    if (stream->job && call->state == CALL_WORKING)
        result = show(stream);
    jobs_unlock(services_of(call)->jobs);
    return result;
}

/* ---- beginning and leaving ------------------------------------------------------------------ */

static const struct place_bound bound = {
    .what = "streams of jobs",
    .per_connection = JOB_STREAMS_PER_CONNECTION_MAX,
    .all = JOB_STREAMS_MAX,
    .limit = L_JOB_STREAMS,
    .gauge = M_JOB_STREAMS,
};

/* Before there is a job, whose memory the client could else multiply by its streams. */
static int take_place(struct call *call)
{
    struct services *services = services_of(call);

    return place_take(&stream_of(call)->place, call, &services->streams,
                      &services_first(services)->streams, &bound);
}

static void join(struct stream *stream, struct call *call, struct checkpoint_job *job)
{
    stream->call = call;
    stream->job = job; /* the reference is the stream's */
    list_push(&job->streams, &stream->link);
}

/* A client that goes cancels its job. One that goes while the daemon drains may be cut off,
 * so that what is unfinished stays. */
static void leave(struct call *call)
{
    struct stream *stream = stream_of(call);
    struct checkpoint_job *job = stream->job;

    place_leave(&stream->place);
    if (!job)
        return;
    jobs_lock(services_of(call)->jobs);
    stream->job = NULL;
    list_remove(&stream->link);
    if (!stream->attached && !job->asked.detach && job->jobs) {
        if (grpc_finishing(call->grpc))
            atomic_store(&job->interrupted, true);
        jobs_cancel(job->jobs, job);
    }
    jobs_unlock(services_of(call)->jobs);
    job_release(job);
}

/* A drain waits for jobs that have a client and have begun. It does not wait for those that go
 * on without one, nor for those that wait for them. */
static void notice(struct call *call)
{
    const struct stream *stream = stream_of(call);

    if (!stream->job || call->state != CALL_WORKING || !grpc_finishing(call->grpc) ||
        (!stream->attached && !stream->job->asked.detach && !job_waits(stream->job)))
        return;
    fail(&call->failure, TRIT_UNAVAILABLE, NULL, "the daemon is draining");
    call_end(call);
}

static int refuse_drain(struct call *call)
{
    return grpc_finishing(call->grpc)
               ? fail(&call->failure, TRIT_UNAVAILABLE, NULL, "the daemon is draining")
               : 0;
}

/* ---- a method that starts a job ------------------------------------------------------------ */

static int read_start(struct call *call)
{
    const struct job_kind *kind = call->method->ops;
    struct stream *stream = stream_of(call);
    struct jobs *jobs = services_of(call)->jobs;
    struct checkpoint_job *job;
    char error[CODEC_ERROR_BYTES];

    if (jobs_check(jobs, &call->failure) < 0 || take_place(call) < 0)
        return -1;
    job = job_create(kind, &jobs->context);
    if (!job)
        return memory_spent(call);
    join(stream, call, job);
    if (job_charge(job, sizeof(*job), &call->failure) < 0)
        return -1;
    if (decode_checkpoint(&call->scan.parts[PART_ROOT], kind->fields, &job->asked,
                          error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    return 0;
}

static int start(struct call *call)
{
    struct stream *stream = stream_of(call);

    if (refuse_drain(call) < 0 || jobs_check(services_of(call)->jobs, &call->failure) < 0)
        return -1;
    if (!stream->job) /* an empty message has no event of its own */
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "path", "is missing");
    if (jobs_add(services_of(call)->jobs, stream->job, &call->failure) < 0)
        return -1;
    call_label(call, "job", stream->job->id);
    return begin(stream);
}

static int locked(struct call *call, int (*step)(struct call *call))
{
    struct jobs *jobs = services_of(call)->jobs;
    int result;

    jobs_lock(jobs);
    result = step(call);
    jobs_unlock(jobs);
    return result;
}

static int start_message(struct call *call)
{
    return locked(call, read_start);
}

static int start_request(struct call *call)
{
    return locked(call, start);
}

#define START_METHOD(rpc, kind)                                                          \
    {                                                                                    \
        .path = "/trit.v1.Checkpoints/" rpc, .scan = scan_plain, .ops = &(kind),         \
        .state_bytes = sizeof(struct stream), .message = start_message,                  \
        .request = start_request, .writable = writable, .notice = notice,                \
        .cancel = leave, .fini = leave,                                                  \
    }

const struct method method_checkpoints_inspect = START_METHOD("Inspect", job_inspect);
const struct method method_checkpoints_plan = START_METHOD("Plan", job_plan);
const struct method method_checkpoints_verify = START_METHOD("Verify", job_verify);
const struct method method_checkpoints_project = START_METHOD("Project", job_project);
const struct method method_checkpoints_pack = START_METHOD("Pack", job_pack);
const struct method method_checkpoints_diff = START_METHOD("Diff", job_diff);

/* ---- Attach ---------------------------------------------------------------------------------- */

static int read_attach(struct call *call)
{
    struct stream *stream = stream_of(call);
    struct jobs *jobs = services_of(call)->jobs;
    char id[JOB_ID_BYTES_MAX + 1], error[CODEC_ERROR_BYTES];
    struct checkpoint_job *job;

    if (decode_job_id(&call->scan.parts[PART_ROOT], id, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (jobs_check(jobs, &call->failure) < 0)
        return -1;
    job = jobs_find(jobs, id);
    if (!job)
        return fail_field(&call->failure, TRIT_NOT_FOUND, "job",
                          "no job is called \"%s\"", id);
    if (take_place(call) < 0)
        return -1;
    stream->attached = true;
    job_hold(job);
    join(stream, call, job);
    return 0;
}

static int attach_message(struct call *call)
{
    return locked(call, read_attach);
}

static int attach(struct call *call)
{
    struct stream *stream = stream_of(call);

    return refuse_drain(call) < 0 ? -1 : begin(stream);
}

static int attach_request(struct call *call)
{
    return locked(call, attach);
}

const struct method method_checkpoints_attach = {
    .path = "/trit.v1.Checkpoints/Attach",
    .scan = scan_plain,
    .state_bytes = sizeof(struct stream),
    .message = attach_message,
    .request = attach_request,
    .writable = writable,
    .notice = notice,
    .cancel = leave,
    .fini = leave,
};
