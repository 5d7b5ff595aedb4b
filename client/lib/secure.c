/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "tls/tls.h"

/* The option, or the environment variable where it is not set. Sets *given if there is a
 * value. */
static const char *value_of(const char *option, const char *variable, bool *given)
{
    const char *value = option ? option : getenv(variable);

    if (!value || !*value)
        return NULL;
    *given = true;
    return value;
}

/* What options and environment say of TLS. */
struct tls_request {
    struct tls_options files;
    const char *server_name;
    bool given; /* at least one of these is set */
};

static struct tls_request tls_request_of(const struct trit_connect_options *o)
{
    struct tls_request request = {.given = false};

    request.files.trust = value_of(o->tls_ca, "TRIT_TLS_CA", &request.given);
    request.files.cert = value_of(o->tls_cert, "TRIT_TLS_CERT", &request.given);
    request.files.key = value_of(o->tls_key, "TRIT_TLS_KEY", &request.given);
    request.server_name =
        value_of(o->tls_server_name, "TRIT_TLS_SERVER_NAME", &request.given);
    return request;
}

/* TRIT_TLS, if it is set. */
static int read_environment(bool *on, struct failure *failure)
{
    const char *value = getenv("TRIT_TLS");

    if (!value || !*value || parse_flag(value, on))
        return 0;
    return fail(failure, TRIT_INVALID_ARGUMENT, "options.tls",
                "TRIT_TLS: \"%.40s\" is not true or false", value);
}

static int wants_tls(bool *on, const struct trit_connect_options *o, bool given,
                     const struct address *address, struct failure *failure)
{
    const bool explicit = o->tls == TRIT_TLS_ON || o->tls_ca || o->tls_cert ||
                          o->tls_key || o->tls_server_name;

    switch (o->tls) {
    case TRIT_TLS_OFF:
        *on = false;
        return 0;
    case TRIT_TLS_DEFAULT:
    case TRIT_TLS_ON:
        break;
    default:
        return fail(failure, TRIT_INVALID_ARGUMENT, "options.tls",
                    "tls: %u is not a value of enum trit_tls", (unsigned)o->tls);
    }
    if (address->kind == ADDRESS_UNIX) {
        *on = false;
        return explicit ? fail(failure, TRIT_INVALID_ARGUMENT, "options.tls",
                               "%s: a Unix socket does not speak TLS", address->text)
                        : 0;
    }
    *on = explicit || given;
    return explicit ? 0 : read_environment(on, failure);
}

static int missing(struct failure *failure, const char *has, const char *lacks)
{
    char field[64];

    snprintf(field, sizeof(field), "options.%s", has);
    return fail(failure, TRIT_INVALID_ARGUMENT, field, "%s is set without %s", has,
                lacks);
}

/* tls says which file; this says by which option it was given. */
static int name_option(struct failure *failure)
{
    const char *option = failure->field[0] == 't' ? "ca" : failure->field;
    char name[16];

    if (failure->field[0] == '\0')
        return -1;
    snprintf(name, sizeof(name), "tls_%.8s", option);
    snprintf(failure->field, sizeof(failure->field), "options.%s", name);
    return fail_context(failure, "%s", name);
}

int secure_init(struct secure *secure, const struct trit_connect_options *options,
                const struct address *address, struct failure *failure)
{
    const struct tls_request request = tls_request_of(options);
    const char *name = request.server_name ? request.server_name : address->host;
    bool on = false;

    secure->context = NULL;
    if (wants_tls(&on, options, request.given, address, failure) < 0)
        return -1;
    if (!on)
        return 0;
    if (request.files.cert && !request.files.key)
        return missing(failure, "tls_cert", "tls_key");
    if (request.files.key && !request.files.cert)
        return missing(failure, "tls_key", "tls_cert");
    if (strlen(name) > ADDRESS_HOST_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "options.tls_server_name",
                    "tls_server_name: longer than %d bytes", ADDRESS_HOST_BYTES_MAX);
    strcpy(secure->server_name, name);
    if (tls_context_create(&secure->context, TLS_CLIENT, &request.files, failure) < 0)
        return name_option(failure);
    return 0;
}

void secure_fini(struct secure *secure)
{
    tls_context_destroy(secure->context);
}
