/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes a store. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "obs/log.h"
#include "obs/metrics.h"
#include "store/path.h"
#include "store/schema.h"
#include "store/statements.h"
#include "store/store_impl.h"

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

/* A store in memory has little space in all. */
static int64_t codes_max(const struct store *store)
{
    uint64_t max = store->config.codes_max;

    if (!store->directory.database && max > STORE_MEMORY_BYTES_MAX / 4)
        max = STORE_MEMORY_BYTES_MAX / 4;
    return max > INT64_MAX ? INT64_MAX : (int64_t)max;
}

/* Forks that did not end before the last stop are removed. */
static int remove_unfinished(struct store *store, struct failure *failure)
{
    struct db *db = &store->writer.db;
    sqlite3_stmt *select = statement(db, ST_RUNS_FORMING, failure);
    int found = select ? 1 : -1;

    while (found == 1 && (found = db_step(db, select, failure)) == 1) {
        const char *name = (const char *)sqlite3_column_text(select, 0);
        struct chore *chore = name ? chore_create_clean(name) : NULL;

        if (!chore) {
            found = fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
            break;
        }
        list_push(&store->chores, &chore->link);
        store->open++;
        metric_up(store->config.metrics, M_STORE_QUEUED);
    }
    if (select)
        db_reset(select);
    return found;
}

static void drop_chores(struct store *store)
{
    struct list *link;

    while ((link = list_pop(&store->chores)))
        free(LIST_OWNER(link, struct chore, link));
}

static uint64_t shards_max(const struct store *store)
{
    const uint64_t max = store->config.shards_max;

    return !store->directory.database && max > STORE_MEMORY_BYTES_MAX / 4
               ? STORE_MEMORY_BYTES_MAX / 4
               : max;
}

/* A file that cannot be opened is not written, so that a copy can take its place. */
static int cannot_open(const struct store *store, struct failure *failure)
{
    const struct failure reason = *failure;

    if (!store->directory.database)
        return fail_context(failure, "store in memory");
    if (reason.status == TRIT_DATA_LOSS && !strstr(reason.message, "restore")) {
        *failure = (struct failure){0};
        fail(failure, reason.status, NULL,
             "%s; restore a copy of the directory, or move it away to begin with an "
             "empty store",
             reason.message);
    }
    return fail_context(failure, "store %s", store->path);
}

static int start_writer(struct store *store, struct failure *failure)
{
    struct failure damage = {0};
    int error;

    const struct directory *directory =
        store->directory.database ? &store->directory : NULL;

    if (writer_open(&store->writer, store->path, directory, store->config.kernels,
                    &store->rules, &damage, failure))
        return cannot_open(store, failure);
    if (directory)
        directory_note_kept(directory);
    if (damage.status != TRIT_OK)
        store_log_damage(store, &damage);
    store->writer.evict.max = codes_max(store);
    store->writer.db.waiting.bytes_max = shards_max(store);
    store->writer.retain.rules = store->config.retention;
    if (remove_unfinished(store, failure)) {
        drop_chores(store);
        writer_close(&store->writer);
        return -1;
    }
    error = pthread_create(&store->thread, NULL, store_write_batches, store);
    if (error == 0)
        return 0;
    drop_chores(store);
    writer_close(&store->writer);
    return fail(failure, TRIT_UNAVAILABLE, NULL, "store: cannot start its thread: %s",
                strerror(error));
}

/* Its times are those of the monotonic clock. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int store_open(struct store **store, const struct store_config *config,
               struct failure *failure)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "store: out of memory");
    s->config = *config;
    s->config.directory = NULL;
    s->config.rules = NULL;
    s->rules = config->rules ? *config->rules : health_rules_default();
    list_init(&s->queue);
    list_init(&s->waiting);
    list_init(&s->chores);
    if (make_path(s, config->directory, failure))
        goto free_store;
    pthread_mutex_init(&s->mutex, NULL);
    init_condition(&s->work);
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

struct slots *store_slots(const struct store *store)
{
    return store->writer.db.slots;
}

const struct health_rules *store_rules(const struct store *store)
{
    return &store->rules;
}
