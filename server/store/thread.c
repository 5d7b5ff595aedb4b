/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's thread: batches of puts, and between two of them one slice of a change, of
 * mending, and of each kind of upkeep that is due. So a put waits at most for one of each. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "kernels/kernels.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "store/mending.h"
#include "store/path.h"
#include "store/store_impl.h"
#include "store/vacuum.h"

enum { MEASURE_NS = 1000000000 }; /* while batches follow each other */

/* Under the mutex. False: it is time to look at the rules of retention. */
static bool wait_for_work(struct store *store)
{
    struct timespec until;

    if (store->config.retention.count == 0) {
        pthread_cond_wait(&store->work, &store->mutex);
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETAIN_PAUSE_SECONDS;
    return pthread_cond_timedwait(&store->work, &store->mutex, &until) == 0;
}

/* Waits for commands or changes, and takes all of them. `busy`: there is other work, so do
 * not wait. False: the store stops and no commands are left. */
static bool take_queue(struct store *store, bool busy, struct list *batch,
                       struct list *chores)
{
    bool some, waits = !busy;

    pthread_mutex_lock(&store->mutex);
    while (!store->due && list_empty(&store->chores) && waits && !store->stopping)
        waits = wait_for_work(store);
    some = !list_empty(&store->queue) || !store->stopping;
    store->due = false;
    list_append(batch, &store->queue);
    list_append(chores, &store->chores);
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
        mailbox_post(upload->mailbox, &upload->drained_message);
    }
    pthread_mutex_unlock(&store->mutex);
    free(command);
}

void store_log_damage(struct store *store, const struct failure *damage)
{
    log_event(store->config.log, LOG_ERROR, "store_damaged",
              LOG_FIELDS(LOG_STR("reason", damage->message)));
}

static void note_failed(struct store *store, const struct failure *failure)
{
    metric_add(store->config.metrics, M_STORE_FAILURES, 1);
    log_event(store->config.log, LOG_ERROR, "store_failed",
              LOG_FIELDS(LOG_STR("reason", failure->message)));
}

static void report_batch(struct store *store, const struct batch_result *result)
{
    metric_add(store->config.metrics, M_STORE_TRANSACTIONS, result->transactions);
    metric_add(store->config.metrics, M_REPORTS, result->reports);
    if (result->failure.status != TRIT_OK)
        note_failed(store, &result->failure);
    if (result->damage.status != TRIT_OK) {
        metric_add(store->config.metrics, M_STORE_FAILURES, 1);
        store_log_damage(store, &result->damage);
    }
}

/* Takes the commands of the first one's loop from the list and posts their messages. */
static void post_finished(struct store *store, struct list *finished)
{
    struct mailbox *mailbox =
        LIST_OWNER(finished->next, struct command, link)->upload->mailbox;
    struct list messages, *next;
    uint32_t count = 0;

    list_init(&messages);
    for (struct list *link = finished->next; link != finished; link = next) {
        struct command *command = LIST_OWNER(link, struct command, link);
        struct store_upload *upload = command->upload;

        next = link->next;
        if (upload->mailbox != mailbox)
            continue;
        list_remove(link);
        list_push(&messages, command->kind == COMMAND_COMMIT
                                 ? &upload->put->message.link
                                 : &upload->aborted_message.link);
        count++;
    }
    store_leave(store, count);
    mailbox_post_all(mailbox, &messages);
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
    while (!list_empty(finished))
        post_finished(store, finished);
}

static void run_batch(struct store *store, struct list *batch)
{
    uint64_t begun_ns = clock_monotonic_ns();
    struct batch_result result;
    struct list finished, *link;

    list_init(&finished);
    writer_begin(&store->writer, holds_commit(batch));
    while ((link = list_pop(batch))) {
        struct command *command = LIST_OWNER(link, struct command, link);
        enum command_kind kind = command->kind;

        writer_execute(&store->writer, command);
        if (kind == COMMAND_CODES || kind == COMMAND_SCALES)
            release_pending(store, command);
    }
    writer_end(&store->writer, &finished, &result);
    if (result.transactions > 0)
        metric_observe(store->config.metrics, H_STORE_COMMIT,
                       clock_monotonic_ns() - begun_ns);
    report_batch(store, &result);
    if (result.reports > 0)
        store->writer.retain.filed = true;
    finish(store, &finished, result.reports > 0);
}

/* ---- changes: one slice between two batches -------------------------------- */

static void finish_chore(struct store *store, struct chore *chore)
{
    list_remove(&chore->link);
    store_leave(store, 1);
    mailbox_post(chore->mailbox ? chore->mailbox : store->config.mailbox,
                 &chore->message);
}

static void run_chore(struct store *store, struct list *chores)
{
    struct chore *chore = LIST_OWNER(chores->next, struct chore, link);
    const uint64_t reports = chore->reports;
    struct failure failure = {0};
    int more = writer_slice(&store->writer, chore_step, chore, true, &failure);

    if (more > 0)
        return;
    if (more < 0 && failure.status == TRIT_DATA_LOSS)
        store_log_damage(store, &failure);
    if (more < 0 && chore_fail(chore, reports, &failure))
        return;
    finish_chore(store, chore);
}

static void stop_chores(struct store *store, struct list *chores)
{
    while (!list_empty(chores)) {
        struct chore *chore = LIST_OWNER(chores->next, struct chore, link);
        struct failure failure = {0};

        fail(&failure, TRIT_UNAVAILABLE, NULL, "the daemon stops");
        (void)chore_fail(chore, chore->reports, &failure);
        finish_chore(store, chore);
    }
}

static int evict_some(struct writer *writer, void *arg, struct failure *failure)
{
    return evict_step(&writer->db, arg, failure);
}

static int retain_some(struct writer *writer, void *arg, struct failure *failure)
{
    return retain_step(&writer->db, arg, writer->next.sequence - 1, failure);
}

static int vacuum_some(struct writer *writer, void *arg, struct failure *failure)
{
    (void)arg;
    return vacuum_step(&writer->db, failure);
}

static int note_upkeep(struct store *store, int more, const struct failure *failure)
{
    if (more < 0 && failure->status == TRIT_DATA_LOSS)
        store_log_damage(store, failure);
    return more;
}

/* One slice of each kind of upkeep that is due: codes beyond their bound, reports that the
 * rules of retention do not keep, free pages at the end of the file. True: more is due. */
static bool run_upkeep(struct store *store)
{
    struct writer *writer = &store->writer;
    struct failure failure = {0};
    bool busy = false;

    if (evict_due(&writer->evict, &writer->db)) {
        if (note_upkeep(store,
                        writer_slice(writer, evict_some, &writer->evict, false, &failure),
                        &failure) < 0)
            evict_failed(&writer->evict, &writer->db);
        busy = evict_due(&writer->evict, &writer->db);
    }
    failure = (struct failure){0};
    if (retain_due(&writer->retain, clock_monotonic_ns())) {
        int more = note_upkeep(
            store, writer_slice(writer, retain_some, &writer->retain, true, &failure),
            &failure);

        if (more < 0)
            more = retain_failed(&writer->retain, &failure);
        else
            metric_add(store->config.metrics, M_STORE_RETIRED, writer->retain.deleted);
        busy = busy || more > 0;
    }
    slots_trim(writer->db.slots);
    if (!busy && vacuum_due(&writer->db))
        busy = writer_slice(writer, vacuum_some, NULL, false, &failure) > 0;
    return busy;
}

/* ---- what readers have met ----------------------------------------------------------- */

void store_mend(void *arg)
{
    struct store *store = arg;

    pthread_mutex_lock(&store->mutex);
    store->mend = store->due = true;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
}

static int mend_some(struct writer *writer, void *arg, struct failure *failure)
{
    return mending_turn(&writer->db, arg, failure);
}

static void begin_mending(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    const bool asked = store->mend;

    store->mend = false;
    pthread_mutex_unlock(&store->mutex);
    if (asked)
        mend_asked(&store->writer.mender, clock_monotonic_ns());
}

static void end_mending(struct store *store)
{
    const int count = store->writer.mender.all.count;
    struct failure damage = {0};

    store->writer.mender.asked.in_vain = count == 0;
    if (count == 0)
        return;
    metric_add(store->config.metrics, M_STORE_FAILURES, 1);
    fail(&damage, TRIT_DATA_LOSS, NULL,
         "damaged rows of layers or runs, which were made again: %d", count);
    store_log_damage(store, &damage);
}

/* A row that readers need is made again without waiting for a put: there may be none. One
 * turn. True: more turns are to follow. */
static bool mend_for_readers(struct store *store)
{
    struct mender *mender = &store->writer.mender;
    struct failure failure = {0};

    begin_mending(store);
    if (mender->all.stage == MENDING_DONE)
        return false;
    struct mending turn = mender->all;
    const int more = writer_slice(&store->writer, mend_some, &turn, true, &failure);

    if (more < 0) {
        mender->all.stage = MENDING_DONE;
        mender->asked.in_vain = false; /* it may be possible in a minute */
        note_failed(store, &failure);
        return false;
    }
    mender->all = turn;
    if (more == 0)
        end_mending(store);
    return more > 0;
}

/* The work that follows is timed by itself. */
static void note_busy(struct store *store)
{
    atomic_store(&store->busy_since_ns, clock_monotonic_ns());
}

uint64_t store_busy_ns(const struct store *store)
{
    const uint64_t since = atomic_load(&store->busy_since_ns);
    const uint64_t now = clock_monotonic_ns();

    return since && now > since ? now - since : 0;
}

static bool is_idle(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    const bool idle = !store->due;

    pthread_mutex_unlock(&store->mutex);
    return idle;
}

void *store_write_batches(void *arg)
{
    struct store *store = arg;
    struct kernels_env env;
    struct list batch, chores;
    bool busy = true;

    uint64_t measured_ns = 0;

    list_init(&batch);
    list_init(&chores);
    kernels_enter(&env);
    while (take_queue(store, busy || !list_empty(&chores), &batch, &chores)) {
        note_busy(store);
        if (!list_empty(&batch))
            run_batch(store, &batch);
        note_busy(store);
        if (!list_empty(&chores))
            run_chore(store, &chores);
        note_busy(store);
        const bool mends = mend_for_readers(store);

        busy = run_upkeep(store) || mends;
        if (is_idle(store) || clock_monotonic_ns() - measured_ns > MEASURE_NS) {
            store_measure(store);
            measured_ns = clock_monotonic_ns();
        }
        atomic_store(&store->busy_since_ns, 0);
    }
    stop_chores(store, &chores);
    kernels_leave(&env);
    return NULL;
}
