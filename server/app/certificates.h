/* SPDX-License-Identifier: Apache-2.0 */
/* The TLS options of the daemon: from paths in the configuration to certificates that
 * both ports use, and their reload. */
#ifndef APP_CERTIFICATES_H
#define APP_CERTIFICATES_H

#include "base/status.h"

struct config;
struct log;
struct metrics;
struct tls_context;

/* Reads the files. *tls is NULL where --tls-cert is not set. INVALID_ARGUMENT names the
 * option and the file. */
int certificates_open(struct tls_context **tls, const struct config *config,
                      struct failure *failure);

/* Reads them again. On failure the old ones stay in use. NULL is harmless. */
int certificates_reload(struct tls_context *tls, struct failure *failure);

/* Logs until when the certificate is valid, and sets its metric. NULL is harmless. */
void certificates_announce(struct tls_context *tls, struct log *log,
                           struct metrics *metrics);

#endif
