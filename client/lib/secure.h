/* SPDX-License-Identifier: Apache-2.0 */
/* Whether and how a client uses TLS: from the options and the environment. */
#ifndef LIB_SECURE_H
#define LIB_SECURE_H

#include <trit.h>

#include "client/lib/address.h"

struct tls_context;

struct secure {
    struct tls_context *context; /* NULL: plain */
    char server_name[ADDRESS_HOST_BYTES_MAX + 1];
};

/* INVALID_ARGUMENT names the option. The options win over the variables TRIT_TLS,
 * TRIT_TLS_CA, TRIT_TLS_CERT, TRIT_TLS_KEY and TRIT_TLS_SERVER_NAME. */
int secure_init(struct secure *secure, const struct trit_connect_options *options,
                const struct address *address, struct failure *failure);
void secure_fini(struct secure *secure);

#endif
