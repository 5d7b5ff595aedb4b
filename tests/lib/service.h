/* SPDX-License-Identifier: Apache-2.0 */
/* The rpc service with all it stands on, and a client joined to it by memory:
 * what the daemon is, without sockets and processes. */
#ifndef TESTS_SERVICE_H
#define TESTS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "tests/lib/exchange.h"
#include "trit/types.h"

struct service;

struct service_options {
    const char *isa;
    unsigned threads;
    size_t inline_bytes_max; /* 0: workers compute all but tiny calls */
    struct limits limits;
    const char *data_dir; /* of its layers; NULL: none */
};

struct service_options service_defaults(void);
struct service *service_open(const struct service_options *options);

/* Checks that no byte of the budget is left in use. */
void service_close(struct service *service);

/* Turns the loop until every byte of the budget is free again. */
void service_wait_idle(struct service *service);

/* One turn of its loop. */
void service_turn(struct service *service);

/* The connection failed as a whole. */
bool service_broken(const struct service *service);

/* Files a report with the time that it has, and turns the loop until it is on disk. */
struct trit_report;
void service_put(struct service *service, const struct trit_report *report);

/* What it stands on, for tests of its parts. */
struct services *service_services(struct service *service);
struct timers *service_timers(struct service *service);
struct metrics *service_metrics(struct service *service);
struct uv_loop_s *service_loop(struct service *service);

/* Where calls to the service are started. */
struct connection *service_connection(struct service *service);

#endif
