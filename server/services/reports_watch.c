/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Watch: reports as they are filed, in order of filing. The cursor is the report's
 * sequence in the store, so a stream can be resumed, also after a restart. The header
 * trit-cursor has the cursor with which the stream begins, for a client that loses it before
 * the first report.
 *
 * When a layer becomes stale, its newest report is told again, with that reason. The cursor
 * of such a response is "SEQUENCE@TIME": layers that became stale up to that time were told.
 * If a watch ends while it tells several of them, the next one tells them again.
 *
 * A watch reads one batch at a time, and the next one only after its peer has read most of
 * the one before. Its batch is charged to the connection. A peer that reads too slowly is
 * ended by rate_bytes_min and resumes with its cursor: the reports wait in the store, not
 * in memory. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/account.h"
#include "base/clock.h"
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
    /* A response: the report and the cursor, two numbers of 20 digits, with their tags. */
    WATCH_MESSAGE_BYTES_MAX = REPORT_BYTES_MAX + 72,
    WATCH_UNITS = 1,
    CURSOR_BYTES = 48,
};
/* A layer that became stale shortly before a report may have been told after it. */
static const int64_t stale_lag_ns = INT64_C(60000000000);

_Static_assert(2 * (int)WATCH_MESSAGE_BYTES_MAX < (int)WATCH_BATCH_BYTES,
               "a batch has room for reports");

struct watch {
    struct place place; /* in services->watches */
    struct call *call;
    struct wire_reports_watch asked;
    bool reading;     /* a job is under way */
    bool pending;     /* more was filed meanwhile */
    bool blocked;     /* until the peer has read */
    bool stale_asked; /* layers became stale; no job has begun to look since */
    /* The job's while it is under way. Not beside the loop's: compilers read neighbouring
     * flags together. */
    uint64_t cursor; /* of the last report that was read */
    bool from_now;   /* it begins with the next report */
    bool full;       /* there is more than the batch holds */
    /* Layers that became stale up to stale_ns have been told; of those up to stale_until_ns
     * the ones up to stale_after have been, if `stale_begun`. */
    bool looks_for_stale, stale_begun, stale_known;
    int64_t stale_ns, stale_until_ns;
    struct store_key stale_after;
    char begins[CURSOR_BYTES]; /* the cursor with which it began; "": not known yet */
    struct call_job job;
    struct failure failure;
    uint8_t *batch;
    size_t used, count;
    size_t ends[WATCH_BATCH_REPORTS];
};

/* ---- one batch, on the pool --------------------------------------------------------- */

/* `stale_ns` 0: not known. */
static void write_cursor(char cursor[CURSOR_BYTES], const struct watch *watch,
                         int64_t stale_ns)
{
    int length = snprintf(cursor, CURSOR_BYTES, "%" PRIu64, watch->cursor);

    if (stale_ns != 0)
        snprintf(cursor + length, CURSOR_BYTES - (size_t)length, "@%" PRId64, stale_ns);
}

/* False: the batch has no room. */
static bool put_report(struct watch *watch, const struct trit_report *report,
                       const char *cursor)
{
    const size_t left = WATCH_BATCH_BYTES - watch->used;

    if (watch->count == WATCH_BATCH_REPORTS || left < WATCH_MESSAGE_BYTES_MAX) {
        watch->full = true;
        return false;
    }
    watch->used += encode_watched(report, cursor, watch->batch + watch->used, left);
    watch->ends[watch->count++] = watch->used;
    return true;
}

static bool take_report(void *arg, uint64_t sequence, const struct trit_report *report)
{
    struct watch *watch = arg;
    char cursor[CURSOR_BYTES];

    snprintf(cursor, sizeof(cursor), "%" PRIu64, sequence);
    if (!put_report(watch, report, cursor))
        return false;
    watch->cursor = sequence;
    return true;
}

/* The last of those that are told has a cursor behind all of them. So each is kept until
 * the next one is known. */
struct stale_batch {
    struct watch *watch;
    bool has_last;
    struct trit_report last;
};

static bool put_stale(struct watch *watch, const struct trit_report *report,
                      int64_t until_ns)
{
    char cursor[CURSOR_BYTES];

    write_cursor(cursor, watch, until_ns);
    if (!put_report(watch, report, cursor))
        return false;
    strcpy(watch->stale_after.run, report->run);
    strcpy(watch->stale_after.layer, report->layer);
    watch->stale_after.replica = report->replica;
    watch->stale_begun = true;
    return true;
}

static bool take_stale(void *arg, int64_t since_unix_ns, const struct trit_report *report)
{
    struct stale_batch *batch = arg;

    (void)since_unix_ns;
    if (batch->has_last && !put_stale(batch->watch, &batch->last, batch->watch->stale_ns))
        return false;
    batch->last = *report;
    batch->has_last = true;
    return true;
}

static int read_stale(struct watch *watch)
{
    struct services *services = services_of(watch->call);
    struct stale_batch batch = {.watch = watch};
    struct store_stale_query query = {.run = watch->asked.run,
                                      .after_unix_ns = watch->stale_ns};

    if (!watch->stale_begun)
        watch->stale_until_ns = clock_unix_ns();
    query.now_unix_ns = watch->stale_until_ns;
    query.after = watch->stale_begun ? &watch->stale_after : NULL;
    if (store_read_stale(services->config.reader, &query, take_stale, &batch,
                         &watch->failure) < 0)
        return -1;
    if (watch->full ||
        (batch.has_last && !put_stale(watch, &batch.last, watch->stale_until_ns)))
        return 0;
    watch->stale_ns = watch->stale_until_ns;
    watch->looks_for_stale = watch->stale_begun = false;
    return 0;
}

static bool take_time(void *arg, uint64_t sequence, const struct trit_report *report)
{
    struct watch *watch = arg;

    if (sequence == watch->cursor)
        watch->stale_ns = report->time_unix_ns - stale_lag_ns;
    return false;
}

/* Where a watch begins. */
static int find_begin(struct watch *watch, uint64_t newest)
{
    struct store_reader *reader = services_of(watch->call)->config.reader;

    if (watch->from_now) {
        watch->cursor = newest;
        watch->stale_ns = clock_unix_ns();
        watch->stale_known = true;
        return 0;
    }
    if (watch->cursor > newest) /* of another store: none of its reports was seen */
        watch->cursor = 0;
    watch->looks_for_stale = true;
    if (watch->stale_known || watch->cursor == 0)
        return 0;
    if (store_read_since(reader, NULL, watch->cursor - 1, 1, take_time, watch,
                         &watch->failure) == 0)
        return 0;
    /* A watch can continue after a damaged report; what became stale is told again. */
    if (watch->failure.status != TRIT_DATA_LOSS)
        return -1;
    failure_clear(&watch->failure);
    return 0;
}

static int read_batch_locked(struct watch *watch)
{
    struct store_reader *reader = services_of(watch->call)->config.reader;
    uint64_t newest = 0;

    if (store_read_sequence(reader, &newest, &watch->failure) < 0 ||
        (!watch->begins[0] && find_begin(watch, newest) < 0))
        return -1;
    if (!watch->begins[0])
        write_cursor(watch->begins, watch, watch->stale_known ? watch->stale_ns : 0);
    if (store_read_since(reader, watch->asked.run, watch->cursor, UINT32_MAX, take_report,
                         watch, &watch->failure) < 0)
        return -1;
    /* Reports of other runs need not be looked at again. */
    if (!watch->full && newest > watch->cursor)
        watch->cursor = newest;
    return watch->looks_for_stale && !watch->full ? read_stale(watch) : 0;
}

static void read_batch(struct call_job *job)
{
    struct watch *watch = LIST_OWNER(job, struct watch, job);
    struct services *services = services_of(job->call);

    pthread_mutex_lock(&services_first(services)->reader_lock);
    read_batch_locked(watch);
    pthread_mutex_unlock(&services_first(services)->reader_lock);
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

/* Before the first batch: the cursor with which the watch began. */
static int respond(struct watch *watch)
{
    struct call *call = watch->call;

    if (call->responded)
        return 0;
    if (call_add_metadata(call, METADATA_HEADERS, "trit-cursor", watch->begins,
                          strlen(watch->begins)) < 0)
        return -1;
    call_respond(call);
    return 0;
}

static void batch_done(struct call_job *job)
{
    struct watch *watch = LIST_OWNER(job, struct watch, job);
    struct call *call = job->call;
    int result = 0;

    watch->reading = false;
    if (call->state == CALL_WORKING) {
        const bool failed = watch->failure.status != TRIT_OK;

        /* What was read before damage is told, so that it hides nothing. */
        if (!failed || watch->count > 0)
            result = respond(watch) < 0 ? -1 : write_batch(watch);
        if (failed && result == 0) {
            call->failure = watch->failure;
            result = -1;
        }
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
    watch->looks_for_stale |= watch->stale_asked;
    watch->stale_asked = false;
    watch->reading = true;
    watch->job = (struct call_job){.call = call, .run = read_batch, .done = batch_done};
    call_submit(&watch->job, services_of(call)->config.pool, WATCH_UNITS);
    return 0;
}

static int writable(struct call *call)
{
    struct watch *watch = call->method_state;

    return watch->place.call && watch->blocked && call->state == CALL_WORKING
               ? read_next(watch)
               : 0;
}

static void read_all(struct services *services, bool stale)
{
    struct list *next;

    struct list *watches = &services->watches.list;

    for (struct list *node = watches->next; node != watches; node = next) {
        struct watch *watch = LIST_OWNER(node, struct watch, place.link);

        next = node->next;
        watch->stale_asked |= stale;
        if (watch->call->state == CALL_WORKING && read_next(watch) < 0)
            call_end(watch->call);
    }
}

void watches_filed(struct services *services)
{
    read_all(services, false);
}

void watches_stale(struct services *services)
{
    read_all(services, true);
}

/* A watch would keep its connection open. */
static void notice(struct call *call)
{
    const struct watch *watch = call->method_state;

    if (!watch->place.call || call->state != CALL_WORKING || !grpc_finishing(call->grpc))
        return;
    fail(&call->failure, TRIT_UNAVAILABLE, NULL,
         "the daemon is draining; go on with the last cursor");
    call_end(call);
}

/* ---- the request -------------------------------------------------------------------- */

/* "SEQUENCE", or "SEQUENCE@TIME". */
static bool cursor_parse(const char *text, struct watch *watch)
{
    const char *time = strchr(text, '@');
    const size_t length = time ? (size_t)(time - text) : strlen(text);
    char sequence[CURSOR_BYTES];
    uint64_t ns;

    if (length >= sizeof(sequence))
        return false;
    memcpy(sequence, text, length);
    sequence[length] = '\0';
    if (!parse_u64(sequence, INT64_MAX, &watch->cursor) ||
        (time && !parse_u64(time + 1, INT64_MAX, &ns)))
        return false;
    watch->stale_known = time != NULL;
    watch->stale_ns = time ? (int64_t)ns : 0;
    return true;
}

static int message(struct call *call)
{
    struct watch *watch = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_watch(&call->scan.parts[PART_ROOT], &watch->asked, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (!utf8_is_name(watch->asked.run))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "run",
                          "contains a control character");
    if (watch->asked.cursor[0] && !cursor_parse(watch->asked.cursor, watch))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "cursor",
                          "\"%s\" is not valid; use a cursor of this service, \"0\" for "
                          "all reports, or none for new ones",
                          watch->asked.cursor);
    return 0;
}

static const struct place_bound bound = {
    .what = "watches of reports",
    .per_connection = REPORT_WATCHES_PER_CONNECTION_MAX,
    .all = REPORT_WATCHES_MAX,
    .limit = L_REPORT_WATCHES,
    .gauge = M_REPORT_WATCHES,
};

static int request(struct call *call)
{
    struct services *services = services_of(call);
    struct watch *watch = call->method_state;

    if (grpc_finishing(call->grpc))
        return fail(&call->failure, TRIT_UNAVAILABLE, NULL, "the daemon is draining");
    if (call_admit(call, WATCH_UNITS) < 0 ||
        place_take(&watch->place, call, &services->watches,
                   &services_first(services)->watches, &bound) < 0)
        return -1;
    watch->call = call;
    watch->from_now = watch->asked.cursor[0] == '\0';
    return read_next(watch);
}

static void fini(struct call *call)
{
    struct watch *watch = call->method_state;

    place_leave(&watch->place);
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
