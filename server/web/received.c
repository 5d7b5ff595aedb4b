/* SPDX-License-Identifier: Apache-2.0 */
#include "web/received.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web/head.h"

enum { PARAMETERS_MAX = 16 };

const char *received_field(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* ---- lists ------------------------------------------------------------------- */

struct lines {
    struct request *request;
    const char *name;
    const char *first; /* or all lines, joined */
    unsigned count;
    bool failed;
};

/* Appends to request->joined. All fields of a head fit in it. */
static bool append(struct request *request, const char *words)
{
    const size_t count = strlen(words);

    if (!request->joined)
        request->joined = malloc(HTTP_HEAD_BYTES_MAX);
    if (!request->joined || count >= HTTP_HEAD_BYTES_MAX - request->joined_bytes)
        return false;
    memcpy(request->joined + request->joined_bytes, words, count + 1);
    request->joined_bytes += count;
    return true;
}

static enum MHD_Result visit_line(void *arg, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    struct lines *lines = arg;
    struct request *request = lines->request;

    (void)kind;
    if (strcasecmp(key, lines->name) != 0 || !value)
        return MHD_YES;
    if (++lines->count == 1) {
        lines->first = value;
        return MHD_YES;
    }
    if (lines->count == 2) {
        const size_t begin = request->joined_bytes;

        lines->failed = !append(request, lines->first);
        lines->first = lines->failed ? NULL : request->joined + begin;
    }
    lines->failed = lines->failed || !append(request, ",") || !append(request, value);
    return lines->failed ? MHD_NO : MHD_YES;
}

const char *received_list(struct MHD_Connection *connection, const char *name,
                          struct request *request)
{
    struct lines lines = {.request = request, .name = name};

    MHD_get_connection_values(connection, MHD_HEADER_KIND, visit_line, &lines);
    if (lines.count > 1)
        request->joined_bytes++; /* the next list begins behind the NUL */
    return lines.failed ? NULL : lines.first;
}

/* ---- others ------------------------------------------------------------------ */

const char *received_authorization(struct MHD_Connection *connection, char *own,
                                   size_t bytes)
{
    const char *value = received_field(connection, "Authorization");
    char *user, *password = NULL;

    if (!value || strncasecmp(value, "Basic ", 6) != 0)
        return value;
    user = MHD_basic_auth_get_username_password(connection, &password);
    snprintf(own, bytes, "Bearer %s", password ? password : "");
    MHD_free(user);
    MHD_free(password);
    return own;
}

/* What visit_parameter needs for each parameter. */
struct parameters {
    struct request *request;
    const struct route *route;
    struct failure *failure;
    unsigned seen;
};

static enum MHD_Result visit_parameter(void *arg, enum MHD_ValueKind kind,
                                       const char *key, const char *value)
{
    struct parameters *parameters = arg;

    (void)kind;
    if (++parameters->seen > PARAMETERS_MAX)
        fail(parameters->failure, TRIT_INVALID_ARGUMENT, NULL, "more than %d parameters",
             PARAMETERS_MAX);
    else
        request_parameter(parameters->request, parameters->route, key, value,
                          parameters->failure);
    return parameters->failure->status == TRIT_OK ? MHD_YES : MHD_NO;
}

int received_parameters(struct MHD_Connection *connection, struct request *request,
                        const struct route *route, struct failure *failure)
{
    struct parameters parameters = {request, route, failure, 0};

    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, visit_parameter,
                              &parameters);
    return failure->status == TRIT_OK ? 0 : -1;
}
