/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side. A put, step by step:
 *   1. begin makes an upload, if fewer than queue_max are open;
 *   2. codes copies bytes into an order and queues it; above the bounds the
 *      upload joins the waiting list;
 *   3. the writer takes the whole queue as one batch, and after each order of
 *      codes tells the uploads of the waiting list that fit again: drained();
 *   4. commit queues the order that ends the put; the batch it lands in is one
 *      transaction, shared by everything that queued up while the one before it
 *      ran;
 *   5. after COMMIT (or its failure) the put's letter goes out: done() on the
 *      loop, which frees the upload first.
 * An abort goes the way of 4 and 5 with a letter of the upload's own: the put is
 * the caller's again at once. Letters touch no store, so those still in the
 * mailbox when the store closes are harmless. */
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "store/directory.h"
#include "store/place.h"
#include "store/schema.h"
#include "store/writer.h"

enum { STORE_CODES_TOTAL_MAX = 64 << 20 }; /* queued by all puts together */

struct store {
    struct store_config config; /* its directory is not kept */
    struct directory directory;
    char *path; /* file name or URI, as db_open takes it */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    /* under the mutex */
    struct list queue;   /* orders */
    struct list waiting; /* uploads that want drained() */
    uint32_t open;       /* puts begun and not finished */
    size_t pending;      /* bytes of codes in the queue */
    bool stopping;
    /* the writer's thread */
    struct writer writer;
};

/* ---- letters, on the loop --------------------------------------------------- */

static void deliver_drained(struct letter *letter)
{
    struct store_upload *upload = LIST_OWNER(letter, struct store_upload, drained_letter);

    upload->drain = DRAIN_NONE;
    if (upload->put && upload->drained)
        upload->drained(upload->put);
}

static void deliver_aborted(struct letter *letter)
{
    free(LIST_OWNER(letter, struct store_upload, aborted_letter));
}

static void deliver_done(struct letter *letter)
{
    struct store_put *put = LIST_OWNER(letter, struct store_put, letter);

    free(put->upload);
    put->upload = NULL;
    put->done(put);
}

/* ---- the put, on the loop --------------------------------------------------- */

static int admit(struct store *store, struct failure *failure)
{
    bool full;

    pthread_mutex_lock(&store->mutex);
    full = store->open >= store->config.queue_max;
    store->open += !full;
    pthread_mutex_unlock(&store->mutex);
    if (!full)
        return 0;
    metric_limit(store->config.metrics, L_STORE_QUEUE);
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "%" PRIu32 " reports wait for the disk already", store->config.queue_max);
}

static void leave(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->open--;
    pthread_mutex_unlock(&store->mutex);
}

int store_begin(struct store_put *put, struct store *store, struct failure *failure)
{
    struct store_upload *upload;

    if (put->report.step > INT64_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.step",
                          "%" PRIu64 " exceeds %" PRId64, put->report.step, INT64_MAX);
    if (admit(store, failure))
        return -1;
    upload = calloc(1, sizeof(*upload));
    if (upload == NULL) {
        leave(store);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    upload->put = put;
    upload->drained_letter.deliver = deliver_drained;
    upload->aborted_letter.deliver = deliver_aborted;
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
static void queue_order(struct store *store, struct order *order)
{
    bool first = list_empty(&store->queue);

    list_push(&store->queue, &order->link);
    if (first)
        pthread_cond_signal(&store->work);
}

/* Under the mutex. What the caller is told is pending: all of it where all puts
 * together are too much. */
static size_t pressure(struct store *store, struct store_upload *upload)
{
    size_t pending =
        store->pending > STORE_CODES_TOTAL_MAX ? store->pending : upload->pending;

    if (pending > STORE_CODES_PENDING_MAX && upload->drain == DRAIN_NONE) {
        upload->drain = DRAIN_WANTED;
        list_push(&store->waiting, &upload->waiting);
    }
    return pending;
}

size_t store_codes(struct store_put *put, const void *bytes, size_t count)
{
    struct store *store = put->store;
    struct store_upload *upload = put->upload;
    struct order *order = count ? malloc(sizeof(*order) + count) : NULL;
    size_t pending;

    if (order) {
        memcpy(order + 1, bytes, count);
        *order = (struct order){.kind = ORDER_CODES,
                                .upload = upload,
                                .bytes = (const uint8_t *)(order + 1),
                                .count = count};
    }
    pthread_mutex_lock(&store->mutex);
    if (order) {
        upload->pending += count;
        store->pending += count;
        queue_order(store, order);
    } else if (count) {
        upload->end.count += count; /* lost: the commit will say so */
    }
    pending = pressure(store, upload);
    pthread_mutex_unlock(&store->mutex);
    return pending;
}

static void queue_end(struct store_put *put, enum order_kind kind)
{
    struct store *store = put->store;
    struct store_upload *upload = put->upload;

    pthread_mutex_lock(&store->mutex);
    if (upload->drain == DRAIN_WANTED) {
        list_remove(&upload->waiting);
        upload->drain = DRAIN_NONE;
    }
    upload->end.kind = kind;
    queue_order(store, &upload->end);
    pthread_mutex_unlock(&store->mutex);
}

void store_commit(struct store_put *put)
{
    put->letter.deliver = deliver_done;
    put->upload->drained = NULL;
    queue_end(put, ORDER_COMMIT);
}

void store_abort(struct store_put *put)
{
    put->upload->put = NULL;
    queue_end(put, ORDER_ABORT);
    put->upload = NULL;
}

/* ---- the writer's thread ---------------------------------------------------- */

/* Waits for orders and moves them all. False: stopping, and none are left. */
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
        if (LIST_OWNER(link, struct order, link)->kind == ORDER_COMMIT)
            return true;
    return false;
}

/* Bytes of codes left the queue: those who waited for that are told. */
static void settle_codes_order(struct store *store, struct order *order)
{
    struct list *link, *next;

    pthread_mutex_lock(&store->mutex);
    order->upload->pending -= order->count;
    store->pending -= order->count;
    for (link = store->waiting.next; link != &store->waiting; link = next) {
        struct store_upload *upload = LIST_OWNER(link, struct store_upload, waiting);

        next = link->next;
        if (upload->pending >= STORE_CODES_PENDING_MAX / 2 ||
            store->pending >= STORE_CODES_TOTAL_MAX / 2)
            continue;
        list_remove(link);
        upload->drain = DRAIN_POSTED;
        mailbox_post(store->config.mailbox, &upload->drained_letter);
    }
    pthread_mutex_unlock(&store->mutex);
    free(order);
}

static void log_damage(struct store *store, const struct failure *damage)
{
    log_event(store->config.log, LOG_ERROR, "store_damaged",
              LOG_FIELDS(LOG_STR("reason", damage->message)));
}

static void report_batch(struct store *store, const struct batch_result *result)
{
    metric_add(store->config.metrics, M_STORE_TRANSACTIONS, result->transactions);
    metric_add(store->config.metrics, M_REPORTS, result->filed);
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

static void finish(struct store *store, struct list *finished)
{
    struct list *link;

    while ((link = list_pop(finished))) {
        struct order *order = LIST_OWNER(link, struct order, link);
        struct store_upload *upload = order->upload;

        leave(store);
        mailbox_post(store->config.mailbox, order->kind == ORDER_COMMIT
                                                ? &upload->put->letter
                                                : &upload->aborted_letter);
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
        writer_begin(&store->writer, holds_commit(&batch));
        while ((link = list_pop(&batch))) {
            struct order *order = LIST_OWNER(link, struct order, link);
            enum order_kind kind = order->kind;

            writer_order(&store->writer, order);
            if (kind == ORDER_CODES)
                settle_codes_order(store, order);
        }
        writer_end(&store->writer, &finished, &result);
        report_batch(store, &result);
        finish(store, &finished);
    }
    kernels_leave(&env);
    return NULL;
}

/* ---- open and close --------------------------------------------------------- */

static int find_place(struct store *store, const char *directory, struct failure *failure)
{
    /* The address is unique in this process while the store lives. */
    if (directory == NULL) {
        if (asprintf(&store->path, "file:/tritd-%p?vfs=memdb", (void *)store) < 0) {
            store->path = NULL;
            return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
        }
        return 0;
    }
    if (directory_open(&store->directory, directory, failure))
        return -1;
    store->path = strdup(store->directory.database);
    if (store->path == NULL) {
        directory_close(&store->directory);
        return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
    }
    return 0;
}

static int start_writer(struct store *store, struct failure *failure)
{
    struct failure damage = {0};
    int error;

    if (writer_open(&store->writer, store->path, store->directory.database == NULL,
                    store->config.kernels, &damage, failure))
        return fail_context(failure, "store %s",
                            store->directory.database ? store->path : "in memory");
    if (damage.status != TRIT_OK)
        log_damage(store, &damage);
    error = pthread_create(&store->thread, NULL, write_batches, store);
    if (error == 0)
        return 0;
    writer_close(&store->writer);
    return fail(failure, TRIT_UNAVAILABLE, NULL, "store: no thread: %s", strerror(error));
}

int store_open(struct store **store, const struct store_config *config,
               struct failure *failure)
{
    struct store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store: out of memory");
    s->config = *config;
    s->config.directory = NULL;
    list_init(&s->queue);
    list_init(&s->waiting);
    if (find_place(s, config->directory, failure))
        goto free_store;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->work, NULL);
    if (start_writer(s, failure))
        goto leave_place;
    log_event(s->config.log, LOG_INFO, "store_open",
              LOG_FIELDS(LOG_STR("path", s->directory.database ? s->path : "memory"),
                         LOG_I64("schema", schema_version())));
    *store = s;
    return 0;

leave_place:
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
    if (store == NULL)
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
