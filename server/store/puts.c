/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of a put, whose messages come to the loop that began it:
 *   1. store_begin creates an upload, if fewer than queue_max are open.
 *   2. store_codes copies bytes into a command and queues it. Above the bounds the
 *      upload joins the waiting list.
 *   3. The writer takes the whole queue as one batch. After each command of codes it
 *      posts drained() for the uploads of the waiting list that fit again.
 *   4. store_commit queues the command that ends the put. Its batch is one transaction,
 *      which it shares with everything that queued up while the batch before ran.
 *   5. After COMMIT, or after it failed, the writer posts the put's message. The loop
 *      frees the upload and calls done().
 * An abort is queued like a commit, but the put is the caller's again immediately, and
 * the message is the upload's own. Messages do not touch the store, so messages that are
 * still in the mailbox when the store closes do no harm. */
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "obs/metrics.h"
#include "store/store_impl.h"

static void free_upload(struct store_upload *upload)
{
    free(upload->expected);
    free(upload);
}

/* ---- messages, on the loop --------------------------------------------------- */

static void deliver_drained(struct mailbox_message *message)
{
    struct store_upload *upload =
        LIST_OWNER(message, struct store_upload, drained_message);

    state_move(&drain_states, &upload->drain, DRAIN_IDLE);
    if (upload->put_state == PUT_OPEN && upload->drained)
        upload->drained(upload->put);
}

static void deliver_aborted(struct mailbox_message *message)
{
    free_upload(LIST_OWNER(message, struct store_upload, aborted_message));
}

static void deliver_done(struct mailbox_message *message)
{
    struct store_put *put = LIST_OWNER(message, struct store_put, message);
    void (*filed)(void *arg) = put->upload->filed;
    void *filed_arg = put->upload->filed_arg;

    free_upload(put->upload);
    put->upload = NULL;
    put->done(put);
    if (filed)
        filed(filed_arg);
}

/* ---- the put, on the loop --------------------------------------------------- */

int store_admit(struct store *store, struct failure *failure)
{
    bool full;

    pthread_mutex_lock(&store->mutex);
    full = store->open >= store->config.queue_max;
    store->open += !full;
    pthread_mutex_unlock(&store->mutex);
    if (!full) {
        metric_up(store->config.metrics, M_STORE_QUEUED);
        return 0;
    }
    metric_limit(store->config.metrics, L_STORE_QUEUE);
    if (failure)
        failure->retry_ms = QUEUE_RETRY_MS;
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the store's queue is full: store_queue_max is %" PRIu32
                "; try again later",
                store->config.queue_max);
}

void store_leave(struct store *store, uint32_t count)
{
    pthread_mutex_lock(&store->mutex);
    store->open -= count;
    pthread_mutex_unlock(&store->mutex);
    while (count-- > 0)
        metric_down(store->config.metrics, M_STORE_QUEUED);
}

/* Without memory flips are counted at commit. */
static void expect(struct store_upload *upload, const struct store_put *put)
{
    if (!put->counts_early || put->shard || put->report->elements < 4 * CODES_CHUNK_BYTES)
        return;
    upload->expected = malloc(sizeof(*upload->expected));
    if (!upload->expected)
        return;
    *upload->expected = *put->report;
    upload->expected_partial = put->question.partial;
}

int store_begin(struct store_put *put, struct store *store, struct failure *failure)
{
    struct store_upload *upload;

    if (put->report->step > INT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                          "%" PRIu64 " is above %" PRId64, put->report->step, INT64_MAX);
    if (store_admit(store, failure))
        return -1;
    upload = calloc(1, sizeof(*upload));
    if (!upload) {
        store_leave(store, 1);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    upload->put = put;
    upload->mailbox = put->mailbox ? put->mailbox : store->config.mailbox;
    upload->drained_message.deliver = deliver_drained;
    upload->aborted_message.deliver = deliver_aborted;
    upload->end.upload = upload;
    list_init(&upload->waiting);
    list_init(&upload->touched);
    expect(upload, put);
    put->store = store;
    put->upload = upload;
    put->existed = false;
    put->failure = (struct failure){0};
    return 0;
}

void store_on_drained(struct store_put *put, void (*drained)(struct store_put *))
{
    put->upload->drained = drained;
}

/* Under the mutex. `due`: the writer shall take what is queued. */
static void queue_command(struct store *store, struct command *command, bool due)
{
    list_push(&store->queue, &command->link);
    if (due && !store->due) {
        store->due = true;
        pthread_cond_signal(&store->work);
    }
}

/* Under the mutex. What store_codes returns. */
static size_t report_pending(struct store *store, struct store_upload *upload)
{
    size_t pending =
        store->pending > STORE_CODES_TOTAL_MAX ? store->pending : upload->pending;

    if (pending > STORE_CODES_PENDING_MAX && upload->drain == DRAIN_IDLE) {
        state_move(&drain_states, &upload->drain, DRAIN_WAITING);
        list_push(&store->waiting, &upload->waiting);
    }
    return pending;
}

/* Queues a copy of the bytes. */
static size_t queue_bytes(struct store_put *put, enum command_kind kind,
                          const void *bytes, size_t count)
{
    struct store *store = put->store;
    struct store_upload *upload = put->upload;
    struct command *command = count ? malloc(sizeof(*command) + count) : NULL;
    size_t pending;

    if (command) {
        memcpy(command + 1, bytes, count);
        *command = (struct command){.kind = kind,
                                    .upload = upload,
                                    .bytes = (const uint8_t *)(command + 1),
                                    .count = count};
    }
    pthread_mutex_lock(&store->mutex);
    if (command) {
        upload->pending += count;
        store->pending += count;
        /* The writer writes full chunks; what is less waits for its commit. */
        queue_command(store, command, store->pending >= CODES_CHUNK_BYTES);
    } else if (count) {
        upload->end.count += count; /* no memory: the commit fails */
    }
    pending = report_pending(store, upload);
    pthread_mutex_unlock(&store->mutex);
    return pending;
}

size_t store_codes(struct store_put *put, const void *bytes, size_t count)
{
    return queue_bytes(put, COMMAND_CODES, bytes, count);
}

size_t store_scales(struct store_put *put, const float *scales, size_t count)
{
    return queue_bytes(put, COMMAND_SCALES, scales, count * sizeof(*scales));
}

size_t store_groups(struct store_put *put, const void *bytes, size_t count)
{
    return queue_bytes(put, COMMAND_SCALES, bytes, count);
}

static void queue_end(struct store_put *put, enum command_kind kind)
{
    struct store *store = put->store;
    struct store_upload *upload = put->upload;

    pthread_mutex_lock(&store->mutex);
    if (upload->drain == DRAIN_WAITING) {
        list_remove(&upload->waiting);
        state_move(&drain_states, &upload->drain, DRAIN_IDLE);
    }
    upload->end.kind = kind;
    queue_command(store, &upload->end, true);
    pthread_mutex_unlock(&store->mutex);
}

void store_commit(struct store_put *put)
{
    put->message.deliver = deliver_done;
    put->asked_attempt = put->report->attempt;
    state_move(&put_states, &put->upload->put_state, PUT_COMMITTING);
    queue_end(put, COMMAND_COMMIT);
}

void store_abort(struct store_put *put)
{
    state_move(&put_states, &put->upload->put_state, PUT_ABORTING);
    queue_end(put, COMMAND_ABORT);
    put->upload = NULL;
}
