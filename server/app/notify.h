/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd, or whatever set NOTIFY_SOCKET, the state of the service. */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

/* `state`: "READY=1", "STOPPING=1"; the protocol is that of sd_notify(3). Does nothing
 * without NOTIFY_SOCKET. */
void notify(const char *state);

#endif
