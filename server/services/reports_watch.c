/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Watch: reports as they are filed, in order of filing. The cursor is the report's
 * sequence in the store, so a stream can be resumed, also after a restart.
 *
 * A watch reads one batch at a time, and the next one only after its peer has read most of
 * the one before. Its batch is charged to the connection. A peer that reads too slowly is
 * ended by rate_bytes_min and resumes with its cursor: the reports wait in the store, not
 * in memory. */
#include <inttypes.h>
#include <stdio.h>

#include "base/account.h"
#include "base/limits.h"
#include "base/number.h"
#include "obs/metrics.h"
#include "proto/codec/history.h"
#include "proto/utf8.h"
#include "services/admission.h"
#include "services/call_job.h"
#include "services/shared.h"
#include "services/watches.h"
#include "store/store.h"

enum {
    WATCH_BATCH_BYTES = 64 << 10,
    WATCH_BATCH_REPORTS = 64,
    /* A response: the report and the cursor, 20 digits, with their tags. */
    WATCH_MESSAGE_BYTES_MAX = REPORT_BYTES_MAX + 48,
    WATCH_UNITS = 1,
};
_Static_assert(2 * (int)WATCH_MESSAGE_BYTES_MAX < (int)WATCH_BATCH_BYTES,
               "a batch has room for reports");

struct watch {
    struct list link; /* in services->watches */
    struct call *call;
    struct wire_reports_watch asked;
    bool watching;
    bool reading; /* a job is under way */
    bool pending; /* more was filed meanwhile */
    bool blocked; /* until the peer has read */
    /* The job's while it is under way. Not beside the loop's: compilers read neighbouring
     * flags together. */
    uint64_t cursor; /* of the last report that was read */
    bool from_now;   /* the cursor is that of the newest report, not known yet */
    bool full;       /* there is more than the batch holds */
    struct call_job job;
    struct failure failure;
    uint8_t *batch;
    size_t used, count;
    size_t ends[WATCH_BATCH_REPORTS];
};

/* ---- one batch, on the pool --------------------------------------------------------- */

static bool take_report(void *arg, uint64_t sequence, const struct trit_report *report)
{
    struct watch *watch = arg;
    const size_t left = WATCH_BATCH_BYTES - watch->used;
    char cursor[24];

    if (watch->count == WATCH_BATCH_REPORTS || left < WATCH_MESSAGE_BYTES_MAX) {
        watch->full = true;
        return false;
    }
    snprintf(cursor, sizeof(cursor), "%" PRIu64, sequence);
    watch->used += encode_watched(report, cursor, watch->batch + watch->used, left);
    watch->ends[watch->count++] = watch->used;
    watch->cursor = sequence;
    return true;
}

static void read_batch(struct call_job *job)
{
    struct watch *watch = LIST_OWNER(job, struct watch, job);
    struct services *services = services_of(job->call);
    uint64_t newest = 0;
    int result;

    pthread_mutex_lock(&services->reader_lock);
    result = store_read_sequence(services->config.reader, &newest, &watch->failure);
    if (result == 0 && !watch->from_now)
        result =
            store_read_since(services->config.reader, watch->asked.run, watch->cursor,
                             UINT32_MAX, take_report, watch, &watch->failure);
    pthread_mutex_unlock(&services->reader_lock);
    /* Reports of other runs need not be looked at again. */
    if (result == 0 && !watch->full && newest > watch->cursor)
        watch->cursor = newest;
    watch->from_now = false;
}

/* ---- the stream, on the loop -------------------------------------------------------- */

static int read_next(struct watch *watch);

static int write_batch(struct watch *watch)
{
    struct call *call = watch->call;
    size_t begin = 0;

    for (size_t i = 0; i < watch->count; i++) {
        if (call_write_message(call, watch->batch + begin, watch->ends[i] - begin) < 0)
            return -1;
        begin = watch->ends[i];
    }
    return 0;
}

static void batch_done(struct call_job *job)
{
    struct watch *watch = LIST_OWNER(job, struct watch, job);
    struct call *call = job->call;
    int result = 0;

    watch->reading = false;
    if (call->state == CALL_WORKING) {
        call->failure = watch->failure;
        call_respond(call);
        result = call->failure.status != TRIT_OK ? -1 : write_batch(watch);
    }
    account_free(call->account, watch->batch);
    watch->batch = NULL;
    if (call->state != CALL_WORKING)
        return;
    if (result == 0 && (watch->full || watch->pending))
        result = read_next(watch);
    if (result < 0)
        call_end(call);
}

/* Reads the next batch, now or when the job under way has ended or the peer has read. */
static int read_next(struct watch *watch)
{
    struct call *call = watch->call;

    watch->pending = true;
    watch->blocked = !call_writable(call);
    if (watch->reading || watch->blocked)
        return 0;
    watch->batch = account_alloc(call->account, WATCH_BATCH_BYTES);
    if (!watch->batch)
        return memory_spent(call);
    watch->used = watch->count = 0;
    watch->full = watch->pending = false;
    watch->reading = true;
    watch->job = (struct call_job){.call = call, .run = read_batch, .done = batch_done};
    call_submit(&watch->job, services_of(call)->config.pool, WATCH_UNITS);
    return 0;
}

static int writable(struct call *call)
{
    struct watch *watch = call->method_state;

    return watch->watching && watch->blocked && call->state == CALL_WORKING
               ? read_next(watch)
               : 0;
}

void watches_filed(struct services *services)
{
    struct list *next;

    for (struct list *node = services->watches.next; node != &services->watches;
         node = next) {
        struct watch *watch = LIST_OWNER(node, struct watch, link);

        next = node->next;
        if (watch->call->state == CALL_WORKING && read_next(watch) < 0)
            call_end(watch->call);
    }
}

/* A watch would keep its connection open. */
static void notice(struct call *call)
{
    const struct watch *watch = call->method_state;

    if (!watch->watching || call->state != CALL_WORKING || !grpc_draining(call->grpc))
        return;
    fail(&call->failure, TRIT_UNAVAILABLE, NULL,
         "the daemon is draining; go on with the last cursor");
    call_end(call);
}

/* ---- the request -------------------------------------------------------------------- */

static int message(struct call *call)
{
    struct watch *watch = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_watch(&call->scan.parts[PART_ROOT], &watch->asked, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (!utf8_is_name(watch->asked.run))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "run",
                          "contains a control character");
    if (watch->asked.cursor[0] &&
        !parse_u64(watch->asked.cursor, INT64_MAX, &watch->cursor))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "cursor",
                          "\"%s\" is not valid; use a cursor of this service, \"0\" for "
                          "all reports, or none for new ones",
                          watch->asked.cursor);
    return 0;
}

/* Watches on the call's connection. */
static size_t watches_beside(const struct call *call)
{
    const struct list *watches = &services_of(call)->watches;
    const struct peer *peer = h2_stream_peer(call->stream);
    size_t count = 0;

    for (const struct list *node = watches->next; node != watches; node = node->next) {
        const struct call *other = LIST_OWNER(node, struct watch, link)->call;

        count += other->stream && h2_stream_peer(other->stream) == peer;
    }
    return count;
}

static int request(struct call *call)
{
    struct services *services = services_of(call);
    struct watch *watch = call->method_state;

    if (services->watch_count >= REPORT_WATCHES_MAX ||
        watches_beside(call) >= REPORT_WATCHES_PER_CONNECTION_MAX) {
        metric_limit(call->config->metrics, L_REPORT_WATCHES);
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "too many watches of reports: %d on a connection, %d in all",
                    REPORT_WATCHES_PER_CONNECTION_MAX, REPORT_WATCHES_MAX);
    }
    if (grpc_draining(call->grpc))
        return fail(&call->failure, TRIT_UNAVAILABLE, NULL, "the daemon is draining");
    if (call_admit(call, WATCH_UNITS) < 0)
        return -1;
    watch->call = call;
    watch->watching = true;
    watch->from_now = watch->asked.cursor[0] == '\0';
    list_push(&services->watches, &watch->link);
    services->watch_count++;
    metric_up(call->config->metrics, M_REPORT_WATCHES);
    return read_next(watch);
}

static void fini(struct call *call)
{
    struct watch *watch = call->method_state;

    if (!watch->watching)
        return;
    list_remove(&watch->link);
    services_of(call)->watch_count--;
    metric_down(call->config->metrics, M_REPORT_WATCHES);
}

const struct method method_reports_watch = {
    .path = "/trit.v1.Reports/Watch",
    .scan = scan_plain,
    .state_bytes = sizeof(struct watch),
    .message = message,
    .request = request,
    .writable = writable,
    .notice = notice,
    .fini = fini,
};
