/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that systemd has opened for this process (sd_listen_fds(3)): LISTEN_PID names
 * the process, LISTEN_FDS how many there are, from descriptor 3 on. */
#ifndef NET_ACTIVATION_H
#define NET_ACTIVATION_H

#include <stdbool.h>

#include "base/status.h"

enum { ACTIVATION_SOCKETS_MAX = 16 }; /* more are refused */

/* How many there are; 0 when they are another process's. */
unsigned activation_count(void);

/* The descriptor of socket `index`, non-blocking and closed on exec. -1: it is no stream
 * socket that listens. */
int activation_socket(unsigned index, struct failure *failure);

/* True if only this machine can reach them. */
bool activation_is_local(void);

#endif
