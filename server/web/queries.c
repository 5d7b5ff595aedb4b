/* SPDX-License-Identifier: Apache-2.0 */
#include "web/queries.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "web/encode.h"
#include "web/reply.h"

struct queries {
    const struct web_config *config;
    int done_fd;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t more;
    bool stops;
    struct list waiting, done;
};

bool route_reads_store(const struct route *route)
{
    return route->kind == ROUTE_PAGE && route->policy != POLICY_EVERYONE;
}

int route_answer(const struct route *route, const struct web_config *config,
                 const struct request *request, struct reply *reply,
                 struct failure *failure)
{
    if (route->handler(config, request, reply, failure) < 0)
        return -1;
    if (reply->body.failed)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (reply_check(reply, request, failure) < 0)
        return -1;
    reply_encode(reply, route, request);
    return 0;
}

struct query *query_create(const struct route *route, struct request *request)
{
    struct query *query = calloc(1, sizeof(*query));

    if (!query)
        return NULL;
    list_init(&query->link);
    query->route = route;
    query->request = *request;
    request->joined = NULL;
    reply_begin(&query->reply);
    return query;
}

void query_destroy(struct query *query)
{
    if (!query)
        return;
    text_fini(&query->reply.body);
    request_fini(&query->request);
    free(query);
}

/* ---- the thread ------------------------------------------------------------------------ */

static bool hung_up(int fd)
{
    struct pollfd polled = {.fd = fd};

    return poll(&polled, 1, 0) > 0 && polled.revents & (POLLHUP | POLLERR);
}

static void compute(struct queries *queries, struct query *query)
{
    if (hung_up(query->fd))
        query->result = fail(&query->failure, TRIT_CANCELLED, NULL, "nobody waits");
    else
        query->result = route_answer(query->route, queries->config, &query->request,
                                     &query->reply, &query->failure);
}

/* The next query to compute; NULL: the thread ends. Those that wait then are done. */
static struct query *take(struct queries *queries)
{
    struct query *query = NULL;
    struct list *node;

    pthread_mutex_lock(&queries->lock);
    while (list_empty(&queries->waiting) && !queries->stops)
        pthread_cond_wait(&queries->more, &queries->lock);
    while ((node = list_pop(&queries->waiting))) {
        query = LIST_OWNER(node, struct query, link);
        if (!queries->stops)
            break;
        query->result = fail(&query->failure, TRIT_UNAVAILABLE, NULL, "the daemon stops");
        list_push(&queries->done, &query->link);
        query = NULL;
    }
    pthread_mutex_unlock(&queries->lock);
    return query;
}

static void *run(void *arg)
{
    struct queries *queries = arg;
    struct query *query;

    while ((query = take(queries))) {
        compute(queries, query);
        pthread_mutex_lock(&queries->lock);
        list_push(&queries->done, &query->link);
        pthread_mutex_unlock(&queries->lock);
        eventfd_write(queries->done_fd, 1);
    }
    return NULL;
}

/* ---- for the web's thread ---------------------------------------------------------------- */

int queries_start(struct queries **out, const struct web_config *config, int done_fd,
                  struct failure *failure)
{
    struct queries *queries = calloc(1, sizeof(*queries));
    int error;

    if (!queries)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "http: out of memory");
    queries->config = config;
    queries->done_fd = done_fd;
    pthread_mutex_init(&queries->lock, NULL);
    pthread_cond_init(&queries->more, NULL);
    list_init(&queries->waiting);
    list_init(&queries->done);
    error = pthread_create(&queries->thread, NULL, run, queries);
    if (error) {
        queries_destroy(queries);
        return fail_field(failure, TRIT_UNAVAILABLE, "http",
                          "%s: cannot start a thread: %s", config->address,
                          strerror(error));
    }
    queries->runs = true;
    *out = queries;
    return 0;
}

void queries_add(struct queries *queries, struct query *query)
{
    pthread_mutex_lock(&queries->lock);
    list_push(&queries->waiting, &query->link);
    pthread_cond_signal(&queries->more);
    pthread_mutex_unlock(&queries->lock);
}

struct query *queries_done(struct queries *queries)
{
    struct list *node;

    pthread_mutex_lock(&queries->lock);
    node = list_pop(&queries->done);
    pthread_mutex_unlock(&queries->lock);
    return node ? LIST_OWNER(node, struct query, link) : NULL;
}

void queries_stop(struct queries *queries)
{
    if (!queries || !queries->runs)
        return;
    pthread_mutex_lock(&queries->lock);
    queries->stops = true;
    pthread_cond_signal(&queries->more);
    pthread_mutex_unlock(&queries->lock);
    pthread_join(queries->thread, NULL);
    queries->runs = false;
}

void queries_destroy(struct queries *queries)
{
    if (!queries)
        return;
    pthread_cond_destroy(&queries->more);
    pthread_mutex_destroy(&queries->lock);
    free(queries);
}
