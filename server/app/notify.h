/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd (or whoever set NOTIFY_SOCKET) how the service is doing. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

/* "READY=1", "STOPPING=1". Silent without NOTIFY_SOCKET. sd_notify(3)'s protocol. */
void notify(const char *state);

#endif
