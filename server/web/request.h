/* A request as the routes see it, and the reply they fill. */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "web/config.h"
#include "web/text.h"

enum { REQUEST_NAMES_MAX = 2, PAGE_ROWS_MAX = 200 };

struct request {
    const char *accept; /* header, or "" */
    /* The path's names, decoded: {run}, {layer}. */
    char names[REQUEST_NAMES_MAX][TRIT_NAME_BYTES_MAX + 1];
    /* The query, decoded. */
    bool has_step, has_from, has_to, has_after_run, has_after;
    uint64_t step, from, to;
    char after_run[TRIT_NAME_BYTES_MAX + 1]; /* pages on behind these names */
    char after[TRIT_NAME_BYTES_MAX + 1];
};

struct reply {
    unsigned http_status; /* 200 unless a handler says otherwise */
    const char *type;     /* Content-Type */
    bool lasting;         /* the same until the next version: may be cached */
    struct text body;
};

/* 0, or -1 with the failure that becomes the error reply. */
typedef int handler(const struct web_config *web, const struct request *request,
                    struct reply *reply, struct failure *failure);

struct route {
    const char *pattern; /* "*" stands for one name */
    handler *handler;
    const char *parameters; /* "step from to": the query keys it takes; NULL = any,
                               ignored */
};

/* Finds the route whose pattern matches the path, and fills request->names. `routes`
 * ends with a NULL pattern. `path` is still percent-encoded. NULL: NOT_FOUND or
 * INVALID_ARGUMENT. */
const struct route *route_find(const struct route *routes, const char *path,
                               struct request *request, struct failure *failure);

/* One query parameter; `value` is still encoded, NULL where there is no '='. -1:
 * INVALID_ARGUMENT naming parameter and value. */
int request_parameter(struct request *request, const struct route *route, const char *key,
                      const char *value, struct failure *failure);

/* Checks the parameters together. */
int request_check(const struct request *request, struct failure *failure);

/* Whether a Host header may be answered: a browser that was led here under
 * somebody's domain name (DNS rebinding) is not. Addresses, names without a dot,
 * *.localhost and the name that was bound are fine; so is no header, which no
 * browser sends. */
bool host_allowed(const char *host, const char *bound_name);

#endif
