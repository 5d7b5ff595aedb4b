/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls.h"

/* An option, or the variable in its place. `given`: some of them has a value. */
static const char *value_of(const char *option, const char *variable, bool *given)
{
    const char *value = option ? option : getenv(variable);

    if (!value || !*value)
        return NULL;
    *given = true;
    return value;
}

struct wishes {
    struct tls_options files;
    const char *server_name;
    bool given; /* some of them is set */
};

static struct wishes wishes_of(const struct trit_connect_options *o)
{
    struct wishes wishes = {.given = false};

    wishes.files.trust = value_of(o->tls_ca, "TRIT_TLS_CA", &wishes.given);
    wishes.files.cert = value_of(o->tls_cert, "TRIT_TLS_CERT", &wishes.given);
    wishes.files.key = value_of(o->tls_key, "TRIT_TLS_KEY", &wishes.given);
    wishes.server_name =
        value_of(o->tls_server_name, "TRIT_TLS_SERVER_NAME", &wishes.given);
    return wishes;
}

static int environment_says(bool *on, bool *said, struct failure *failure)
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true", NULL};
    const char *value = getenv("TRIT_TLS");

    *said = value && *value;
    if (!*said)
        return 0;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0) {
            *on = i % 2 == 1;
            return 0;
        }
    }
    return fail(failure, TRIT_INVALID_ARGUMENT, "options.tls",
                "TRIT_TLS: \"%.40s\" is not true or false", value);
}

static int wants_tls(bool *on, const struct trit_connect_options *o, bool given,
                     const struct address *address, struct failure *failure)
{
    const bool explicit = o->tls == TRIT_TLS_ON || o->tls_ca || o->tls_cert ||
                          o->tls_key || o->tls_server_name;
    bool said = false;

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
    if (explicit)
        return 0;
    return environment_says(on, &said, failure);
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
    const struct wishes wishes = wishes_of(options);
    const char *name = wishes.server_name ? wishes.server_name : address->host;
    bool on = false;

    secure->context = NULL;
    if (wants_tls(&on, options, wishes.given, address, failure) < 0)
        return -1;
    if (!on)
        return 0;
    if (wishes.files.cert && !wishes.files.key)
        return missing(failure, "tls_cert", "tls_key");
    if (wishes.files.key && !wishes.files.cert)
        return missing(failure, "tls_key", "tls_cert");
    if (strlen(name) > ADDRESS_HOST_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "options.tls_server_name",
                    "tls_server_name: longer than %d bytes", ADDRESS_HOST_BYTES_MAX);
    strcpy(secure->server_name, name);
    if (tls_context_create(&secure->context, TLS_CLIENT, &wishes.files, failure) < 0)
        return name_option(failure);
    return 0;
}

void secure_fini(struct secure *secure)
{
    tls_context_destroy(secure->context);
}
