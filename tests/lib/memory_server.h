/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that plays the daemon's memory socket. */
#ifndef TESTS_MEMORY_SERVER_H
#define TESTS_MEMORY_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/un.h>

#include "base/status.h"
#include "client/lib/address.h"

struct memory_server {
    struct address address;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of the memory socket */
    pthread_t thread;
    int listener;
    enum trit_status status; /* of replies to registrations */
    _Atomic bool keeps;      /* replies to releases wait for the next registration */
    _Atomic bool silent;     /* there are no replies */
    unsigned registered, released, connections;
};

void memory_server_start(struct memory_server *server, enum trit_status status);
void memory_server_stop(struct memory_server *server);

#endif
