/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded request, the reply that a handler fills, and routes. */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/policy.h"
#include "base/status.h"
#include "trit/types.h"
#include "web/config.h"
#include "web/field.h"
#include "web/text.h"

enum {
    REQUEST_NAMES_MAX = 2,
    PAGE_ROWS_MAX = 200,       /* of a list or a table */
    HISTORY_LAYERS_MAX = 2000, /* of one reply of /history */
};

struct request {
    const char *accept;                                     /* field, or "" */
    const char *accept_encoding, *if_match, *if_none_match; /* fields, or NULL */
    char *joined;                                           /* fields of several lines */
    size_t joined_bytes;
    /* The path's names, decoded: {run}, {layer}. */
    char names[REQUEST_NAMES_MAX][TRIT_NAME_BYTES_MAX + 1];
    /* The query, decoded. */
    bool has_step, has_from, has_to, has_after;
    bool has_every, has_limit, has_attempt, has_replica, has_page;
    uint64_t step, from, to, every, limit, attempt, replica, page;
    char after[TRIT_NAME_BYTES_MAX + 1]; /* the list begins behind this name */
    char layer[TRIT_NAME_BYTES_MAX + 1]; /* a name or a pattern; "": all */
    char health[TRIT_NAME_BYTES_MAX + 1];
    char by[TRIT_NAME_BYTES_MAX + 1], order[TRIT_NAME_BYTES_MAX + 1];
    char a[TRIT_NAME_BYTES_MAX + 1], b[TRIT_NAME_BYTES_MAX + 1];
    char fields[FIELDS_TEXT_BYTES]; /* names with commas between */
};

struct reply {
    unsigned http_status; /* 200 unless a handler says otherwise */
    const char *type;     /* Content-Type */
    bool cacheable;       /* it changes only with the version of the daemon */
    bool prompt;          /* a browser may ask its user for a token */
    bool finished;        /* a failure whose body is written already */
    bool gzip;            /* the body is compressed */
    bool stream;          /* events follow the body (http_stream.h) */
    char tag[24];         /* ETag; "": none */
    struct text body;
};

/* -1: the failure becomes the error reply. */
typedef int handler(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct failure *failure);

/* Under which host names, and for whom, a route is served. */
enum route_kind {
    ROUTE_PROBE,   /* any name, everyone: kubelet and load balancers have no token */
    ROUTE_METRICS, /* any name; everyone, unless web_config.auth is set */
    ROUTE_PAGE,    /* the names of host_allowed; who has the route's policy */
};

struct route {
    const char *pattern; /* "*" stands for one name */
    handler *handler;
    /* The query keys that it takes, as "step from to"; NULL: ignores any. */
    const char *parameters;
    enum route_kind kind;
    enum policy policy;
};

/* Finds the route whose pattern matches the path, and fills request->names. `routes`
 * ends with a NULL pattern. `path` is still percent-encoded. NULL: NOT_FOUND or
 * INVALID_ARGUMENT. */
const struct route *route_find(const struct route *routes, const char *path,
                               struct request *request, struct failure *failure);

/* Reads one query parameter. `value` is still percent-encoded, NULL without '='. -1:
 * INVALID_ARGUMENT with the name and value of the parameter. */
int request_parameter(struct request *request, const struct route *route, const char *key,
                      const char *value, struct failure *failure);

/* Frees what the request owns. */
void request_fini(struct request *request);

/* Checks the parameters against each other. */
int request_check(const struct request *request, struct failure *failure);

#endif
