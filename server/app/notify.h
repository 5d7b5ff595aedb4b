/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd, or whatever set NOTIFY_SOCKET, the state of the service. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include <pthread.h>
#include <stdbool.h>

/* `state`: "READY=1", "STOPPING=1"; the protocol is that of sd_notify(3). Does nothing
 * without NOTIFY_SOCKET. */
void notify(const char *state);

/* A start that takes long: from begin to end the manager is told every 10 s to wait 30 s more
 * (EXTEND_TIMEOUT_USEC), for at most an hour. A migration of the store or reading layers may
 * take longer than its timeout. Does nothing without NOTIFY_SOCKET. */
struct notify_extension {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool runs, over;
};
void notify_extension_begin(struct notify_extension *extension);
void notify_extension_end(struct notify_extension *extension);

#endif
