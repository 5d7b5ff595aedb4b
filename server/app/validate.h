/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of single options, and which need each other. */
#ifndef APP_VALIDATE_H
#define APP_VALIDATE_H

#include "base/limits.h"
#include "base/status.h"

enum { MEMORY_BYTES_MIN = 16 << 20 };

/* INVALID_ARGUMENT names the option. */
int limits_validate(const struct limits *limits, struct failure *failure);

/* The files of TLS, NULL where not given, are given together. INVALID_ARGUMENT names the option. */
int tls_validate(const char *cert, const char *key, const char *client_ca,
                 struct failure *failure);

#endif
