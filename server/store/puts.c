/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of a put:
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

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/kernels.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "store/directory.h"
#include "store/path.h"
#include "store/schema.h"
#include "store/writer.h"

enum { STORE_CODES_TOTAL_MAX = 64 << 20 }; /* pending, of all puts together */

struct store {
    struct store_config config; /* without its directory */
    struct directory directory;
    char *path; /* a file name or URI for db_open */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    struct list queue;   /* commands */
    struct list waiting; /* uploads that wait for drained() */
    uint32_t open;       /* puts between begin and their last message */
    size_t pending;      /* bytes of codes in the queue */
    bool stopping;
    /* the writer's thread only */
    struct writer writer;
};

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
    free(LIST_OWNER(message, struct store_upload, aborted_message));
}

static void deliver_done(struct mailbox_message *message)
{
    struct store_put *put = LIST_OWNER(message, struct store_put, message);
    void (*filed)(void *arg) = put->upload->filed;
    void *filed_arg = put->upload->filed_arg;

    free(put->upload);
    put->upload = NULL;
    put->done(put);
    if (filed)
        filed(filed_arg);
}

/* ---- the put, on the loop --------------------------------------------------- */

static int admit(struct store *store, struct failure *failure)
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
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the store's queue is full: store_queue_max is %" PRIu32
                "; try again later",
                store->config.queue_max);
}

static void leave(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->open--;
    pthread_mutex_unlock(&store->mutex);
    metric_down(store->config.metrics, M_STORE_QUEUED);
}

int store_begin(struct store_put *put, struct store *store, struct failure *failure)
{
    struct store_upload *upload;

    if (put->report->step > INT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                          "%" PRIu64 " is above %" PRId64, put->report->step, INT64_MAX);
    if (admit(store, failure))
        return -1;
    upload = calloc(1, sizeof(*upload));
    if (!upload) {
        leave(store);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    upload->put = put;
    upload->drained_message.deliver = deliver_drained;
    upload->aborted_message.deliver = deliver_aborted;
    upload->end.upload = upload;
    list_init(&upload->waiting);
    list_init(&upload->touched);
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

/* Under the mutex. */
static void queue_command(struct store *store, struct command *command)
{
    bool first = list_empty(&store->queue);

    list_push(&store->queue, &command->link);
    if (first)
        pthread_cond_signal(&store->work);
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

size_t store_codes(struct store_put *put, const void *bytes, size_t count)
{
    struct store *store = put->store;
    struct store_upload *upload = put->upload;
    struct command *command = count ? malloc(sizeof(*command) + count) : NULL;
    size_t pending;

    if (command) {
        memcpy(command + 1, bytes, count);
        *command = (struct command){.kind = COMMAND_CODES,
                                    .upload = upload,
                                    .bytes = (const uint8_t *)(command + 1),
                                    .count = count};
    }
    pthread_mutex_lock(&store->mutex);
    if (command) {
        upload->pending += count;
        store->pending += count;
        queue_command(store, command);
    } else if (count) {
        upload->end.count += count; /* no memory: the commit fails */
    }
    pending = report_pending(store, upload);
    pthread_mutex_unlock(&store->mutex);
    return pending;
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
    queue_command(store, &upload->end);
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

/* ---- the writer's thread ---------------------------------------------------- */

/* Waits for commands and takes all of them. False: the store stops and none are left. */
static bool take_queue(struct store *store, struct list *batch)
{
    bool some;

    pthread_mutex_lock(&store->mutex);
    while (list_empty(&store->queue) && !store->stopping)
        pthread_cond_wait(&store->work, &store->mutex);
    some = !list_empty(&store->queue);
    list_append(batch, &store->queue);
    pthread_mutex_unlock(&store->mutex);
    return some;
}

static bool holds_commit(const struct list *batch)
{
    for (struct list *link = batch->next; link != batch; link = link->next)
        if (LIST_OWNER(link, struct command, link)->kind == COMMAND_COMMIT)
            return true;
    return false;
}

/* The command's bytes have left the queue. Posts drained() for uploads that waited. */
static void release_pending(struct store *store, struct command *command)
{
    struct list *link, *next;

    pthread_mutex_lock(&store->mutex);
    command->upload->pending -= command->count;
    store->pending -= command->count;
    for (link = store->waiting.next; link != &store->waiting; link = next) {
        struct store_upload *upload = LIST_OWNER(link, struct store_upload, waiting);

        next = link->next;
        if (upload->pending >= STORE_CODES_PENDING_MAX / 2 ||
            store->pending >= STORE_CODES_TOTAL_MAX / 2)
            continue;
        list_remove(link);
        state_move(&drain_states, &upload->drain, DRAIN_POSTED);
        mailbox_post(store->config.mailbox, &upload->drained_message);
    }
    pthread_mutex_unlock(&store->mutex);
    free(command);
}

static void log_damage(struct store *store, const struct failure *damage)
{
    log_event(store->config.log, LOG_ERROR, "store_damaged",
              LOG_FIELDS(LOG_STR("reason", damage->message)));
}

static void report_batch(struct store *store, const struct batch_result *result)
{
    metric_add(store->config.metrics, M_STORE_TRANSACTIONS, result->transactions);
    metric_add(store->config.metrics, M_REPORTS, result->reports);
    if (result->failure.status != TRIT_OK) {
        metric_add(store->config.metrics, M_STORE_FAILURES, 1);
        log_event(store->config.log, LOG_ERROR, "store_failed",
                  LOG_FIELDS(LOG_STR("reason", result->failure.message)));
    }
    if (result->damage.status != TRIT_OK) {
        metric_add(store->config.metrics, M_STORE_FAILURES, 1);
        log_damage(store, &result->damage);
    }
}

/* `filed`: the batch has new reports. Its last commit carries the call. */
static void finish(struct store *store, struct list *finished, bool filed)
{
    struct list *link = finished->prev;

    while (link != finished &&
           LIST_OWNER(link, struct command, link)->kind != COMMAND_COMMIT)
        link = link->prev;
    if (filed && link != finished) {
        struct store_upload *last = LIST_OWNER(link, struct command, link)->upload;

        last->filed = store->config.filed;
        last->filed_arg = store->config.filed_arg;
    }
    while ((link = list_pop(finished))) {
        struct command *command = LIST_OWNER(link, struct command, link);
        struct store_upload *upload = command->upload;

        leave(store);
        mailbox_post(store->config.mailbox, command->kind == COMMAND_COMMIT
                                                ? &upload->put->message
                                                : &upload->aborted_message);
    }
}

static void *write_batches(void *arg)
{
    struct store *store = arg;
    struct kernels_env env;
    struct batch_result result;
    struct list batch, finished, *link;

    list_init(&batch);
    list_init(&finished);
    kernels_enter(&env);
    while (take_queue(store, &batch)) {
        uint64_t begun_ns = clock_monotonic_ns();

        writer_begin(&store->writer, holds_commit(&batch));
        while ((link = list_pop(&batch))) {
            struct command *command = LIST_OWNER(link, struct command, link);
            enum command_kind kind = command->kind;

            writer_execute(&store->writer, command);
            if (kind == COMMAND_CODES)
                release_pending(store, command);
        }
        writer_end(&store->writer, &finished, &result);
        if (result.transactions > 0)
            metric_observe(store->config.metrics, H_STORE_COMMIT,
                           clock_monotonic_ns() - begun_ns);
        report_batch(store, &result);
        finish(store, &finished, result.reports > 0);
    }
    kernels_leave(&env);
    return NULL;
}

/* ---- open and close --------------------------------------------------------- */

static int make_path(struct store *store, const char *directory, struct failure *failure)
{
    /* The store's address makes the name unique in this process. */
    if (!directory) {
        if (asprintf(&store->path, "file:/tritd-%p?vfs=memdb", (void *)store) < 0) {
            store->path = NULL;
            return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
        }
        return 0;
    }
    if (directory_open(&store->directory, directory, failure))
        return -1;
    store->path = strdup(store->directory.database);
    if (!store->path) {
        directory_close(&store->directory);
        return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
    }
    return 0;
}

static int start_writer(struct store *store, struct failure *failure)
{
    struct failure damage = {0};
    int error;

    if (writer_open(&store->writer, store->path, !store->directory.database,
                    store->config.kernels, &damage, failure))
        return fail_context(failure, "store %s",
                            store->directory.database ? store->path : "in memory");
    if (damage.status != TRIT_OK)
        log_damage(store, &damage);
    error = pthread_create(&store->thread, NULL, write_batches, store);
    if (error == 0)
        return 0;
    writer_close(&store->writer);
    return fail(failure, TRIT_UNAVAILABLE, NULL, "store: cannot start its thread: %s",
                strerror(error));
}

int store_open(struct store **store, const struct store_config *config,
               struct failure *failure)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store: out of memory");
    s->config = *config;
    s->config.directory = NULL;
    list_init(&s->queue);
    list_init(&s->waiting);
    if (make_path(s, config->directory, failure))
        goto free_store;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, NULL);
    if (start_writer(s, failure))
        goto close_directory;
    log_event(s->config.log, LOG_INFO, "store_open",
              LOG_FIELDS(LOG_STR("path", s->directory.database ? s->path : "memory"),
                         LOG_I64("schema", schema_version())));
    *store = s;
    return 0;

close_directory:
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    free(s->path);
    directory_close(&s->directory);
free_store:
    free(s);
    return -1;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    writer_close(&store->writer);
    pthread_cond_destroy(&store->work);
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    directory_close(&store->directory);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}
