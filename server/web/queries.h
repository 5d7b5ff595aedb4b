/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that computes what is read from the store, so that the web's thread answers
 * probes meanwhile. Requests wait in the order of their arrival; there are never more than
 * connections. */
#ifndef WEB_QUERIES_H
#define WEB_QUERIES_H

#include "base/list.h"
#include "web/request.h"

struct query {
    struct list link;
    const struct route *route;
    struct request request; /* what it points to stays until the query is taken back */
    int fd; /* the connection that asks; when it has hung up, nothing is computed */
    void *connection; /* of the caller */
    struct reply reply;
    struct failure failure;
    int result; /* as of route_answer */
};

struct queries;

/* Borrows the settings. `done_fd`, an eventfd, becomes readable with each query that is
 * done. RESOURCE_EXHAUSTED or UNAVAILABLE. */
int queries_start(struct queries **queries, const struct web_config *config, int done_fd,
                  struct failure *failure);

/* Takes the query until queries_done gives it back. */
void queries_add(struct queries *queries, struct query *query);

/* A query that is done; NULL: none is. */
struct query *queries_done(struct queries *queries);

/* Waits for the one that is computed, and ends the thread. All that were added are done
 * then; those that waited have a failure. NULL is harmless. */
void queries_stop(struct queries *queries);
void queries_destroy(struct queries *queries);

/* Takes what the request owns. NULL: out of memory. */
struct query *query_create(const struct route *route, struct request *request);
void query_destroy(struct query *query);

/* Whether the route's handler reads the store. */
bool route_reads_store(const struct route *route);

/* Runs the route's handler. */
int route_answer(const struct route *route, const struct web_config *config,
                 const struct request *request, struct reply *reply,
                 struct failure *failure);

#endif
