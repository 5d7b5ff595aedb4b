/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC services of tritd: a table of methods, and the state that they share. Each loop
 * has its own; grpc calls the methods on the thread of their loop. They decode requests, give work to the pool,
 * merge results, store reports and reply. */
#ifndef SERVICES_SERVICES_H
#define SERVICES_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/policy.h"
#include "base/status.h"
#include "services/config.h"

struct grpc;
struct method;
struct services;
struct wire_job;
struct wire_progress;

int services_create(struct services **services, const struct services_config *config,
                    struct failure *failure);

/* After grpc is idle; the first one last. NULL is harmless. */
void services_destroy(struct services *services);

/* Shows the jobs over checkpoints, the newest first, until `visit` returns false. Texts are
 * valid until it returns. Any thread, while the services live. -1: FAILED_PRECONDITION,
 * there is no checkpoint root; RESOURCE_EXHAUSTED. */
int services_visit_jobs(struct services *services,
                        bool (*visit)(void *arg, const struct wire_job *job,
                                      const struct wire_progress *progress),
                        void *arg, struct failure *failure);

/* A number that changes with what is shown of these jobs. Any thread. */
uint64_t services_jobs_version(const struct services *services);

/* Forgets ended jobs that are kept no longer. The first services; any thread. */
void services_forget_jobs(struct services *services);

/* Ends all jobs over checkpoints and waits for them. Before pool_stop. NULL is harmless. */
void services_stop_jobs(struct services *services);

/* The table of methods, for grpc_config and for the labels of metrics. */
const struct method *const *services_methods(size_t *count);

/* What a caller of the method needs. Of a method that is not in the table: admin. */
enum policy services_policy(const struct method *method);

/* What services_config.ready says has changed: watches of health are told. Any services of
 * the daemon; the others learn of it. */
void services_status_changed(struct services *services);

/* False: the last commit of a report failed less than HEALTH_STORE_FAILED_MS ago; `why`
 * says so. Any thread. */
bool services_store_works(const struct services *services, char *why, size_t bytes);

/* Does what the news (enum services_news) say. The loop's thread. */
void services_take_news(struct services *services, struct grpc *grpc, unsigned news);

/* For grpc_config.observe and web_config.observe: updates the metrics of budget and pool.
 * Any thread. */
void services_observe(void *services);

#endif
